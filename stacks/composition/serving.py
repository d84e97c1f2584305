"""The endpoints of a pinned model, by what each environment asks for."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from infra.access import observe
from infra.autoscaling import Autoscaling, AutoscalingArgs
from infra.component import Statement
from infra.endpoint.alarms import AlarmLimits
from infra.endpoint.endpoint import Endpoint, EndpointArgs
from infra.endpoint.rollout import Rollout
from infra.endpoint.variants import Asynchronous, Capture, Subnets, VariantSpec
from infra.images import pull_images
from infra.keys import decrypt_of
from infra.llm_endpoint import LlmEndpoint, LlmEndpointArgs
from infra.naming import ASYNCHRONOUS, REALTIME, SERVERLESS, Names
from infra.registry import Registry
from infra.serverless_endpoint import ServerlessEndpoint, ServerlessEndpointArgs
from infra.storage import put_objects, read_objects, write_objects
from stacks.composition.base import Base
from stacks.settings import models as configuration
from stacks.settings.model import WorkloadSettings

CHAMPION = "champion"


@dataclass(frozen=True)
class Served:
    """What other domains refer to."""

    endpoint: Endpoint | None
    """The real-time one; None until a model package is pinned."""

    scaled: Mapping[str, Autoscaling]
    """What scales by itself, by its component's name."""


def build(base: Base, settings: WorkloadSettings, registry: Registry | None) -> Served:
    """Build what the workload serves."""
    scaled = [_llm(base, settings, settings.llm)] if settings.llm is not None else []
    package, endpoint = settings.endpoint.model_package_arn, None
    if package is not None and registry is not None:
        endpoint, more = _endpoints(base, settings, registry, package)
        scaled += more
    return Served(endpoint, {item.component_name: item for item in scaled})


def _endpoints(
    base: Base, settings: WorkloadSettings, registry: Registry, package: str
) -> tuple[Endpoint, list[Autoscaling]]:
    allowed = _may_serve(base, settings)
    after = pulumi.ResourceOptions(depends_on=[allowed, base.access, registry])
    scaled = []
    if settings.endpoints.asynchronous is not None:
        chosen = settings.endpoints.asynchronous
        scaled.append(_asynchronous(base, settings, chosen, package, after))
    if settings.endpoints.serverless is not None:
        _serverless(base, settings.endpoints.serverless, package, after)
    endpoint, more = _realtime(base, settings, package, after)
    return endpoint, [*scaled, *more]


def _may_serve(base: Base, settings: WorkloadSettings) -> pulumi.Resource:
    """What containers of every endpoint need: image, artefact, keys, logs, a place for captures."""
    names, own = base.names, f"{base.names.prefix}-*"
    captured = settings.endpoint.capture_percent or settings.endpoints.asynchronous
    other = base.environment.accounts.registry_names(names)
    return base.access.allow(
        base.access.role("serving"),
        [*base.use_keys("serving", "storage"), *base.mount_volumes("serving")],
        observe(names),
        pull_images(names),
        read_objects(names, {"artifacts": [own]}),
        put_objects(names, {"data": [f"capture/{own}"]} if captured else {}),
        write_objects(names, {"data": [f"async/{own}"]} if settings.endpoints.asynchronous else {}),
        _may_read_registry(other) if other else [],
    )


def _may_read_registry(other: Names) -> list[Statement]:
    """What serving a model of another environment's registry takes."""
    return [
        *decrypt_of(other.platform, "storage"),
        *pull_images(other),
        *read_objects(other, {"artifacts": [f"{other.prefix}-*"]}),
    ]


def _realtime(
    base: Base, settings: WorkloadSettings, package: str, after: pulumi.ResourceOptions
) -> tuple[Endpoint, list[Autoscaling]]:
    chosen = settings.endpoint
    variants = {
        CHAMPION: VariantSpec(
            model_package_arn=package,
            instance_type=chosen.instance_type,
            instance_count=chosen.instance_count,
        )
    }
    if chosen.challenger is not None:
        variants["challenger"] = _variant(chosen.challenger)
    endpoint = Endpoint(
        "endpoint",
        EndpointArgs(
            names=base.names,
            tags=base.common.tags,
            model=REALTIME,
            variants=variants,
            shadow=_variant(chosen.shadow) if chosen.shadow else None,
            role=base.access.role("serving"),
            kms_key_arn=base.key("serving"),
            alarm_key_arn=base.key("serving"),
            rollout=_rollout(chosen),
            limits=AlarmLimits(
                latency_p99_ms=chosen.latency_p99_ms, overhead_p99_ms=chosen.overhead_p99_ms
            ),
            capture=_capture(base, settings),
            subnets=_subnets(base),
        ),
        after,
    )
    scaled = []
    if chosen.autoscaling is not None:
        for variant in variants:
            name = "endpoint" if variant == CHAMPION else f"endpoint-{variant}"
            scaled.append(_scale_variant(base, name, endpoint, variant, chosen.autoscaling))
    return endpoint, scaled


def _scale_variant(
    base: Base,
    name: str,
    endpoint: Endpoint,
    variant: str,
    chosen: configuration.Autoscaling,
) -> Autoscaling:
    subject = base.names.of(REALTIME)
    return Autoscaling(
        name,
        AutoscalingArgs(
            names=base.names,
            tags=base.common.tags,
            load="requests",
            subject=f"{subject}-{variant}",
            resource_id=_resource_id(endpoint, variant),
            min_capacity=chosen.min_instances,
            max_capacity=chosen.max_instances,
            target_value=chosen.calls_per_minute,
        ),
    )


def _asynchronous(
    base: Base,
    settings: WorkloadSettings,
    chosen: configuration.Asynchronous,
    package: str,
    after: pulumi.ResourceOptions,
) -> Autoscaling:
    names, model = base.names, ASYNCHRONOUS
    answers = f"s3://{names.bucket('data')}/async/{names.of(model)}"
    endpoint = Endpoint(
        "endpoint-async",
        EndpointArgs(
            names=names,
            tags=base.common.tags,
            model=model,
            variants={
                CHAMPION: VariantSpec(
                    model_package_arn=package,
                    instance_type=chosen.instance_type,
                    instance_count=max(1, chosen.min_instances),
                )
            },
            role=base.access.role("serving"),
            kms_key_arn=base.key("serving"),
            alarm_key_arn=base.key("serving"),
            rollout=_rollout(chosen),
            capture=_capture(base, settings),
            subnets=_subnets(base),
            asynchronous=Asynchronous(
                output_uri=f"{answers}/answers",
                failure_uri=f"{answers}/failures",
                max_concurrent_invocations=chosen.max_concurrent_invocations,
            ),
        ),
        after,
    )
    return Autoscaling(
        "endpoint-async",
        AutoscalingArgs(
            names=names,
            tags=base.common.tags,
            load="queue",
            subject=names.of(model),
            resource_id=_resource_id(endpoint, CHAMPION),
            min_capacity=chosen.min_instances,
            max_capacity=chosen.max_instances,
            target_value=chosen.waiting_requests_per_instance,
            alarm_topic_arn=endpoint.alarm_topic_arn,
        ),
    )


def _serverless(
    base: Base,
    chosen: configuration.Serverless,
    package: str,
    after: pulumi.ResourceOptions,
) -> None:
    ServerlessEndpoint(
        "endpoint-serverless",
        ServerlessEndpointArgs(
            names=base.names,
            tags=base.common.tags,
            model=SERVERLESS,
            model_package_arn=package,
            role=base.access.role("serving"),
            alarm_key_arn=base.key("serving"),
            **chosen.model_dump(),
        ),
        after,
    )


def _llm(base: Base, settings: WorkloadSettings, chosen: configuration.Llm) -> Autoscaling:
    names, role = base.names, base.access.role("llm")
    weights = chosen.model_data_prefix.strip("/")
    captured = {"data": [f"capture/{names.prefix}-*"]} if settings.endpoint.capture_percent else {}
    allowed = base.access.allow(
        role,
        [*base.use_keys("serving", "storage"), *base.mount_volumes("serving")],
        observe(names),
        read_objects(names, {"artifacts": [f"{weights}/*"]}),
        put_objects(names, captured),
    )
    artifacts = names.bucket("artifacts")
    capture = _capture(base, settings)
    endpoint = LlmEndpoint(
        "llm",
        LlmEndpointArgs(
            names=names,
            tags=base.common.tags,
            model=chosen.model,
            image_uri=chosen.image_uri,
            model_data_uri=f"s3://{artifacts}/{weights}/",
            role=role,
            kms_key_arn=base.key("serving"),
            instance_type=chosen.instance_type,
            min_instances=chosen.min_instances,
            max_instances=chosen.max_instances,
            gpus_per_copy=chosen.gpus_per_copy,
            memory_gib_per_copy=chosen.memory_gib_per_copy,
            alarm_key_arn=base.key("serving"),
            capture_percent=capture.percent if capture else 0,
            capture_uri=capture.uri if capture else "",
        ),
        pulumi.ResourceOptions(depends_on=[allowed, base.access]),
    )
    return Autoscaling(
        "llm",
        AutoscalingArgs(
            names=names,
            tags=base.common.tags,
            load="copies",
            subject=names.of(chosen.model),
            resource_id=pulumi.Output.concat(
                "inference-component/", endpoint.inference_component_name
            ),
            min_capacity=chosen.min_copies,
            max_capacity=chosen.max_copies,
            target_value=chosen.calls_per_minute_per_copy,
            alarm_topic_arn=endpoint.alarm_topic_arn,
        ),
    )


def _variant(chosen: configuration.Variant) -> VariantSpec:
    return VariantSpec(**chosen.model_dump())


def _rollout(chosen: configuration.Rollout) -> Rollout:
    return Rollout(
        traffic_routing=chosen.traffic_routing,
        step_percent=chosen.step_percent,
        wait_interval_seconds=chosen.wait_interval_seconds,
        termination_wait_seconds=chosen.termination_wait_seconds,
    )


def _capture(base: Base, settings: WorkloadSettings) -> Capture | None:
    percent = settings.endpoint.capture_percent
    uri = f"s3://{base.names.bucket('data')}/capture"
    return Capture(percent=percent, uri=uri) if percent else None


def _subnets(base: Base) -> Subnets:
    return Subnets(
        subnet_ids=base.subnet_ids,
        security_group_ids=[base.contract.workload_security_group_id],
        cidr_block=base.contract.cidr_block,
    )


def _resource_id(endpoint: Endpoint, variant: str) -> pulumi.Output[str]:
    """As Application Auto Scaling names a variant; known once the endpoint is there."""
    return pulumi.Output.concat("endpoint/", endpoint.endpoint_name, "/variant/", variant)
