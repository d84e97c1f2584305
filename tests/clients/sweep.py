"""Deletes all that CloudFormation, SageMaker and S3 hold in a region of the account."""

import contextlib
import time
from collections.abc import Collection
from typing import Any

import boto3
from botocore.exceptions import ClientError

PASSES = 8
"""What holds something goes after it, so one pass is not enough."""

MOVING = ("Deleting", "Pending", "Stopping")
"""Statuses that are waited for: of a notebook instance, which goes only when it is stopped."""

WAIT_SECONDS = 1.0

REFUSED: set[str] = set()
"""Lists that the local cloud does not answer."""


LEFT_BY_JOBS = ("Action", "Artifact", "Context", "Experiment", "Trial", "TrialComponent")
"""What jobs and trials leave beside themselves."""


def everything(region: str, made: Collection[str]) -> None:
    """Delete what these operations made, until nothing is left or nothing more goes."""
    stems = {name.removeprefix("Create") for name in made}
    if any(stem.endswith("Job") or stem in LEFT_BY_JOBS for stem in stems):
        stems.update(LEFT_BY_JOBS)
    stacks = boto3.client("cloudformation", region_name=region)
    for stack in stacks.describe_stacks()["Stacks"]:
        stacks.delete_stack(StackName=stack["StackId"])
    sagemaker = boto3.client("sagemaker", region_name=region)
    for _ in range(PASSES):
        if stems >= set(LEFT_BY_JOBS):
            _take_apart(sagemaker)
        left = [row for name in _lists(sagemaker, stems) for row in _delete(sagemaker, name)]
        if not left:
            break
        if any(status in MOVING for row in left for status in row.values()):
            time.sleep(WAIT_SECONDS)
    s3 = boto3.resource("s3", region_name=region)
    for bucket in s3.buckets.all():
        bucket.objects.all().delete()
        bucket.delete()


def _take_apart(sagemaker: Any) -> None:
    """Components of trials and associations of entities hold both ends."""
    for trial in sagemaker.list_trials()["TrialSummaries"]:
        name = {"TrialName": trial["TrialName"]}
        for part in sagemaker.list_trial_components(**name)["TrialComponentSummaries"]:
            component = {"TrialComponentName": part["TrialComponentName"]}
            sagemaker.disassociate_trial_component(**name, **component)
    for one in sagemaker.list_associations()["AssociationSummaries"]:
        ends = {name: one[name] for name in ("SourceArn", "DestinationArn")}
        sagemaker.delete_association(**ends)


def _lists(sagemaker: Any, stems: Collection[str]) -> list[str]:
    """The operations that list what is called so."""
    names = sagemaker.meta.service_model.operation_names
    told = {f"List{plural}" for stem in stems for plural in (f"{stem}s", f"{stem[:-1]}ies")}
    return [name for name in names if name in told or name == "ListModelPackages"]


def _delete(sagemaker: Any, operation: str) -> list[dict[str, Any]]:
    """Delete what one list shows, where its rows tell enough to do so; the rows."""
    model = sagemaker.meta.service_model
    if model.operation_model(operation).input_shape.required_members:
        return []
    asked = {"ModelPackageType": "Both"} if operation == "ListModelPackages" else {}
    if operation in REFUSED:
        return []
    try:
        answer = sagemaker._make_api_call(operation, asked)
    except ClientError:
        REFUSED.add(operation)
        return []
    rows = [row for rows in answer.values() if isinstance(rows, list) for row in rows]
    for row in rows:
        for delete in _deletes(model, operation):
            needed = model.operation_model(delete).input_shape.required_members
            known = {**row, "ModelPackageName": row.get("ModelPackageArn")}
            known.setdefault("JobDefinitionName", row.get("MonitoringJobDefinitionName"))
            if all(known.get(name) for name in needed):
                with contextlib.suppress(ClientError):
                    _stop(sagemaker, delete, known)
                with contextlib.suppress(ClientError):
                    sagemaker._make_api_call(delete, {name: known[name] for name in needed})
    return rows


def _stop(sagemaker: Any, delete: str, known: dict[str, Any]) -> None:
    stem = delete.removeprefix("Delete")
    stop = f"Stop{stem}"
    if stop in sagemaker.meta.service_model.operation_names:
        needed = sagemaker.meta.service_model.operation_model(stop).input_shape.required_members
        sagemaker._make_api_call(stop, {name: known[name] for name in needed})


def _deletes(model: Any, operation: str) -> list[str]:
    stem = operation.removeprefix("List")
    singular = (stem.removesuffix("s"), stem.removesuffix("ies") + "y")
    return [name for word in singular if (name := f"Delete{word}") in model.operation_names]
