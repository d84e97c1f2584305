"""A command that finds its stack being updated says so, or waits."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from infra.errors import UserError
from stacks.targets import engine

WHEN = "2026-01-01T00:00:00.000Z"
UPDATE = {"kind": "destroy", "message": "", "environment": {}, "config": {}, "result": "succeeded"}
HISTORY = json.dumps([{**UPDATE, "startTime": WHEN, "endTime": WHEN}])
BUSY = "error: [409] Conflict: Another update is currently in progress."


def stack(folder: Path, busy_times: int, *, wait: bool) -> engine.Stack:
    """Its engine is a script that is busy so often, and finds nothing to do afterwards."""
    command = folder / "bin" / "pulumi"
    command.parent.mkdir()
    command.write_text(
        f"""#!/bin/sh
case "$*" in
  version*) echo v3.230.0 ;;
  *destroy*)
    echo asked >> {folder}/asked
    if [ $(wc -l < {folder}/asked) -le {busy_times} ]; then echo "{BUSY}" >&2; exit 255; fi ;;
  *history*) echo '{HISTORY}' ;;
  *) echo "{{}}" ;;
esac
"""
    )
    command.chmod(0o755)
    return engine.Stack(
        name="tested.foundation",
        pulumi_root=folder,
        pulumi_home=None,
        environment={},
        secrets_provider="",
        policy_pack=None,
        wait=wait,
    )


def asked(folder: Path) -> int:
    return len((folder / "asked").read_text().splitlines())


def test_a_stack_that_is_being_updated_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tested\.foundation must not be updated twice at once"):
        stack(tmp_path, 1, wait=False).run("destroy", lambda: None, lambda *_: None)
    assert asked(tmp_path) == 1


def test_who_waits_goes_on_when_the_others_have_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "WAIT_SECONDS", 0)
    stack(tmp_path, 3, wait=True).run("destroy", lambda: None, lambda *_: None)
    assert asked(tmp_path) == 4


@pytest.mark.parametrize(
    ("gone", "told"),
    [("the local cloud ended meanwhile", "got: the local cloud ended"), (None, "unable to open")],
)
def test_a_state_that_cannot_be_opened_has_gone_with_its_cloud(
    tmp_path: Path, gone: str | None, told: str
) -> None:
    """A preview beside a destroy of the environment: the state is deleted under its engine."""
    made = stack(tmp_path, 0, wait=False)
    command = tmp_path / "bin" / "pulumi"
    script = command.read_text().replace(
        "  *history*)",
        '  *stack*) echo "error: unable to open bucket" >&2; exit 255 ;;\n  *history*)',
    )
    command.write_text(script)
    with pytest.raises(UserError, match=told):
        replace(made, whats_gone=lambda: gone).run("destroy", lambda: None, lambda *_: None)
