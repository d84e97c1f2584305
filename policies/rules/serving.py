"""Endpoint configurations."""

from fnmatch import fnmatchcase

from policies.data import Data, Resource
from policies.reading.endpoints import CONFIGURATION, has_gpu, instance_types, on_instances
from policies.reading.jobs import has_local_nvme
from policies.reading.predicates import OFF, SET, at_least, meets
from policies.rule import Fail, NotApplicable, Result, Scope, every, rule
from policies.theme import Theme

SUPERSEDED = frozenset(("g3", "g3s", "p2", "p3", "p3dn"))
"""Families of GPUs of which newer ones do more for the money."""

_RESERVATIONS_ONLY = "capacity-reservations-only"


@rule(
    "ML-EP-001",
    applies_to=CONFIGURATION,
    severity="high",
    fix="set kms_key_arn on the endpoint configuration;\n"
    "on instance types with local NVMe leave it out",
    url="https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpointConfig.html",
    themes=Theme.ENCRYPTION_AT_REST,
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
    nvme = {has_local_nvme(str(each.value), each.path) for each in types}
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
    themes=Theme.MODEL_MONITORING,
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
    "ML-EP-002",
    applies_to=CONFIGURATION,
    severity="medium",
    fix="set initial_instance_count to 2 or more: SageMaker spreads them over zones",
    url="https://docs.aws.amazon.com/securityhub/latest/userguide/sagemaker-controls.html",
    themes=Theme.AVAILABILITY,
)
def require_two_instances(resource: Resource, scope: Scope) -> Result:
    """Production variants start with two instances or more, so that a lost zone loses no answers.

    Serverless variants and those for inference components have no count of their own, and requests
    of an asynchronous endpoint wait until an instance is there again.
    """
    if not scope.config.production:
        return NotApplicable("only production has to outlive a zone")
    if resource.inputs.has("asyncInferenceConfig"):
        return NotApplicable("requests of an asynchronous endpoint wait in a queue")
    counted = [
        variant
        for variant in resource.inputs.each("productionVariants")
        if variant.keys() & {"modelName"} and not variant.has("serverlessConfig")
    ]
    if not counted:
        return NotApplicable("no variant has a count of instances of its own")
    return every(counted, lambda variant: meets(variant, {"initialInstanceCount": at_least(2)}))


@rule(
    "ML-EP-011",
    applies_to=CONFIGURATION,
    severity="medium",
    fix="choose an instance_type of endpoint_instance_types and of a current family;\n"
    "tag what has GPUs with gpu_tags",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/notebooks-available-instance-types.html",
    themes=Theme.LIMITS,
)
def limit_endpoint_instance_types(resource: Resource, scope: Scope) -> Result:
    """Endpoints run on instance types that are allowed and current; GPUs say what they are for."""
    types = instance_types(resource.inputs)
    if not types:
        return NotApplicable("serverless variants have no instance type")
    if failure := every(types, lambda each: _allowed_type(each, scope)):
        return failure
    tags = scope.config.gpu_tags if has_gpu(resource.inputs) else ()
    return every(tags, lambda tag: _says(resource, tag))


def _allowed_type(instance_type: Data, scope: Scope) -> Result:
    name = str(instance_type.value)
    if name.removeprefix("ml.").partition(".")[0] in SUPERSEDED:
        return Fail(f"{instance_type.path} must be of a current family, got {name}")
    allowed = scope.config.endpoint_instance_types
    if any(fnmatchcase(name, pattern) for pattern in allowed):
        return None
    return Fail(f"{instance_type.path} must be one of {', '.join(allowed) or 'none'}, got {name}")


def _says(resource: Resource, tag: str) -> Result:
    return None if resource.tag(tag) else Fail(f"an endpoint with GPUs must have the tag {tag!r}")


@rule(
    "ML-EP-012",
    applies_to=CONFIGURATION,
    severity="high",
    fix="leave enable_ssm_access out of the variant",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/ssm-access.html",
    themes=Theme.LEAST_PRIVILEGE,
)
def forbid_shell_access(resource: Resource, scope: Scope) -> Result:
    """Nobody opens a shell in a production container, where requests and the model lie open."""
    if not scope.config.production:
        return NotApplicable("outside production a shell may help to find an error")
    variants = on_instances(resource.inputs)
    if not variants:
        return NotApplicable("serverless variants have no shell")
    return every(variants, lambda variant: meets(variant, {"enableSsmAccess": OFF}))


@rule(
    "ML-EP-013",
    applies_to=CONFIGURATION,
    severity="medium",
    fix="set kms_key_id, s3_failure_path and notification_config.error_topic\n"
    "of async_inference_config.output_config",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-create-endpoint.html",
    themes=Theme.ENCRYPTION_AT_REST | Theme.MODEL_MONITORING,
)
def require_async_failures(resource: Resource, scope: Scope) -> Result:
    """An asynchronous endpoint encrypts its answers, keeps its failures and tells of them.

    Its callers are gone when a request fails: without a path and a topic nobody ever hears of it.
    """
    del scope
    if not resource.inputs.has("asyncInferenceConfig"):
        return NotApplicable("the endpoint answers at once")
    output = "asyncInferenceConfig.outputConfig"
    wanted = ("kmsKeyId", "s3FailurePath", "notificationConfig.errorTopic")
    return meets(resource.inputs, {f"{output}.{key}": SET for key in wanted})


@rule(
    "ML-EP-014",
    applies_to=CONFIGURATION,
    severity="low",
    fix="point core_dump_config at a bucket of capture_buckets and set its kms_key_id",
    url="https://docs.aws.amazon.com/sagemaker/latest/APIReference/"
    "API_ProductionVariantCoreDumpConfig.html",
    themes=Theme.ENCRYPTION_AT_REST,
)
def require_governed_core_dumps(resource: Resource, scope: Scope) -> Result:
    """Core dumps are encrypted and lie where captured requests may: they hold the same data."""
    dumping = [v for v in on_instances(resource.inputs) if v.has("coreDumpConfig")]
    if not dumping:
        return NotApplicable("no variant writes core dumps")
    return every(
        [*((_dump_bucket, variant) for variant in dumping), *((_dump_key, v) for v in dumping)],
        lambda facet: facet[0](facet[1], scope),
    )


def _dump_bucket(variant: Data, scope: Scope) -> Result:
    uri = str(variant.get("coreDumpConfig", "destinationS3Uri"))
    bucket = uri.removeprefix("s3://").partition("/")[0]
    if any(fnmatchcase(bucket, pattern) for pattern in scope.config.capture_buckets):
        return None
    allowed = ", ".join(scope.config.capture_buckets) or "no bucket"
    return Fail(f"{variant.path}.coreDumpConfig must write to {allowed}, got {uri!r}")


def _dump_key(variant: Data, _: Scope) -> Result:
    return meets(variant, {"coreDumpConfig.kmsKeyId": SET})


@rule(
    "ML-EP-015",
    applies_to=CONFIGURATION,
    severity="medium",
    fix="give the variant ml_reservation_arn of a SageMaker reservation of its instance type and\n"
    f"capacity_reservation_preference {_RESERVATIONS_ONLY}",
    url="https://docs.aws.amazon.com/sagemaker/latest/APIReference/"
    "API_ProductionVariantCapacityReservationConfig.html",
    themes=Theme.LIMITS,
)
def require_usable_reservation(resource: Resource, scope: Scope) -> Result:
    """A reserved variant runs in a SageMaker reservation that is for its instance type alone.

    Those end by themselves. An endpoint cannot use a reservation of EC2, which costs from its
    creation until somebody cancels it, and a variant that may also start elsewhere leaves what was
    paid for idle.
    """
    del scope
    reserved = [v for v in on_instances(resource.inputs) if v.has("capacityReservationConfig")]
    if not reserved:
        return NotApplicable("no variant runs in a reservation")
    types: dict[str, str] = {}

    def fits(variant: Data) -> Result:
        where = f"{variant.path}.capacityReservationConfig"
        preference = variant.get("capacityReservationConfig", "capacityReservationPreference")
        if preference != _RESERVATIONS_ONLY:
            return Fail(f"{where} must prefer {_RESERVATIONS_ONLY}, got {preference}")
        arn = str(variant.get("capacityReservationConfig", "mlReservationArn"))
        if ":sagemaker:" not in arn:
            return Fail(f"{where}.mlReservationArn must be a reservation of SageMaker, got {arn}")
        instance_type = str(variant.get("instanceType"))
        if types.setdefault(arn, instance_type) == instance_type:
            return None
        return Fail(f"{where} is for {types[arn]}, which {instance_type} does not fit")

    return every(reserved, fits)
