"""The thresholds of an environment: what its file can set, and that everybody goes by it."""

import ast
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from infra.errors import UserError
from policies.config import PolicyConfig, Thresholds
from stacks.cli import cli
from stacks.policy_config import policy_config
from stacks.settings.load import load
from stacks.settings.model import Settings
from stacks.stack_name import StackName, environment_file, environments, stacks_of
from tests.kits.stacks import ALL, copied

ROOT = Path(__file__).parents[2]
SETTABLE = {field.name for field in dataclasses.fields(Thresholds)}
DERIVED = {field.name for field in dataclasses.fields(PolicyConfig)} - SETTABLE


def written(tmp_path: Path, *lines: str) -> Settings:
    """The settings of dev's cluster where the environment's file has these thresholds alone."""
    folder = copied(tmp_path)
    path = environment_file("dev", folder)
    text = re.sub(r"^policies:.*\n(  .*\n)*", "", path.read_text(), flags=re.M)
    path.write_text("\n".join([text.rstrip(), "policies:", *(f"  {line}" for line in lines), ""]))
    return load(StackName("dev", "cluster"), folder)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("training_gpus: 4", "training_gpus is not a setting; the nearest is policies.training_"),
        ("required_tags: [owner]", "required_tags is not a setting"),
        ("capture_percent_min: 101", "capture_percent_min: input should be less than or equal to "),
        ("training_seconds_max: 0", "training_seconds_max: input should be greater than or equal "),
        ("gpus_max: -1", "gpus_max: input should be greater than or equal to 0, got -1"),
        ("gpus_max: true", "gpus_max: input should be a valid integer, got True"),
        ("run_usd_max: -0.5", "run_usd_max: input should be greater than or equal to 0, got -0.5"),
        ("run_usd_max: lots", "run_usd_max: input should be a valid number, got 'lots'"),
        ("job_instance_types: ml.m5.*", "job_instance_types: input should be a valid list, got "),
        ("job_instance_types: ['']", "job_instance_types.0: string should have at least 1 char"),
        ("tag_values: {team: ['']}", "tag_values.team.0: string should have at least 1 character"),
        ("tag_values: {cost_center: [x]}", "must be of cost_centre, environment, owner, project, "),
        ("tag_values: {team: [a, b]}", "tag_values.team must have tags.team among them, 'ml-platf"),
        ("expiry_tag: ''", "expiry_tag: string should have at least 1 character, got ''"),
        ("kubernetes_version_min: 1.33", "kubernetes_version_min: input should be a valid string"),
        ("kubernetes_version_min: '1.9'", r"kubernetes_version_min: string should match pattern"),
        ("tracking_server_size_max: Huge", "tracking_server_size_max: input should be 'Small', "),
    ],
)  # fmt: skip
def test_a_wrong_threshold_is_one_line_with_what_must_hold(
    line: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        written(tmp_path, line)
    assert "\n" not in str(caught.value)
    assert re.match(r".*/dev\.yaml:\d+: (policies[.:]|tag_values)", str(caught.value))
    assert told in str(caught.value)


FOLLOWS = {
    "approved_registries": ["111111111111"],
    "model_buckets": ["plinth-dev-artifacts-111111111111"],
}
"""What other settings of dev add to a threshold."""


def another(value: Any) -> Any:
    """A value that differs from this one and that the same field may have."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, tuple):
        return [*value, "other-*"]
    return (
        {"project": ["plinth"]}
        if isinstance(value, dict)
        else {"Small": "Large"}.get(value, "1.33")
    )


@pytest.mark.parametrize("name", sorted(SETTABLE))
def test_a_threshold_of_the_file_is_the_one_that_the_rules_get(name: str, tmp_path: Path) -> None:
    given = another(getattr(Thresholds(), name))
    config = policy_config(written(tmp_path, f"{name}: {given!r}"))
    got = config.to_dict()[name]
    own = FOLLOWS.get(name, [])
    assert got == (own + given if isinstance(given, list) else given)
    assert PolicyConfig.from_dict(config.to_dict()) == config


def test_what_follows_from_other_settings_is_always_filled_in() -> None:
    strict = PolicyConfig()
    left = {
        name
        for name in DERIVED
        if all(getattr(policy_config(load(stack)), name) == getattr(strict, name) for stack in ALL)
    }
    assert left == {"weights_uris"}  # no workload has a language model of its own


def read_by(*folders: str) -> set[str]:
    """What the code in these folders reads from a configuration or from its limits."""
    sources = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return {
        node.attr
        for path in sources
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and re.search(r"(^|\.)(config|limits)$", ast.unparse(node.value))
    }


def test_no_threshold_is_dead() -> None:
    review = {"cost_usd_per_month_max", "run_usd_max", "gpus_max"}
    assert (SETTABLE | DERIVED) - review - read_by("policies") == set()
    assert review - read_by("stacks/review") == set()


def test_a_threshold_says_what_it_means_and_its_default() -> None:
    from stacks.commands.thresholds import meanings

    said = meanings(PolicyConfig)
    assert set(said) == SETTABLE | DERIVED
    assert [name for name, text in said.items() if "Default: " not in text] == []


@pytest.mark.parametrize("env", environments())
def test_the_thresholds_can_be_listed(env: str) -> None:
    listed = CliRunner().invoke(cli, ["policy", env, "--thresholds", "--json"])
    rows = {row["name"]: row for row in json.loads(listed.output)["thresholds"]}
    for stack in stacks_of(env):
        config = policy_config(load(stack)).to_dict()
        assert config == {
            name: row["stacks"].get(str(stack), row["value"]) for name, row in rows.items()
        }
    workloads = {str(stack) for stack in stacks_of(env) if stack.workload}
    assert set(rows["calling_steps"]["stacks"]) == workloads, "each calls by its own steps"
    assert rows["capture_buckets"]["origin"] == "policies"
    assert rows["approved_registries"]["origin"] == "other settings"
    assert rows["gpu_disk_gib_min"]["origin"] == "default"
    assert rows["gpu_disk_gib_min"]["meaning"].startswith("Least disk of a node with accelerators")


def test_the_list_of_thresholds_is_one_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = CliRunner().invoke(cli, ["policy", "dev.foundation", "--thresholds"]).output
    assert max(map(len, text.splitlines())) <= 80
    assert re.search(r"^training_gpus_max +Most GPUs.*\n  4 \(policies\) ", text, re.M)
    assert re.search(r"^approved_registries .*\n  111111111111 \(other settings\) ", text, re.M)
    assert re.search(r"^gpu_disk_gib_min .*\n  100 {9}", text, re.M)
