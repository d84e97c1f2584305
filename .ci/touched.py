"""Name the stacks that a change touches, by its files and by what stacks offer to each other.

    python .ci/touched.py [BASE] [--of NAME] [--environments]

Prints a JSON list, in the order of deployment: without BASE every stack, with BASE those that the
change from BASE to HEAD of the checkout in the working folder touches; `--of` keeps those of an
environment, or one. `--environments` prints objects, for a job that also needs the environment.

The checkout may be a pull request's: it is read as data, and nothing of it runs. Environments on
one machine are left out. Files that no row of `FILES` knows touch everything.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ON_ONE_MACHINE = ("local",)
PLATFORM = ("foundation", "cluster")
ENVIRONMENTS = "stacks/environments"

STACK = r"(?P<env>[a-z][a-z0-9-]*)\.(?P<layer>[a-z][a-z0-9_]*)"
STACK_FILE = re.compile(rf"{ENVIRONMENTS}/Pulumi\.{STACK}\.yaml")
ON_CLUSTER = re.compile(r"^ +[\"']?plinth:pods\b", re.M)
"""In a workload's file: some of it runs on the cluster, so it reads what the cluster offers."""


@dataclass(frozen=True, order=True)
class Stack:
    """One stack of one environment."""

    env: str
    layer: str
    on_cluster: bool = False

    def __str__(self) -> str:
        return f"{self.env}.{self.layer}"

    @property
    def is_workload(self) -> bool:
        """It is none of the platform's."""
        return self.layer not in PLATFORM

    def reads(self, offerer: Stack) -> bool:
        """Whether another stack offers it something (stacks/contract.py)."""
        if self.env != offerer.env or self.layer == "foundation":
            return False
        return offerer.layer == "foundation" or (offerer.layer == "cluster" and self.on_cluster)


Rule = Callable[[Stack, "re.Match[str]"], bool]
"""Whether a file that matches touches a stack."""


def _its_own(stack: Stack, found: re.Match[str]) -> bool:
    return (stack.env, stack.layer) == (found["env"], found["layer"])


def _it_or_what_it_reads(stack: Stack, found: re.Match[str]) -> bool:
    return _its_own(stack, found) or stack.reads(Stack(found["env"], found["layer"]))


FILES: Sequence[tuple[str, Rule]] = (
    (r"pipelines/(?P<workload>\w+)/.*", lambda stack, found: stack.layer == found["workload"]),
    (r"(pipelines|serving)/.*", lambda stack, _: stack.is_workload),
    (STACK_FILE.pattern, _it_or_what_it_reads),
    (rf"{ENVIRONMENTS}/adopt/{STACK}\.yaml", _its_own),
    (rf"{ENVIRONMENTS}/(?P<env>[a-z][a-z0-9-]*)\.yaml", lambda s, found: s.env == found["env"]),
    (r"(tests|\.ci|\.github)/.*|\.gitlab-ci\.yml|\.pre-commit-config\.yaml", lambda *_: False),
    (r"(.*/)?[\w-]+\.md|LICENSE|\.gitignore|Makefile", lambda *_: False),
    (r".*", lambda *_: True),
)
"""The first row that matches a file says which stacks it touches.

What is shared by workloads stands in `pipelines/` beside them; no stack of the platform holds any
of it. Workloads never read each other: one that uses another's features is granted them by name.
"""


def touched(files: Iterable[str], stacks: Sequence[Stack]) -> list[Stack]:
    """The stacks that a change of these files touches, in the order of `stacks`."""
    workloads = {stack.layer for stack in stacks if stack.is_workload}
    hit: set[Stack] = set()
    for file in files:
        for pattern, rule in FILES:
            found = re.fullmatch(pattern, file, re.S)
            if found is None or found.groupdict().get("workload", "") not in {"", *workloads}:
                continue  # another folder of pipelines/ is shared by all workloads
            hit |= {stack for stack in stacks if rule(stack, found)}
            break
    return [stack for stack in stacks if stack in hit]


def known(root: Path) -> list[Stack]:
    """The stacks that a checkout has files for, in the order of deployment."""
    found = []
    for path in (root / ENVIRONMENTS).glob("Pulumi.*.yaml"):
        named = STACK_FILE.fullmatch(f"{ENVIRONMENTS}/{path.name}")
        if named and named["env"] not in ON_ONE_MACHINE and path.is_file():
            text = path.read_text(errors="replace")
            found.append(Stack(named["env"], named["layer"], bool(ON_CLUSTER.search(text))))
    return sorted(found, key=_order)


def _order(stack: Stack) -> tuple[str, int, str]:
    rank = PLATFORM.index(stack.layer) if stack.layer in PLATFORM else len(PLATFORM)
    return stack.env, rank, stack.layer


def of(name: str, stacks: Sequence[Stack]) -> list[Stack]:
    """The stacks that a person means by ENV or ENV.LAYER; SystemExit where there are none."""
    found = [stack for stack in stacks if name in (stack.env, str(stack))]
    if not found:
        envs = sorted({stack.env for stack in stacks})
        raise SystemExit(f"NAME must be one of {', '.join(envs)}, or a stack of one, got {name!r}")
    return found


def changed_files(base: str) -> list[str]:
    """What differs between BASE and HEAD in the working folder; a file that moved counts twice."""
    command = [
        "git",
        "diff",
        "--name-only",
        "--no-renames",
        "--no-ext-diff",
        "-z",
        base,
        "HEAD",
        "--",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split("\0") if name]


def main(arguments: Sequence[str] | None = None, root: Path | None = None) -> str:
    """What is asked for, as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("base", nargs="?")
    parser.add_argument("--of")
    parser.add_argument("--environments", action="store_true")
    asked = parser.parse_args(arguments)
    stacks = known(root or Path.cwd())
    if asked.of:
        stacks = of(asked.of, stacks)
    if asked.base:
        stacks = touched(changed_files(asked.base), stacks)
    if asked.environments:
        return json.dumps([{"env": stack.env, "stack": str(stack)} for stack in stacks])
    return json.dumps([str(stack) for stack in stacks])


if __name__ == "__main__":
    sys.stdout.write(main() + "\n")
