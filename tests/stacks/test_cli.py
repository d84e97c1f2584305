"""The command line: help, exit codes, errors as sentences, speed of its start."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.errors import UserError
from stacks.cli import cli
from stacks.paths import cache
from stacks.settings import load, pin
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
    done = plinth("run", "local", "training", "--param", "TrainStart", home=tmp_path)
    assert done.code == 2
    assert "NAME=VALUE" in done.err


def test_doctor_says_what_is_there(tmp_path: Path) -> None:
    done = plinth("doctor", "local", "--json", home=tmp_path)
    assert {check["what"] for check in done.json["checks"]} >= {"local cloud", "2 GiB of disk"}


WRONG_KEYS = [
    ("cidr_block:", "cidr_blok:", "plinth:network.cidr_block"),
    ("plinth:keys:", "plinth:kyes:", "plinth:keys"),
    (
        "max_size: 2}\n      cap",
        "max_sice: 2}\n      cap",
        "plinth:gpu_pools.gpu-inference.scaling.max_size",
    ),
    ("deletion_window_days", "deletion_window", "plinth:keys.deletion_window_days"),
    ("training_seconds_max", "training_secs_max", "plinth:policies.training_seconds_max"),
]


@pytest.mark.parametrize(("right", "wrong", "nearest"), WRONG_KEYS)
def test_a_wrong_key_is_one_line_with_the_nearest_right_one(
    right: str, wrong: str, nearest: str, tmp_path: Path
) -> None:
    text = load.stack_file("local").read_text()
    path = tmp_path / "Pulumi.local.yaml"
    path.write_text(text.replace(right, wrong, 1))
    with pytest.raises(UserError) as caught:
        load.load("local", path)
    [line] = str(caught.value).splitlines()
    number = text[: text.index(right)].count("\n") + 1
    assert line.startswith(f"{path}:{number}: plinth:")
    assert line.endswith(f"is not a setting; the nearest is {nearest}")


def test_a_wrong_value_is_named_with_what_must_hold(tmp_path: Path) -> None:
    text = load.stack_file("local").read_text()
    path = tmp_path / "Pulumi.local.yaml"
    path.write_text(text.replace("max_size: 2", "max_size: 0", 1))
    with pytest.raises(UserError, match="greater than or equal to 1, got 0"):
        load.load("local", path)


def test_pinning_a_package_changes_one_line(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.local.yaml"
    before = load.stack_file("local").read_text().splitlines()
    before = [line for line in before if "model_package_arn" not in line]
    path.write_text("\n".join(before) + "\n")
    pin.pin_model_package("local", "arn:aws:sagemaker:x:y:model-package/g/1", path)
    after = path.read_text().splitlines()
    assert [line for line in after if line not in before] == [
        "    model_package_arn: arn:aws:sagemaker:x:y:model-package/g/1"
    ]
    assert [line for line in after if line in before] == before


@pytest.mark.parametrize("env", ["dev", "prod"])
def test_a_preview_without_credentials_is_a_synth_that_says_so(env: str, tmp_path: Path) -> None:
    done = plinth("preview", env, "--json", home=tmp_path, AWS_EC2_METADATA_DISABLED="true")
    assert done.code == 0, done.err
    assert done.json["source"] == "mocked synth"
    assert done.json["changes"]["create"] >= 90
    assert done.json["policy"]["mandatory"] == 0
    assert "not a preview" in done.err


def test_a_compiled_pipeline_is_json_and_twice_the_same(tmp_path: Path) -> None:
    caches = [str(tmp_path / name) for name in "ab"]
    one, two = (plinth("compile", "training", home=tmp_path, PLINTH_CACHE=c) for c in caches)
    assert one.code == 0, one.err
    assert json.loads(one.out)["Version"] == "2020-12-01"
    assert one.out == two.out
