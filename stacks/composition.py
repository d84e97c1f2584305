"""The one place where components meet: settings in, a platform out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import pulumi

from infra.access import Access, AccessArgs, RoleSpec
from infra.cluster import Cluster, ClusterArgs, GpuNodeGroup, GpuNodeGroupArgs, Scaling
from infra.component import ComponentArgs
from infra.endpoint import Endpoint, EndpointArgs
from infra.feature_store import FeatureGroupSpec, FeatureStore, FeatureStoreArgs
from infra.keys import Keys, KeysArgs
from infra.network import Network, NetworkArgs
from infra.registry import Registry, RegistryArgs
from infra.storage import Storage, StorageArgs
from infra.tracking import Tracking, TrackingArgs
from infra.workflow import Workflow, WorkflowArgs
from pipelines.steps.feature_groups import FEATURE_GROUPS
from stacks import settings as configuration
from stacks import workload
from stacks.settings import Settings

KEY_PURPOSES = ("cluster", "features", "serving", "storage")
BUCKETS = ("artifacts", "data")

SAGEMAKER = "sagemaker.amazonaws.com"
ROLES = {
    "cluster": RoleSpec(service="eks.amazonaws.com", managed_policies=("AmazonEKSClusterPolicy",)),
    "node": RoleSpec(
        service="ec2.amazonaws.com",
        managed_policies=(
            "AmazonEC2ContainerRegistryPullOnly",
            "AmazonEKSWorkerNodePolicy",
            "AmazonEKS_CNI_Policy",
        ),
    ),
    "features": RoleSpec(service=SAGEMAKER),
    "job": RoleSpec(service=SAGEMAKER),
    "pipeline": RoleSpec(service=SAGEMAKER),
    "serving": RoleSpec(service=SAGEMAKER),
    "tracking": RoleSpec(service=SAGEMAKER),
}


@dataclass(frozen=True)
class Foundation:
    """What everything else stands on."""

    common: ComponentArgs
    network: Network
    keys: Keys
    access: Access
    storage: Storage


def compose(
    env: str, settings: Settings, definitions: Mapping[str, str]
) -> dict[str, pulumi.Input[object]]:
    """Create the platform; returns the stack's outputs.

    `definitions` holds the compiled JSON of each pipeline by its name.
    """
    names = settings.names(env)
    tags = {**settings.tags.model_dump(), "environment": env, "project": "plinth"}
    base = _foundation(ComponentArgs(names=names, tags=tags), settings)
    cluster = _compute(base, settings)
    features = _features(base, settings)
    registry = _registry(base, settings)
    tracking = _tracking(base)
    workflow = _workflow(base, settings, tracking, definitions, [features, registry])
    outputs: dict[str, pulumi.Input[object]] = {
        "bucket_names": base.storage.bucket_names,
        "cluster_name": cluster.cluster_name,
        "model_package_group_name": registry.model_package_group_name,
        "pipeline_name": workflow.pipeline_name,
        "tracking_app_arn": tracking.app_arn,
    }
    endpoint = _endpoint(base, settings, registry)
    if endpoint is not None:
        outputs["endpoint_name"] = endpoint.endpoint_name
        outputs["endpoint_config_name"] = endpoint.endpoint_config_name
    return outputs


def _foundation(common: ComponentArgs, settings: Settings) -> Foundation:
    names, tags = common.names, common.tags
    network = Network(
        "network",
        NetworkArgs(
            names=names,
            tags=tags,
            cidr_block=settings.network.cidr_block,
            availability_zones=settings.network.availability_zones,
            interface_endpoints=settings.network.interface_endpoints,
        ),
    )
    keys = Keys(
        "keys",
        KeysArgs(
            names=names,
            tags=tags,
            purposes=KEY_PURPOSES,
            deletion_window_days=settings.keys.deletion_window_days,
            protect=settings.protect,
        ),
    )
    access = Access("access", AccessArgs(names=names, tags=tags, roles=ROLES))
    storage = Storage(
        "storage",
        StorageArgs(
            names=names,
            tags=tags,
            buckets=BUCKETS,
            kms_key_arn=keys.arn("storage"),
            noncurrent_days=settings.storage.noncurrent_days,
            protect=settings.protect,
        ),
    )
    return Foundation(common, network, keys, access, storage)


def _compute(base: Foundation, settings: Settings) -> Cluster:
    names, tags = base.common.names, base.common.tags
    node_role = base.access.role("node")
    cluster = Cluster(
        "cluster",
        ClusterArgs(
            names=names,
            tags=tags,
            version=settings.cluster.version,
            role_arn=base.access.role("cluster").arn,
            node_role_arn=node_role.arn,
            subnet_ids=base.network.private_subnet_ids,
            security_group_id=base.network.workload_security_group_id,
            kms_key_arn=base.keys.arn("cluster"),
            system_instance_types=settings.cluster.system_instance_types,
            system_scaling=_scaling(settings.cluster.system_scaling),
            log_retention_days=settings.cluster.log_retention_days,
            deletion_protection=settings.protect,
        ),
        # nodes join only once their role may pull images and attach network interfaces
        pulumi.ResourceOptions(depends_on=[base.access]),
    )
    for name, pool in settings.gpu_pools.items():
        GpuNodeGroup(
            name,
            GpuNodeGroupArgs(
                names=names,
                tags=tags,
                cluster_name=cluster.cluster_name,
                node_role_arn=node_role.arn,
                subnet_ids=base.network.private_subnet_ids,
                instance_type=pool.instance_type,
                scaling=_scaling(pool.scaling),
                capacity_type=pool.capacity_type,
                disk_gib=pool.disk_gib,
            ),
            pulumi.ResourceOptions(depends_on=[base.access]),
        )
    return cluster


def _features(base: Foundation, settings: Settings) -> FeatureStore:
    data = base.storage.bucket("data")
    role = base.access.role("features")
    may_encrypt = base.keys.grant_use(role, "features", "storage")
    store = FeatureStore(
        "features",
        FeatureStoreArgs(
            names=base.common.names,
            tags=base.common.tags,
            groups={
                entity: FeatureGroupSpec(**asdict(schema))
                for entity, schema in FEATURE_GROUPS.items()
            },
            role=role,
            bucket_name=data.bucket,
            bucket_arn=data.arn,
            kms_key_arn=base.keys.arn("features"),
            depends_on=[may_encrypt],
            protect=settings.protect,
        ),
    )
    store.grant_read_write(base.access.role("job"))
    return store


def _registry(base: Foundation, settings: Settings) -> Registry:
    registry = Registry(
        "registry",
        RegistryArgs(
            names=base.common.names,
            tags=base.common.tags,
            model=workload.MODEL,
            description=workload.MODEL_DESCRIPTION,
            kms_key_arn=base.keys.arn("storage"),
            protect=settings.protect,
        ),
    )
    registry.grant_register(base.access.role("pipeline"))
    registry.grant_pull(base.access.role("job"))
    registry.grant_pull(base.access.role("serving"))
    return registry


def _tracking(base: Foundation) -> Tracking:
    role = base.access.role("tracking")
    grants = [
        base.storage.grant_read_write(role, "artifacts"),
        base.keys.grant_use(role, "storage"),
    ]
    tracking = Tracking(
        "tracking",
        TrackingArgs(
            names=base.common.names,
            tags=base.common.tags,
            role=role,
            artifact_store_uri=pulumi.Output.concat(
                "s3://", base.storage.bucket("artifacts").bucket, "/mlflow"
            ),
        ),
        pulumi.ResourceOptions(depends_on=grants),
    )
    tracking.grant_log(base.access.role("job"))
    return tracking


def _workflow(
    base: Foundation,
    settings: Settings,
    tracking: Tracking,
    definitions: Mapping[str, str],
    depends_on: Sequence[pulumi.Resource],
) -> Workflow:
    job, role = base.access.role("job"), base.access.role("pipeline")
    base.storage.grant_read_write(job, *BUCKETS)
    base.storage.grant_read(role, *BUCKETS)
    base.keys.grant_use(job, "features", "storage")
    base.keys.grant_use(role, "storage")
    base.access.grant_observe(job)
    base.access.grant_pass(role, [job], SAGEMAKER)
    text = definitions[workload.PIPELINE]
    definition = tracking.app_arn.apply(
        lambda arn: text.replace(workload.TRACKING_ARN_PLACEHOLDER, arn)
    )
    return Workflow(
        "workflow",
        WorkflowArgs(
            names=base.common.names,
            tags=base.common.tags,
            pipeline=workload.PIPELINE,
            definition=definition,
            role=role,
            max_parallel_steps=settings.training.max_parallel_steps,
            depends_on=[base.access, base.storage, *depends_on],
        ),
    )


def _endpoint(base: Foundation, settings: Settings, registry: Registry) -> Endpoint | None:
    chosen = settings.endpoint
    if chosen.model_package_arn is None:
        return None
    role = base.access.role("serving")
    base.storage.grant_read(role, "artifacts")
    base.keys.grant_use(role, "serving", "storage")
    base.access.grant_observe(role)
    if chosen.capture_percent:
        base.storage.grant_read_write(role, "data")
    data = base.common.names.bucket("data")
    return Endpoint(
        "endpoint",
        EndpointArgs(
            names=base.common.names,
            tags=base.common.tags,
            model=workload.MODEL,
            model_package_arn=chosen.model_package_arn,
            role=role,
            instance_type=chosen.instance_type,
            instance_count=chosen.instance_count,
            kms_key_arn=base.keys.arn("serving"),
            alarm_key_arn=base.keys.arn("serving"),
            traffic_routing=chosen.traffic_routing,
            canary_percent=chosen.canary_percent,
            wait_interval_seconds=chosen.wait_interval_seconds,
            latency_p99_ms=chosen.latency_p99_ms,
            capture_percent=chosen.capture_percent,
            capture_uri=f"s3://{data}/capture",
        ),
        pulumi.ResourceOptions(depends_on=[base.storage, base.access, registry]),
    )


def _scaling(scaling: configuration.Scaling) -> Scaling:
    return Scaling(**scaling.model_dump())
