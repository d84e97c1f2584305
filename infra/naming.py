"""Names, ARNs and tags as a pure function of environment, account and region.

Names are contract: a renamed resource is a replaced resource. Nothing here reads a clock or a
random source, so the same settings give the same names in every preview.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BUCKET_NAME_LIMIT = 63
"""Characters in an S3 bucket name (Amazon S3 user guide, bucket naming rules)."""


@dataclass(frozen=True, kw_only=True)
class Names:
    """Every name of one environment."""

    env: str
    account_id: str
    region: str

    @property
    def prefix(self) -> str:
        return f"plinth-{self.env}"

    def of(self, role: str) -> str:
        """Physical name of the resource that plays this role."""
        return f"{self.prefix}-{role}"

    def bucket(self, role: str) -> str:
        """Bucket names are global, so the account is part of them."""
        name = f"{self.prefix}-{role}-{self.account_id}"
        if len(name) > BUCKET_NAME_LIMIT:
            raise ValueError(f"bucket name must have at most {BUCKET_NAME_LIMIT}, got {name!r}")
        return name

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account_id}:{resource}"

    def role_arn(self, role: str) -> str:
        return f"arn:aws:iam::{self.account_id}:role/{self.of(role)}"

    def repository_url(self, role: str) -> str:
        """Address of an ECR repository of this account, without tag or digest."""
        return f"{self.account_id}.dkr.ecr.{self.region}.amazonaws.com/{self.of(role)}"


def content_hash(content: Mapping[str, Any]) -> str:
    """Eight hex digits that change when the content does: for resources that cannot be updated."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]
