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

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account_id}:{resource}"

    def role_arn(self, role: str) -> str:
        return f"arn:aws:iam::{self.account_id}:role/{self.of(role)}"

    def service_linked_role_arn(self, service: str, name: str) -> str:
        """Of the role that a service has in every account that uses it (`config`, ...)."""
        path = f"aws-service-role/{service}.amazonaws.com"
        return f"arn:aws:iam::{self.account_id}:role/{path}/{name}"

    def fsx_role_arn(self) -> str:
        """Pattern of the roles with which FSx reads linked buckets, one per file system."""
        path = "aws-service-role/s3.data-source.lustre.fsx.amazonaws.com"
        return f"arn:aws:iam::{self.account_id}:role/{path}/AWSServiceRoleForFSxS3Access_*"

    def repository_url(self, role: str) -> str:
        """Address of an ECR repository of this account, without tag or digest."""
        return f"{self.account_id}.dkr.ecr.{self.region}.amazonaws.com/{self.platform.of(role)}"


def account_roots(accounts: Iterable[str]) -> list[str]:
    """Principals that stand for accounts, each once: environments may share one."""
    return [f"arn:aws:iam::{account_id}:root" for account_id in sorted(set(accounts))]


def role_arn_patterns(environments: Mapping[str, Sequence[str]]) -> list[str]:
    """Patterns of the roles of these environments, given by account.

    A policy that names a role outright is refused until the role exists; with the account as its
    principal and these in a condition, it is not.
    """
    return sorted(
        Names(env=env, account_id=account_id, region="").role_arn("*")
        for account_id, envs in environments.items()
        for env in envs
    )


def content_hash(content: Mapping[str, Any]) -> str:
    """Eight hex digits that change when the content does: for resources that cannot be updated."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]
