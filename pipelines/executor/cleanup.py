"""Cleanup steps: they delete what earlier steps wrote to S3.

As CleanupStep of the SDK describes them (sagemaker.mlops.workflow 1.27): of a Training step the
service finds the outputs itself, of a Processing or Transform step the definition names objects,
each under an output of that step. A step that made no job is skipped.
"""

from collections.abc import Iterator, Mapping
from reprlib import repr as shown
from typing import Any

from pipelines.executor.drivers import Call, End, Progress, Services
from pipelines.executor.grammar import variable
from pipelines.executor.planned import PlannedStep

FINDS = ("Training",)
"""Types whose outputs are found without S3Uris."""

NAMED = ("Processing", "Transform")
"""Types of which S3Uris name the objects."""


def sources(arguments: Mapping[str, Any]) -> list[Any]:
    """The entries of Resources.S3, or nothing where they are badly written."""
    resources = arguments.get("Resources")
    listed = resources.get("S3") if isinstance(resources, Mapping) else None
    return list(listed) if isinstance(listed, list | tuple) else []


def problems(arguments: Mapping[str, Any], where: str) -> Iterator[str]:
    """What is wrong with the Arguments of a Cleanup step by themselves."""
    for key in sorted(str(key) for key in arguments.keys() - {"Resources"}):
        yield f"{where}.{key} is not a member of a Cleanup step"
    if not sources(arguments):
        yield f"{where}.Resources.S3 must be a list of steps, got {shown(arguments)}"
    for index, source in enumerate(sources(arguments)):
        here = f"{where}.Resources.S3[{index}]"
        if not isinstance(source, Mapping) or not isinstance(source.get("StepName"), str):
            yield f"{here} must hold a StepName, got {shown(source)}"
            continue
        for key in sorted(str(key) for key in source.keys() - {"StepName", "S3Uris"}):
            yield f"{here}.{key} is not a member of a source"
        uris = source.get("S3Uris")
        texts = uris if isinstance(uris, list | tuple) else ()
        fit = [isinstance(uri, str) or variable(uri) is not None for uri in texts]
        if uris is not None and not (fit and all(fit)):
            yield f"{here}.S3Uris must be a list of S3 URIs, got {shown(uris)}"


def source_problem(source: Mapping[str, Any], step: PlannedStep) -> str | None:
    """Why the outputs of a step cannot be deleted so, or None if they can."""
    if not step.type:  # it is broken, and reported itself
        return None
    network = step.arguments.get("NetworkConfig") or step.arguments
    if isinstance(network, Mapping) and network.get("VpcConfig"):
        return f"{step.name} has a VpcConfig: its outputs cannot be deleted"
    if step.type in FINDS:
        return None
    if step.type not in NAMED:
        return f"outputs of a {step.type} step cannot be deleted"
    return None if source.get("S3Uris") else f"S3Uris must name what of {step.name} is meant"


def clean(call: Call, services: Services, progress: Progress) -> End:
    """Delete the outputs; what cannot be deleted fails the step when all others are."""
    from botocore.exceptions import BotoCoreError, ClientError

    progress.move(status="Executing")
    s3, told = services.client("s3"), _Told()
    for source in sources(call.arguments):
        name = source["StepName"]
        answer = call.context.answers.get(name)
        if not answer:
            told.skipped.append(name)
            continue
        try:
            for bucket, key in _objects(s3, answer, source.get("S3Uris")):
                s3.delete_object(Bucket=bucket, Key=key)
        except (BotoCoreError, ClientError, ValueError) as error:
            told.failed.append(
                {"StepName": name, "ErrorCode": "ClientError", "ErrorMessage": str(error)}
            )
        else:
            told.cleaned.append(name)
    progress.move(metadata={"Cleanup": told.members()})
    if told.failed:
        reasons = "; ".join(
            f"{entry['StepName']}: {entry['ErrorMessage']}" for entry in told.failed
        )
        return End("Failed", f"outputs are left: {reasons}")
    return End("Succeeded")


class _Told:
    """What a Cleanup step says of its sources, in the words of CleanupStepMetadata."""

    def __init__(self) -> None:
        self.cleaned: list[str] = []
        self.failed: list[dict[str, str]] = []
        self.skipped: list[str] = []

    def members(self) -> dict[str, Any]:
        found = {
            "CleanedSteps": self.cleaned,
            "FailedSteps": self.failed,
            "SkippedSteps": self.skipped,
        }
        return {name: value for name, value in found.items() if value}


def _objects(s3: Any, answer: Mapping[str, Any], uris: Any) -> Iterator[tuple[str, str]]:
    if uris is None:
        root = (
            f"{answer['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{answer['TrainingJobName']}"
        )
        yield from _under(s3, f"{root}/")
        return
    allowed = [f"{place.rstrip('/')}/" for place in _outputs(answer)]
    for uri in uris:
        if not any(uri.startswith(place) for place in allowed):
            raise ValueError(f"{uri} is under no output of the step: {', '.join(allowed)}")
    for uri in uris:
        yield _split(uri)


def _outputs(answer: Mapping[str, Any]) -> list[str]:
    if "TransformOutput" in answer:
        return [answer["TransformOutput"]["S3OutputPath"]]
    outputs = answer.get("ProcessingOutputConfig", {}).get("Outputs", ())
    return [output["S3Output"]["S3Uri"] for output in outputs if "S3Output" in output]


def _under(s3: Any, uri: str) -> Iterator[tuple[str, str]]:
    bucket, prefix = _split(uri)
    asked: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix}
    while True:
        page = s3.list_objects_v2(**asked)
        yield from ((bucket, item["Key"]) for item in page.get("Contents", ()))
        if not page.get("IsTruncated"):
            return
        asked["ContinuationToken"] = page["NextContinuationToken"]


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
