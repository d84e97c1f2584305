"""A whole environment by those who may: deployers deploy, engineers train, the approver approves.

Everyone comes by Identity Center with keys of a session, types what they would type for an account,
and IAM decides. The home's own keys deploy the foundation alone, as the first in an account do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Clone, Done
from tests.kits.people import enter, variables

pytestmark = [pytest.mark.e2e, pytest.mark.nightly]

DEPLOYERS = """  plinth:access:
    deployers:
      flight_delay: {permission_sets: [FlightDelayDeployer]}
      weather: {permission_sets: [WeatherDeployer]}
"""
FEATURES, WEATHER = "local.flight_delay", "local.weather"
MODEL = "model-package/plinth-local-flight-delay-model/1"


class People:
    """Who has come to an environment, and what they type."""

    def __init__(self, clone: Clone) -> None:
        self.clone = clone
        self._keys: dict[str, dict[str, str]] = {}

    def does(self, who: str, *command: str) -> Done:
        """A command line with the keys of a role's session."""
        if who not in self._keys:
            cloud = json.loads((self.clone.home / "local" / "cloud.json").read_text())
            came = enter(self.clone.client, cloud["endpoint_url"], f"plinth-local-{who}")
            self._keys[who] = variables(came)
        return self.clone.plinth(*command, "--json", env=self._keys[who])

    def may(self, who: str, *command: str) -> dict[str, Any]:
        done = self.does(who, *command)
        assert done.code == 0, f"{who}: {command}\n{done.out[-2000:]}\n{done.err[-4000:]}"
        said: dict[str, Any] = done.json
        return said

    def must_not(self, who: str, *command: str) -> str:
        """The action that IAM denied."""
        done = self.does(who, *command)
        assert done.code in (1, 2), f"{who}: {command}\n{done.out[-2000:]}\n{done.err[-4000:]}"
        said: str = done.json["error"]
        assert "is not authorized to perform: " in said
        return said.partition("is not authorized to perform: ")[2].split()[0]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, clone: Clone) -> Iterator[People]:
    file = clone.root / "stacks" / "environments" / "Pulumi.local.foundation.yaml"
    file.write_text(file.read_text() + DEPLOYERS)
    clone.ok("up", "local.foundation")
    yield People(clone)


def test_each_does_their_part_and_no_other(people: People) -> None:
    """One way through, for every step needs those before it."""
    assert people.must_not("data-scientist", "up", WEATHER) != ""
    assert people.may("deployer-weather", "up", WEATHER)["changes"]["create"] > 20
    assert people.may("ml-engineer", "run", WEATHER, "ingest")["status"] == "Succeeded"

    assert people.may("deployer-flight-delay", "up", FEATURES)["changes"]["create"] > 50
    assert people.must_not("deployer-weather", "destroy", FEATURES, "--yes") != ""
    assert people.must_not("deployer-flight-delay", "destroy", WEATHER, "--yes") != ""
    assert people.must_not("data-scientist", "run", FEATURES) == "sagemaker:StartPipelineExecution"
    assert people.must_not("approver", "run", FEATURES) == "sagemaker:StartPipelineExecution"
    assert people.may("ml-engineer", "run", FEATURES)["status"] == "Succeeded"

    for who in ("ml-engineer", "data-scientist", "deployer-flight-delay", "deployer"):
        denied = people.must_not(who, "approve", FEATURES, "--reason", "I made it")
        assert denied == "sagemaker:UpdateModelPackage", who
    people.may("approver", "approve", FEATURES, "--reason", "looked at")
    people.may("deployer-flight-delay", "promote", FEATURES)
    assert MODEL in _pinned(people.clone.root)
    assert people.may("deployer-flight-delay", "up", FEATURES)["changes"]["create"] > 20
    assert people.may("ml-engineer", "predict", FEATURES)["auc"] > 0.6

    assert people.may("deployer", "up", "local.cluster")["changes"]["create"] > 90
    changed = people.may("deployer", "up", "local.foundation")["changes"]
    assert {name: n for name, n in changed.items() if n and name != "same"} == {}
    people.may("deployer-flight-delay", "destroy", FEATURES, "--yes")
    people.may("deployer-weather", "destroy", WEATHER, "--yes")


def test_keys_of_another_cloud_change_nothing(people: People) -> None:
    elsewhere = {"AccessKeyId": "ASIA" + "X" * 16, "SecretAccessKey": "x", "SessionToken": "y"}
    done = people.clone.plinth("preview", "local.foundation", "--json", env=variables(elsewhere))
    assert done.code == 0, done.err[-4000:]
    assert done.json["changes"]["create"] == 0


def _pinned(root: Path) -> str:
    return (root / "stacks" / "environments" / "Pulumi.local.flight_delay.yaml").read_text()
