"""The command line: help, exit codes, errors as sentences, speed of its start."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from stacks.cli import cli
from stacks.paths import cache
from tests.conftest import ROOT, Done


def plinth(*args: str, home: Path, **env: str) -> Done:
    done = subprocess.run(
        [sys.executable, "-m", "stacks.cli", *args],
        cwd=ROOT,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "PLINTH_HOME": str(home),
            "PLINTH_CACHE": str(cache()),
            **env,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("command", [None, *sorted(cli.commands)])
def test_help_is_as_accepted(command: str | None, golden) -> None:  # type: ignore[no-untyped-def]
    args = [command, "--help"] if command else ["--help"]
    text = CliRunner().invoke(cli, args, prog_name="plinth").output
    golden(f"cli/{command or 'plinth'}.txt", text)


def test_help_costs_less_than_four_tenths_of_a_second_of_cpu(tmp_path: Path) -> None:
    """Processor time of that one process, three to four times what it takes: not a benchmark."""
    command = [sys.executable, "-m", "stacks.cli", "--help"]
    child = os.posix_spawn(
        sys.executable,
        command,
        {"PYTHONPATH": str(ROOT), "PLINTH_HOME": str(tmp_path)},
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, used = os.wait4(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert used.ru_utime + used.ru_stime < 0.4


def test_an_unknown_environment_names_those_that_exist(tmp_path: Path) -> None:
    done = plinth("up", "qa", home=tmp_path)
    assert done.code == 2
    assert "must be one of dev, local, prod, staging, got 'qa'" in done.err


@pytest.mark.parametrize("name", ["local.clusters", "local.flight-delay", "local."])
def test_an_unknown_stack_names_those_that_exist(name: str, tmp_path: Path) -> None:
    done = plinth("up", name, home=tmp_path)
    assert done.code == 2
    assert name in done.err
    assert "local.foundation" in done.err or "dev.foundation" in done.err


@pytest.mark.parametrize("name", ["local", "local.foundation"])
def test_what_a_workload_does_is_asked_of_a_workload(name: str, tmp_path: Path) -> None:
    done = plinth("run", name, home=tmp_path)
    assert done.code == 2
    assert "local.flight_delay" in done.err


def test_an_error_is_also_json(tmp_path: Path) -> None:
    done = plinth("status", "local", "--json", home=tmp_path)
    assert done.code == 2
    assert done.json["exit_code"] == 2
    assert "plinth up local" in done.json["fix"]


def test_destroying_must_be_confirmed_and_prod_refuses(tmp_path: Path) -> None:
    assert "--yes" in plinth("destroy", "local", home=tmp_path).err
    refused = plinth("destroy", "prod", "--yes", home=tmp_path)
    assert refused.code == 2
    assert "protect: true" in refused.err


def test_a_deployment_to_the_cloud_without_credentials_says_what_works(tmp_path: Path) -> None:
    done = plinth("up", "dev", home=tmp_path, AWS_EC2_METADATA_DISABLED="true")
    assert done.code == 2
    assert "plinth preview dev" in done.err


def test_a_parameter_without_a_value_is_refused(tmp_path: Path) -> None:
    done = plinth("run", "local.flight_delay", "training", "--param", "TrainStart", home=tmp_path)
    assert done.code == 2
    assert "NAME=VALUE" in done.err


def test_doctor_says_what_is_there(tmp_path: Path) -> None:
    done = plinth("doctor", "local", "--json", home=tmp_path)
    assert {check["what"] for check in done.json["checks"]} >= {"local cloud", "2 GiB of disk"}


@pytest.mark.parametrize("env", ["dev", "prod"])
def test_a_preview_without_credentials_is_a_synth_that_says_so(env: str, tmp_path: Path) -> None:
    done = plinth("preview", env, "--json", home=tmp_path, AWS_EC2_METADATA_DISABLED="true")
    assert done.code == 0, done.err
    stacks = done.json["stacks"]
    assert {f"{env}.foundation", f"{env}.cluster", f"{env}.flight_delay"} <= set(stacks)
    assert {shown["source"] for shown in stacks.values()} == {"mocked synth"}
    assert stacks[f"{env}.foundation"]["stand_ins"] == 0
    assert stacks[f"{env}.flight_delay"]["stand_ins"] > 0
    assert done.json["changes"]["create"] >= 90
    assert done.json["policy"]["mandatory"] == 0
    assert "not a preview" in done.err


def test_a_compiled_pipeline_is_json_and_twice_the_same(tmp_path: Path) -> None:
    caches = [str(tmp_path / name) for name in "ab"]
    one, two = (
        plinth("compile", "local.flight_delay", "training", home=tmp_path, PLINTH_CACHE=c)
        for c in caches
    )
    assert one.code == 0, one.err
    assert json.loads(one.out)["Version"] == "2020-12-01"
    assert one.out == two.out
