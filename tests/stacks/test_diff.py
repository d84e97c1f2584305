"""`plinth diff`: what differs between two environments, and nothing else."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from infra.errors import UserError
from stacks.cli import cli
from stacks.commands.diff import told
from stacks.settings.differences import ENVIRONMENT, Difference, differences
from stacks.stack_name import StackName, environment_file, stacks_of
from tests.kits.stacks import copied

FOUNDATION = StackName("dev", "foundation")


def twin(tmp_path: Path) -> Path:
    """A folder in which the environment `twin` says what dev does."""
    folder = copied(tmp_path)
    for stack in stacks_of("dev", folder):
        shutil.copy(stack.file_in(folder), StackName("twin", stack.layer).file_in(folder))
    text = environment_file("dev", folder).read_text()
    text = text.replace("account:\n", "account:\n  owner: dev # of the account that both have\n", 1)
    environment_file("twin", folder).write_text(
        re.sub(r"^accounts:\n(  .*\n)*", "", text, flags=re.M)
    )
    environment_file("dev", folder).write_text(environment_file("twin", folder).read_text())
    return folder


def edited(folder: Path, layer: str, old: str, new: str) -> list[Difference]:
    """What differs once the twin's file of a layer says something else."""
    path = StackName("twin", layer).file_in(folder)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    return differences("dev", "twin", folder)


def test_environments_that_say_the_same_do_not_differ(tmp_path: Path) -> None:
    assert differences("dev", "twin", twin(tmp_path)) == []


def expected(file: str, setting: str, *values: Any) -> Difference:
    one, other = values
    return Difference(file=file, setting=setting, values=(one, other))


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        ("nat_gateways: single", "nat_gateways: one-per-az",
         expected("foundation", "network.nat_gateways", "single", "one-per-az")),
        ("    flow_log_retention_days: 30\n", "",
         expected("foundation", "network.flow_log_retention_days", 30, 90)),
        ("gpu_limit: 8", "gpu_limit: 16",
         expected("cluster", "gpu_pools.gpu-training.gpu_limit", 8, 16)),
        ("    stop_at_limit: true\n", "",
         expected("weather", "budget.stop_at_limit", True, False)),
    ],
)  # fmt: skip
def test_one_setting_that_differs_is_one_difference(
    old: str, new: str, difference: Difference, tmp_path: Path
) -> None:
    """As deep as it lies; what a file leaves out counts by its default."""
    assert edited(twin(tmp_path), difference.file, old, new) == [difference]


def test_what_only_one_of_them_has_is_one_difference(tmp_path: Path) -> None:
    folder = twin(tmp_path)
    StackName("twin", "weather").file_in(folder).unlink()
    extra = "  plinth:stream:\n    retention_hours: 48\n"
    path = StackName("twin", "flight_delay").file_in(folder)
    path.write_text(path.read_text() + extra)
    assert differences("dev", "twin", folder) == [
        Difference(file="flight_delay", setting="stream", values=(None, {"retention_hours": 48})),
        Difference(file="weather", setting="", values=(True, False)),
    ]


def test_what_all_stacks_share_stands_once_and_first(tmp_path: Path) -> None:
    folder = twin(tmp_path)
    path = environment_file("twin", folder)
    path.write_text(path.read_text().replace("gpus_max: 8", "gpus_max: 12"))
    assert differences("dev", "twin", folder) == [
        Difference(file=ENVIRONMENT, setting="policies.gpus_max", values=(8, 12))
    ]


def test_an_environment_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UserError, match=r"environment must be one of .*, got 'nope'"):
        differences("dev", "nope")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (2.0, "2"),
        ([], "none"),
        (["a", "b"], "a, b"),
        ({}, "as by default"),
        ({"hours": 24, "weekly": False}, "hours 24, weekly no"),
    ],
)
def test_a_value_is_one_for_people(value: Any, text: str) -> None:
    assert told(value) == text


def test_the_command_shows_both_sides_of_real_environments() -> None:
    asked = ["diff", "dev", "prod"]
    found = json.loads(CliRunner().invoke(cli, [*asked, "--json"]).stdout)
    assert found["environments"] == ["dev", "prod"]
    by_setting = {(row["file"], row["setting"]): row["values"] for row in found["differences"]}
    assert by_setting["environment", "protect"] == {"dev": False, "prod": True}
    shown = CliRunner().invoke(cli, asked).stdout
    assert re.search(r"^environment\s*$", shown, re.M)
    assert re.search(r"^  protect +no +yes", shown, re.M)
    same = CliRunner().invoke(cli, ["diff", "dev", "dev"])
    assert same.stdout == "dev and dev have the same settings\n"
