"""Endpoints, endpoint configurations and models."""

import re
from fnmatch import fnmatchcase

from policies.data import Data, Resource, Unknown
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.tables.instances import LOCAL_NVME, NO_LOCAL_NVME

CONFIGURATION = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
ENDPOINT = "aws:sagemaker/endpoint:Endpoint"
MODEL = "aws:sagemaker/model:Model"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"

VARIANTS = ("productionVariants", "shadowProductionVariants")
RETIRED_WITHOUT_NVME = frozenset(("g3", "p2", "p3"))
"""SageMaker still knows these families; EC2's data, and so the table, no longer does."""

_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


def instance_types(configuration: Data) -> list[Data]:
    """The instance types of all variants that run on instances."""
    return [
        Data(variant.get("instanceType"), f"{variant.path}.instanceType")
        for key in VARIANTS
        for variant in configuration.each(key)
        if not variant.has("serverlessConfig")
    ]


def has_local_nvme(instance_type: Data) -> bool:
    """Whether volumes of this SageMaker instance type are encrypted by its hardware."""
    family = str(instance_type.value).removeprefix("ml.").partition(".")[0]
    if family in LOCAL_NVME:
        return True
    if family in NO_LOCAL_NVME or family in RETIRED_WITHOUT_NVME:
        return False
    raise Unknown(f"{instance_type.path} (family {family!r} is not in policies/tables)")


@rule(
    "ML-EP-001",
    applies_to=CONFIGURATION,
    severity="high",
    fix="set kms_key_arn on the endpoint configuration;\n"
    "on instance types with local NVMe leave it out",
    url="https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpointConfig.html",
    themes="E",
)
def require_endpoint_volume_key(resource: Resource, scope: Scope) -> Result:
    """Endpoint volumes are encrypted with a customer managed key, except on local NVMe.

    The volume holds the model and what callers sent. Instances with local NVMe encrypt in hardware
    and CreateEndpointConfig refuses a key for them, so there the key must be absent.
    """
    del scope
    types = instance_types(resource.inputs)
    if not types:
        return NotApplicable("serverless variants have no volume")
    nvme = {has_local_nvme(instance_type) for instance_type in types}
    names = ", ".join(sorted({str(instance_type.value) for instance_type in types}))
    if len(nvme) > 1:
        return Fail(f"mixes instance types with and without local NVMe ({names}): no key fits both")
    has_key = resource.inputs.has("kmsKeyArn")
    if nvme == {True} and has_key:
        return Fail(f"kmsKeyArn must be absent on {names}: the API refuses it with local NVMe")
    if nvme == {False} and not has_key:
        return Fail(f"kmsKeyArn must be set on {names}, got none")
    return None


@rule(
    "ML-EP-006",
    applies_to=CONFIGURATION,
    severity="high",
    fix="set data_capture_config with enable_capture, a sampling percentage,\n"
    "a governed destination and kms_key_id",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture.html",
    themes="M",
)
def require_data_capture(resource: Resource, scope: Scope) -> Result:
    """Endpoints keep an encrypted sample of requests and answers in a governed bucket.

    Without it, drift, quality and disputed decisions cannot be looked at afterwards.
    """
    if not instance_types(resource.inputs):
        return NotApplicable("serverless endpoints cannot capture data")
    if not resource.inputs.has("dataCaptureConfig"):
        return Fail("dataCaptureConfig must be set, got none")
    return every(
        (_capture_enabled, _capture_sample, _capture_destination, _capture_key),
        lambda facet: facet(resource.inputs, scope),
    )


def _capture_enabled(inputs: Data, _: Scope) -> Result:
    enabled = inputs.get("dataCaptureConfig", "enableCapture")
    return None if enabled is True else Fail(f"enableCapture must be true, got {enabled!r}")


def _capture_sample(inputs: Data, scope: Scope) -> Result:
    percent = inputs.get("dataCaptureConfig", "initialSamplingPercentage") or 0
    least = scope.config.capture_percent_min
    if percent >= least:
        return None
    return Fail(f"initialSamplingPercentage must be at least {least}, got {percent:g}")


def _capture_destination(inputs: Data, scope: Scope) -> Result:
    uri = str(inputs.get("dataCaptureConfig", "destinationS3Uri"))
    bucket = uri.removeprefix("s3://").partition("/")[0]
    if any(fnmatchcase(bucket, pattern) for pattern in scope.config.capture_buckets):
        return None
    allowed = ", ".join(scope.config.capture_buckets) or "no bucket"
    return Fail(f"destinationS3Uri must lie in {allowed}, got {uri!r}")


def _capture_key(inputs: Data, _: Scope) -> Result:
    has_key = inputs.has("dataCaptureConfig", "kmsKeyId")
    return None if has_key else Fail("dataCaptureConfig.kmsKeyId must be set, got none")


@rule(
    "ML-EP-008",
    applies_to=ENDPOINT,
    kind="stack",
    severity="high",
    fix="set deployment_config.auto_rollback_configuration.alarms to metric alarms\n"
    "of this stack whose EndpointName dimension is this endpoint",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html",
    themes="R",
)
def require_rollback_alarm(resource: Resource, scope: Scope) -> Result:
    """An endpoint update is rolled back by alarms that exist and watch this very endpoint.

    An alarm name that is misspelt, or an alarm on another endpoint, guards nothing.
    Serverless endpoints and Inf1 instances are outside SageMaker's deployment guardrails, and
    inference components have their own.
    """
    if reason := _outside_guardrails(resource, scope):
        return NotApplicable(reason)
    alarms = _rollback_alarms(resource, scope)
    if isinstance(alarms, Fail):
        return alarms
    return every(alarms, lambda alarm: _watches(alarm, resource))


def _outside_guardrails(endpoint: Resource, scope: Scope) -> str:
    """Why this endpoint has no deployment guardrails, as far as its configuration tells."""
    for configuration in scope.of_type(CONFIGURATION):
        try:
            named = endpoint.outputs.get("endpointConfigName") == configuration.outputs.get("name")
        except Unknown:
            named = configuration.urn in endpoint.dependencies.get("endpointConfigName", ())
        if not named:
            continue
        types = instance_types(configuration.outputs)
        if not types:
            return "serverless endpoints have no deployment guardrails"
        variants = configuration.outputs.each("productionVariants")
        if not any(variant.keys() & {"modelName"} for variant in variants):
            return "inference components roll out one by one, with alarms of their own"
        if any(str(instance_type.value).startswith("ml.inf1.") for instance_type in types):
            return "Inf1 instances have no deployment guardrails"
    return ""


def _rollback_alarms(endpoint: Resource, scope: Scope) -> list[Resource] | Fail:
    """The alarms of the stack that the endpoint names."""
    entries = endpoint.outputs.each("deploymentConfig", "autoRollbackConfiguration", "alarms")
    if not entries:
        return Fail("autoRollbackConfiguration must name at least one alarm, got none")
    metric_alarms = scope.of_type(ALARM)
    try:
        names = {str(entry.get("alarmName")) for entry in entries}
        by_name = {str(alarm.outputs.get("name")): alarm for alarm in metric_alarms}
    except Unknown:
        urns = endpoint.dependencies.get("deploymentConfig", ())
        if found := [alarm for alarm in metric_alarms if alarm.urn in urns]:
            return found
        raise
    if missing := sorted(names - set(by_name)):
        return Fail(f"alarms must exist in this stack, {', '.join(missing)} do not")
    return [by_name[name] for name in sorted(names)]


def _watches(alarm: Resource, endpoint: Resource) -> Result:
    name = endpoint.outputs.get("name")
    if name is None:
        raise Unknown("name")
    metrics = [alarm.outputs] + [
        Data(query.get("metric"), f"{query.path}.metric")
        for query in alarm.outputs.each("metricQueries")
        if query.has("metric")
    ]
    watched = {metric.get("dimensions", "EndpointName") for metric in metrics} - {None}
    if name in watched:
        return None
    return Fail(
        f"alarm {alarm.name} must watch {name}, got {', '.join(sorted(watched)) or 'nothing'}"
    )


@rule(
    "ML-MD-003",
    applies_to=MODEL,
    severity="high",
    fix="give the image as registry/repository@sha256:<digest>\n"
    "from a registry in approved_registries",
    url="https://docs.aws.amazon.com/AmazonECR/latest/userguide/docker-pull-ecr-image.html",
    themes="S",
)
def require_pinned_image(resource: Resource, scope: Scope) -> Result:
    """Model containers run an image pinned by digest from an approved registry.

    A tag can be moved after the review, and an image from elsewhere was never scanned.
    """
    inputs = resource.inputs
    containers = inputs.each("containers")
    if inputs.has("primaryContainer"):
        containers.append(Data(inputs.value["primaryContainer"], "primaryContainer"))
    images = [container for container in containers if container.keys() & {"image"}]
    if not images:
        return NotApplicable("the image comes with the model package")
    return every(images, lambda container: _pinned(str(container.get("image")), scope))


def _pinned(image: str, scope: Scope) -> Result:
    host = image.partition("/")[0] if "/" in image else ""
    approved = scope.config.approved_registries
    if not any(entry == host.partition(".")[0] or fnmatchcase(host, entry) for entry in approved):
        allowed = ", ".join(approved) or "an approved registry (none is configured)"
        return Fail(f"image must come from {allowed}, got {image!r}")
    return None if _DIGEST.search(image) else Fail(f"image must be pinned by digest, got {image!r}")
