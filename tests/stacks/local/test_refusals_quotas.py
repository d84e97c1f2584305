"""An account that never asked AWS for more has no GPUs, and `local` can be one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from moto import mock_aws

from stacks.checks import quota_table
from stacks.local.aws import service_quotas
from stacks.local.aws.refusals.account import Account
from stacks.local.aws.refusals.filter import refusal_of
from stacks.local.aws.refusals.quotas import QUOTAS
from tests.kits.aws import client

Asked = tuple[str, str, Mapping[str, Any], Mapping[str, Any], str, str]


def _sagemaker(use: str, count: int = 1, kind: str = "ml.g5.xlarge", limit: int = 0) -> str:
    return (
        f"The account-level service limit '{kind} for {use} usage' is {limit} Instances, with "
        f"current utilization of 0 Instances and a request delta of {count} Instances. Please "
        "contact AWS support to request an increase for this limit."
    )


def _job(kind: str, count: int = 1) -> dict[str, Any]:
    return {"InstanceType": kind, "InstanceCount": count}


def _tuning(kind: str, at_once: int) -> dict[str, Any]:
    limits = {"MaxParallelTrainingJobs": at_once}
    return {
        "HyperParameterTuningJobConfig": {"ResourceLimits": limits},
        "TrainingJobDefinition": {"ResourceConfig": _job(kind)},
    }


GPU, CPU = "ml.g5.xlarge", "ml.m5.large"
NODES = {"scalingConfig": {"desiredSize": 1}, "instanceTypes": ["g5.xlarge"]}
CASES: tuple[Asked, ...] = (
    ("sagemaker", "CreateTrainingJob", {"ResourceConfig": _job(GPU)},
     {"ResourceConfig": _job(CPU)}, "ResourceLimitExceeded", _sagemaker("training job")),
    ("sagemaker", "CreateProcessingJob",
     {"ProcessingResources": {"ClusterConfig": _job(CPU, 9)}},
     {"ProcessingResources": {"ClusterConfig": _job(CPU, 8)}}, "ResourceLimitExceeded",
     _sagemaker("processing job", 9, CPU, 8)),
    ("sagemaker", "CreateTransformJob", {"TransformResources": _job("ml.p4d.24xlarge", 2)},
     {"TransformResources": _job(CPU)}, "ResourceLimitExceeded",
     _sagemaker("transform job", 2, "ml.p4d.24xlarge")),
    ("sagemaker", "CreateHyperParameterTuningJob", _tuning(GPU, 2), _tuning(CPU, 2),
     "ResourceLimitExceeded", _sagemaker("training job", 2)),
    ("sagemaker", "CreateEndpoint", {"EndpointConfigName": GPU}, {"EndpointConfigName": CPU},
     "ResourceLimitExceeded", _sagemaker("endpoint")),
    ("sagemaker", "UpdateEndpoint", {"EndpointConfigName": GPU}, {"EndpointConfigName": CPU},
     "ResourceLimitExceeded", _sagemaker("endpoint")),
    ("eks", "CreateNodegroup", NODES, {**NODES, "scalingConfig": {"desiredSize": 0}},
     "InvalidRequestException", "AsgInstanceLaunchFailures: Could not launch On-Demand Instances. "
     "VcpuLimitExceeded - You have requested more vCPU capacity than your current vCPU limit of 0"),
    ("eks", "CreateNodegroup", {**NODES, "capacityType": "SPOT"},
     {**NODES, "instanceTypes": ["m6i.large"]}, "InvalidRequestException",
     "AsgInstanceLaunchFailures: Could not launch Spot Instances. MaxSpotInstanceCountExceeded"),
    ("ec2", "RunInstances", {"InstanceType": "p5.48xlarge", "MinCount": 1},
     {"InstanceType": "m6i.large", "MinCount": 2}, "VcpuLimitExceeded",
     "You have requested more vCPU capacity than your current vCPU limit of 0 allows"),
)  # fmt: skip
"""Service, operation, what is refused, what is not, code, beginning of the text."""


def _config(name: str) -> Mapping[str, Any]:
    """A configuration of one instance of the type that is its name."""
    return {"ProductionVariants": [{"InstanceType": name, "InitialInstanceCount": 1}]}


@pytest.fixture
def new() -> Iterator[Account]:
    with mock_aws():
        yield Account(region="us-east-1", is_new=True, endpoint_config=_config)


@pytest.mark.parametrize("case", CASES, ids=[f"{row[1]} {row[4]}" for row in CASES])
def test_a_new_account_has_no_machines_that_nobody_asked_for(new: Account, case: Asked) -> None:
    service, operation, beyond, within, code, text = case
    found = refusal_of(service, operation, beyond, new)
    assert found is not None
    assert found.code == code  # type: ignore[attr-defined]
    assert str(found).startswith(text)
    assert refusal_of(service, operation, within, new) is None


@pytest.mark.parametrize("case", CASES, ids=[f"{row[1]} {row[4]}" for row in CASES])
def test_the_account_of_local_was_granted_them(case: Asked) -> None:
    with mock_aws():
        granted = Account(region="us-east-1", endpoint_config=_config)
        assert refusal_of(case[0], case[1], case[2], granted) is None


def test_what_was_granted_since_counts(new: Account) -> None:
    name = f"{GPU} for training job usage"
    wanted = {"ResourceConfig": _job(GPU, 2)}
    service_quotas.increases("us-east-1")[service_quotas.code_of(name)] = 1.0
    found = refusal_of("sagemaker", "CreateTrainingJob", wanted, new)
    assert str(found) == _sagemaker("training job", 2, limit=1)
    service_quotas.increases("us-east-1")[service_quotas.code_of(name)] = 2.0
    assert refusal_of("sagemaker", "CreateTrainingJob", wanted, new) is None


def test_service_quotas_tells_what_is_enforced(monkeypatch: pytest.MonkeyPatch) -> None:
    service_quotas.install()
    code = quota_table.G_AND_VT["ON_DEMAND"].code
    with mock_aws():
        asked = {"ServiceCode": "ec2", "QuotaCode": code}
        quotas = client("service-quotas")
        assert quotas.get_service_quota(**asked)["Quota"]["Value"] == 128
        monkeypatch.setenv(service_quotas.NEW, "new")
        assert quotas.get_service_quota(**asked)["Quota"]["Value"] == 0
        quotas.request_service_quota_increase(**asked, DesiredValue=16)
        assert quotas.get_service_quota(**asked)["Quota"]["Value"] == 16
        assert service_quotas.increases("us-east-1")[code] == 16


def test_every_row_has_a_case() -> None:
    assert {(case[0], case[1]) for case in CASES} == {
        (row.service, operation) for row in QUOTAS for operation in row.operations
    }
