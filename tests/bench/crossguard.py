"""Real previews with and without the policy pack, of resources given as data.

The provider echoes: it creates nothing, and ids and ARNs are unknown until an update.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi
import pulumi.automation as auto

from policies.config import PolicyConfig
from policies.data import Resource
from policies.offline import RuleFinding
from policies.pack import CONFIG_VARIABLE
from stacks.synth import recorded
from stacks.toolchain import pulumi as toolchain
from tests.kits.echo_provider import echo_provider

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = ROOT / "stacks" / "toolchain" / "bin"
Wrong = set[tuple[str, str]]
"""Policy or rule, and URN, of what fails or cannot be decided."""


def configured(changes: Mapping[str, Any], *, production: bool) -> PolicyConfig:
    return PolicyConfig.from_dict({**changes, "production": production})


def _program(resources: Sequence[Resource]) -> None:
    for item in resources:
        name = f"{item.urn.split('::')[0].rpartition(':')[2]}-{item.name}"
        options = pulumi.ResourceOptions(protect=item.options.protect)
        pulumi.CustomResource(item.type, name, dict(item.inputs.value), options)


def registered(resources: Sequence[Resource]) -> list[Resource]:
    """The same program run against mocks, for the evaluator."""
    return recorded(lambda: _program(resources), preview=True)


def preview(
    resources: Sequence[Resource], config: PolicyConfig, *, pack: bool
) -> tuple[float, float, Wrong]:
    """Seconds, processor seconds of all processes, and what the pack says is wrong."""
    cli = toolchain.ensure(lambda text: print(text, file=sys.stderr)).executable
    path = os.pathsep.join([str(LAUNCHER), str(cli.parent), os.environ["PATH"]])
    os.environ["PATH"] = path  # the Automation API looks for the CLI there
    with tempfile.TemporaryDirectory() as folder, echo_provider() as (_, port):
        settings = Path(folder) / "policies.json"
        settings.write_text(json.dumps(config.to_dict()))
        stack = auto.create_or_select_stack(
            stack_name="test",
            project_name="plinth",
            program=lambda: _program(resources),
            opts=auto.LocalWorkspaceOptions(
                work_dir=folder,
                env_vars={
                    "PATH": path,
                    "PLINTH_PYTHON": sys.executable,
                    "PULUMI_HOME": f"{folder}/home",
                    "PULUMI_BACKEND_URL": Path(folder).as_uri(),
                    "PULUMI_CONFIG_PASSPHRASE": "",
                    "PULUMI_SKIP_UPDATE_CHECK": "true",
                    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
                    "PULUMI_DEBUG_PROVIDERS": f"aws:{port}",
                    CONFIG_VARIABLE: str(settings),
                },
            ),
        )
        packs = [str(ROOT / "policies")] if pack else None
        events: list[auto.EngineEvent] = []
        begin, used = time.perf_counter(), _cpu_seconds()
        try:
            stack.preview(policy_packs=packs, on_event=events.append)
        except auto.CommandError:
            assert pack, "a preview without the pack must succeed"
        return time.perf_counter() - begin, _cpu_seconds() - used, _told(events)


def _cpu_seconds() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in both)


def _told(events: Iterable[auto.EngineEvent]) -> Wrong:
    told: Wrong = set()
    for event in events:
        if (found := event.policy_event) is not None:
            # An undecided stack policy is one line at the stack that names its resources
            named = re.findall(r"(urn:pulumi:\S+): not known", found.message)
            told |= {(found.policy_name, urn) for urn in named or [found.resource_urn]}
    return {(_rule(policy), urn) for policy, urn in told}


def _rule(policy: str) -> str:
    """`ML-EP-001-require-key` is of ML-EP-001."""
    match = re.match(r"[A-Z0-9]+(-[A-Z0-9]+)*-\d{3}", policy)
    return match[0] if match else policy


def wrong(findings: Iterable[RuleFinding]) -> Wrong:
    """What the evaluator says is wrong or undecided."""
    return {
        (finding.rule_id, finding.urn)
        for finding in findings
        if finding.status in ("fail", "error", "unknown")
    }
