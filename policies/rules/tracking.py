"""Experiment tracking, and people who label data or review answers."""

from fnmatch import fnmatchcase

from policies.data import Resource
from policies.reading.predicates import SET, meets, one_of
from policies.rule import Fail, Result, Scope, every, rule
from policies.theme import Theme

SERVER = "aws:sagemaker/mlflowTrackingServer:MlflowTrackingServer"
APP = "aws:sagemaker/mlflowApp:MlflowApp"
LABELING = "aws:sagemaker/labelingJob:LabelingJob"
REVIEW = "aws:sagemaker/flowDefinition:FlowDefinition"

SIZES = ("Small", "Medium", "Large")
WORKTEAM = {LABELING: "humanTaskConfig", REVIEW: "humanLoopConfig"}
PRIVATE = ":workteam/private-crowd/"


@rule(
    "ML-TR-001",
    applies_to=(APP, SERVER),
    severity="medium",
    fix="keep artifacts in a bucket of artifact_buckets, lower tracking_server_size, and let\n"
    "models be registered automatically",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/mlflow.html",
    themes=Theme.APPROVAL | Theme.ENCRYPTION_AT_REST | Theme.LIMITS,
)
def require_governed_tracking(resource: Resource, scope: Scope) -> Result:
    """MLflow keeps its artifacts in a governed bucket, is no larger than agreed, and registers.

    A model that only MLflow knows is never approved by anybody; where the pipeline registers
    models, tracking_registers_models is false.
    """
    return every((_bucket, _size, _registers), lambda facet: facet(resource, scope))


def _bucket(resource: Resource, scope: Scope) -> Result:
    uri = str(resource.inputs.get("artifactStoreUri"))
    name = uri.removeprefix("s3://").partition("/")[0]
    allowed = scope.config.artifact_buckets
    if any(fnmatchcase(name, pattern) for pattern in allowed):
        return None
    return Fail(f"artifactStoreUri must lie in {', '.join(allowed) or 'no bucket'}, got {uri!r}")


def _size(resource: Resource, scope: Scope) -> Result:
    if resource.type == APP:
        return None
    size = str(resource.inputs.get("trackingServerSize") or SIZES[0])
    most = scope.config.tracking_server_size_max
    if SIZES.index(size) <= SIZES.index(most):
        return None
    return Fail(f"trackingServerSize must be at most {most}, got {size}")


def _registers(resource: Resource, scope: Scope) -> Result:
    if not scope.config.production or not scope.config.tracking_registers_models:
        return None
    if resource.type == APP:
        enabled = one_of("AutoModelRegistrationEnabled")
        return meets(resource.inputs, {"modelRegistrationMode": enabled})
    return meets(resource.inputs, {"automaticModelRegistration": one_of(True)})


@rule(
    "ML-TR-002",
    applies_to=(LABELING, REVIEW),
    severity="medium",
    fix="set output_config.kms_key_id; for personal data name a private workteam",
    url="https://docs.aws.amazon.com/sagemaker/latest/dg/sms-security-general.html",
    themes=Theme.ENCRYPTION_AT_REST | Theme.RETENTION,
)
def require_private_labelling(resource: Resource, scope: Scope) -> Result:
    """What people label or review is encrypted, and personal data is seen by one's own people.

    The tag `data_class` says whether it is about persons.
    """
    del scope
    return every((_output_key, _own_people), lambda facet: facet(resource))


def _output_key(resource: Resource) -> Result:
    return meets(resource.inputs, {"outputConfig.kmsKeyId": SET})


def _own_people(resource: Resource) -> Result:
    if resource.tag("data_class") != "personal":
        return None
    team = str(resource.inputs.get(WORKTEAM[resource.type], "workteamArn"))
    return None if PRIVATE in team else Fail(f"workteamArn must be a private workteam, got {team}")
