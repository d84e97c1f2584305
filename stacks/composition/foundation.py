"""Network, keys, access and storage: what everything else stands on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from infra.access import Access, AccessArgs, RoleSpec
from infra.component import ComponentArgs
from infra.keys import Keys, KeysArgs
from infra.network import Network, NetworkArgs
from infra.storage import Storage, StorageArgs
from stacks.settings import Settings

BUCKETS = ("artifacts", "data")


@dataclass(frozen=True)
class Foundation:
    """What every other domain builds on."""

    common: ComponentArgs
    network: Network
    keys: Keys
    access: Access
    storage: Storage


def build(
    common: ComponentArgs,
    settings: Settings,
    *,
    roles: Mapping[str, RoleSpec],
    key_purposes: Sequence[str],
) -> Foundation:
    """Build the foundation with the roles and keys that the other domains ask for."""
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
            purposes=("storage", *key_purposes),
            deletion_window_days=settings.keys.deletion_window_days,
            protect=settings.protect,
        ),
    )
    access = Access("access", AccessArgs(names=names, tags=tags, roles=roles))
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
