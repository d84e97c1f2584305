"""The acceptance of an environment, on the one that needs no account."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stacks.acceptance.answers import of_local
from tests.conftest import Clone

pytestmark = [pytest.mark.e2e, pytest.mark.nightly]


@pytest.fixture(scope="module")
def accepted(clone: Clone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Path]]:
    page = tmp_path_factory.mktemp("report") / "accept.html"
    files = "--output", str(page), "--answers", str(page.with_name("answers.json"))
    done = clone.plinth("accept", "local", "--yes", *files, "--json")
    assert done.code == 0, done.err[-4000:]
    yield done.json, page


def test_local_goes_from_nothing_to_answers_and_back(
    clone: Clone, accepted: tuple[Any, Path]
) -> None:
    said, _ = accepted
    assert {step["name"]: step["problem"] for step in said["steps"] if step["problem"]} == {}
    assert {step["outcome"] for step in said["steps"]} == {"passed"}
    facts = {step["name"]: step["facts"] for step in said["steps"]}
    assert facts["up"]["create"] > 300
    assert facts["second up"]["same"] == facts["up"]["create"]
    assert facts["predict local.flight_delay"]["auc"] > 0.6
    assert facts["destroy"]["deleted"] >= facts["up"]["create"]
    assert clone.processes() == []


def test_what_accounts_are_compared_with_is_what_local_answers(accepted: tuple[Any, Path]) -> None:
    """Where it is not: `plinth accept local --yes --answers` writes the file anew."""
    said, page = accepted
    compared = next(
        step for step in said["steps"] if step["name"] == "answers beside those of local"
    )
    assert compared["rows"] == []
    assert compared["facts"]["unread"] == 0
    answered = json.loads(page.with_name("answers.json").read_text())
    assert set(answered) == set(of_local())
    assert len(answered) > 90


def test_its_page_shows_every_step(accepted: tuple[Any, Path]) -> None:
    said, page = accepted
    text = page.read_text()
    assert [s["name"] for s in said["steps"] if f"<td>{s['name']}\n" not in text] == []
    assert json.dumps(said).count("AKIA") == 0
