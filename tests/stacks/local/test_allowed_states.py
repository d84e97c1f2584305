"""What is on its way is neither changed nor deleted, in SageMaker's own words."""

from dataclasses import dataclass
from typing import Any

import pytest

from stacks.local.aws.sagemaker import api
from stacks.local.aws.sagemaker.allowed_states import ALLOWED
from stacks.local.aws.sagemaker.resource_types import BY_NAME
from stacks.local.aws.sagemaker.rollout import Deployment
from stacks.local.aws.sagemaker.shapes import output_members
from stacks.local.aws.store import Resource
from tests.kits.sagemaker_alone import Account

ARN = "arn:aws:sagemaker:us-east-1:123456789012:"


@dataclass(frozen=True, kw_only=True)
class Met:
    """What somebody met on AWS: an operation, a status, and what SageMaker said."""

    operation: str
    kind: str
    status: str
    said: str
    code: str = "ValidationException"
    more: Any = None


MET = (
    Met(
        operation="DeleteEndpoint", kind="endpoint", status="Creating",
        said=f'Cannot update in-progress endpoint "{ARN}endpoint/one".',
    ),
    Met(
        operation="DeleteEndpoint", kind="endpoint", status="Updating",
        said=f'Cannot update in-progress endpoint "{ARN}endpoint/one".',
    ),
    Met(
        operation="DeleteEndpoint", kind="endpoint", status="Deleting",
        said=f'Cannot update in-progress endpoint "{ARN}endpoint/one".',
    ),
    Met(
        operation="UpdateEndpoint", kind="endpoint", status="Creating",
        said=f'Cannot update in-progress endpoint "{ARN}endpoint/one".',
        more={"EndpointConfigName": "other"},
    ),
    Met(
        operation="UpdateEndpointWeightsAndCapacities", kind="endpoint", status="Updating",
        said=f'Cannot update in-progress endpoint "{ARN}endpoint/one".',
        more={"DesiredWeightsAndCapacities": [{"VariantName": "a", "DesiredWeight": 1.0}]},
    ),
    Met(
        operation="UpdateEndpoint", kind="endpoint", status="Failed",
        said=f'Cannot update endpoint "{ARN}endpoint/one" in status Failed.',
        more={"EndpointConfigName": "other"},
    ),
    Met(
        operation="DeleteInferenceComponent", kind="inference component", status="Creating",
        said=f'Cannot update in-progress inference component "{ARN}inference-component/one".',
    ),
    Met(
        operation="StartNotebookInstance", kind="notebook instance", status="Stopping",
        said="Status (Stopping) not in ([Stopped, Failed]). Unable to transition to (Pending) for "
        f"Notebook Instance ({ARN}notebook-instance/one).",
    ),
    Met(
        operation="StopNotebookInstance", kind="notebook instance", status="Failed",
        said="Status (Failed) not in ([InService]). Unable to transition to (Stopping) for "
        f"Notebook Instance ({ARN}notebook-instance/one).",
    ),
    Met(
        operation="StopTrainingJob", kind="training job", status="Failed",
        said="The request was rejected because the training job is in status Failed.",
    ),
    Met(
        operation="StopTransformJob", kind="transform job", status="Completed",
        said="The request was rejected because the transform job is in status Completed.",
    ),
    Met(
        operation="DeleteMonitoringSchedule", kind="monitoring schedule", status="Pending",
        said="Monitoring schedule in status Pending",
    ),
    Met(
        operation="DeleteMlflowTrackingServer", kind="mlflow tracking server", status="Creating",
        code="ConflictException",
        said=f"{ARN}mlflow-tracking-server/one is Creating, not one of Created, Updated, Started, "
        "CreateFailed, UpdateFailed, StartFailed, StopFailed, DeleteFailed, Stopped.",
    ),
)  # fmt: skip


def put(account: Account, kind: str, status: str) -> dict[str, str]:
    """One of a type in a status, and the request that names it."""
    row = BY_NAME[kind]
    arn = ARN + row.arn.format(name="one")
    fields = {row.status_field: status, row.name_field: "one", row.arn_field: arn}
    account.emulator.store.add(Resource(kind=kind, name="one", arn=arn, fields=fields))
    return {row.key: arn if row.key.endswith("Arn") else "one"}


@pytest.mark.parametrize("met", MET, ids=lambda met: f"{met.operation}-{met.status}")
def test_sagemaker_refuses_what_is_in_another_status(met: Met) -> None:
    account = Account()
    named = put(account, met.kind, met.status)
    refused = account.refusal(met.operation, **named, **(met.more or {}))
    assert refused == (met.code, met.said)
    row = BY_NAME[met.kind]
    item = account.emulator.store.find(met.kind, "one")
    assert item is not None and item.fields[row.status_field] == met.status


@pytest.mark.parametrize("status", ["InService", "Failed", "OutOfService"])
def test_what_is_settled_is_deleted(status: str) -> None:
    account = Account()
    named = put(account, "endpoint", status)
    item = account.emulator.store.find("endpoint", "one")
    assert item is not None
    item.live = Deployment()
    account.call("DeleteEndpoint", **named)
    assert item.fields["EndpointStatus"] == "Deleting"


@pytest.mark.parametrize("operation", sorted(ALLOWED))
def test_a_rule_names_statuses_that_its_type_has(operation: str) -> None:
    """And some are left over, in which it refuses; each operation is one that is answered."""
    assert operation in api.OPERATIONS
    for rule in ALLOWED[operation]:
        row = BY_NAME[rule.kind]
        known = set(output_members(row.describe)[row.status_field].metadata["enum"])
        assert set(rule.states) < known
