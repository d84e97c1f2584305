"""The reference workload as this blueprint ships it: will a flight arrive 15 minutes late?

What a team changes first to make the platform its own: entities, features, model, pipeline.
"""

from collections.abc import Mapping
from typing import Any

from infra.instances import instance_type
from infra.naming import Names
from pipelines import compiled
from pipelines.compiled import TrainingInputs
from stacks.image import image_uri
from stacks.paths import cache
from stacks.settings.model import Settings

MODEL = "flight-delay"
MODEL_DESCRIPTION = "Will a flight arrive 15 or more minutes late, asked an hour before departure"
MODEL_CARD: Mapping[str, Any] = {
    "purpose": "Warn travellers and crews of a likely delay while they can still act on it",
    "intended_uses": "Ranking departures by risk. Not for compensation claims, and not for "
    "airports, carriers or years that the training window does not cover",
    "limits": "Holidays and rare weather are few in the window; diverted and cancelled flights "
    "are not in it",
    "risk_rating": "Low",
    "risk_explanation": "A wrong answer costs attention; no decision about a person rests on it",
}
"""What the model card says beside the description."""

PIPELINE = "training"
HOLDOUT_DAYS = 7
"""Days after the evaluation window that `plinth predict` scores: the model has not seen them."""

CALLS_AWS: Mapping[str, str] = {
    "Ingest": "reads the months of its window from the bucket",
    "Features": "writes to the feature store and reads it back",
    "Evaluate": "records the run in MLflow",
}
"""Steps whose programs call AWS, and why. The policies let their containers, and no others, have
credentials and reach the network; they run in the VPC all the same."""

JOB_SECURITY_GROUP = "job-security-group-id"
STORAGE_KEY = "storage-key-arn"
TRACKING_APP = "tracking-app-arn"
"""Names of what AWS invents. The compiled definition has `{{name}}` until the stack knows it, so
that its bytes are those of the sources and the settings alone."""


def subnet(zone: str) -> str:
    """Name of what AWS invents for the private subnet in a zone."""
    return f"private-subnet-id-{zone}"


def placeholder(name: str) -> str:
    """What stands in the compiled definition for something that AWS invents."""
    return "{{" + name + "}}"


def filled_in(definition: str, values: Mapping[str, str]) -> str:
    """The definition with what AWS invented."""
    for name, value in values.items():
        definition = definition.replace(placeholder(name), value)
    return definition


def training_inputs(settings: Settings, names: Names) -> TrainingInputs:
    """What the training pipeline must know about its platform, as plain values."""
    training = settings.training
    key = placeholder(STORAGE_KEY)
    return TrainingInputs(
        pipeline_name=names.of(PIPELINE),
        region=names.region,
        account_id=names.account_id,
        role_arn=names.role_arn("job"),
        image_uri=image_uri(settings.image, names),
        data_bucket=names.bucket("data"),
        artifacts_bucket=names.bucket("artifacts"),
        model_package_group_name=names.of(MODEL),
        flights_feature_group_name=names.of("flights"),
        weather_feature_group_name=names.of("weather"),
        tracking_arn=placeholder(TRACKING_APP),
        subnet_ids=[placeholder(subnet(z)) for z in settings.network.availability_zone_ids],
        security_group_ids=[placeholder(JOB_SECURITY_GROUP)],
        kms_key_arn=key,
        volume_kms_key_arn=None if instance_type(training.instance_type).local_nvme else key,
        train_start=training.train_start,
        train_end=training.train_end,
        evaluation_days=training.evaluation_days,
        auc_threshold=training.auc_threshold,
        instance_type=training.instance_type,
        max_runtime_seconds=training.max_runtime_seconds,
    )


def definitions(env: str, settings: Settings) -> dict[str, str]:
    """Compiled JSON of every pipeline, from the cache or by the SageMaker SDK (some seconds)."""
    inputs = training_inputs(settings, settings.names(env))
    return {
        pipeline: compiled.definition(pipeline, inputs, cache=cache() / "definitions")
        for pipeline in compiled.PIPELINES
    }
