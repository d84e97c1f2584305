"""What the stacks above a foundation build on: its parts, as they are seen from there."""

from collections.abc import Mapping
from dataclasses import dataclass

from infra.access import Access, AccessArgs, RoleSpec
from infra.component import ComponentArgs
from infra.images import SharedImages
from infra.keys import SharedKeys, SharedKeysArgs
from infra.naming import Names
from infra.network import SharedNetwork, SharedNetworkArgs
from infra.storage import SharedBuckets
from infra.tracking import SharedTracking, SharedTrackingArgs
from stacks.contract import FoundationContract
from stacks.settings.environment import Environment

BUCKETS = ("artifacts", "data")
SAGEMAKER = "sagemaker.amazonaws.com"

TRACKED = "mlflow"
"""Folder of MLflow in the bucket of artifacts."""

ACTS_OUTSIDE_THE_VPC = ("features", "llm", "pipeline", "serving")
"""Roles of workloads with which SageMaker comes to the buckets from its own network."""


@dataclass(frozen=True)
class Base:
    """The foundation as a cluster or a workload meets it, and the stack's own roles."""

    common: ComponentArgs
    environment: Environment
    contract: FoundationContract
    access: Access
    keys: SharedKeys
    storage: SharedBuckets
    network: SharedNetwork
    images: SharedImages
    tracking: SharedTracking | None
    """None where runs are not recorded."""

    @property
    def names(self) -> Names:
        return self.common.names

    @property
    def subnet_ids(self) -> list[object]:
        """The private subnets, of all zones."""
        return list(self.contract.private_subnet_ids.values())


def base(
    common: ComponentArgs,
    environment: Environment,
    contract: FoundationContract,
    roles: Mapping[str, RoleSpec],
) -> Base:
    """The parts of the foundation that the contract offers, and roles below its boundary."""
    names, tags = common.names, common.tags
    kind = contract.tracking_kind
    return Base(
        common=common,
        environment=environment,
        contract=contract,
        access=Access(
            "access",
            AccessArgs(
                names=names,
                tags=tags,
                roles=roles,
                permissions_boundary=contract.permissions_boundary_arn,
            ),
        ),
        keys=SharedKeys("keys", SharedKeysArgs(names=names, tags=tags, arns=contract.key_arns)),
        storage=SharedBuckets("storage", common),
        network=SharedNetwork(
            "network",
            SharedNetworkArgs(
                names=names,
                tags=tags,
                private_subnet_ids=list(contract.private_subnet_ids.values()),
                job_security_group_id=contract.job_security_group_id,
            ),
        ),
        images=SharedImages("images", common),
        tracking=None
        if kind == "none"
        else SharedTracking(
            "tracking",
            SharedTrackingArgs(names=names, tags=tags, kind=kind, app_arn=contract.tracking_arn),
        ),
    )
