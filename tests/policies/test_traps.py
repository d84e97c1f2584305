"""What published controls get wrong if they are enforced blindly, and what ours say instead.

Each trap: a program that looks like the fault, or like its cure, and what the rule makes of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from policies.config import PolicyConfig
from policies.data import Resource
from policies.offline import evaluate
from policies.reading.documents import covered
from policies.review.compare import compare
from policies.review.model import StackChange
from policies.review.parts.order import FIRST
from policies.review.report import Context, review
from policies.rule import Status
from policies.rules import RULES
from stacks.review.replacements import differ, undecided
from stacks.synth import recorded
from tests.policies.cases.case import DIGEST, IMAGE, KEY, configuration, later, serverless
from tests.policies.cases.endpoints import hosting, queued, sized
from tests.policies.cases.models import model, pulled, source
from tests.policies.cases.monitoring import keyed, native, quality
from tests.policies.cases.platform import bucket
from tests.policies.cases.serving import variant
from tests.policies.cases.training import job

BY_ID = {rule.id: rule for rule in RULES}
GPU = "ml.g5.xlarge"
PRIVATE = f"{IMAGE}@{DIGEST}"


@dataclass(frozen=True, kw_only=True)
class Trap:
    """One program and what a rule says of it."""

    rule: str
    status: Status
    program: Callable[[], Any]
    production: bool = True


ANY_OUTPUT = {"kms_key_id": KEY}

TRAPS = {
    # CreateEndpointConfig, CreateTrainingJob: the call fails where the disks encrypt themselves
    "an endpoint on local NVMe without a key is right": Trap(
        rule="ML-EP-001", status="pass", program=partial(configuration, GPU)
    ),
    "a key on local NVMe is not more secure, it fails": Trap(
        rule="ML-EP-001", status="fail", program=partial(configuration, GPU, kms_key_arn=KEY)
    ),
    "a training job on local NVMe without a volume key is right": Trap(
        rule="ML-TJ-005", status="pass", program=partial(job, GPU, output=ANY_OUTPUT)
    ),
    "a volume key on local NVMe fails": Trap(
        rule="ML-TJ-005",
        status="fail",
        program=partial(job, "ml.p4d.24xlarge", resources={"volume_kms_key_id": KEY}),
    ),
    # ImageConfig.RepositoryAccessMode: Platform is ECR, Vpc a private Docker registry
    "an image of ECR is private without the mode Vpc": Trap(
        rule="ML-MD-004", status="pass", program=partial(pulled, PRIVATE)
    ),
    "the mode Vpc cannot pull from ECR": Trap(
        rule="ML-MD-004", status="fail", program=partial(pulled, PRIVATE, "Vpc")
    ),
    # scaling to zero: inference components with a step policy and an alarm, or asynchronous
    "inference components may scale to zero": Trap(
        rule="ML-EP-004", status="pass", program=hosting, production=False
    ),
    "zero without an alarm that wakes them never comes back": Trap(
        rule="ML-EP-004",
        status="fail",
        program=partial(hosting, called=False),
        production=False,
    ),
    "an asynchronous endpoint may scale to zero": Trap(
        rule="ML-EP-004", status="pass", program=queued, production=False
    ),
    "an endpoint of instances alone cannot": Trap(
        rule="ML-EP-004", status="fail", program=partial(sized, 1, GPU), production=False
    ),
    # any KMS key satisfies; whose it is cannot be read off its name
    "a key is not judged by its alias": Trap(
        rule="ML-FS-002", status="pass", program=partial(keyed, "alias/aws/sagemaker")
    ),
    # instances are counted on the configuration's variants; serverless ones have none
    "two instances are counted per variant": Trap(
        rule="ML-EP-002", status="fail", program=partial(variant, count=1)
    ),
    "a serverless variant has no instances to count": Trap(
        rule="ML-EP-002", status="not_applicable", program=serverless
    ),
    # one instance has no traffic between containers
    "one instance needs no encryption between containers": Trap(
        rule="ML-MO-002", status="pass", program=native
    ),
    "two instances do": Trap(rule="ML-MO-002", status="fail", program=partial(native, count=2)),
    "the same of data quality": Trap(rule="ML-MO-001", status="pass", program=quality),
    # an isolated container has no credentials and no way out
    "weights come by modelDataSource into an isolated container": Trap(
        rule="ML-MD-001",
        status="pass",
        program=partial(model, source(), enable_network_isolation=True),
    ),
    "a serverless endpoint offers no isolation": Trap(
        rule="ML-MD-001", status="not_applicable", program=lambda: (serverless(), model())
    ),
    # what is not known yet is neither missing nor there
    "a key that is not known yet is not a missing key": Trap(
        rule="ML-FS-002", status="unknown", program=lambda: keyed(later())
    ),
    "a bucket whose name is made up by the provider is followed by reference": Trap(
        rule="PF-S3-001", status="pass", program=partial(bucket, by_id=True)
    ),
}


def judged(trap: Trap) -> set[Status]:
    config = PolicyConfig(production=trap.production)
    resources: list[Resource] = recorded(trap.program, preview=trap.status == "unknown")
    return {found.status for found in evaluate(resources, config, rules=[BY_ID[trap.rule]])}


@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS)
def test_a_trap_of_published_controls_is_avoided(trap: Trap) -> None:
    assert judged(trap) == {trap.status}


def test_what_would_fail_every_user_of_ecr_is_advice_everywhere() -> None:
    assert BY_ID["ML-MD-004"].mandatory == "never"


def test_isolation_says_what_makes_the_container_fetch_its_weights() -> None:
    container = {**source(), "environment": {"HF_MODEL_ID": "org/model"}}
    resources = recorded(lambda: model(container))
    [found] = evaluate(resources, PolicyConfig(production=True), rules=[BY_ID["ML-MD-001"]])
    assert "HF_MODEL_ID makes the container fetch its weights" in found.message
    assert "model_data_source" in BY_ID["ML-MD-001"].fix


OUTSIDE = {"direct_internet_access": "Disabled", "subnet_id": "subnet-1"}


def of_two_synths(old: dict[str, Any], new: dict[str, Any], made: Any = None) -> StackChange:
    def notebook(arguments: dict[str, Any]) -> Any:
        made_by = made or aws.sagemaker.NotebookInstance
        return lambda: made_by("n", instance_type="ml.t3.medium", role_arn="role", **arguments)

    before, after = (recorded(notebook(arguments)) for arguments in (old, new))
    return compare("prod", before, after, differ=differ("us-east-1"))


@pytest.mark.parametrize("cure", [OUTSIDE, {"kms_key_id": KEY}, {"platform_identifier": "x"}])
def test_the_cure_of_a_notebook_is_a_replacement_and_the_review_says_what_is_lost(
    cure: dict[str, Any],
) -> None:
    """Security Hub SageMaker.1, .2, .8, .21: none of it can change in place."""
    change = of_two_synths({"name": "n"}, {"name": "n", **cure})
    [notebook] = change.of("replace")
    assert notebook.delete_first, "the new one has the old one's name"
    context = Context(config=PolicyConfig(production=True), today=date(2026, 1, 15))
    report = review(change, context, FIRST)
    assert report.decision == "blocked"
    assert "EBS volume" in report.reasons[0].message


def test_what_changes_in_place_is_no_replacement() -> None:
    change = of_two_synths({"volume_size": 5}, {"volume_size": 6})
    assert [found.operation for found in change.changes] == ["update"]
    assert undecided(change.changes) == []


def test_a_type_that_no_schema_describes_is_said_to_be_undecided() -> None:
    def other(name: str, **arguments: Any) -> pulumi.CustomResource:
        return pulumi.CustomResource("aws:nowhere/thing:Thing", name, arguments)

    change = of_two_synths({"size": 5}, {"size": 6}, other)
    assert undecided(change.changes) == [
        "whether size replaces n (aws:nowhere/thing:Thing) takes an engine to say"
    ]


def test_an_action_is_compared_as_iam_compares_it() -> None:
    watched = ("s3:GetObject", "iam:PassRole")
    assert covered(frozenset({"s3:?etobj*"}), watched) == ("s3:GetObject",)
    assert covered(frozenset({"s3:[g]etobject", "iam:pass[!x]ole"}), watched) == ()
