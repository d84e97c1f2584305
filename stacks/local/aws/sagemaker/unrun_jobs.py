"""Jobs that nothing here can do: they are taken and validated as on AWS, and fail at once.

Compiling, searching models, labelling and measuring need machines or people that are not here. A
job of these kinds says so in its FailureReason; it is described, listed, tagged and deleted.
"""

from collections.abc import Callable, Mapping
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker import crud
from stacks.local.aws.sagemaker.derived import recorded
from stacks.local.aws.sagemaker.errors import invalid
from stacks.local.aws.sagemaker.refused_operations import reason
from stacks.local.aws.sagemaker.resource_type import Hook, Request, ResourceType
from stacks.local.aws.sagemaker.shapes import now
from stacks.local.aws.store import Resource

Answer = dict[str, Any]


def _fails(stem: str, **members: str) -> Hook:
    """Its end, which is its beginning; `members` are those that say it beside FailureReason."""

    def fail(emulator: Emulator, item: Resource, request: Request) -> None:
        item.set(**members, FailureReason=f"ClientError: {reason(f'Create{stem}')}")

    return fail


def _compiled(emulator: Emulator, item: Resource, request: Request) -> None:
    _fails("CompilationJob", CompilationJobStatus="FAILED")(emulator, item, request)
    place = request["OutputConfig"]["S3OutputLocation"]
    times = dict.fromkeys(("CompilationStartTime", "CompilationEndTime"), now())
    device = request["OutputConfig"].get("TargetDevice")
    item.set(ModelArtifacts={"S3ModelArtifacts": place}, CompilationTargetDevice=device, **times)


def _searched(emulator: Emulator, item: Resource, request: Request) -> None:
    ended = dict.fromkeys(("AutoMLJobStatus", "AutoMLJobSecondaryStatus"), "Failed")
    _fails("AutoMLJobV2", **ended)(emulator, item, request)
    (problem,) = request["AutoMLProblemTypeConfig"]
    item.set(AutoMLProblemTypeConfigName=problem.removesuffix("JobConfig"), EndTime=now())


AUTO_ML = recorded(
    "AutoMLJobV2",
    keys=("AutoMLJobName",),
    arn_field="AutoMLJobArn",
    arn="automl-job/{name}",
    list="ListAutoMLJobs",
    status_field="AutoMLJobStatus",
    on_create=_searched,
)
COMPILATION = recorded("CompilationJob", on_create=_compiled)
TYPES = (AUTO_ML, COMPILATION)


def _stop(kind: ResourceType) -> Callable[[Emulator, Request], Answer]:
    """A job that has failed cannot be stopped."""

    def stop(emulator: Emulator, request: Request) -> Answer:
        item = crud.get(emulator, kind, request[kind.key])
        status = item.fields[kind.status_field]
        raise invalid(f"The request was rejected because the {kind.name} is in status {status}.")

    return stop


OPERATIONS: Mapping[str, Callable[[Emulator, Request], Answer]] = {
    "StopAutoMLJob": _stop(AUTO_ML),
    "StopCompilationJob": _stop(COMPILATION),
}
