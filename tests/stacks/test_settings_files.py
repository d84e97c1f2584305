"""The files of an environment: read as a whole, and a mistake is told with its line."""

import re
from pathlib import Path

import pytest

from infra.errors import UserError
from stacks.settings.load import load, load_environment, load_foundation, load_workload
from stacks.settings.model import Layer
from stacks.settings.pin import pin_model_package
from stacks.stack_name import StackName, environment_file
from tests.kits.stacks import ALL, copied, named


@pytest.mark.parametrize("stack", ALL, ids=str)
def test_every_file_is_valid_and_knows_its_environment(stack: StackName) -> None:
    settings = load(stack)
    assert isinstance(settings, Layer)
    assert settings.environment == load_environment(stack.env)
    assert settings.environment.name == stack.env


def refused(folder: Path, stack: str) -> str:
    with pytest.raises(UserError) as caught:
        load(named(stack), folder)
    return str(caught.value)


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        (
            "Pulumi.dev.foundation.yaml",
            "    cidr_block:",
            "    cidr_blok:",
            r"\.yaml:5: plinth:network\.cidr_blok is not a setting; the nearest is plinth:network",
        ),
        (
            "Pulumi.dev.foundation.yaml",
            "  plinth:keys:",
            "  plinth:cluster:",
            r"yaml:\d+: plinth:cluster is not a setting; the nearest is plinth:\w+$",
        ),
        (
            "Pulumi.dev.foundation.yaml",
            "  plinth:keys:",
            "  plinth:environment: {}\n  plinth:keys:",
            r"plinth:environment must not be set, it follows from the file's name",
        ),
        (
            "dev.yaml",
            "account:\n",
            "acount:\n",
            r"dev\.yaml:2: acount is not a setting; the neares",
        ),
        (
            "dev.yaml",
            "[use1-az1, use1-az2]",
            "[use1-az1, use1-az1]",
            r"dev\.yaml:\d+: availability_zone_ids: availability_zone_ids must differ",
        ),
        (
            "dev.yaml",
            'dev: "111111111111"',
            'dev: "444444444444"',
            r"accounts\.environments\.dev must be account\.account_id '111111111111'",
        ),
        ("dev.yaml", "account:\n", "account: [\n", r"dev\.yaml:\d+ must be YAML"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_line(
    file: str, old: str, new: str, told: str, tmp_path: Path
) -> None:
    folder = copied(tmp_path)
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    found = refused(folder, "dev.foundation")
    assert file in found
    assert re.search(told, found, re.M)


WRONG_KEYS = [
    ("foundation", "cidr_block:", "cidr_blok:", "plinth:network.cidr_block"),
    ("foundation", "plinth:keys:", "plinth:kyes:", "plinth:keys"),
    ("foundation", "deletion_window_days", "deletion_window", "plinth:keys.deletion_window_days"),
    (
        "cluster",
        "max_size: 2}\n      cap",
        "max_sice: 2}\n      cap",
        "plinth:gpu_pools.gpu-inference.scaling.max_size",
    ),
    ("flight_delay", "capture_percent", "capture_percents", "plinth:endpoint.capture_percent"),
    (
        "flight_delay",
        "max_runtime_seconds",
        "max_seconds",
        "plinth:pipelines.training.max_runtime_",
    ),
]


@pytest.mark.parametrize(("layer", "right", "wrong", "nearest"), WRONG_KEYS)
def test_a_wrong_key_is_one_line_with_the_nearest_right_one(
    layer: str, right: str, wrong: str, nearest: str, tmp_path: Path
) -> None:
    folder = copied(tmp_path)
    path = folder / f"Pulumi.local.{layer}.yaml"
    text = path.read_text()
    path.write_text(text.replace(right, wrong, 1))
    [line] = refused(folder, f"local.{layer}").splitlines()
    number = text[: text.index(right)].count("\n") + 1
    assert line.startswith(f"{path}:{number}: plinth:")
    assert f"is not a setting; the nearest is {nearest}" in line


def test_a_wrong_value_is_named_with_what_must_hold(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    path = folder / "Pulumi.local.cluster.yaml"
    path.write_text(path.read_text().replace("max_size: 2", "max_size: 0", 1))
    assert "greater than or equal to 1, got 0" in refused(folder, "local.cluster")


def test_a_mistake_in_one_file_stops_no_other_stack(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (folder / "Pulumi.dev.block_time.yaml").write_text("config:\n  plinth:nothing: {}\n")
    assert "nothing is not a setting" in refused(folder, "dev.block_time")
    assert load(named("dev.flight_delay"), folder).environment.name == "dev"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            "    traning: {}",
            r"plinth:pipelines: pipelines must be of training, got traning",
        ),
        (
            "    training: {parameters: {TrainStrat: '2013-01-01'}}",
            r"training: parameters must be of TrainStart, .*, got 'TrainStrat'; write TrainStart",
        ),
        (
            "    training: {parameters: {EvaluationDays: many}}",
            r"training: EvaluationDays must be int, as its default 14, got 'many'",
        ),
    ],
)
def test_a_pipeline_is_one_that_the_workload_declares(
    given: str, told: str, tmp_path: Path
) -> None:
    folder = copied(tmp_path)
    path = folder / "Pulumi.dev.flight_delay.yaml"
    text = re.sub(
        r"  plinth:pipelines:\n(    .*\n)+", f"  plinth:pipelines:\n{given}\n", path.read_text()
    )
    path.write_text(text)
    assert re.search(told, refused(folder, "dev.flight_delay"))


def test_a_parameter_of_the_file_is_the_default_of_a_run(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    path = folder / "Pulumi.dev.flight_delay.yaml"
    path.write_text(
        path.read_text().replace(
            "    training:\n", "    training:\n      parameters: {EvaluationDays: 7}\n"
        )
    )
    settings = load_workload(named("dev.flight_delay"), folder)
    declared = settings.workload.pipelines["training"].parameters
    assert settings.parameters("training") == {**declared, "EvaluationDays": 7}


def test_promoting_changes_one_line_of_one_file(tmp_path: Path) -> None:
    folder, stack = copied(tmp_path), named("local.block_time")
    before = {path.name: path.read_text().splitlines() for path in folder.glob("*.yaml")}
    arn = "arn:aws:sagemaker:us-east-1:123456789012:model-package/plinth-local-block-time-model/1"
    pin_model_package(stack, arn, folder)
    after = {path.name: path.read_text().splitlines() for path in folder.glob("*.yaml")}
    differing = [name for name in before if before[name] != after[name]]
    assert differing == ["Pulumi.local.block_time.yaml"]
    [name] = differing
    more = [line for line in after[name] if line not in before[name]]
    assert more == [f"    model_package_arn: {arn}"]
    assert [line for line in after[name] if line not in more] == before[name]
    assert load_workload(stack, folder).endpoint.model_package_arn == arn


def test_an_environment_that_does_not_exist_is_told_with_those_that_do() -> None:
    with pytest.raises(UserError, match="must be one of dev, local, prod, staging, got 'nowhere'"):
        load_environment("nowhere")
    assert not environment_file("nowhere").exists()


def test_two_environments_share_no_address() -> None:
    import ipaddress

    from stacks.stack_name import environments

    blocks = [
        ipaddress.IPv4Network(block)
        for env in environments()
        for block in load_foundation(env).network.cidr_blocks()
    ]
    assert len(blocks) == 8
    pairs = [(a, b) for index, a in enumerate(blocks) for b in blocks[index + 1 :]]
    assert [pair for pair in pairs if pair[0].overlaps(pair[1])] == []
