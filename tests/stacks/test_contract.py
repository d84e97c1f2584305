"""What stacks offer to each other: exported, read, refused when it is not enough."""

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pulumi
import pytest

from infra.errors import UserError
from stacks import contract
from stacks.composition.foundation import KEY_PURPOSES
from stacks.contract import ClusterContract, FoundationContract, export, parsed, stand_in
from stacks.settings.load import dependencies
from stacks.stack_name import CLUSTER, FOUNDATION, StackName, environments
from stacks.synth import recorded, stand_ins
from stacks.targets.engine import Changes, Stack
from tests.kits.stacks import ALL, named, synth

DEV = StackName("dev", FOUNDATION)


def found(stack: StackName) -> dict[str, Any]:
    """What the engine keeps of a contract: no null."""
    exported = export(stand_in(stack))
    return {key: value for key, value in exported.items() if value is not None}


@pytest.mark.parametrize("env", environments())
@pytest.mark.parametrize("layer", [FOUNDATION, CLUSTER])
def test_a_contract_reads_back_as_it_was_exported(env: str, layer: str) -> None:
    stack = StackName(env, layer)
    assert parsed(stack, found(stack)) == stand_in(stack)


def test_what_does_not_stand_is_refused_with_what_to_deploy() -> None:
    with pytest.raises(UserError) as caught:
        parsed(DEV, None)
    assert str(caught.value.problem) == (
        "dev.foundation must offer version 1 of what it has for other stacks, got none"
    )
    assert caught.value.fix == "deploy dev.foundation first: type `plinth up dev.foundation`"


def test_an_older_contract_is_refused_and_a_newer_one_taken_while_nothing_is_missing() -> None:
    older = {**found(DEV), "version": FoundationContract.VERSION - 0.5}
    with pytest.raises(UserError, match=r"must offer version 1 .*, got version 0\.5"):
        parsed(DEV, older)
    newer = {**found(DEV), "version": FoundationContract.VERSION + 1, "more": "than is known"}
    assert parsed(DEV, newer) == stand_in(DEV)
    del newer["key_arns"]
    with pytest.raises(UserError, match=r"must offer version 1 .*, got version 2"):
        parsed(DEV, newer)


def test_a_foundation_exports_what_its_settings_say_it_offers() -> None:
    """The stand-in of a contract differs from the contract in ids alone."""
    for env in environments():
        imagined = stand_in(StackName(env, FOUNDATION))
        assert isinstance(imagined, FoundationContract)
        seen: dict[str, Any] = {}
        _composed(StackName(env, FOUNDATION), seen)
        assert seen.keys() == {"version", *(field.name for field in fields(imagined))}
        for name, value in export(imagined).items():
            same = not isinstance(seen[name], pulumi.Output | dict) and name != "version"
            assert not same or seen[name] == value, name
            if isinstance(value, dict):
                assert seen[name].keys() == value.keys(), name
    assert set(contract.KEY_PURPOSES) == set(KEY_PURPOSES)


def _composed(stack: StackName, seen: dict[str, Any]) -> None:
    from stacks.composition.compose import compose
    from stacks.settings.load import load

    def program() -> None:
        seen.update(compose(stack, load(stack), {}, stand_in)[contract.OUTPUT])  # type: ignore[arg-type]

    recorded(program, stack=str(stack))


@pytest.mark.parametrize("stack", ALL, ids=str)
def test_a_synth_says_how_much_it_stands_in_for(stack: StackName) -> None:
    count = stand_ins(stack)
    assert (count == 0) == (dependencies(stack) == ())
    used = {
        value
        for item in synth(str(stack))
        for value in _texts(item.inputs.value)
        if contract.MARK in value
    }
    assert bool(used) == bool(count)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def test_every_id_of_a_stand_in_says_that_it_is_none() -> None:
    offered = stand_in(DEV)
    assert isinstance(offered, FoundationContract)
    plain = {"alerts_topic_arn", "permissions_boundary_arn"}  # names of ours
    ids = [
        value
        for name, value in export(offered).items()
        if name.endswith(("_id", "_ids", "_arn", "_arns")) and name not in plain
    ]
    texts = [text for value in ids for text in _texts(value)]
    assert len(texts) == contract.stand_ins(offered)
    assert [text for text in texts if contract.MARK not in text] == []


@pytest.mark.engine
class TestUnderTheEngine:
    """Two stacks in one state: the upper one reads what the lower one exported."""

    @pytest.fixture
    def run(
        self, tmp_path: Path, pulumi_cli: Path
    ) -> Callable[[str, str, Callable[[], None]], Changes]:
        (tmp_path / "state").mkdir()
        stack = Stack(
            name="",
            pulumi_root=pulumi_cli.parent.parent,
            pulumi_home=tmp_path / "home",
            environment={
                "PULUMI_BACKEND_URL": f"file://{tmp_path / 'state'}",
                "PULUMI_CONFIG_PASSPHRASE": "",
                "PULUMI_SKIP_UPDATE_CHECK": "true",
            },
            secrets_provider="passphrase",
            policy_pack=None,
        )

        def run(operation: Any, name: str, program: Callable[[], None]) -> Changes:
            return replace(stack, name=name).run(operation, program, lambda *_: None)

        return run

    def test_a_contract_is_read_from_the_last_deployment(
        self, run: Callable[[str, str, Callable[[], None]], Changes]
    ) -> None:
        below = StackName("local", FOUNDATION)

        def upper() -> None:
            pulumi.export("same", contract.read(below) == stand_in(below))

        with pytest.raises(UserError, match=r"local\.foundation must offer .*, got none"):
            run("preview", "local.weather", upper)
        offer = export(stand_in(below))
        run("up", str(below), lambda: pulumi.export(contract.OUTPUT, offer))
        assert run("up", "local.weather", upper).outputs == {"same": True}

    def test_what_is_unknown_before_an_update_stays_unknown(
        self, run: Callable[[str, str, Callable[[], None]], Changes]
    ) -> None:
        seen: list[str] = []

        def upper() -> None:
            offered = contract.unknown(named("local.foundation"))
            assert isinstance(offered, FoundationContract)
            assert offered.cidr_block == "10.40.0.0/20"
            pulumi.Output.from_input(offered.vpc_id).apply(seen.append)

        run("preview", "local.weather", upper)
        assert seen == []


def test_a_cluster_offers_what_its_settings_say() -> None:
    offered = stand_in(StackName("local", CLUSTER))
    assert isinstance(offered, ClusterContract)
    assert offered.teams == ["research", "serving"]
