"""Events of SageMaker have the members that its developer guide shows."""

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from stacks.local.aws.sagemaker import events
from stacks.local.aws.sagemaker.shapes import now
from stacks.local.aws.store import Resource
from tests.kits.sagemaker_alone import Account

ARN = "arn:aws:sagemaker:us-east-1:123456789012"
EXECUTION = f"{ARN}:pipeline/p/execution/one"


class Ear:
    """Hears what changed since it listened last."""

    def __init__(self, account: Account) -> None:
        self.account, self.known = account, dict[str, str]()

    def _same(self, key: str, value: str) -> bool:
        before, self.known[key] = self.known.get(key), value
        return before == value

    def heard(self) -> list[events.Change]:
        return [*events.changes(self.account.emulator, self.known, self._same)]


@pytest.fixture
def account() -> Account:
    return Account()


def test_a_package_tells_what_was_updated(account: Account) -> None:
    ear = Ear(account)
    account.call("CreateModelPackageGroup", ModelPackageGroupName="g")
    account.call("CreateModelPackage", ModelPackageGroupName="g", SourceUri="s3://b/k")
    ((kind, resources, detail),) = ear.heard()
    assert (kind, resources) == (
        "SageMaker Model Package State Change",
        [f"{ARN}:model-package/g/1"],
    )
    assert "UpdatedModelPackageFields" not in detail
    named = {"ModelPackageArn": resources[0]}
    for changed in (
        {"ModelApprovalStatus": "Approved", "ApprovalDescription": "good"},
        {"ModelLifeCycle": {"Stage": "Production", "StageStatus": "Approved"}},
        {"CustomerMetadataProperties": {"a": "b"}},
    ):
        account.call("UpdateModelPackage", **named, **changed)
        ((_, _, detail),) = ear.heard()
        assert set(detail["UpdatedModelPackageFields"]) == set(changed)
        assert {name: detail[name] for name in changed} == changed
    assert ear.heard() == []


def test_a_card_tells_its_status(account: Account) -> None:
    ear = Ear(account)
    named = {"ModelCardName": "c"}
    account.call("CreateModelCard", **named, Content="{}", ModelCardStatus="Draft")
    account.call("UpdateModelCard", **named, ModelCardStatus="Approved")
    ((kind, _, detail),) = ear.heard()
    assert kind == "SageMaker Model Card State Change"
    assert (detail["ModelCardStatus"], detail["ModelCardVersion"]) == ("Approved", 1)


def execution(account: Account, status: str, **step: Any) -> Resource:
    """One of a pipeline with one step, as the store has it."""
    item = Resource(
        kind="pipeline execution",
        name="one",
        arn=EXECUTION,
        fields={
            "PipelineArn": f"{ARN}:pipeline/p",
            "PipelineExecutionArn": EXECUTION,
            "PipelineExecutionStatus": status,
        },
    )
    steps = {"Prepare": {"StepName": "Prepare", "StartTime": now(), **step}}
    item.live = cast(Any, SimpleNamespace(steps=steps))
    account.emulator.store.add(item)
    return item


def test_an_execution_and_its_steps_tell_both_arns_and_both_statuses(account: Account) -> None:
    ear = Ear(account)
    item = execution(account, "Executing", StepStatus="Executing")
    told = {kind: detail for kind, _, detail in ear.heard()}
    assert told[events.STEP]["currentStepStatus"] == "Executing"
    item.live.steps["Prepare"].update(
        StepStatus="Failed",
        EndTime=now() + timedelta(seconds=1),
        FailureReason="why",
        Metadata={"ProcessingJob": {"Arn": f"{ARN}:processing-job/j"}},
    )
    item.set(PipelineExecutionStatus="Failed")
    (step, whole) = ear.heard()
    assert step[1] == whole[1] == [f"{ARN}:pipeline/p", EXECUTION]
    assert json.loads(json.dumps(step[2])) == step[2]
    same = ("stepName", "stepType", "currentStepStatus", "previousStepStatus", "failureReason")
    assert [step[2][name] for name in same] == [
        "Prepare", "Processing", "Failed", "Executing", "why",
    ]  # fmt: skip
    assert step[2]["metadata"] == {"processingJob": {"arn": f"{ARN}:processing-job/j"}}
    assert whole[2]["currentPipelineExecutionStatus"] == "Failed"
    assert whole[2]["previousPipelineExecutionStatus"] == "Executing"
    assert whole[2]["executionEndTime"].endswith("Z")
    assert ear.heard() == []


def test_an_execution_that_was_over_at_once_had_begun(account: Account) -> None:
    execution(account, "Succeeded", StepStatus="Succeeded", EndTime=now())
    told = {kind: detail for kind, _, detail in Ear(account).heard()}
    assert {detail.get("previousStepStatus") for detail in told.values()} >= {"Executing"}
    (whole,) = (detail for kind, detail in told.items() if kind != events.STEP)
    assert whole["previousPipelineExecutionStatus"] == "Executing"
