"""What is served: the wanted configuration, by a container that answers, watched by its alarms.

SageMaker calls an update that it rolled back a success: the endpoint is InService, on the old
configuration (terraform-provider-aws issue 48997). Only a comparison tells.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import ClientError

from infra.errors import UserError
from infra.naming import REALTIME
from stacks.checks.check import CheckResult, Clients, Platform, Unknowable, failed, passed
from stacks.contract import MARK
from stacks.settings.model import WorkloadSettings
from stacks.sizing.fleets import ENDPOINT, PIPELINE
from stacks.stack_name import StackName

if TYPE_CHECKING:
    from pipelines.holdout import Source

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
STAND_IN = re.compile(rf"{MARK}[\w-]*")
"""The end of an id or ARN that AWS made up, as a synth writes it (`subnet-stand-in-use1-az1`)."""
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
            yield failed("endpoints", name, problem, _way_back(platform.stack, described))
        else:
            yield passed("endpoints", name, f"in service with {wanted}")


def _way_back(stack: StackName, described: Mapping[str, Any]) -> str:
    """What a person does about an endpoint that does not serve what it should."""
    if described.get("EndpointStatus") in CHANGING:
        return f"wait until it is in service, then type `plinth verify {stack}`"
    cause = "mend the cause, then " if described.get("FailureReason") else ""
    return f"{cause}type `plinth up {stack}`"


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
    """The workload's endpoint answers a question that no run has seen.

    A container is in service only once /ping says so; an answer says that the model works too.
    """
    settings, name = platform.settings, platform.names.of(REALTIME)
    assert isinstance(settings, WorkloadSettings)
    model = settings.workload.model
    served = {endpoint.inputs.get("name") for endpoint in platform.of_type(ENDPOINT)}
    if model is None or name not in served:
        return
    record = _record(settings, platform.clients)
    try:
        answer = platform.clients("sagemaker-runtime").invoke_endpoint(
            EndpointName=name,
            ContentType="application/json",
            Body=json.dumps({"records": [record]}),
        )
    except ClientError as error:
        reason = error.response["Error"]["Message"]
        failing = error.response["Error"]["Code"] == "ModelError"
        fix = LOG if failing else f"mend what it says, then type `plinth verify {platform.stack}`"
        yield failed("answers", name, f"must answer, said: {reason}", fix)
        return
    [prediction] = json.loads(answer["Body"].read())["predictions"]
    said = ", ".join(f"{key} {_number(prediction, key):.4g}" for key in prediction)
    problem = unlike(model.kind, prediction)
    if problem:
        fix = "roll the model back: pin the package before it"
        yield failed("answers", name, f"must answer with {problem}, got {said or 'nothing'}", fix)
    else:
        yield passed("answers", name, f"{said} to a question that no run has seen")


def unlike(
    kind: Literal["classification", "regression"], prediction: Mapping[str, Any]
) -> str | None:
    """What an answer of this kind of model must be where it is not; None where it is."""
    if kind == "classification":
        fits = 0 <= _number(prediction, "probability") <= 1
        return None if fits else "a probability"
    low, value, high = (_number(prediction, key) for key in ("p10", "value", "p90"))
    return None if low <= value <= high else "a value between its quantiles"


def _number(prediction: Mapping[str, Any], key: str) -> float:
    """Not a number, which compares with nothing, where the answer has none there."""
    value = prediction.get(key)
    return value if isinstance(value, int | float) and math.isfinite(value) else math.nan


def _record(settings: WorkloadSettings, clients: Clients) -> Mapping[str, Any]:
    """One question of the day after those that the model was trained and evaluated on."""
    from pipelines.holdout import holdout

    try:
        asked = holdout(settings.workload, holdout_source(settings, clients), 1)
    except (ClientError, UserError) as error:
        raise Unknowable(f"there must be a day to ask about: {error}") from None
    return asked.records[0]


def holdout_source(settings: WorkloadSettings, clients: Clients) -> Source:
    """Where this environment keeps what the workload's holdout is made of."""
    from pipelines.holdout import Source
    from stacks.definitions import feature_groups

    names, workload = settings.names, settings.workload
    return Source(
        client=clients,
        data_bucket=names.bucket("data"),
        feature_groups=feature_groups(names, workload),
        parameters=settings.parameters(next(iter(workload.pipelines))),
    )


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
    for pipeline in platform.of_type(PIPELINE):
        name = pipeline.inputs.get("pipelineName")
        wanted = pipeline.inputs.get("pipelineDefinition")
        described = platform.clients("sagemaker").describe_pipeline(PipelineName=name)
        where = difference(json.loads(wanted), json.loads(described["PipelineDefinition"]))
        if where is None:
            yield passed("pipelines", name, "holds the compiled definition")
        else:
            yield failed(
                "pipelines",
                name,
                f"must hold the compiled definition, differs at {where}",
                f"type `plinth up {platform.stack}`",
            )


def difference(wanted: Any, got: Any, path: str = "$") -> str | None:
    """Where two definitions first differ; what only AWS knows matches any of its kind."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        for key in sorted({*wanted, *got}):
            where = difference(wanted.get(key), got.get(key), f"{path}.{key}")
            if where:
                return where
        return None
    if isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
        pairs = enumerate(zip(wanted, got, strict=True))
        found = (difference(a, b, f"{path}[{i}]") for i, (a, b) in pairs)
        return next((where for where in found if where), None)
    if isinstance(wanted, str) and isinstance(got, str):
        pattern = r"[\w-]+".join(map(re.escape, STAND_IN.split(wanted)))
        return None if re.fullmatch(pattern, got) else path
    return None if wanted == got else path
