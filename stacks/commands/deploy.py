"""`plinth up` and `preview`."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.errors import CheckFailed, UserError
from stacks.commands import cloud
from stacks.home import home
from stacks.paths import ROOT
from stacks.plan import binding, hold
from stacks.plan import read as read_plan
from stacks.policy_config import policy_config
from stacks.report import Report
from stacks.revisions import clean_commit
from stacks.settings.load import load
from stacks.settings.model import Settings, WorkloadSettings
from stacks.stack_name import StackName, named

if TYPE_CHECKING:
    from policies.config import PolicyConfig
    from policies.data import Resource
    from policies.exemptions import Exemption
    from stacks.engine import Changes, Operation, Stack

LOCAL = "local"
POLICY_PACK = ROOT / "policies"


def up(
    name: str, report: Report, *, port: int | None = None, plan: Path | None = None
) -> dict[str, Any]:
    """Make an environment or a stack what its files say; returns what `--json` prints.

    With `plan`, a review's JSON report, only from the state and the commit that were reviewed.
    """
    done = {}
    for stack in named(name):
        changes, _ = operate("up", stack, report, port, plan=plan)
        done[str(stack)] = {**summarized(stack, changes, report), "outputs": changes.outputs}
        _show(stack, "up", changes, report)
    return {"stacks": done, "seconds": report.seconds}


def preview(name: str, report: Report, *, port: int | None = None) -> dict[str, Any]:
    """Say what `up` would do, without doing it; a mocked synth where there are no credentials."""
    done = {}
    for stack in named(name):
        if stack.env != LOCAL and not cloud.has_credentials():
            done[str(stack)] = _synth(stack, report)
            continue
        changes, _ = operate("preview", stack, report, port)
        _show(stack, "preview", changes, report)
        done[str(stack)] = summarized(stack, changes, report)
    return {"stacks": done, "seconds": report.seconds}


def preview_steps(stack: StackName, report: Report) -> list[dict[str, Any]]:
    """The engine's steps of a preview, as its digest has them."""
    return operate("preview", stack, report, None)[0].steps


def operate(
    operation: Operation,
    stack: StackName,
    report: Report,
    port: int | None,
    adopted: Mapping[str, str] | None = None,
    *,
    plan: Path | None = None,
) -> tuple[Changes, Settings]:
    """Run one operation of the engine with the stack's program.

    `adopted` stands in for the resources that the stack's file adopts.
    """
    settings = load(stack)
    reviewed = read_plan(plan) if plan else None
    with _compiling(settings) as definitions:
        if stack.env == LOCAL:
            engine, settings = _local(stack, settings, report, port)
        else:
            engine = cloud_stack(stack)
        with report.stage("definitions", "pipeline definitions"):
            from stacks.program import deploy  # takes seconds too

            compiled = definitions.result()

    if reviewed:
        hold(reviewed, binding(clean_commit(), engine.deployment()), str(stack))

    def program() -> None:
        deploy(stack, settings, compiled, adopted)

    config = policy_config(settings)
    path = _policy_config(stack)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config.to_dict(), sort_keys=True))
    if operation == "up" and _whole_stack_can_block(config):
        run_engine("preview", engine, program, report)
    changes = run_engine(operation, engine, program, report)
    if operation == "up" and stack.env == LOCAL:
        from stacks.local import environment

        environment.mended(home())
    return changes, settings


def stack(name: StackName, report: Report) -> Stack:
    """The engine on a stack that is deployed."""
    if name.env != LOCAL:
        return cloud_stack(name)
    from stacks.local import environment

    with report.stage("cloud", "local cloud") as stage:
        return local_stack(name, environment.start(home(), None, stage.say), report)


@contextmanager
def _compiling(settings: Settings) -> Iterator[Future[dict[str, str]]]:
    """Compile the definitions while the toolchain and the cloud get ready."""
    from stacks.definitions import definitions

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(definitions, settings)


def _local(
    name: StackName, settings: Settings, report: Report, port: int | None
) -> tuple[Stack, Settings]:
    from stacks.local import environment
    from stacks.local.toolchain import control_plane

    with report.stage("cloud", "local cloud") as stage:
        local = environment.start(home(), port, stage.say)
        environment.clear_dead_lock(home(), stage.say)
        stage.done = local.cloud.endpoint_url
    stack = replace(local_stack(name, local, report), refresh_first=environment.was_cut_off(home()))
    if environment.has_pending_operations(home(), str(name)):
        count = stack.drop_pending_operations()
        report.note(f"{count} operations were cut off: what they created is adopted")
    if control_plane.find() is None:
        report.note(
            "no Kubernetes control plane on this machine: objects are checked against schemas and "
            f"recorded. `{control_plane.BUILD_COMMAND}` builds one (about 10 minutes, once)"
        )
    if isinstance(settings, WorkloadSettings):
        settings = without_lost_package(settings, report)
    return stack, settings


def local_stack(name: StackName, local: Any, report: Report) -> Stack:
    from stacks.engine import Stack
    from stacks.local import toolchain

    with report.stage("toolchain", "Pulumi CLI") as stage:
        pulumi = toolchain.ensure(stage.say)
        stage.done = f"{pulumi.version} ({pulumi.origin})"
    return Stack(
        env=str(name),
        pulumi_root=pulumi.root,
        pulumi_home=home() / "pulumi",
        environment={**local.engine(), "PLINTH_POLICY_CONFIG": str(_policy_config(name))},
        secrets_provider="passphrase",
        policy_pack=POLICY_PACK,
    )


def cloud_stack(name: StackName) -> Stack:
    from stacks.engine import Stack
    from stacks.local import toolchain

    env = name.env

    if not cloud.has_credentials():
        raise UserError(
            f"`plinth up {env}` needs AWS credentials, got none",
            fix=f"log in to the account of {env}; `plinth preview {env}` needs none",
        )
    if "PULUMI_BACKEND_URL" not in os.environ:
        raise UserError(
            f"environment {env} needs a place for its state, got no PULUMI_BACKEND_URL",
            fix="set it to a bucket of that account, such as s3://plinth-dev-state",
        )
    found = toolchain.find()
    if found is None or found.origin != "PATH":
        raise UserError(
            f"environment {env} needs the official Pulumi CLI on PATH, got none",
            fix="install Pulumi from pulumi.com",
        )
    return Stack(
        env=str(name),
        pulumi_root=found.root,
        pulumi_home=None,
        environment={"PLINTH_POLICY_CONFIG": str(_policy_config(name))},
        secrets_provider=f"awskms://alias/plinth-{env}-pulumi",
        policy_pack=POLICY_PACK,
    )


def without_lost_package(settings: WorkloadSettings, report: Report) -> WorkloadSettings:
    """A pinned package that this cloud never had cannot be served: say so and go on without.

    The pin lives in the repository, the local registry on one machine.
    """
    arn = settings.endpoint.model_package_arn
    if arn is None or cloud.package_exists(cloud.clients(LOCAL), arn):
        return settings
    report.note(
        f"the pinned {arn.rpartition('model-package/')[2]} is not in this cloud's registry: "
        "nothing is served until one is trained, approved and promoted"
    )
    endpoint = settings.endpoint.model_copy(update={"model_package_arn": None})
    return settings.model_copy(update={"endpoint": endpoint})


def run_engine(operation: Operation, stack: Stack, program: Any, report: Report) -> Changes:
    titles = {"up": "deploy", "preview": "preview", "destroy": "delete"}
    with report.stage(operation, f"{titles[operation]} {stack.env}") as stage:
        changes = stack.run(operation, program, lambda done, name: stage.tick(done, None, name))
        stage.done = _tally(changes)
    return changes


def _synth(env: StackName, report: Report) -> dict[str, Any]:
    from policies.offline import evaluate
    from stacks.engine import Changes
    from stacks.synth import synthesize

    settings = load(env)
    with report.stage("definitions", "pipeline definitions"), _compiling(settings) as future:
        compiled = future.result()
    with report.stage("synth", f"mocked synth of {env}") as stage:
        resources = synthesize(env, settings, compiled)
        findings = evaluate(resources, policy_config(settings), exemptions=exemptions())
        stage.done = f"{len(resources)} resources"
    failed = [f for f in findings if f.status in ("fail", "error")]
    unknown = [f for f in findings if f.status == "unknown"]
    lines = [f"{f.rule_id} {f.urn.rpartition('::')[2]}: {f.message}" for f in failed]
    changes = Changes()
    changes.counts["create"] = len(resources)
    changes.mandatory = [t for f, t in zip(failed, lines, strict=True) if f.level == "mandatory"]
    changes.advisory = [t for f, t in zip(failed, lines, strict=True) if f.level == "advisory"]
    report.note(
        f"no AWS credentials: this is a mocked synth of {env}, not a preview. It says what the "
        "program registers and which policies fail, not what would change in the account"
    )
    report.table(
        f"{env}: {len(resources)} resources",
        _by_type(resources),
    )
    for line in (*changes.mandatory, *changes.advisory):
        report.say(f"policy {line}")
    summary = {
        **summarized(env, changes, report),
        "source": "mocked synth",
        "policy_unknown": len(unknown),
    }
    if changes.mandatory:
        found = "\n".join(f"  {line}" for line in changes.mandatory)
        raise CheckFailed(f"{env} must pass its mandatory policies, got:\n{found}", data=summary)
    return summary


def exemptions() -> Sequence[Exemption]:
    """The exemptions of this repository; UserError names the entry that is not one."""
    from policies.exemptions import load as load_exemptions

    try:
        return load_exemptions()
    except ValueError as error:
        raise UserError(f"policies/exemptions.yaml: {error}") from None


def _by_type(resources: Sequence[Resource]) -> dict[str, int]:
    found = Counter(resource.type.partition(":")[2] for resource in resources)
    return dict(sorted(found.items()))


def _policy_config(stack: StackName) -> Path:
    return home() / stack.env / "policy-config" / f"{stack.layer}.json"


def _whole_stack_can_block(config: PolicyConfig) -> bool:
    """Whether a mandatory rule looks at the whole stack.

    The engine asks such rules at the end of an update, when everything exists; a preview asks them
    before anything does.
    """
    from policies.rules import RULES

    return any(rule.kind == "stack" and rule.level(config) == "mandatory" for rule in RULES)


def _tally(changes: Changes) -> str:
    return ", ".join(f"{n} {name}" for name, n in changes.counts.items() if n) or "nothing to do"


def summarized(stack: StackName, changes: Changes, report: Report) -> dict[str, Any]:
    return {
        "stack": str(stack),
        "changes": changes.counts,
        "policy": {"mandatory": len(changes.mandatory), "advisory": len(changes.advisory)},
        "seconds": report.seconds,
    }


def _show(stack: StackName, operation: str, changes: Changes, report: Report) -> None:
    verb = {"up": "", "preview": "would "}[operation]
    for line in changes.changed if operation == "preview" else ():
        report.say(f"{verb}{line}")
    for line in changes.advisory:
        report.say(f"policy (advisory) {line.splitlines()[0]}")
    report.say(f"{stack}: {_tally(changes)}")
