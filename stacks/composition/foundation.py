"""Network, keys, access and storage: what everything else stands on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from infra.access import Access, AccessArgs, RoleSpec
from infra.component import ComponentArgs, Role
from infra.keys import COMMON, Keys, KeysArgs
from infra.naming import Names
from infra.network import Network, NetworkArgs
from infra.storage import Storage, StorageArgs
from infra.vpc_endpoints import VpcEndpoints, VpcEndpointsArgs
from stacks.settings import Settings

BUCKETS = ("artifacts", "data")

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
    registry: Names | None
    """Names in the environment whose models this one serves; None: it serves its own."""

    def grant_read_registry(self, role: Role) -> list[pulumi.Resource]:
        """Let a role read model artefacts of the environment that registers models, if another."""
        if self.registry is None:
            return []
        return [
            self.storage.grant_read_of(role, self.registry, "artifacts"),
            self.keys.grant_decrypt_of(role, self.registry, "storage"),
        ]


def roles(settings: Settings) -> dict[str, RoleSpec]:
    """Who writes flow logs."""
    found = {}
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
    access = Access("access", AccessArgs(names=common.names, tags=common.tags, roles=roles))
    network = _network(common, settings, keys, access)
    endpoints = _endpoints(common, settings, network)
    storage = Storage(
        "storage",
        StorageArgs(
            names=common.names,
            tags=common.tags,
            buckets=BUCKETS,
            kms_key_arn=keys.arn("storage"),
            noncurrent_days=settings.storage.noncurrent_days,
            protect=settings.protect,
        ),
    )
    registry = settings.accounts.registry_names(common.names)
    return Foundation(common, network, endpoints, keys, access, storage, registry)


def _keys(common: ComponentArgs, settings: Settings, asked: Sequence[KeyPurposes]) -> Keys:
    """A key per purpose, with the services of every domain that asks for it."""
    purposes: dict[str, tuple[str, ...]] = {}
    for wanted in asked:
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
