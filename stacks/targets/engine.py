"""Drives the Pulumi engine through the Automation API and says what happened as data."""

from __future__ import annotations

import gc
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pulumi.automation as auto
from pulumi.automation.errors import CommandError, ConcurrentUpdateError
from pulumi.automation.events import EngineEvent

from infra.errors import CheckFailed, UserError
from stacks.paths import ROOT

Operation = Literal["preview", "up", "destroy"]
Program = Callable[[], None]
Watch = Callable[[int, str], None]
"""Called with the number of finished resources and the name of the one that moves."""

PARALLEL = 16
"""Resource operations at once: more only queues at the control planes' rate limits."""

_ONE_PROGRAM = threading.Lock()
"""Programs of stacks that are deployed side by side run one after another, which takes a second;
their engines do not wait. The modules of pulumi_aws load at their first use, and a second thread
may get one that is half loaded (CPython issue 114763)."""

WAIT_SECONDS = 2
"""Between two questions whether another update has ended."""

NO_ROOM = ("no space left on device", "read-only file system", "disk quota exceeded")
"""How Go names what keeps a file from being written (golang.org/x/sys/unix, error strings)."""

STACK = "pulumi:pulumi:Stack"
COUNTED = ("create", "update", "replace", "delete", "same")
OPERATIONS = {
    "create-replacement": "replace",
    "delete-replaced": "",
    "discard-replaced": "",
    "import": "create",
    "import-replacement": "replace",
    "read": "same",
    "read-replacement": "replace",
    "refresh": "same",
}
"""Engine step -> what it counts as; a replacement's second half counts as nothing."""


@dataclass
class Changes:
    """What one operation of the engine did, or would do."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))
    changed: list[str] = field(default_factory=list)
    """`<operation> <type> <name>` of everything that is not the same."""

    mandatory: list[str] = field(default_factory=list)
    advisory: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    """Every engine step as `pulumi preview --json` has it, for a review."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack and how to reach its engine, state and clouds."""

    name: str
    """As Pulumi knows it, `dev.foundation`."""

    pulumi_root: Path | None
    """Folder whose `bin/pulumi` is the CLI; None for the one on PATH."""

    pulumi_home: Path | None
    environment: Mapping[str, str]
    """Environment variables of the engine: backend, passphrase, providers."""

    secrets_provider: str
    policy_pack: Path | None
    refresh_first: bool = False
    """Read everything from the cloud first: the state may be older. Default: believe the state."""

    wait: bool = False
    """Wait where somebody else updates the stack. Default: say so."""

    whats_gone: Callable[[], str | None] = lambda: None
    """Says what the engine needs and has ended, after an operation that did not finish."""

    def run(self, operation: Operation, program: Program, watch: Watch) -> Changes:
        """Run one operation to its end.

        CheckFailed carries the engine's errors and the mandatory policy violations; UserError says
        who else is updating the stack.
        """
        while True:
            try:
                return self._run(operation, program, watch)
            except ConcurrentUpdateError as error:
                if not self.wait:
                    raise UserError(
                        f"stack {self.name} must not be updated twice at once, got: "
                        f"{_last_line(error)}",
                        fix="wait for the other update to end, or type the command with --wait",
                    ) from None
            time.sleep(WAIT_SECONDS)

    def _run(self, operation: Operation, program: Program, watch: Watch) -> Changes:
        changes = Changes()
        listener = _Listener(changes, watch)
        refused: list[UserError] = []

        def guarded() -> None:
            try:
                with _ONE_PROGRAM:
                    program()
            except UserError as error:  # of the engine one would get it back as a traceback
                refused.append(error)
                raise

        stack = self._select(guarded)
        try:
            changes.outputs = self._operate(operation, stack, listener)
        except ConcurrentUpdateError:
            raise
        except CommandError as error:
            # the SDK leaves the program's unfinished coroutines: end them here, not at some exit
            gc.collect()
            if refused:
                raise refused[0] from None
            raise self._failed(operation, changes, error) from None
        return changes

    def _operate(
        self, operation: Operation, stack: auto.Stack, listener: _Listener
    ) -> dict[str, Any]:
        """Let the engine work; the outputs that the stack has after an update."""
        packs = [str(self.policy_pack)] if self.policy_pack else None
        refresh = self.refresh_first
        if operation == "destroy":
            stack.destroy(parallel=PARALLEL, on_event=listener, show_secrets=False)
        elif operation == "preview":
            stack.preview(parallel=PARALLEL, policy_packs=packs, on_event=listener, refresh=refresh)
        else:
            done = stack.up(
                parallel=PARALLEL,
                policy_packs=packs,
                on_event=listener,
                show_secrets=False,
                refresh=refresh,
            )
            return {key: item.value for key, item in done.outputs.items()}
        return {}

    def refresh(self, urns: Sequence[str]) -> None:
        """Read these resources again, so that the state holds what was changed beside it."""
        self._select(lambda: None).refresh(target=list(urns), parallel=PARALLEL)

    def deployment(self) -> Mapping[str, Any]:
        """The state, as the engine exports it; secrets stay encrypted."""
        return self._select(lambda: None).export_stack().deployment or {}

    def standing(self) -> list[str]:
        """Names of the backend's stacks that have resources."""
        return sorted(one.name for one in self._workspace().list_stacks() if one.resource_count)

    def drop_pending_operations(self) -> int:
        """Forget operations that a killed engine left open; how many there were.

        The provider adopts what such a create has made when it is asked to create it again.
        """
        stack = self._select(lambda: None)
        exported = stack.export_stack()
        state = dict(exported.deployment or {})
        pending = state.pop("pending_operations", None) or []
        if pending:
            stack.import_stack(auto.Deployment(version=exported.version, deployment=state))
        return len(pending)

    def _options(self) -> auto.LocalWorkspaceOptions:
        command = auto.PulumiCommand(
            root=str(self.pulumi_root) if self.pulumi_root else None, skip_version_check=True
        )
        return auto.LocalWorkspaceOptions(
            work_dir=str(ROOT),
            pulumi_home=str(self.pulumi_home) if self.pulumi_home else None,
            env_vars=dict(self.environment),
            secrets_provider=self.secrets_provider,
            pulumi_command=command,
        )

    def _workspace(self) -> auto.LocalWorkspace:
        asked = self._options()
        return auto.LocalWorkspace(
            work_dir=asked.work_dir,
            pulumi_home=asked.pulumi_home,
            env_vars=asked.env_vars,
            secrets_provider=asked.secrets_provider,
            pulumi_command=asked.pulumi_command,
        )

    def _select(self, program: Program) -> auto.Stack:
        options = self._options()
        try:
            return auto.create_or_select_stack(
                stack_name=self.name, project_name="plinth", program=program, opts=options
            )
        except CommandError as error:
            if "already exists" in str(error):  # a preview made it in this moment
                return auto.select_stack(
                    stack_name=self.name, project_name="plinth", program=program, opts=options
                )
            gone = self.whats_gone()
            raise UserError(
                f"the engine must be able to open the state of {self.name}, got: "
                f"{gone or _last_line(error)}",
                fix="type the command again"
                if gone
                else "mend what the engine names; the state has not changed",
            ) from None

    def _failed(self, operation: str, changes: Changes, error: CommandError) -> CheckFailed:
        found = [*changes.errors, *(f"policy {line}" for line in changes.mandatory)]
        gone = self.whats_gone()
        if gone:
            found = [gone, *found]
        text = str(error)
        if full := next((words for words in NO_ROOM if words in text), None):
            raise UserError(
                f"{operation} {self.name} must be able to write its state, got: {full}",
                fix=f"free room, then type `plinth {operation} {self.name}` again",
            )
        reasons = "\n".join(f"  {line}" for line in found) or f"  {_ended(error)}"
        return CheckFailed(
            f"{operation} {self.name} did not finish:\n{reasons}",
            fix=f"mend the cause and type `plinth {operation} {self.name}` again: "
            "what is done stays done",
        )


class _Listener:
    """Turns engine events into Changes."""

    def __init__(self, changes: Changes, watch: Watch) -> None:
        self.changes = changes
        self.watch = watch
        self.finished = 0

    def __call__(self, event: EngineEvent) -> None:
        if event.resource_pre_event:
            self._before(event.resource_pre_event.metadata)
        elif event.res_outputs_event:
            self.finished += 1
            self.watch(self.finished, _name(event.res_outputs_event.metadata.urn))
            self._after(event.res_outputs_event.metadata)
        elif event.policy_event:
            level = event.policy_event.enforcement_level
            found = self.changes.mandatory if level == "mandatory" else self.changes.advisory
            where = _name(event.policy_event.resource_urn or "")
            found.append(f"{event.policy_event.policy_name} {where}: {event.policy_event.message}")
        elif event.diagnostic_event and event.diagnostic_event.severity == "error":
            text = plain(event.diagnostic_event.message).strip()
            where = _name(event.diagnostic_event.urn or "")
            if text and not text.startswith(("update failed", "preview failed", "destroy failed")):
                self.changes.errors.append(f"{where}: {text}" if where else text)

    def _before(self, step: Any) -> None:
        self.changes.steps.append(_digest_step(step))
        name = str(getattr(step.op, "value", step.op))
        counted = OPERATIONS.get(name, name)
        if step.type == STACK or step.type.startswith("pulumi:providers:"):
            return
        if (
            counted == "replace"
            and f"replace {step.type} {_name(step.urn)}" in self.changes.changed
        ):
            return
        if counted in self.changes.counts:
            self.changes.counts[counted] += 1
            if counted != "same":
                self.changes.changed.append(f"{counted} {step.type} {_name(step.urn)}")

    def _after(self, step: Any) -> None:
        """The stack's own step ends with what the program exports; it begins with the old state."""
        for known in self.changes.steps if step.type == STACK else ():
            if known["urn"] == step.urn:
                known["newState"] = _digest_state(step.new)


def _digest_step(step: Any) -> dict[str, Any]:
    """An engine event's step in the words of the preview digest."""
    return {
        "op": str(getattr(step.op, "value", step.op)),
        "urn": step.urn,
        "oldState": _digest_state(step.old),
        "newState": _digest_state(step.new),
        "replaceReasons": step.keys or [],
        "detailedDiff": {
            path: {"kind": item.diff_kind.value, "inputDiff": item.input_diff}
            for path, item in (step.detailed_diff or {}).items()
        },
    }


def _digest_state(state: Any) -> dict[str, Any] | None:
    if state is None:
        return None
    return {
        "id": state.id,
        "inputs": dict(state.inputs or {}),
        "outputs": dict(state.outputs or {}),
        "parent": state.parent,
        "protect": bool(state.protect),
        "retainOnDelete": bool(state.retain_on_delete),
    }


def plain(text: str) -> str:
    """Engine text without its colour marks (`<{%fg 1%}>`)."""
    return re.sub(r"<\{%.*?%\}>", "", text)


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


def _ended(error: CommandError) -> str:
    """What the engine said last; of one that was killed, that it was."""
    code = re.search(r"code: (-?\d+)", str(error))
    if code and int(code[1]) < 0:
        return f"the engine was ended by signal {-int(code[1])}"
    return _last_line(error)


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in plain(str(error)).splitlines() if line.strip()]
    stderr = [line for line in lines if line.startswith("error:")]
    return (stderr or lines or ["no output"])[-1]
