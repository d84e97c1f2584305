"""Preflight: every check passes, fails and says that it does not know, each for its reason."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session
import pulumi_aws as aws
import pytest

from stacks.checks import account, addresses, quotas, reservations
from stacks.checks.check import Unknowable
from stacks.checks.quota_table import G_AND_VT, P5, STANDARD, vcpu_quota, vcpus
from stacks.permissions import WITHOUT_SCHEMA
from stacks.settings.load import load_environment, load_foundation
from tests.kits.checks import (
    ENDPOINT_QUOTA,
    Script,
    ask,
    endpoint_quota,
    karpenter,
    node_group,
    pipeline,
    platform,
    served,
    statuses,
)

DENIED = "!AccessDeniedException"


def quota_pages(values: Mapping[str, float], service: str = "ec2") -> Script:
    found = [
        {"QuotaCode": code, "QuotaName": code, "Value": value, "ServiceCode": service}
        for code, value in values.items()
    ]
    return {"service-quotas": [("list_service_quotas", {"Quotas": found})]}


def two_pools_of_g_instances() -> None:
    node_group("inference", "g5.xlarge", 4)
    node_group("research", "g6.12xlarge", 2)


CODE = G_AND_VT["ON_DEMAND"].code


@pytest.mark.parametrize(("value", "status"), [(112, "pass"), (111, "fail")])
def test_pools_that_share_a_quota_are_added_up(value: float, status: str) -> None:
    """4 x 4 and 2 x 48 vCPUs."""
    found = ask(quotas.check, platform(two_pools_of_g_instances, quota_pages({CODE: value})))
    vcpu = next(finding for finding in found if finding.subject == G_AND_VT["ON_DEMAND"].name)
    assert vcpu.status == status
    assert "112 vCPUs" in vcpu.message
    assert "inference" in vcpu.message and "research" in vcpu.message
    assert ("--desired-value 112" in vcpu.fix) == (status == "fail")


def test_a_quota_that_nobody_may_read_is_unknown_with_the_need() -> None:
    script: Script = {"service-quotas": [("list_service_quotas", DENIED)]}
    [vcpu] = [f for f in ask(quotas.check, platform(two_pools_of_g_instances, script))
              if "G and VT" in f.subject]  # fmt: skip
    assert vcpu.status == "unknown"
    assert "112 vCPUs" in vcpu.message
    assert "AccessDenied" in vcpu.message


def test_a_quota_that_the_account_never_changed_has_its_default() -> None:
    default = {"QuotaCode": CODE, "Value": 0.0, "ServiceCode": "ec2"}
    answers: Script = {
        "service-quotas": [
            ("list_service_quotas", {"Quotas": []}),
            ("get_aws_default_service_quota", {"Quota": default}),
        ]
    }
    found = ask(quotas.check, platform(two_pools_of_g_instances, answers))
    assert next(f for f in found if "G and VT" in f.subject).status == "fail"


def test_spot_p5_counts_against_its_own_quota_and_capacity_blocks_against_none() -> None:
    assert vcpu_quota("p5.48xlarge", "SPOT") == P5["SPOT"]
    assert vcpu_quota("p5en.48xlarge", "SPOT") == P5["SPOT"]
    assert vcpu_quota("m6i.xlarge", "ON_DEMAND") == STANDARD["ON_DEMAND"]
    assert vcpu_quota("x2idn.16xlarge", "ON_DEMAND") is None

    def block() -> None:
        node_group("block", "p5.48xlarge", 4, capacity_type="CAPACITY_BLOCK")

    found = ask(quotas.check, platform(block, quota_pages({})))
    assert [f.status for f in found if "On-Demand P" in f.subject] == []


def test_the_table_of_vcpus_agrees_with_ec2_where_it_answers() -> None:
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    families = ("c6i", "c7i", "g4dn", "g5", "g6", "g6e", "inf2", "m5", "m6i", "m7i", "p4d", "p5",
                "p5en", "r6i", "t3", "trn1")  # fmt: skip
    asked = {n: v for n, v in INSTANCE_TYPES.items() if n.partition(".")[0] in families}
    wrong = {
        name: vcpus(name)
        for name, facts in asked.items()
        if vcpus(name) not in (None, facts["VCpuInfo"]["DefaultVCpus"])
    }
    assert wrong == {}
    assert sum(vcpus(name) is not None for name in asked) >= 100


@pytest.mark.parametrize(("value", "status"), [(8, "pass"), (7, "fail")])
def test_an_endpoint_needs_its_largest_size_twice_while_it_is_updated(
    value: float, status: str
) -> None:
    [found] = ask(quotas.check, platform(served, endpoint_quota(value)))
    assert (found.subject, found.status) == (ENDPOINT_QUOTA, status)
    assert "8 instances" in found.message


def test_an_endpoint_that_sagemaker_scales_counts_up_to_its_bound() -> None:
    def program() -> None:
        scaling = {"status": "ENABLED", "min_instance_count": 0, "max_instance_count": 3}
        variant: Any = {
            "variant_name": "all",
            "instance_type": "ml.g5.xlarge",
            "initial_instance_count": 1,
            "managed_instance_scaling": scaling,
        }
        config = aws.sagemaker.EndpointConfiguration(
            "config", name="config", production_variants=[variant]
        )
        aws.sagemaker.Endpoint("llm", name="llm", endpoint_config_name=config.name)

    [demand] = quotas.demands(platform(program))
    assert (demand.name, demand.amount) == (ENDPOINT_QUOTA, 6)
    assert demand.by == ["llm/all 3", "llm/all while updated 3"]


@pytest.mark.parametrize(("parallel", "needed"), [(1, "2 instances"), (2, "4 instances")])
def test_jobs_count_as_many_as_run_at_once(parallel: int, needed: str) -> None:
    name = "ml.m5.xlarge for training job usage"
    quota = {"QuotaCode": "L-1", "QuotaName": name, "Value": 3.0}
    script: Script = {"service-quotas": [("list_service_quotas", {"Quotas": [quota]})]}
    [found] = ask(quotas.check, platform(pipeline(parallel), script))
    assert needed in found.message
    assert found.status == ("pass" if parallel == 1 else "fail")


def test_addresses_in_use_by_others_count_too() -> None:
    others = [{"PublicIp": f"1.1.1.{n}", "Tags": []} for n in range(5)]
    mine = {"PublicIp": "1.1.1.9", "Tags": [{"Key": "environment", "Value": "dev"}]}
    script: Script = {
        "ec2": [("describe_addresses", {"Addresses": [*others, mine]})],
        **quota_pages({"L-0263D0A3": 5}),
    }
    [found] = ask(quotas.check, platform(lambda: aws.ec2.Eip("nat"), script))
    assert found.status == "fail"
    assert "others in the account 5" in found.message


ARN = "arn:aws:iam::222222222222:role/deployer"


@pytest.mark.parametrize(("got", "status"), [("111111111111", "pass"), ("999999999999", "fail")])
def test_credentials_of_another_account_fail(got: str, status: str) -> None:
    wanted = load_environment("dev").account.account_id
    got = wanted if status == "pass" else got
    identity = {"Account": got, "Arn": ARN, "UserId": "x"}
    [found] = ask(
        account.check_account, platform(script={"sts": [("get_caller_identity", identity)]})
    )
    assert found.status == status
    assert got in found.message


def test_without_credentials_the_account_is_unknown() -> None:
    [found] = ask(account.check_account, platform())
    assert (found.status, found.message) == ("unknown", "no credentials")


BUCKET = "arn:aws:s3:::plinth-dev-data"


def a_bucket() -> None:
    aws.s3.Bucket("bucket", bucket="plinth-dev-data")


@pytest.mark.parametrize(("decision", "status"), [("allowed", "pass"), ("implicitDeny", "fail")])
def test_the_caller_must_be_allowed_what_the_program_creates(decision: str, status: str) -> None:
    results = [
        {
            "EvalActionName": action,
            "EvalDecision": decided,
            "EvalResourceName": "arn:${Partition}:s3:::${BucketName}",
            "ResourceSpecificResults": [
                {"EvalResourceName": BUCKET, "EvalResourceDecision": decided}
            ],
        }
        for action, decided in (("s3:CreateBucket", decision), ("s3:PutBucketPolicy", "allowed"))
    ]
    script: Script = {
        "sts": [("get_caller_identity", {"Account": "2" * 12, "Arn": ARN, "UserId": "x"})],
        "iam": [("simulate_principal_policy", {"EvaluationResults": results})],
    }
    [found] = ask(account.check_permissions, platform(a_bucket, script))
    assert (found.subject, found.status) == (ARN, status)
    assert (f"s3:CreateBucket on {BUCKET}" in found.message) == (status == "fail")


def test_a_simulation_that_is_refused_is_unknown() -> None:
    script: Script = {
        "sts": [("get_caller_identity", {"Account": "2" * 12, "Arn": ARN, "UserId": "x"})],
        "iam": [("simulate_principal_policy", DENIED)],
    }
    [found] = ask(account.check_permissions, platform(a_bucket, script))
    assert found.status == "unknown"


def test_every_action_without_a_schema_is_one_that_aws_documents() -> None:
    """AWS's resource schemas list what CloudFormation needs to create each type."""
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

    manager = PROVIDER_SCHEMA_MANAGER
    known: set[str] = set()
    for name in manager.get_resource_types("us-east-1"):
        schema = manager.get_resource_schema("us-east-1", name).schema
        known |= {
            action.lower()
            for handler in schema.get("handlers", {}).values()
            for action in handler.get("permissions", [])
        }
    asked = {action.lower() for actions in WITHOUT_SCHEMA.values() for action in actions.split()}
    session = botocore.session.get_session()
    for action in asked - known:  # then it is an operation of the service's API
        service, _, operation = action.partition(":")
        names = session.get_service_model(service).operation_names
        assert operation in {name.lower() for name in names}, action


def reservation(**changes: Any) -> Script:
    """EC2's answer about a usable reservation of four p5 in use1-az1, with changes."""
    now = datetime.now(UTC)
    facts = {
        "CapacityReservationId": "cr-1",
        "State": "active",
        "InstanceType": "p5.48xlarge",
        "TotalInstanceCount": 4,
        "AvailabilityZone": "us-east-1a",
        "AvailabilityZoneId": "use1-az1",
        "StartDate": now - timedelta(hours=1),
        "EndDate": now + timedelta(days=1),
        **changes,
    }
    return {"ec2": [("describe_capacity_reservations", {"CapacityReservations": [facts]})]}


def reserved_pool() -> None:
    node_group("training", "p5.48xlarge", 4, capacity_type="CAPACITY_BLOCK", reservation="cr-1")


def test_a_reservation_that_fits_its_pool_passes() -> None:
    [found] = ask(reservations.check, platform(reserved_pool, reservation()))
    assert found.status == "pass"
    assert "4 x p5.48xlarge in use1-az1" in found.message


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"State": "expired"}, "must be active or scheduled, is expired"),
        ({"EndDate": datetime(2020, 1, 1, tzinfo=UTC)}, "ended 2020-01-01"),
        ({"StartDate": datetime(2999, 1, 1, tzinfo=UTC)}, "begins 2999-01-01"),
        ({"InstanceType": "p4d.24xlarge"}, "is for p4d.24xlarge"),
        ({"AvailabilityZoneId": "use1-az2", "AvailabilityZone": "us-east-1b"}, "is in use1-az2"),
        ({"TotalInstanceCount": 3}, "holds 3"),
    ],
)
def test_a_reservation_that_does_not_fit_its_pool_fails(
    changes: Mapping[str, Any], why: str
) -> None:
    [found] = ask(reservations.check, platform(reserved_pool, reservation(**changes)))
    assert found.status == "fail"
    assert why in found.message
    assert found.fix


@pytest.mark.parametrize(
    ("markets", "script", "status"),
    [
        (["reserved", "on-demand"], reservation(), "pass"),
        (["reserved"], reservation(), "fail"),  # 4 of 8 instances
        (["reserved"], reservation(TotalInstanceCount=8), "pass"),
        (["reserved", "on-demand"], reservation(AvailabilityZoneId="use1-az6"), "fail"),
        (
            ["reserved"],
            {"ec2": [("describe_capacity_reservations", {"CapacityReservations": []})]},
            "fail",
        ),
    ],
)
def test_a_karpenter_pool_needs_reservations_for_what_it_may_not_buy(
    markets: list[str], script: Script, status: str
) -> None:
    [found] = ask(reservations.check, platform(karpenter(*markets), script))
    assert found.status == status, found


def test_karpenter_pools_count_against_quotas_up_to_their_gpu_limit() -> None:
    found = ask(quotas.check, platform(karpenter("on-demand"), quota_pages({"L-417A185B": 1535})))
    p = next(finding for finding in found if "P instances" in finding.subject)
    assert p.status == "fail"
    assert "1536 vCPUs" in p.message


def test_a_reservation_that_cannot_be_described_is_unknown() -> None:
    script: Script = {"ec2": [("describe_capacity_reservations", "!UnauthorizedOperation")]}
    [found] = ask(reservations.check, platform(reserved_pool, script))
    assert found.status == "unknown"


def test_overlapping_ranges_fail_and_others_pass() -> None:
    dev, prod = load_foundation("dev"), load_foundation("prod")
    network = dev.network.model_copy(update={"cidr_block": prod.network.cidr_block})
    found = addresses.compared(dev.model_copy(update={"network": network}), prod)
    assert (found.subject, found.status) == ("dev and prod", "fail")
    assert found.fix.endswith("Pulumi.dev.foundation.yaml a range of its own")
    assert addresses.compared(dev, prod).status == "pass"


def test_the_environments_do_not_overlap() -> None:
    found = ask(addresses.check, platform())
    assert [finding.subject for finding in found] == [
        "dev and local",
        "dev and prod",
        "dev and staging",
    ]
    assert set(statuses(found)) == {"pass"}


def test_a_check_keeps_what_it_found_before_it_could_not_go_on() -> None:
    from stacks.checks.check import CheckResult, passed

    def half(asked: Any) -> Any:
        yield passed("half", "first", "fine")
        raise Unknowable("the rest is not known")

    found: list[CheckResult] = ask(half, platform())
    assert statuses(found) == ["pass", "unknown"]
    assert found[1].message == "the rest is not known"
