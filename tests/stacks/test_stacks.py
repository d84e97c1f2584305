"""What each stack consists of, and that it passes its policies, without any engine."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.workload import find
from policies.offline import evaluate
from stacks.paths import ROOT
from stacks.policy_config import policy_config
from stacks.settings.load import load, load_environment
from stacks.stack_name import StackName, environments, stacks_of
from stacks.synth import of_json, to_json
from tests.kits.stacks import (
    ALL,
    WORKLOADS,
    changed,
    only_an_account_knows,
    serving,
    synth,
)

LEFT_TO_PEOPLE = {"ML-MD-008"}
"""Advice that stands until somebody acts: a model card is a draft until a person approves it."""

JUDGED = {
    "foundation": {"PF-S3-001", "PF-IAM-001", "PF-VPC-001"},
    "cluster": {"ML-K8-006", "PF-IAM-001", "FO-002"},
    "model": {"ML-EP-001", "ML-EP-006", "ML-EP-008", "PF-IAM-001"},
    "features": {"ML-PL-008", "PF-IAM-001"},
}
"""Rules that must have had something to say, by the kind of stack."""

RELEASE_RESOURCES = 70
"""Most resources of a workload that serves one endpoint: what a reviewer of a release sees."""


@pytest.mark.parametrize("stack", ALL, ids=str)
def test_a_stack_consists_of_what_was_accepted(
    stack: StackName, golden: Callable[[str, str], None]
) -> None:
    """Names are contract: a line that changes here is a resource that is replaced."""
    lines = [
        f"{item.type} {item.name}{' protected' if item.options.protect else ''}"
        for item in synth(str(stack))
    ]
    golden(f"stacks/{stack}.txt", "\n".join(sorted(lines)) + "\n")


def kind(stack: StackName) -> str:
    if stack.workload is None:
        return stack.layer
    return "model" if find()[stack.workload].model else "features"


@pytest.mark.parametrize("stack", ALL, ids=str)
def test_a_stack_that_serves_what_it_can_passes_its_policies(stack: StackName) -> None:
    settings = serving(str(stack)) if kind(stack) == "model" else load(stack)
    findings = evaluate(synth(str(stack), settings), policy_config(settings))
    judged = {finding.rule_id for finding in findings if finding.status == "pass"}
    open_points = [
        f
        for f in findings
        if f.status in ("fail", "error", "unknown") and not only_an_account_knows(f)
    ]
    assert [f for f in open_points if f.blocks or f.rule_id not in LEFT_TO_PEOPLE] == []
    assert judged >= JUDGED[kind(stack)]


def test_only_protected_environments_keep_their_data() -> None:
    kept = {
        env: any(item.options.protect for stack in stacks_of(env) for item in synth(str(stack)))
        for env in environments()
    }
    assert kept == {env: load_environment(env).protect for env in environments()}


def test_a_synth_reads_back_as_it_was_written() -> None:
    found = synth("prod.flight_delay")
    assert of_json(to_json(found)) == found


@pytest.mark.parametrize("stack", ALL, ids=str)
def test_every_aws_resource_has_the_provider_that_knows_its_account(stack: StackName) -> None:
    """The account can never be the wrong one; the tags that costs go by are on everything."""
    environment = load_environment(stack.env)
    providers = [item.provider.value for item in synth(str(stack)) if item.type.startswith("aws:")]
    assert len(providers) > 10
    for provider in providers:
        assert provider.keys() >= {"allowedAccountIds", "defaultTags", "region"}
        assert environment.account.account_id in provider["allowedAccountIds"]
        assert environment.account.region == provider["region"]
        tags = provider["defaultTags"]
        assert f'"stack": "{stack}"' in str(tags).replace("'", '"')


def names_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from names_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from names_in(item)


PHYSICAL = (
    "name", "bucket", "dashboardName", "featureGroupName", "modelCardName", "modelPackageGroupName",
    "pipelineName",
)  # fmt: skip
"""Inputs that are what AWS calls a resource."""


@pytest.mark.parametrize("stack", WORKLOADS, ids=str)
def test_a_workload_makes_nothing_beside_its_own_names(stack: StackName) -> None:
    """What its deployer may touch, and what others may not."""
    assert stack.workload is not None
    workload = find()[stack.workload]
    settings = serving(str(stack)) if workload.model else load(stack)
    own = settings.names.prefix
    named = [
        value
        for item in synth(str(stack), settings)
        if item.type != "aws:iam/rolePolicy:RolePolicy"  # its name is one within the role
        for key in PHYSICAL
        if isinstance(value := item.inputs.value.get(key), str)
    ]
    assert len(named) >= 10
    ours = re.compile(rf"(/aws/lambda/)?{own}-")
    assert [value for value in named if not ours.match(value)] == []


@pytest.mark.parametrize("stack", WORKLOADS, ids=str)
def test_a_workload_names_no_other_but_the_groups_it_uses(stack: StackName) -> None:
    workloads = find()
    assert stack.workload is not None
    mine = workloads[stack.workload]
    others = {name: one for name, one in workloads.items() if name != stack.workload}
    found = set()
    for item in synth(str(stack)):
        for text in names_in(item.inputs.value):
            for name, other in others.items():
                for match in re.findall(rf"plinth-{stack.env}-{other.aws_name}-([a-z-]+)", text):
                    found.add((name, match.rstrip("-")))
    allowed = {(name, group) for name, groups in mine.uses.items() for group in groups}
    assert found == allowed


def test_a_release_of_one_model_is_small_enough_to_read() -> None:
    settings = serving("local.block_time")
    assert len(synth("local.block_time", settings)) <= RELEASE_RESOURCES


def test_a_workload_that_runs_on_the_cluster_reads_its_contract() -> None:
    from infra.errors import UserError
    from stacks.settings.models import Pods

    settings = load(StackName("local", "weather"))
    pods = changed(settings, pods=Pods(team="research", service_account="scorer"))
    [identity] = [
        item.inputs.value
        for item in synth("local.weather", pods)
        if item.type.endswith(":PodIdentityAssociation")
    ]
    assert (identity["namespace"], identity["serviceAccount"]) == ("research", "scorer")
    assert identity["clusterName"] == "plinth-local-cluster"
    stranger = changed(settings, pods=Pods(team="nobodys", service_account="scorer"))
    with pytest.raises(UserError, match=r"pods\.team must be one of research, serving, got 'nobo"):
        synth("local.weather", stranger)


def test_nothing_of_the_platform_names_a_workload() -> None:
    """As many models as you have: a workload is found, never written down elsewhere."""
    words = "|".join(sorted(find())).replace("_", "[-_ ]")
    named = re.compile(rf"(?<![a-z]){'(' + words + ')'}(?![a-z])", re.I)
    rooms = [ROOT / room for room in ("infra", "stacks", "serving", "policies")]
    sources = [path for room in rooms for path in room.rglob("*.py")]
    assert len(sources) > 200
    found = {
        str(path.relative_to(ROOT)): match.group()
        for path in sources
        if (match := named.search(path.read_text()))
    }
    assert found == {}


def test_a_golden_file_is_of_a_stack_that_there_is() -> None:
    files = {path.stem for path in (Path(__file__).parents[1] / "golden" / "stacks").glob("*.txt")}
    assert files == {str(stack) for stack in ALL}
