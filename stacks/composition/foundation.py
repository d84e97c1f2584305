"""Network, keys, access and storage: what everything else stands on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from infra.access import POD_IDENTITY, Access, AccessArgs, RoleSpec, Trust
from infra.component import ComponentArgs
from infra.filesystem import FileSystem, FileSystemArgs
from infra.keys import COMMON, Keys, KeysArgs
from infra.network import Network, NetworkArgs
from infra.permissions_boundary import boundary
from infra.personas import PERSONAS, Personas, PersonasArgs
from infra.storage import Storage, StorageArgs
from infra.vpc_endpoints import VpcEndpoints, VpcEndpointsArgs
from stacks.settings.model import Settings

BUCKETS = ("artifacts", "data")
SAGEMAKER = "sagemaker.amazonaws.com"

IN_THE_VPC = ("", "ec2.amazonaws.com", POD_IDENTITY)
"""Whose roles come to S3 through the VPC: nodes and pods; and nobody's, which are people's. Other
services take on their roles in AWS's own networks, unless a role is for jobs in the VPC alone."""

KeyPurposes = Sequence[str] | Mapping[str, Sequence[str]]
"""Keys that a domain needs: names, or names with the services that use them (infra/keys.py).
Names alone get the services of most purposes."""

KEY_PURPOSES: KeyPurposes = {"ebs": ("ebs",), "logs": ("logs",), "storage": COMMON}


@dataclass(frozen=True)
class Foundation:
    """What every other domain builds on."""

    common: ComponentArgs
    network: Network
    endpoints: VpcEndpoints
    keys: Keys
    access: Access
    storage: Storage
    filesystem: FileSystem | None
    """None where pods read the data bucket itself."""


def roles(settings: Settings) -> dict[str, RoleSpec]:
    """The personas, the pipeline that previews, and who writes flow logs."""
    people, github = settings.access.personas, settings.access.github
    trusts = {name: getattr(people, name.replace("-", "_")) for name in PERSONAS}
    subjects = {"deployer": [github.subject(github.deploy_environment)]} if github else {}
    found = {
        name: RoleSpec(trust=Trust(**trust.model_dump(), github_subjects=subjects.get(name, ())))
        for name, trust in trusts.items()
    }
    if github is not None:
        found["preview"] = RoleSpec(
            trust=Trust(github_subjects=[github.subject(github.preview_environment)]),
            # it shows what there is, and no object, record or secret
            managed_policies=("job-function/ViewOnlyAccess",),
        )
    if settings.network.flow_log_retention_days is not None:
        found["flow-logs"] = RoleSpec(service="vpc-flow-logs.amazonaws.com")
    return found


def build(
    common: ComponentArgs,
    settings: Settings,
    *,
    roles: Mapping[str, RoleSpec],
    key_purposes: Sequence[KeyPurposes],
) -> Foundation:
    """Build the foundation with the roles and keys that all domains ask for."""
    keys = _keys(common, settings, key_purposes)
    access = _access(common, settings, roles)
    network = _network(common, settings, keys, access)
    endpoints = _endpoints(common, settings, network)
    storage = _storage(common, settings, keys, endpoints, roles)
    filesystem = _filesystem(common, settings, network, keys, storage)
    base = Foundation(common, network, endpoints, keys, access, storage, filesystem)
    _people(base, settings)
    return base


def _access(common: ComponentArgs, settings: Settings, roles: Mapping[str, RoleSpec]) -> Access:
    chosen = settings.access
    limit: str | Mapping[str, object] | None = chosen.permissions_boundary
    return Access(
        "access",
        AccessArgs(
            names=common.names,
            tags=common.tags,
            roles=roles,
            permissions_boundary=boundary(common.names) if limit == "managed" else limit,
            create_github_provider=chosen.github is not None and chosen.github.create_provider,
        ),
    )


def _people(base: Foundation, settings: Settings) -> None:
    """What the personas may do, and what they may read."""
    roles = {name: base.access.role(name) for name in PERSONAS}
    Personas(
        "personas",
        PersonasArgs(
            names=base.common.names,
            tags=base.common.tags,
            roles=roles,
            instance_types=settings.access.instance_types,
        ),
    )
    base.storage.grant_read(roles["approver"], "artifacts")
    base.keys.grant_decrypt(roles["approver"], "storage")
    for name in ("data-scientist", "ml-engineer"):
        base.storage.grant_read(roles[name], *BUCKETS)
        base.keys.grant_use(roles[name], "storage")  # the volumes of their jobs too
        base.access.grant_pass(roles[name], [base.access.role("job")], SAGEMAKER)


def _storage(
    common: ComponentArgs,
    settings: Settings,
    keys: Keys,
    endpoints: VpcEndpoints,
    roles: Mapping[str, RoleSpec],
) -> Storage:
    chosen, names = settings.storage, common.names
    served = [
        purpose
        for purpose, spec in roles.items()
        if spec.service not in IN_THE_VPC and not spec.only_in_vpc
    ]
    return Storage(
        "storage",
        StorageArgs(
            names=names,
            tags=common.tags,
            buckets=BUCKETS,
            kms_key_arn=keys.arn("storage"),
            noncurrent_days=chosen.noncurrent_days,
            expire_days={"data": _expire_days(settings)},
            access_log_days=chosen.access_log_days,
            vpc_endpoint_ids=[endpoints.s3_endpoint_id] if chosen.vpc_endpoint_only else [],
            exempt_role_arns=[
                *chosen.deployer_role_arns,
                *([names.fsx_role_arn()] if settings.filesystem else []),
                *(names.role_arn(purpose) for purpose in ("deployer", *served)),
            ],
            readers=settings.accounts.readers(names),
            readable=("artifacts",),
            protect=settings.protect,
        ),
    )


def _expire_days(settings: Settings) -> dict[str, int]:
    """What is kept for a while only, in the bucket of data."""
    chosen, queued = settings.storage, settings.endpoints.asynchronous
    return {
        "capture/": chosen.capture_days,
        "quarantine/": chosen.quarantine_days,
        **({"async/": queued.answer_days} if queued else {}),
    }


def _filesystem(
    common: ComponentArgs, settings: Settings, network: Network, keys: Keys, storage: Storage
) -> FileSystem | None:
    chosen = settings.filesystem
    if chosen is None:
        return None
    return FileSystem(
        "filesystem",
        FileSystemArgs(
            names=common.names,
            tags=common.tags,
            vpc_id=network.vpc_id,
            subnet_id=network.private_subnet_ids_by_zone[chosen.availability_zone_id],
            client_security_group_ids={"workload": network.workload_security_group_id},
            bucket_name=storage.bucket("data").bucket,
            kms_key_arn=keys.arn("storage"),
            storage_gib=chosen.storage_gib,
            throughput_mbps_per_tib=chosen.throughput_mbps_per_tib,
            protect=settings.protect,
        ),
        pulumi.ResourceOptions(depends_on=[storage]),  # FSx tries the bucket before it links it
    )


def _keys(common: ComponentArgs, settings: Settings, asked: Sequence[KeyPurposes]) -> Keys:
    """A key per purpose, with the services of every domain that asks for it."""
    purposes: dict[str, tuple[str, ...]] = {}
    file_system: KeyPurposes = {"storage": ("fsx",)} if settings.filesystem else {}
    for wanted in (*asked, file_system):
        services = wanted if isinstance(wanted, Mapping) else dict.fromkeys(wanted, COMMON)
        for purpose, names in services.items():
            purposes[purpose] = tuple(sorted({*purposes.get(purpose, ()), *names}))
    return Keys(
        "keys",
        KeysArgs(
            names=common.names,
            tags=common.tags,
            purposes=purposes,
            readers=settings.accounts.readers(common.names),
            readable=("storage",),
            deletion_window_days=settings.keys.deletion_window_days,
            protect=settings.protect,
        ),
    )


def _network(common: ComponentArgs, settings: Settings, keys: Keys, access: Access) -> Network:
    chosen = settings.network
    return Network(
        "network",
        NetworkArgs(
            names=common.names,
            tags=common.tags,
            cidr_block=chosen.cidr_block,
            pod_cidr_block=chosen.pod_cidr_block,
            availability_zone_ids=chosen.availability_zone_ids,
            nat_gateways=chosen.nat_gateways,
            cluster_name=common.names.of("cluster"),
            flow_log_role=access.role("flow-logs") if chosen.flow_log_retention_days else None,
            flow_log_retention_days=chosen.flow_log_retention_days or 0,
            flow_log_kms_key_arn=keys.arn("logs"),
        ),
    )


def _endpoints(common: ComponentArgs, settings: Settings, network: Network) -> VpcEndpoints:
    chosen = settings.network
    pods = {"pods": chosen.pod_cidr_block} if chosen.pod_cidr_block else {}
    return VpcEndpoints(
        "endpoints",
        VpcEndpointsArgs(
            names=common.names,
            tags=common.tags,
            vpc_id=network.vpc_id,
            subnet_ids=network.private_subnet_ids,
            route_table_ids=network.route_table_ids,
            cidr_blocks={"nodes": chosen.cidr_block, **pods},
            interface_endpoints=chosen.interface_endpoints,
        ),
    )
