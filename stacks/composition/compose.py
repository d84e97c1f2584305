"""The one place where components meet: settings in, a platform out; one module per domain."""

from collections.abc import Mapping

import pulumi

from infra.component import ComponentArgs
from stacks.composition import compute, data, foundation, models, operations, scheduling
from stacks.settings.model import Settings

DOMAINS = (compute, scheduling, data, models, operations)
"""Each says which roles and keys it needs, and builds its components."""


def compose(
    env: str, settings: Settings, definitions: Mapping[str, str]
) -> dict[str, pulumi.Input[object]]:
    """Create the platform; returns the stack's outputs.

    `definitions` holds the compiled JSON of each pipeline by its name.
    """
    names = settings.names(env)
    tags = {**settings.tags.model_dump(), "environment": env, "project": "plinth"}
    asking = (foundation, *DOMAINS)
    base = foundation.build(
        ComponentArgs(names=names, tags=tags),
        settings,
        roles={name: spec for domain in asking for name, spec in domain.roles(settings).items()},
        key_purposes=[domain.KEY_PURPOSES for domain in asking],
    )
    cluster = compute.build(base, settings)
    scheduling.build(base, settings, cluster)
    features = data.build(base, settings)
    served = models.build(base, settings, definitions, [features])
    alerts = operations.build(base, settings, served, cluster)
    compute.watch(base, settings, alerts.topic_arn)
    outputs: dict[str, pulumi.Input[object]] = {
        "alerts_topic_arn": alerts.topic_arn,
        "bucket_names": base.storage.bucket_names,
        "cluster_name": cluster.cluster_name,
        "model_package_group_name": served.registry.model_package_group_name,
        "pipeline_name": served.workflow.pipeline_name,
    }
    if served.tracking is not None:
        outputs["tracking_app_arn"] = served.tracking.app_arn
    if served.endpoint is not None:
        outputs["endpoint_name"] = served.endpoint.endpoint_name
        outputs["endpoint_config_name"] = served.endpoint.endpoint_config_name
    return outputs
