"""The small version of each drill that goes through the command line; tests/README.md has both."""

import pytest

from tests.drills import canaries, kills, lost_answers, races, soak, state

pytestmark = [pytest.mark.e2e, pytest.mark.nightly]


def test_states_that_are_lost_or_altered_are_refused_and_put_back(pulumi_cli: object) -> None:
    assert state.run(["deleted", "ids swapped", "with dependents dropped", "half"]) == 0


def test_lost_answers_cost_a_second_run_and_leave_nothing_twice(pulumi_cli: object) -> None:
    assert lost_answers.run(["1"]) == 0


def test_kills_cost_at_most_a_second_run(pulumi_cli: object) -> None:
    assert kills.run(["2", "4"]) == 0


def test_one_command_at_a_time_changes_a_stack(pulumi_cli: object) -> None:
    assert races.run(["2"]) == 0


def test_whoever_asks_is_answered_while_everything_changes() -> None:
    assert soak.run(["30", "3"]) == 0


def test_what_people_keep_secret_is_seen_nowhere() -> None:
    assert canaries.run([]) == 0
