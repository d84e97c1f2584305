"""The acceptance of an environment, on the one that needs no account."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Clone

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def accepted(clone: Clone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Path]]:
    page = tmp_path_factory.mktemp("report") / "accept.html"
    done = clone.plinth("accept", "local", "--yes", "--output", str(page), "--json")
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


def test_its_page_shows_every_step(accepted: tuple[Any, Path]) -> None:
    said, page = accepted
    text = page.read_text()
    assert [s["name"] for s in said["steps"] if f"<td>{s['name']}\n" not in text] == []
    assert json.dumps(said).count("AKIA") == 0
