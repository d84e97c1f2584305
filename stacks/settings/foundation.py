"""Account, network, keys, access, storage and file system of an environment."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from infra.naming import Names
from stacks.settings.part import Part

AccountId = Annotated[str, Field(pattern=r"^\d{12}$")]
RoleArn = Annotated[str, Field(pattern=r"^arn:aws:iam::\d{12}:role/.+$")]


ENDPOINTS = (
    "autoscaling", "ec2", "ec2messages", "ecr.api", "ecr.dkr", "eks", "eks-auth",
    "elasticfilesystem", "elasticloadbalancing", "events", "kms", "logs", "monitoring",
    "sagemaker.api", "sagemaker.featurestore-runtime", "sagemaker.runtime", "secretsmanager", "sqs",
    "ssm", "ssmmessages", "states", "sts",
)  # fmt: skip
"""What nodes, pods and jobs call. In a closed network the VPC CNI needs `ec2`, Pod Identity
`eks-auth`, Karpenter `sqs` and `ssm` (EKS user guide, private clusters)."""


class Account(Part):
    """Where the environment lives. Names and ARNs are computed from it, not looked up."""

    account_id: AccountId
    region: str = "us-east-1"


class Accounts(Part):
    """The environments that share models: one registers them, the others read from it.

    Two environments may share an account; then the account is named once where a policy lists
    readers, and not at all where it is the registry's own.
    """

    registry: str | None = None
    """Environment whose model packages, artefacts and images the others serve. Default: every
    environment serves what it registered itself."""

    environments: dict[str, AccountId] = Field(default_factory=dict)
    """Account of every environment that takes part. Default: none."""

    @model_validator(mode="after")
    def _registry_is_known(self) -> Accounts:
        if self.registry is not None and self.registry not in self.environments:
            known = ", ".join(self.environments) or "none"
            raise ValueError(
                f"registry must be one of environments ({known}), got {self.registry!r}"
            )
        return self

    def registry_names(self, names: Names) -> Names | None:
        """Names in the registry that this environment reads from; None: it reads its own."""
        if self.registry in (None, names.env):
            return None
        account_id = self.environments[str(self.registry)]
        return Names(env=str(self.registry), account_id=account_id, region=names.region)

    def readers(self, names: Names) -> dict[str, list[str]]:
        """Of the registry: the environments that read from it by their account, its own left out.

        Empty for every other environment.
        """
        if self.registry != names.env:
            return {}
        found: dict[str, list[str]] = {}
        for env, account_id in sorted(self.environments.items()):
            if account_id != names.account_id:
                found.setdefault(account_id, []).append(env)
        return found


class Tags(Part):
    """Who owns and pays for every resource of the environment."""

    owner: str
    team: str
    cost_centre: str


class Network(Part):
    cidr_block: str
    """Primary range of the VPC, /16 to /24: nodes, jobs, endpoints. Not shared between
    environments."""

    pod_cidr_block: str | None = None
    """Secondary range for pods, /16 to /20 in 100.64.0.0/10. Default: pods share the primary."""

    availability_zone_ids: Annotated[
        list[Annotated[str, Field(pattern=r"^[a-z]{3,5}\d-(az|[a-z]{3}\d-az)\d$")]],
        Field(min_length=2, max_length=6),
    ]
    """Zones by id (`use1-az1`): a zone's name means another place in every account."""

    nat_gateways: Literal["none", "single", "one-per-az"] = "none"
    """Ways out to the internet. Default: none, a closed network."""

    interface_endpoints: list[str] = Field(default_factory=lambda: list(ENDPOINTS))
    """AWS services reached without leaving the VPC, by suffix (`sagemaker.api`); each is billed
    per zone and hour. Default: all that the platform talks to."""

    flow_log_retention_days: Annotated[int, Field(ge=1)] | None = 90
    """Days the record of all connections is kept; null: none is made. Default: 90."""

    @model_validator(mode="after")
    def _has_room(self) -> Network:
        size = ipaddress.IPv4Network(self.cidr_block).prefixlen
        if not 16 <= size <= 24:
            raise ValueError(f"cidr_block must be a /16 to /24, got {self.cidr_block!r}")
        if self.pod_cidr_block is not None:
            pods = ipaddress.IPv4Network(self.pod_cidr_block)
            shared = ipaddress.IPv4Network("100.64.0.0/10")
            if not (16 <= pods.prefixlen <= 20 and pods.subnet_of(shared)):
                raise ValueError(
                    "pod_cidr_block must be a /16 to /20 in 100.64.0.0/10, "
                    f"got {self.pod_cidr_block!r}"
                )
        return self

    @model_validator(mode="after")
    def _zones_differ(self) -> Network:
        if len(set(self.availability_zone_ids)) < len(self.availability_zone_ids):
            raise ValueError(
                f"availability_zone_ids must differ, got {self.availability_zone_ids!r}"
            )
        return self

    def cidr_blocks(self) -> list[str]:
        """Every range of the VPC."""
        return [block for block in (self.cidr_block, self.pod_cidr_block) if block]


class Keys(Part):
    deletion_window_days: Annotated[int, Field(ge=7, le=30)] = 30


class Trust(Part):
    """Who may take on a persona: people of Identity Center's permission sets, or named principals.

    Identity Center asks for MFA itself; for the others it is a condition of the role.
    """

    permission_sets: list[Annotated[str, Field(pattern=r"^[\w+=,.@-]{1,32}$")]] = Field(
        default_factory=list
    )
    principal_arns: list[Annotated[str, Field(pattern=r"^arn:aws:iam::\d{12}:(role|user)/.+$")]] = (
        Field(default_factory=list)
    )
    require_mfa: bool = True
    external_id: Annotated[str, Field(min_length=2)] | None = None

    @model_validator(mode="after")
    def _asks_for_more_than_a_name(self) -> Trust:
        if not self.permission_sets and not self.principal_arns:
            raise ValueError("a persona must have permission_sets or principal_arns, got neither")
        if self.principal_arns and not self.require_mfa and self.external_id is None:
            raise ValueError("principal_arns need require_mfa or an external_id, got neither")
        return self

    def principals(self) -> set[str]:
        """Everyone that this trust names."""
        return {*self.permission_sets, *self.principal_arns}


def _trust(permission_set: str) -> Trust:
    return Field(default_factory=lambda: Trust(permission_sets=[permission_set]))


class Personas(Part):
    """Who works on the platform. Default: people with Identity Center's permission sets
    DataScientist, MlEngineer, ModelApprover and PlatformDeployer."""

    data_scientist: Trust = _trust("DataScientist")
    ml_engineer: Trust = _trust("MlEngineer")
    approver: Trust = _trust("ModelApprover")
    deployer: Trust = _trust("PlatformDeployer")

    @model_validator(mode="after")
    def _nobody_approves_their_own_work(self) -> Personas:
        for name in ("data_scientist", "ml_engineer", "deployer"):
            both = self.approver.principals() & getattr(self, name).principals()
            if both:
                raise ValueError(
                    f"approver and {name} must be different people, "
                    f"got {', '.join(sorted(both))} in both"
                )
        return self


class GitHub(Part):
    """The pipelines that preview and deploy: jobs of one repository in named GitHub environments.

    A subject that names only the repository would let any pull request's code deploy.
    """

    repository: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    deploy_environment: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    """GitHub environment whose jobs deploy; protect it with reviewers."""

    preview_environment: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    """GitHub environment whose jobs preview; they only read."""

    create_provider: bool = True
    """False where another environment of the account has created it. Default: this one does."""

    @model_validator(mode="after")
    def _previews_do_not_deploy(self) -> GitHub:
        if self.preview_environment == self.deploy_environment:
            raise ValueError(
                "preview_environment must differ from deploy_environment, "
                f"got {self.deploy_environment!r} for both"
            )
        return self

    def subject(self, environment: str) -> str:
        """The one token subject of jobs in this GitHub environment."""
        return f"repo:{self.repository}:environment:{environment}"


class Access(Part):
    personas: Personas = Personas()
    permissions_boundary: (
        Annotated[str, Field(pattern=r"^(managed|arn:aws:iam::\d{12}:policy/.+)$")] | None
    ) = "managed"
    """What no role may exceed: `managed`, the ARN of your own policy, or null for none. Default:
    managed, a policy of this environment."""

    instance_types: list[Annotated[str, Field(pattern=r"^ml\.")]] = Field(
        default_factory=lambda: ["ml.m5.large", "ml.m5.xlarge", "ml.c6i.xlarge", "ml.g5.xlarge"]
    )
    """SageMaker instance types that people may start jobs on. Default: small ones."""

    github: GitHub | None = None
    """Default: no pipeline may assume a role."""


class Storage(Part):
    noncurrent_days: Annotated[int, Field(ge=1)] = 90
    """Days a replaced or deleted object can still be brought back. Default: 90."""

    capture_days: Annotated[int, Field(ge=1)] = 90
    """Days that captured requests and answers of endpoints are kept. Default: 90."""

    quarantine_days: Annotated[int, Field(ge=1)] = 30
    """Days that rows which broke the data contract are kept. Default: 30."""

    access_log_days: Annotated[int, Field(ge=1)] = 365
    """Days that the access logs of the buckets are kept. Default: 365."""

    vpc_endpoint_only: bool = False
    """Refuse requests that do not come through the VPC's S3 endpoint; the deployer and AWS
    services are exempt. Default: requests from elsewhere are judged by IAM alone."""

    deployer_role_arns: list[RoleArn] = Field(default_factory=list)
    """Roles that deploy from outside the VPC, beside our own deployer. Default: none."""


class FileSystem(Part):
    """FSx for Lustre in front of the data bucket."""

    availability_zone_id: str
    """Where it stands: the one zone of the GPU pools that mount it."""

    storage_gib: Annotated[int, Field(ge=1200)] = 1200
    """1200, or a multiple of 2400. Default: 1200."""

    throughput_mbps_per_tib: Literal[125, 250, 500, 1000] = 125
    """MB/s for each TiB. Default: 125."""

    @model_validator(mode="after")
    def _has_a_size_that_exists(self) -> FileSystem:
        if self.storage_gib != 1200 and self.storage_gib % 2400:
            raise ValueError(
                f"storage_gib must be 1200 or a multiple of 2400, got {self.storage_gib}"
            )
        return self


def check_file_system(system: FileSystem, network: Network, pool_zones: Mapping[str, str]) -> None:
    """A file system stands in one of our zones, and in that of every pool that has but one."""
    if system.availability_zone_id not in network.availability_zone_ids:
        raise ValueError(
            "availability_zone_id must be one of the network's "
            f"({', '.join(network.availability_zone_ids)}), got {system.availability_zone_id!r}"
        )
    for pool, zone in pool_zones.items():
        if zone != system.availability_zone_id:
            raise ValueError(
                f"availability_zone_id must be that of the pool {pool} ({zone}), "
                f"got {system.availability_zone_id!r}"
            )
