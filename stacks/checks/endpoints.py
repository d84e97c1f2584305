"""What is served: the wanted configuration, by a container that answers, watched by its alarms.

SageMaker calls an update that it rolled back a success: the endpoint is InService, on the old
configuration (terraform-provider-aws issue 48997). Only a comparison tells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from botocore.exceptions import ClientError

from stacks.checks.check import CheckResult, Platform, Unknowable, failed, passed
from stacks.sizing.fleets import ENDPOINT, PIPELINE
from stacks.workload import MODEL

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
MOCKED = re.compile(r"arn:aws:mock:::[\w-]+")
"""What a synth writes for an ARN that AWS will make up."""
IDS = {
    "aws:ec2/securityGroup:SecurityGroup": re.compile(r"sg-[0-9a-f]+"),
    "aws:ec2/subnet:Subnet": re.compile(r"subnet-[0-9a-f]+"),
}
"""Ids that AWS makes up, of what a definition names; a synth writes the resource's name."""
CHANGING = ("Creating", "Updating", "SystemUpdating", "RollingBack")
"""What an endpoint's status says while SageMaker is at work (DescribeEndpoint)."""
LOG = "read the log of the model's server, which the message names"
"""AWS ends a ModelError with a link to the log in CloudWatch, the local cloud with its path."""


def check_endpoints(platform: Platform) -> Iterator[CheckResult]:
    """Each endpoint is in service with the configuration whose name the settings give."""
    for endpoint in platform.of_type(ENDPOINT):
        name, wanted = endpoint.inputs.get("name"), endpoint.inputs.get("endpointConfigName")
        described = _described(platform, name)
        problem = served_wrongly(wanted, described)
        if problem:
            yield failed("endpoints", name, problem, _way_back(platform.env, described))
        else:
            yield passed("endpoints", name, f"in service with {wanted}")


def _way_back(env: str, described: Mapping[str, Any]) -> str:
    """What a person does about an endpoint that does not serve what it should."""
    if described.get("EndpointStatus") in CHANGING:
        return f"wait until it is in service, then type `plinth verify {env}`"
    cause = "mend the cause, then " if described.get("FailureReason") else ""
    return f"{cause}type `plinth up {env}`"


def _described(platform: Platform, name: str) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = platform.clients("sagemaker").describe_endpoint(
            EndpointName=name
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        return {}
    return found


def served_wrongly(wanted: str, described: Mapping[str, Any]) -> str | None:
    """Why an endpoint does not serve what it should; None when it does."""
    status = described.get("EndpointStatus")
    got = described.get("EndpointConfigName")
    reason = described.get("FailureReason")
    why = f": {reason}" if reason else ""
    if not described:
        return "must exist, does not"
    if status != "InService":
        return f"must be InService, is {status}{why}"
    if got != wanted:
        rolled_back = "the update was rolled back" if reason else "the update was never made"
        return f"must serve {wanted}, serves {got}: {rolled_back}{why}"
    return None


def check_answers(platform: Platform) -> Iterator[CheckResult]:
    """The endpoint of the reference workload answers a question about a real flight.

    A container is in service only once /ping says so; an answer says that the model works too.
    """
    name = platform.names.of(MODEL)
    if name not in {endpoint.inputs.get("name") for endpoint in platform.of_type(ENDPOINT)}:
        return
    record = _record(platform)
    try:
        answer = platform.clients("sagemaker-runtime").invoke_endpoint(
            EndpointName=name,
            ContentType="application/json",
            Body=json.dumps({"records": [record]}),
        )
    except ClientError as error:
        reason = error.response["Error"]["Message"]
        failing = error.response["Error"]["Code"] == "ModelError"
        fix = LOG if failing else f"mend what it says, then type `plinth verify {platform.env}`"
        yield failed("answers", name, f"must answer, said: {reason}", fix)
        return
    [prediction] = json.loads(answer["Body"].read())["predictions"]
    probability = prediction["probability"]
    if 0 <= probability <= 1:
        yield passed("answers", name, f"probability {probability:.3f} for a real flight")
    else:
        yield failed(
            "answers",
            name,
            f"must answer with a probability, got {probability}",
            "roll the model back: pin the package before it",
        )


def _record(platform: Platform) -> Mapping[str, Any]:
    """One flight of the day after those that the model was trained and evaluated on."""
    from pipelines.holdout import holdout

    training = platform.settings.training
    day = date.fromisoformat(training.train_end) + timedelta(days=training.evaluation_days)
    bucket = platform.names.bucket("data")
    try:
        frame = holdout(start=day.isoformat(), days=1, s3=platform.clients("s3"), bucket=bucket)
    except ClientError as error:
        raise Unknowable(f"{bucket} must hold {day}: {error}") from None
    record: Mapping[str, Any] = json.loads(
        frame.head(1).drop(columns="late").to_json(orient="records")
    )[0]
    return record


def check_alarms(platform: Platform) -> Iterator[CheckResult]:
    """Alarms that name an endpoint name one that is there, and a variant that it serves."""
    for alarm in platform.of_type(ALARM):
        dimensions = alarm.inputs.get("dimensions") or {}
        endpoint, variant = dimensions.get("EndpointName"), dimensions.get("VariantName")
        if endpoint is None:
            continue
        described = _described(platform, endpoint)
        served = [item["VariantName"] for item in described.get("ProductionVariants") or ()]
        shadows = [item["VariantName"] for item in described.get("ShadowProductionVariants") or ()]
        name = alarm.inputs.get("name") or alarm.name
        if variant is None or variant in (*served, *shadows):
            yield passed("alarms", name, f"watches {endpoint}/{variant or 'all variants'}")
        else:
            yield failed(
                "alarms",
                name,
                f"must watch a variant of {endpoint}, watches {variant}; "
                f"served: {', '.join(served) or 'none'}",
                "give alarm and variant the same name",
            )


def check_pipelines(platform: Platform) -> Iterator[CheckResult]:
    """SageMaker holds the definition that this checkout compiles to."""
    ids = {made.outputs.get("id"): IDS[made.type] for made in platform.of_type(*IDS)}
    for pipeline in platform.of_type(PIPELINE):
        name = pipeline.inputs.get("pipelineName")
        wanted = pipeline.inputs.get("pipelineDefinition")
        described = platform.clients("sagemaker").describe_pipeline(PipelineName=name)
        where = difference(json.loads(wanted), json.loads(described["PipelineDefinition"]), ids)
        if where is None:
            yield passed("pipelines", name, "holds the compiled definition")
        else:
            yield failed(
                "pipelines",
                name,
                f"must hold the compiled definition, differs at {where}",
                f"type `plinth up {platform.env}`",
            )


def difference(
    wanted: Any, got: Any, ids: Mapping[str, re.Pattern[str]], path: str = "$"
) -> str | None:
    """Where two definitions first differ; what only AWS knows matches any of its kind."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        for key in sorted({*wanted, *got}):
            where = difference(wanted.get(key), got.get(key), ids, f"{path}.{key}")
            if where:
                return where
        return None
    if isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
        pairs = enumerate(zip(wanted, got, strict=True))
        found = (difference(a, b, ids, f"{path}[{i}]") for i, (a, b) in pairs)
        return next((where for where in found if where), None)
    if isinstance(wanted, str) and isinstance(got, str):
        return None if _matches(wanted, got, ids) else path
    return None if wanted == got else path


def _matches(wanted: str, got: str, ids: Mapping[str, re.Pattern[str]]) -> bool:
    if wanted in ids:
        return ids[wanted].fullmatch(got) is not None
    pattern = "arn:aws:[^\"' ]+".join(map(re.escape, MOCKED.split(wanted)))
    return re.fullmatch(pattern, got) is not None
