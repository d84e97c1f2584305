"""Network, keys, access, storage and file system of an environment."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from stacks.pins.table import pins
from stacks.settings.part import Part, RoleArn

ENDPOINTS = (
    "autoscaling", "ec2", "ec2messages", "ecr.api", "ecr.dkr", "eks", "eks-auth",
    "elasticfilesystem", "elasticloadbalancing", "events", "kms", "logs", "monitoring",
    "sagemaker.api", "sagemaker.featurestore-runtime", "sagemaker.runtime", "secretsmanager", "sqs",
    "ssm", "ssmmessages", "states", "sts",
)  # fmt: skip
"""What nodes, pods and jobs call. In a closed network the VPC CNI needs `ec2`, Pod Identity
`eks-auth`, Karpenter `sqs` and `ssm` (EKS user guide, private clusters)."""


class Network(Part):
    cidr_block: str
    """Primary range of the VPC, /16 to /24: nodes, jobs, endpoints. Not shared between
    environments."""

    pod_cidr_block: str | None = None
    """Secondary range for pods, /16 to /20 in 100.64.0.0/10. Default: pods share the primary."""

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
    principal_arns: list[
        Annotated[str, Field(pattern=r"^arn:aws[\w-]*:iam::\d{12}:(role|user)/.+$")]
    ] = Field(default_factory=list)
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
            check_not_approver(self.approver, name, getattr(self, name))
        return self


def check_not_approver(approver: Trust, name: str, other: Trust) -> None:
    """ValueError where somebody has both roles."""
    both = approver.principals() & other.principals()
    if both:
        raise ValueError(
            f"approver and {name} must be different people, got {', '.join(sorted(both))} in both"
        )


class GitHub(Part):
    """The pipelines that preview and deploy: jobs of one repository in named GitHub environments.

    A subject that names only the repository would let any pull request's code deploy. Each stack is
    deployed from a GitHub environment of its own, `<deploy_environment>.<layer>`.
    """

    repository: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    deploy_environment: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    """Beginning of the GitHub environments whose jobs deploy (`prod` for `prod.foundation`);
    protect each with reviewers of its layer."""

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
        if self.preview_environment.startswith(f"{self.deploy_environment}."):
            raise ValueError(
                f"preview_environment must not be one that deploys "
                f"({self.deploy_environment}.<layer>), got {self.preview_environment!r}"
            )
        return self

    def deploys(self, layer: str) -> str:
        """The one token subject of jobs that deploy this layer."""
        return self._subject(f"{self.deploy_environment}.{layer}")

    @property
    def previews(self) -> str:
        """The one token subject of jobs that preview."""
        return self._subject(self.preview_environment)

    def _subject(self, environment: str) -> str:
        return f"repo:{self.repository}:environment:{environment}"


class Access(Part):
    personas: Personas = Personas()
    deployers: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Trust] = Field(
        default_factory=dict
    )
    """By workload: who deploys its stack, and may touch nothing but what it owns. Default: the
    deployer of the platform alone."""

    permissions_boundary: (
        Annotated[str, Field(pattern=r"^(managed|arn:aws[\w-]*:iam::\d{12}:policy/.+)$")] | None
    ) = "managed"
    """What no role may exceed: `managed`, the ARN of your own policy, or null for none. Default:
    managed, a policy of this environment."""

    instance_types: list[Annotated[str, Field(pattern=r"^ml\.")]] = Field(
        default_factory=lambda: ["ml.m5.large", "ml.m5.xlarge", "ml.c6i.xlarge", "ml.g5.xlarge"]
    )
    """SageMaker instance types that people may start jobs on. Default: small ones."""

    github: GitHub | None = None
    """Default: no pipeline may assume a role."""

    @model_validator(mode="after")
    def _no_deployer_approves(self) -> Access:
        for workload, trust in self.deployers.items():
            check_not_approver(self.personas.approver, f"deployers.{workload}", trust)
        return self


class Runner(Part):
    """A CodeBuild project in the VPC that deploys what can only be reached from there."""

    compute_type: Literal["BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_MEDIUM"] = "BUILD_GENERAL1_SMALL"
    image: str = pins().version("image/codebuild")
    """With Python 3.11 or newer. Default: the curated image of CodeBuild."""

    timeout_minutes: Annotated[int, Field(ge=5, le=2160)] = 120
    """An EKS cluster with its nodes takes half an hour. Default: two hours."""


class Storage(Part):
    noncurrent_days: Annotated[int, Field(ge=1)] = 90
    """Days a replaced or deleted object can still be brought back. Default: 90."""

    capture_days: Annotated[int, Field(ge=1)] = 90
    """Days that captured requests and answers of endpoints are kept. Default: 90."""

    quarantine_days: Annotated[int, Field(ge=1)] = 30
    """Days that rows which broke the data contract are kept. Default: 30."""

    answer_days: Annotated[int, Field(ge=1)] = 30
    """Days that answers and failures of asynchronous endpoints are kept. Default: 30."""

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


def check_file_system(system: FileSystem, availability_zone_ids: Sequence[str]) -> None:
    """A file system stands in one of our zones; ValueError if not."""
    if system.availability_zone_id not in availability_zone_ids:
        raise ValueError(
            "availability_zone_id must be one of the environment's "
            f"({', '.join(availability_zone_ids)}), got {system.availability_zone_id!r}"
        )
