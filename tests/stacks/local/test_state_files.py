"""A state that no engine wrote is refused, and a copy of what one wrote is put back."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from infra.errors import UserError
from stacks.local.daemon import state_files
from stacks.local.daemon.data import Data
from stacks.local.runtime.keys import ensure as ensure_keys
from tests.kits.state_mutations import MUTATIONS

STACK = "local.foundation"
PREFIX = f"urn:pulumi:{STACK}::plinth::"
PROVIDER = f"{PREFIX}pulumi:providers:aws::aws"


def resource(type_: str, name: str, id_: str, **more: Any) -> dict[str, Any]:
    return {
        "urn": f"{PREFIX}{type_}::{name}",
        "custom": True,
        "id": id_,
        "type": type_,
        "inputs": {"tags": {"team": "a"}},
        "outputs": {"arn": f"arn:{id_}"},
        "provider": f"{PROVIDER}::1",
        **more,
    }


def state(time: str = "2026-01-02T00:00:00Z", extra: int = 0) -> bytes:
    vpc = resource("aws:ec2/vpc:Vpc", "network", "vpc-1")
    subnets = [
        resource("aws:ec2/subnet:Subnet", f"subnet-{n}", f"subnet-{n}", dependencies=[vpc["urn"]])
        for n in range(2 + extra)
    ]
    provider = {"urn": PROVIDER, "custom": True, "id": "1", "type": "pulumi:providers:aws"}
    stack = {"urn": f"{PREFIX}pulumi:pulumi:Stack::plinth", "type": "pulumi:pulumi:Stack"}
    latest = {"manifest": {"time": time}, "resources": [stack, provider, vpc, *subnets]}
    checkpoint = {"stack": f"organization/plinth/{STACK}", "latest": latest}
    return json.dumps({"version": 3, "checkpoint": checkpoint}, indent=4).encode()


def written(home: Path, content: bytes, number: int) -> None:
    """As an engine does: the old one beside, the new one, and into the history."""
    path = state_files.checkpoint(home, STACK)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        shutil.copy(path, path.with_suffix(".json.bak"))
    path.write_bytes(content)
    history = path.parents[2] / "history" / "plinth" / STACK
    history.mkdir(parents=True, exist_ok=True)
    (history / f"{STACK}-{number}.checkpoint.json").write_bytes(content)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two updates, each kept."""
    for number, content in enumerate((state("2026-01-01T00:00:00Z"), state(extra=1))):
        written(tmp_path, content, number)
        state_files.keep(tmp_path, STACK)
    return tmp_path


@pytest.mark.parametrize("cut_off", [False, True])
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_state_that_no_engine_wrote_is_refused_and_the_last_one_comes_back(
    home: Path, name: str, *, cut_off: bool
) -> None:
    path = state_files.checkpoint(home, STACK)
    before = path.read_bytes()
    MUTATIONS[name](path)
    with pytest.raises(UserError, match=f"the state of {STACK} must be .* got "):
        state_files.check(home, STACK, cut_off=cut_off)
    state_files.restore(home, STACK)
    assert path.read_bytes() == before
    state_files.check(home, STACK, cut_off=cut_off)


def test_what_an_engine_typed_by_hand_wrote_is_taken(home: Path) -> None:
    written(home, state("2026-01-03T00:00:00Z", extra=2), 3)
    state_files.check(home, STACK, cut_off=False)


def test_what_an_engine_wrote_before_it_was_killed_is_taken_and_no_other(home: Path) -> None:
    path = state_files.checkpoint(home, STACK)
    path.write_bytes(state("2026-01-03T00:00:00Z", extra=2))
    with pytest.raises(UserError, match="the additional subnet-3"):
        state_files.check(home, STACK, cut_off=False)
    state_files.check(home, STACK, cut_off=True)


def test_a_state_without_resources_is_refused_where_the_cloud_holds_some(tmp_path: Path) -> None:
    state_files.check(tmp_path, STACK, cut_off=False)
    made = {f"{PREFIX}aws:ec2/vpc:Vpc::network": ["vpc-1"], "urn:pulumi:local.other::p::t::n": []}
    state_files.ledger_file(tmp_path).parent.mkdir(parents=True)
    state_files.ledger_file(tmp_path).write_text(json.dumps(made))
    with pytest.raises(UserError, match="got no file"):
        state_files.check(tmp_path, STACK, cut_off=False)
    state_files.check(tmp_path, "local.weather", cut_off=False)
    state_files.check(tmp_path, STACK, cut_off=True)
    with pytest.raises(UserError, match="destroy local --yes"):
        state_files.restore(tmp_path, STACK)


def test_the_next_command_does_not_miss_what_the_last_one_deleted(tmp_path: Path) -> None:
    """The file is written about once a second; a command may come right after the last deletion."""
    data = Data.of(tmp_path, ensure_keys(tmp_path), application=None)
    data.journal.rotate()
    urns = [f"{PREFIX}aws:ec2/vpc:Vpc::{name}" for name in ("one", "two")]
    other = "urn:pulumi:local.weather::p::t::n"
    for urn in (*urns, other):
        data.ledger.created(urn, urn, {})
    data.made.write()
    for urn in urns:
        with pytest.raises(UserError, match="got no file"):
            state_files.check(tmp_path, STACK, cut_off=False)
        data.ledger.forget(urn, urn)
        data.deleted(urn, urn)
    state_files.check(tmp_path, STACK, cut_off=False)
    with pytest.raises(UserError, match="got no file"):
        state_files.check(tmp_path, "local.weather", cut_off=False)


def test_a_damaged_copy_is_not_put_back(home: Path) -> None:
    copies = sorted((home / "local" / "state-copies" / STACK).glob("*.json"))
    copies[-1].write_bytes(state(extra=7))
    shutil.rmtree(state_files.state_folder(home))
    assert state_files.restore(home, STACK).content == state("2026-01-01T00:00:00Z")


def test_only_a_few_copies_are_kept_and_the_newest_is_one(home: Path) -> None:
    for number in range(3, 9):
        written(home, state(f"2026-01-0{number}T00:00:00Z", extra=number), number)
        state_files.keep(home, STACK)
        state_files.keep(home, STACK)
    found = sorted((home / "local" / "state-copies" / STACK).glob("*.json"))
    assert len(found) == state_files.KEPT
    assert found[-1].read_bytes() == state("2026-01-08T00:00:00Z", extra=8)
