"""Acting on the stacks of an environment: in order, side by side, and what is said of failures."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from infra.errors import CheckFailed, UserError
from stacks.stack_name import StackName, stacks_of
from stacks.targets.side_by_side import Act, Done, one_by_one, side_by_side

STACKS = stacks_of("dev")
FOUNDATION, CLUSTER, BLOCK_TIME, FLIGHT_DELAY, WEATHER = STACKS
NEEDS = {stack: (FOUNDATION,) for stack in STACKS[1:]} | {BLOCK_TIME: (FOUNDATION, CLUSTER)}


Run = Callable[[Sequence[StackName], Act], Done]


def all_at_once(stacks: Sequence[StackName], on: Act) -> Done:
    return side_by_side(stacks, {}, on)


every_way = pytest.mark.parametrize("run", [one_by_one, all_at_once])


def act(failures: dict[StackName, Exception]) -> Act:
    def on(stack: StackName) -> dict[str, Any]:
        if stack in failures:
            raise failures[stack]
        return {"layer": stack.layer}

    return on


@every_way
def test_what_all_say_is_in_the_order_of_the_stacks(run: Run) -> None:
    done = run(STACKS, act({}))
    assert list(done.items()) == [(stack, {"layer": stack.layer}) for stack in STACKS]


def test_one_after_another_happens_in_this_thread_and_goes_on_after_a_failure() -> None:
    """A synth works in the main thread alone: the SDK looks for its event loop."""
    seen = []

    def on(stack: StackName) -> dict[str, Any]:
        seen.append((stack, threading.current_thread()))
        return act({CLUSTER: UserError("mend this")})(stack)

    with pytest.raises(UserError, match="mend this"):
        one_by_one(STACKS, on)
    assert seen == [(stack, threading.main_thread()) for stack in STACKS]


def test_a_failure_keeps_those_alone_that_need_it() -> None:
    failed = CheckFailed("cluster says no", fix="ask again", data={"changes": {"create": 2}})
    with pytest.raises(CheckFailed) as caught:
        side_by_side(STACKS, NEEDS, act({CLUSTER: failed}))
    error = caught.value
    assert error.problem.splitlines() == [
        "cluster says no", "dev.block_time was left alone: it needs dev.cluster",
    ]  # fmt: skip
    assert error.fix == "ask again"
    said = error.data["stacks"]
    assert said["dev.weather"] == {"layer": "weather"}
    assert said["dev.cluster"] == {"changes": {"create": 2}, "error": str(failed)}
    assert set(said) == set(map(str, STACKS))


@every_way
def test_the_failure_of_one_stack_has_the_shape_of_those_of_several(run: Run) -> None:
    failed = CheckFailed("no", fix="ask again", data={"blocking": 1})
    with pytest.raises(CheckFailed) as caught:
        run([WEATHER], act({WEATHER: failed}))
    error, said = caught.value, {"dev.weather": {"blocking": 1, "error": str(failed)}}
    assert (error.problem, error.fix, error.data) == ("no", "ask again", {"stacks": said})


@every_way
def test_what_a_person_can_mend_is_told_together_and_a_bug_is_not_hidden(run: Run) -> None:
    wrong = {CLUSTER: UserError("first"), WEATHER: UserError("second", fix="do this")}
    with pytest.raises(UserError) as caught:
        run(STACKS, act({**wrong}))
    assert (caught.value.problem, caught.value.fix) == ("first\nsecond", "do this")
    with pytest.raises(ZeroDivisionError):
        run(STACKS, act({**wrong, FLIGHT_DELAY: ZeroDivisionError()}))
