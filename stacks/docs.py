"""The parts of documents that are made from code: `make docs` writes them, a test compares them.

Such a part stands between `<!-- name -->` and `<!-- /name -->`, on lines of its own or in one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from infra.errors import UserError
from pipelines.workload import find
from policies import docs as policies
from policies.review import deltas
from policies.rules import RULES
from stacks.stack_name import environments, stacks_of
from stacks.targets.target import target_of

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Block:
    """One such part."""

    document: str
    """Where it stands, relative to the repository."""
    name: str
    """That of its two comments."""
    made: Callable[[], str]

    @property
    def _between(self) -> re.Pattern[str]:
        return re.compile(rf"(<!-- {self.name} -->\n?)(.*?)(\n?<!-- /{self.name} -->)", re.S)

    def shown(self, root: Path = ROOT) -> str:
        """What the document has now; UserError where it has no such part, or two."""
        found = self._between.findall((root / self.document).read_text())
        if len(found) != 1:
            raise UserError(
                f"{self.document} must hold <!-- {self.name} --> and <!-- /{self.name} --> once, "
                f"got {len(found)}",
                fix="put the two comments where the part belongs, or take it out of stacks/docs.py",
            )
        return str(found[0][1])

    def write(self, root: Path = ROOT) -> bool:
        """Put what the code says into the document; whether that changed it."""
        path, made = root / self.document, self.made()
        if self.shown(root) == made:
            return False
        path.write_text(
            self._between.sub(lambda match: match[1] + made + match[3], path.read_text())
        )
        return True


def gitlab_matrix() -> str:
    """The stacks of every environment in an account, as the matrix of a job of GitLab."""
    rows = []
    for env in environments():
        if not target_of(env).on_this_machine:
            layers = ", ".join(stack.layer for stack in stacks_of(env))
            rows.append(f"      - ENV: {env}\n        LAYER: [{layers}]")
    return "\n".join([*rows, "      # "])


def codeowners() -> str:
    """A line for each workload's package, and one for its files in the environments."""
    rows = []
    for name, workload in find().items():
        team = f"@example/{workload.owner}"
        for path in (f"/pipelines/{name}/", f"/stacks/environments/Pulumi.*.{name}.yaml"):
            rows.append(f"{path:50} {team}")
    return "\n".join([*rows, "# "])


BLOCKS = (
    Block(document=".github/CODEOWNERS", name="workloads", made=codeowners),
    Block(document=".gitlab-ci.yml", name="stacks", made=gitlab_matrix),
    Block(document="README.md", name="rule-count", made=lambda: str(len(RULES))),
    Block(document="README.md", name="delta-count", made=lambda: str(len(deltas.DELTAS))),
    Block(document="policies/README.md", name="policies", made=policies.table),
    Block(document="policies/README.md", name="deltas", made=deltas.table),
    Block(document="policies/README.md", name="frameworks", made=policies.framework_table),
)


def main(blocks: Iterable[Block] = BLOCKS, root: Path = ROOT) -> int:
    """Write all of them and say which were out of date."""
    try:
        for block in blocks:
            state = "written" if block.write(root) else "up to date"
            sys.stdout.write(f"{block.document} {block.name}: {state}\n")
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
