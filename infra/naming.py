"""Names, ARNs and tags as a pure function of environment, account and region.

Names are contract: a renamed resource is a replaced resource. Nothing here reads a clock or a
random source, so the same settings give the same names in every preview.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

BUCKET_NAME_LIMIT = 63
"""Characters in an S3 bucket name (Amazon S3 user guide, bucket naming rules)."""


MODEL_GROUP = "model"
"""Role of a workload's model package group."""

REALTIME, ASYNCHRONOUS, SERVERLESS = ENDPOINT_KINDS = ("realtime", "async", "serverless")
"""Roles of a workload's endpoints."""

IMAGES = "images"
"""Role of the image repository in its name."""

PARTITIONS = {
    "cn-": ("aws-cn", "amazonaws.com.cn"),
    "eu-isoe-": ("aws-iso-e", "cloud.adc-e.uk"),
    "eusc-": ("aws-eusc", "amazonaws.eu"),
    "us-gov-": ("aws-us-gov", "amazonaws.com"),
    "us-iso-": ("aws-iso", "c2s.ic.gov"),
    "us-isob-": ("aws-iso-b", "sc2s.sgov.gov"),
    "us-isof-": ("aws-iso-f", "csp.hci.ic.gov"),
}
"""Beginning of regions -> partition and end of addresses, for all but the commercial one (botocore,
partitions.json)."""

GLOBAL_REGIONS = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
"""Where requests to services without a region go, such as those of AWS Budgets, by partition."""

SHORT_DIRECTIONS = {"northeast": "ne", "northwest": "nw", "southeast": "se", "southwest": "sw"}
"""Two letters in the ids of zones; of other words there is one (AWS user guide, AZ ids)."""

SHORT_HASH = 8
"""Hex digits that tell apart two names which were cut at the same place."""

PLATFORM_WORDS = frozenset(
    (
        "alerts", "anomalies", "approver", "artifacts", "audit", "boundary", "capacity",
        "cluster", "cni", "config", "cost", "data", "deployer", "ebs", "efa", "eks", "endpoints",
        "features", "flow", "foundation", "gpu", "images", "jobs", "kafka", "karpenter", "llm",
        "logs", "lustre", "ml", "monthly", "node", "off", "operations", "preview", "pulumi",
        "recorder", "runner", "s3", "sagemaker", "serving", "spark", "state", "stop", "storage",
        "system", "tracking", "trail", "workload",
    )
)  # fmt: skip
"""First words of the roles in the platform's names. No workload may be called like one: what it
owns begins with its name, and so would what it does not."""

GITHUB = "token.actions.githubusercontent.com"
"""Issuer of the tokens of GitHub's workflow runs."""

TEAM_LABEL = "plinth.dev/team"
"""Whose a Kubernetes namespace or pod is: quotas, guardrails and costs go by it."""

POOL_LABEL = "plinth.dev/pool"
"""The pool that a Kubernetes node belongs to."""

GPU_RESOURCE = "nvidia.com/gpu"
"""What a pod asks for to get a GPU; nodes with GPUs carry a taint of the same name."""


@dataclass(frozen=True, kw_only=True)
class Names:
    """Every name of one environment's platform, or of one workload in it.

    What a workload owns is called `plinth-<env>-<workload>-<role>`, what the platform owns
    `plinth-<env>-<role>`. Buckets, image repositories and keys are always the platform's.
    """

    env: str
    account_id: str
    region: str
    workload: str = ""
    """As AWS sees it, with hyphens (`fraud-score`). Default: the platform's own names."""

    @property
    def partition(self) -> str:
        """First part of every ARN: accounts of AWS's partitions know nothing of each other."""
        return partition_of(self.region)[0]

    @property
    def dns_suffix(self) -> str:
        """End of the addresses of AWS's services."""
        return partition_of(self.region)[1]

    @property
    def global_region(self) -> str:
        """Where services without a region of their own answer."""
        return GLOBAL_REGIONS.get(self.partition, self.region)

    @property
    def prefix(self) -> str:
        return f"plinth-{self.env}-{self.workload}" if self.workload else f"plinth-{self.env}"

    @property
    def platform(self) -> "Names":
        """The names of what the environment's workloads share."""
        return replace(self, workload="")

    def of_workload(self, workload: str) -> "Names":
        """The names of a workload of this environment, given as AWS sees it."""
        return replace(self, workload=workload)

    def of(self, role: str) -> str:
        """Physical name of the resource that plays this role; names in AWS have hyphens."""
        return f"{self.prefix}-{role.replace('_', '-')}"

    def short(self, role: str, limit: int) -> str:
        """`of(role)`, its end replaced by a hash of the whole where it is longer than the limit."""
        name = self.of(role)
        if len(name) <= limit:
            return name
        mark = hashlib.sha256(name.encode()).hexdigest()[:SHORT_HASH]
        return f"{name[: limit - SHORT_HASH - 1]}-{mark}"

    def bucket(self, role: str) -> str:
        """Bucket names are global, so the account is part of them."""
        name = f"{self.platform.prefix}-{role}-{self.account_id}"
        if len(name) > BUCKET_NAME_LIMIT:
            raise ValueError(f"bucket name must have at most {BUCKET_NAME_LIMIT}, got {name!r}")
        return name

    def iam_arn(self, resource: str) -> str:
        """Of something in this account's IAM, such as `role/x`."""
        return f"arn:{self.partition}:iam::{self.account_id}:{resource}"

    def bucket_arn(self, name: str) -> str:
        """Of a bucket, or of objects in it, by its whole name."""
        return f"arn:{self.partition}:s3:::{name}"

    def aws_arn(self, service: str, resource: str) -> str:
        """Of something that AWS offers to every account, such as a managed policy."""
        return f"arn:{self.partition}:{service}::aws:{resource}"

    def universal_target(self, call: str) -> str:
        """Of an API call as EventBridge Scheduler's target (user guide, universal targets)."""
        return f"arn:{self.partition}:scheduler:::aws-sdk:{call}"

    def arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"

    def role_arn(self, role: str) -> str:
        return f"arn:{self.partition}:iam::{self.account_id}:role/{self.of(role)}"

    def service_linked_role_arn(self, service: str, name: str) -> str:
        """Of the role that a service has in every account that uses it (`config`, ...)."""
        path = f"aws-service-role/{service}.amazonaws.com"
        return f"arn:{self.partition}:iam::{self.account_id}:role/{path}/{name}"

    def fsx_role_arn(self) -> str:
        """Pattern of the roles with which FSx reads linked buckets, one per file system."""
        path = "aws-service-role/s3.data-source.lustre.fsx.amazonaws.com"
        return self.iam_arn(f"role/{path}/AWSServiceRoleForFSxS3Access_*")

    def repository_url(self, role: str) -> str:
        """Address of an ECR repository of this account, without tag or digest."""
        registry = f"{self.account_id}.dkr.ecr.{self.region}.{self.dns_suffix}"
        return f"{registry}/{self.platform.of(role)}"


def partition_of(region: str) -> tuple[str, str]:
    """Partition and end of addresses of a region."""
    found = (of for begin, of in PARTITIONS.items() if region.startswith(begin))
    return next(found, ("aws", "amazonaws.com"))


def zone_prefix(region: str) -> str:
    """How the ids of a region's zones begin: `use1` for us-east-1, `apse2` for ap-southeast-2."""
    place, *directions, number = region.split("-")
    short = "".join(SHORT_DIRECTIONS.get(one, one[:1]) for one in directions)
    return f"{place}{short}{number}"


def account_roots(accounts: Iterable[str], region: str) -> list[str]:
    """Principals that stand for accounts, each once: environments may share one."""
    partition = partition_of(region)[0]
    return [f"arn:{partition}:iam::{account_id}:root" for account_id in sorted(set(accounts))]


def role_arn_patterns(environments: Mapping[str, Sequence[str]], region: str) -> list[str]:
    """Patterns of the roles of these environments, given by account.

    A policy that names a role outright is refused until the role exists; with the account as its
    principal and these in a condition, it is not.
    """
    return sorted(
        Names(env=env, account_id=account_id, region=region).role_arn("*")
        for account_id, envs in environments.items()
        for env in envs
    )


def content_hash(content: Mapping[str, Any]) -> str:
    """Eight hex digits that change when the content does: for resources that cannot be updated."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]
