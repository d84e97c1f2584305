"""What stacks are called, which there are, and in which order they are deployed."""

from pathlib import Path

import pytest

from infra.errors import UserError
from infra.naming import PLATFORM_WORDS, Names
from pipelines.workload import find
from stacks.settings.load import dependencies, load, load_cluster, load_workload
from stacks.settings.models import Pods
from stacks.stack_name import (
    CLUSTER,
    FOUNDATION,
    PLATFORM,
    StackName,
    environments,
    named,
    stacks_of,
)
from tests.kits.stacks import ALL, WORKLOADS, changed, copied, synth

NAMES = Names(env="dev", account_id="111111111111", region="us-east-1")


def test_the_blueprint_has_four_environments_with_every_workload() -> None:
    assert environments() == ["dev", "local", "prod", "staging"]
    for env in environments():
        layers = [stack.layer for stack in stacks_of(env)]
        assert layers == [*PLATFORM, *sorted(find())]


@pytest.mark.parametrize("stack", ALL, ids=str)
def test_a_name_reads_back(stack: StackName) -> None:
    assert StackName.parse(str(stack)) == stack
    assert named(str(stack)) == (stack,)
    assert stack.file.exists()


@pytest.mark.parametrize("text", ["dev", "dev.", ".cluster", "dev.a.b", "dev.Cluster", "dev a"])
def test_what_is_no_name_of_a_stack_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"must be called <environment>\.<layer>, got"):
        StackName.parse(text)


def test_an_environment_stands_for_its_stacks_in_order() -> None:
    assert named("dev") == stacks_of("dev")
    assert [str(stack) for stack in named("dev.cluster")] == ["dev.cluster"]
    with pytest.raises(UserError, match=r"stack must be one of dev\.foundation, .* got 'dev\.x'"):
        named("dev.x")
    with pytest.raises(UserError, match="environment must be one of dev, local, prod, staging"):
        named("production")


def test_a_file_more_is_a_stack_more(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (folder / "Pulumi.dev.aaa.yaml").touch()
    (folder / "Pulumi.dev.cluster.yaml").unlink()
    layers = [stack.layer for stack in stacks_of("dev", folder)]
    assert layers == [FOUNDATION, "aaa", *sorted(find())]


def test_every_stack_needs_the_foundation_and_a_workload_the_cluster_where_it_runs_there() -> None:
    assert dependencies(StackName("dev", FOUNDATION)) == ()
    assert dependencies(StackName("dev", CLUSTER)) == (StackName("dev", FOUNDATION),)
    for stack in WORKLOADS:
        assert dependencies(stack) == (StackName(stack.env, FOUNDATION),)
        assert stack.needs(on_cluster=True) == tuple(StackName(stack.env, x) for x in PLATFORM)
    pods = Pods(team="research", service_account="scorer")
    assert changed(load_workload(WORKLOADS[0]), pods=pods).on_cluster


def test_what_a_workload_owns_begins_with_its_name_and_buckets_are_shared() -> None:
    own = NAMES.of_workload("fraud-score")
    assert own.of("job") == "plinth-dev-fraud-score-job"
    assert own.role_arn("job") == "arn:aws:iam::111111111111:role/plinth-dev-fraud-score-job"
    assert own.platform == NAMES
    assert own.bucket("data") == NAMES.bucket("data")
    assert own.repository_url("images") == NAMES.repository_url("images")


def test_names_that_are_cut_stay_different() -> None:
    first, second = (NAMES.of_workload(f"fraud-score-{end}").short("drift", 26) for end in "ab")
    assert (len(first), len(second)) == (26, 26)
    assert first != second
    assert NAMES.short("drift", 26) == "plinth-dev-drift"


def test_a_workload_is_not_called_like_what_the_platform_owns() -> None:
    words = {workload.aws_name for workload in find().values()}
    assert words & PLATFORM_WORDS == set()


@pytest.mark.parametrize("stack", [stack for stack in ALL if not stack.workload], ids=str)
def test_no_name_of_the_platform_begins_like_a_workload_may_be_called(stack: StackName) -> None:
    """Whoever deploys a workload may touch everything that begins with its name."""
    prefix = f"plinth-{stack.env}-"
    given = [
        value
        for item in synth(str(stack))
        for value in item.inputs.value.values()
        if isinstance(value, str) and value.startswith(prefix)
    ]
    assert len(given) > 10
    words = {value.removeprefix(prefix).partition("-")[0] for value in given}
    assert words - PLATFORM_WORDS == set()


def test_a_pool_is_not_called_like_what_a_workload_owns(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    path = folder / "Pulumi.dev.cluster.yaml"
    path.write_text(path.read_text().replace("gpu-training", "block-time-gpus"))
    with pytest.raises(UserError, match="must not be called like what the workload block_time own"):
        load_cluster("dev", folder)


def test_a_stack_without_a_package_is_refused_with_those_there_are(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (folder / "Pulumi.dev.nobody.yaml").write_text("config: {}\n")
    with pytest.raises(UserError, match=r"must be of a workload \(block_time, .*, got 'nobody'"):
        load(StackName("dev", "nobody"), folder)
