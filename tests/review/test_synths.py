"""The synths that a review compares: each made once, by the code of its own revision."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from infra.errors import UserError
from stacks.commands.output import CommandOutput
from stacks.paths import ROOT
from stacks.review import git as git_files
from stacks.review import synths
from stacks.review.synths import Synths
from stacks.stack_name import StackName, stacks_of
from tests.conftest import copy_checkout
from tests.kits.stacks import named

WEATHER, CLUSTER = named("dev.weather"), named("dev.cluster")
HEAD = "HEAD"


def of(*stacks: StackName, base: str | None) -> Synths:
    return Synths(stacks, base, CommandOutput(as_json=True))


def test_what_is_committed_is_synthesized_by_its_own_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one process for all stacks; a stack whose file the revision lacks was not there."""
    checkout = tmp_path / "checkout"
    copy_checkout(checkout)
    git = ["git", "-C", str(checkout), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    gone = checkout / CLUSTER.file.relative_to(ROOT)
    text = gone.read_text()
    gone.unlink()
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "without a cluster"]):
        subprocess.run([*git, *arguments], check=True)
    gone.write_text(text)
    # a stack reads the file of its environment's: what is not committed must not be seen
    (checkout / "stacks" / "environments" / "dev.yaml").write_text("nothing: valid")
    monkeypatch.setattr(synths, "ROOT", checkout)
    monkeypatch.setattr(git_files, "ROOT", checkout)
    made = of(WEATHER, CLUSTER, base=HEAD)
    assert made.at_base(CLUSTER) == []
    before = {item.urn for item in made.at_base(WEATHER)}
    assert len(before) > 10
    assert all(urn.startswith("urn:pulumi:dev.weather::") for urn in before)


def test_a_revision_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(UserError, match="--base must be a revision of this repository"):
        of(WEATHER, base="no-such-branch")


def test_all_other_stacks_stand_beside_one_and_each_is_made_once() -> None:
    made = of(WEATHER, base=None)
    beside = made.beside(WEATHER)
    assert list(beside) == [stack for stack in stacks_of("dev") if stack != WEATHER]
    assert all(beside.values())
    assert made.at_base(WEATHER) == []
    for stack, found in beside.items():
        assert made.now(stack) is found
