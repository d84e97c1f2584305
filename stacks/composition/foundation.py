"""What everything else of an environment stands on: network, keys, people, storage, watchers."""

from collections.abc import Mapping, Sequence

import pulumi

from infra.access import POD_IDENTITY, Access, AccessArgs, RoleSpec, Trust
from infra.alerts import Alerts, AlertsArgs
from infra.component import ComponentArgs
from infra.deployers import Deployers, DeployersArgs, deployer
from infra.filesystem import FileSystem, FileSystemArgs
from infra.images import Images, ImagesArgs
from infra.keys import COMMON, Keys, KeysArgs
from infra.network import Network, NetworkArgs
from infra.permissions_boundary import boundary
from infra.personas import PERSONAS, Personas, PersonasArgs
from infra.runner import Runner, RunnerArgs
from infra.storage import Storage, StorageArgs
from infra.tracking import Tracking, TrackingArgs
from infra.vpc_endpoints import VpcEndpoints, VpcEndpointsArgs
from stacks.composition import account, engines
from stacks.composition.base import ACTS_OUTSIDE_THE_VPC, BUCKETS, SAGEMAKER, TRACKED
from stacks.composition.ground import Ground
from stacks.contract import OUTPUT, FoundationContract, export
from stacks.settings.model import FoundationSettings
from stacks.stack_name import CLUSTER, PLATFORM

IN_THE_VPC = ("", "ec2.amazonaws.com", POD_IDENTITY)
"""Whose roles come to S3 through the VPC: nodes and pods; and nobody's, which are people's. Other
services take on their roles in AWS's own networks, unless a role is for jobs in the VPC alone."""

RUNS_BUILDS = "codebuild.amazonaws.com"

KEY_PURPOSES: Mapping[str, Sequence[str]] = {
    "audit": ("cloudtrail", "config"),
    "cluster": COMMON,
    "ebs": ("ebs",),
    "features": COMMON,
    "logs": ("logs",),
    "operations": (*COMMON, "budgets", "costalerts"),
    "serving": COMMON,
    "storage": COMMON,
}
"""Keys, with the services that use them themselves (infra/keys.py). What an upper stack encrypts
it encrypts with one of these."""


def build(common: ComponentArgs, settings: FoundationSettings) -> dict[str, pulumi.Input[object]]:
    """Build the foundation; its outputs are what it offers to the stacks above."""
    keys = _keys(common, settings)
    access = _access(common, settings)
    ground = Ground(common, settings, keys, access)
    network = _network(ground)
    endpoints = _endpoints(ground, network)
    storage = _storage(ground, endpoints)
    _filesystem(ground, network, storage)
    people = _people(ground, storage)
    images = _images(ground)
    tracking = _tracking(ground, storage)
    _runner(ground, network, storage, people)
    alerts = _alerts(ground)
    spark = engines.build(ground, network, storage)
    account.watch(ground, storage, alerts)
    contract = FoundationContract(
        vpc_id=network.vpc_id,
        private_subnet_ids=dict(network.private_subnet_ids_by_zone),
        pod_subnet_ids=dict(network.pod_subnet_ids),
        workload_security_group_id=network.workload_security_group_id,
        job_security_group_id=network.job_security_group_id,
        efa_security_group_id=network.efa_security_group_id,
        s3_endpoint_id=endpoints.s3_endpoint_id,
        key_arns={purpose: keys.arn(purpose) for purpose in KEY_PURPOSES},
        permissions_boundary_arn=access.boundary_arn,
        alerts_topic_arn=alerts.topic_arn,
        tracking_arn=tracking.app_arn if tracking else "",
        spark_application_arn=spark.application_arn if spark else None,
        **FoundationContract.decided(settings),
    )
    return {
        "alerts_topic_arn": alerts.topic_arn,
        "bucket_names": storage.bucket_names,
        "image_repository_url": images.repository_url,
        **({"tracking_arn": tracking.app_arn} if tracking else {}),
        OUTPUT: export(contract),
    }


def roles(settings: FoundationSettings) -> dict[str, RoleSpec]:
    """The personas, the deployers of workloads, the pipeline that previews, and services."""
    found = _people_roles(settings)
    if settings.network.flow_log_retention_days is not None:
        found["flow-logs"] = RoleSpec(service="vpc-flow-logs.amazonaws.com")
    if settings.tracking.kind != "none":
        found["tracking"] = RoleSpec(service=SAGEMAKER, says_account=False)
    return found | engines.roles(settings)


def _people_roles(settings: FoundationSettings) -> dict[str, RoleSpec]:
    people, github = settings.access.personas, settings.access.github
    trusts = {name: getattr(people, name.replace("-", "_")) for name in PERSONAS}
    deploys: dict[str, tuple[str, ...]] = {"deployer": PLATFORM}
    for layer, trust in settings.access.deployers.items():
        trusts[deployer(layer)] = trust
        deploys[deployer(layer)] = (layer,)
    found = {}
    for name, trust in trusts.items():
        subjects = [github.deploys(layer) for layer in deploys.get(name, ())] if github else []
        service = RUNS_BUILDS if name == "deployer" and settings.runner else ""
        found[name] = RoleSpec(
            service=service, trust=Trust(**trust.model_dump(), github_subjects=subjects)
        )
    if github is not None:
        found["preview"] = RoleSpec(
            trust=Trust(github_subjects=[github.previews]),
            # it shows what there is, and no object, record or secret
            managed_policies=("job-function/ViewOnlyAccess",),
        )
    return found


def _access(common: ComponentArgs, settings: FoundationSettings) -> Access:
    chosen = settings.access
    limit: str | Mapping[str, object] | None = chosen.permissions_boundary
    return Access(
        "access",
        AccessArgs(
            names=common.names,
            tags=common.tags,
            roles=roles(settings),
            permissions_boundary=boundary(common.names) if limit == "managed" else limit,
            create_github_provider=chosen.github is not None and chosen.github.create_provider,
        ),
    )


def _people(ground: Ground, storage: Storage) -> Personas:
    """What people may do, and what they may read."""
    settings, access, names = ground.settings, ground.access, ground.common.names
    people = {name: access.role(name) for name in PERSONAS}
    made = Personas(
        "personas",
        PersonasArgs(
            names=names,
            tags=ground.common.tags,
            roles=people,
            instance_types=settings.access.instance_types,
        ),
    )
    if settings.access.deployers:
        Deployers(
            "deployers",
            DeployersArgs(
                names=names,
                tags=ground.common.tags,
                roles={
                    workload.replace("_", "-"): access.role(deployer(workload))
                    for workload in settings.access.deployers
                },
            ),
        )
    storage.grant_read(people["approver"], "artifacts")
    ground.keys.grant_decrypt(people["approver"], "storage")
    for name in ("data-scientist", "ml-engineer"):
        storage.grant_read(people[name], *BUCKETS)
        # SageMaker opens the grants on the volumes of jobs as the jobs' roles, which may
        ground.keys.grant_use(people[name], "storage")
        ground.keys.grant_decrypt(people[name], "features")  # records are read with it
        # of any workload: the stacks that make these roles come later
        access.grant_pass(people[name], [names.role_arn("*-job")], SAGEMAKER)
    return made


def _storage(ground: Ground, endpoints: VpcEndpoints) -> Storage:
    settings, names = ground.settings, ground.common.names
    chosen = settings.storage
    own = [
        purpose
        for purpose, spec in roles(settings).items()
        if spec.service not in IN_THE_VPC and not spec.only_in_vpc
    ]
    return Storage(
        "storage",
        StorageArgs(
            names=names,
            tags=ground.common.tags,
            buckets=BUCKETS,
            kms_key_arn=ground.keys.arn("storage"),
            noncurrent_days=chosen.noncurrent_days,
            expire_days={
                "data": {
                    "async/": chosen.answer_days,
                    "capture/": chosen.capture_days,
                    "quarantine/": chosen.quarantine_days,
                }
            },
            access_log_days=chosen.access_log_days,
            vpc_endpoint_ids=[endpoints.s3_endpoint_id] if chosen.vpc_endpoint_only else [],
            exempt_role_arns=[
                *chosen.deployer_role_arns,
                *([names.fsx_role_arn()] if settings.filesystem else []),
                *(names.role_arn(purpose) for purpose in ("deployer", *own)),
                *(names.role_arn(f"*-{purpose}") for purpose in ACTS_OUTSIDE_THE_VPC),
            ],
            readers=settings.environment.accounts.readers(names),
            readable=("artifacts",),
            protect=settings.environment.protect,
        ),
    )


def _filesystem(ground: Ground, network: Network, storage: Storage) -> None:
    chosen = ground.settings.filesystem
    if chosen is None:
        return
    FileSystem(
        "filesystem",
        FileSystemArgs(
            names=ground.common.names,
            tags=ground.common.tags,
            vpc_id=network.vpc_id,
            subnet_id=network.private_subnet_ids_by_zone[chosen.availability_zone_id],
            client_security_group_ids={"workload": network.workload_security_group_id},
            bucket_name=storage.bucket("data").bucket,
            kms_key_arn=ground.keys.arn("storage"),
            storage_gib=chosen.storage_gib,
            throughput_mbps_per_tib=chosen.throughput_mbps_per_tib,
            protect=ground.settings.environment.protect,
        ),
        pulumi.ResourceOptions(depends_on=[storage]),  # FSx tries the bucket before it links it
    )


def _keys(common: ComponentArgs, settings: FoundationSettings) -> Keys:
    purposes = dict(KEY_PURPOSES)
    if settings.filesystem:
        purposes["storage"] = (*purposes["storage"], "fsx")
    return Keys(
        "keys",
        KeysArgs(
            names=common.names,
            tags=common.tags,
            purposes=purposes,
            readers=settings.environment.accounts.readers(common.names),
            readable=("storage",),
            deletion_window_days=settings.keys.deletion_window_days,
            protect=settings.environment.protect,
        ),
    )


def _network(ground: Ground) -> Network:
    chosen, names = ground.settings.network, ground.common.names
    logged = chosen.flow_log_retention_days
    return Network(
        "network",
        NetworkArgs(
            names=names,
            tags=ground.common.tags,
            cidr_block=chosen.cidr_block,
            pod_cidr_block=chosen.pod_cidr_block,
            availability_zone_ids=ground.settings.environment.availability_zone_ids,
            nat_gateways=chosen.nat_gateways,
            cluster_name=names.of(CLUSTER),
            flow_log_role=ground.access.role("flow-logs") if logged else None,
            flow_log_retention_days=logged or 0,
            flow_log_kms_key_arn=ground.keys.arn("logs"),
        ),
    )


def _endpoints(ground: Ground, network: Network) -> VpcEndpoints:
    chosen = ground.settings.network
    pods = {"pods": chosen.pod_cidr_block} if chosen.pod_cidr_block else {}
    return VpcEndpoints(
        "endpoints",
        VpcEndpointsArgs(
            names=ground.common.names,
            tags=ground.common.tags,
            vpc_id=network.vpc_id,
            subnet_ids=network.private_subnet_ids,
            route_table_ids=network.route_table_ids,
            cidr_blocks={"nodes": chosen.cidr_block, **pods},
            interface_endpoints=chosen.interface_endpoints,
        ),
    )


def _images(ground: Ground) -> Images:
    environment, names = ground.settings.environment, ground.common.names
    return Images(
        "images",
        ImagesArgs(
            names=names,
            tags=ground.common.tags,
            kms_key_arn=ground.keys.arn("storage"),
            readers=environment.accounts.readers(names),
            protect=environment.protect,
        ),
    )


def _tracking(ground: Ground, storage: Storage) -> Tracking | None:
    chosen = ground.settings.tracking
    if chosen.kind == "none":
        return None
    role = ground.access.role("tracking")
    grants = [
        storage.grant_read_write(role, "artifacts", prefix=f"{TRACKED}/"),
        ground.keys.grant_use(role, "storage"),
    ]
    return Tracking(
        "tracking",
        TrackingArgs(
            names=ground.common.names,
            tags=ground.common.tags,
            role=role,
            artifact_store_uri=pulumi.Output.concat(
                "s3://", storage.bucket("artifacts").bucket, f"/{TRACKED}"
            ),
            kind=chosen.kind,
            size=chosen.size,
        ),
        pulumi.ResourceOptions(depends_on=grants),
    )


def _runner(ground: Ground, network: Network, storage: Storage, people: Personas) -> None:
    chosen = ground.settings.runner
    if chosen is None:
        return
    Runner(
        "runner",
        RunnerArgs(
            names=ground.common.names,
            tags=ground.common.tags,
            role=ground.access.role("deployer"),
            bucket_name=storage.bucket("artifacts").bucket,
            kms_key_arn=ground.keys.arn("storage"),
            log_key_arn=ground.keys.arn("logs"),
            vpc_id=network.vpc_id,
            subnet_ids=network.private_subnet_ids,
            security_group_id=network.workload_security_group_id,
            **chosen.model_dump(),
        ),
        pulumi.ResourceOptions(depends_on=[people]),  # CodeBuild tries the role
    )


def _alerts(ground: Ground) -> Alerts:
    return Alerts(
        "alerts",
        AlertsArgs(
            names=ground.common.names,
            tags=ground.common.tags,
            kms_key_arn=ground.keys.arn("operations"),
            emails=ground.settings.alerts.emails,
        ),
    )
