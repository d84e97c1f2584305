"""What a decision of IAM costs: a role as large as ours, compiled once, asked many times.

Exits with 1 where the median is not below MOST_MILLISECONDS.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from infra.naming import Names
from infra.permissions_boundary import boundary
from policies.iam.decision import Policies, decide
from policies.iam.document import Policy, compiled
from policies.iam.request import Principal, Request, keys

MOST_MILLISECONDS = 0.2
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/plinth-dev-flight-delay-pipeline"


def _identity(statements: int) -> Policy:
    """As many statements as a role of a workload has, over buckets, keys, jobs and tables."""
    services = ("s3", "kms", "sagemaker", "dynamodb", "logs", "kinesis", "glue", "ecr")
    return compiled(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": [f"{services[index % 8]}:{verb}*" for verb in ("Get", "Put", "List")],
                    "Resource": [f"arn:aws:{services[index % 8]}:::plinth-{index}/*"],
                    "Condition": {"StringEquals": {"aws:RequestedRegion": "us-east-1"}},
                }
                for index in range(statements)
            ],
        }
    )


def _bucket() -> Policy:
    def deny(sid: str, condition: Any) -> dict[str, Any]:
        return {"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": "s3:*",
                "Resource": ["arn:aws:s3:::plinth-0", "arn:aws:s3:::plinth-0/*"],
                "Condition": condition}  # fmt: skip

    return compiled(
        {
            "Version": "2012-10-17",
            "Statement": [
                deny("PlainText", {"Bool": {"aws:SecureTransport": "false"}}),
                deny("Elsewhere", {"StringNotEquals": {"aws:PrincipalAccount": ACCOUNT}}),
            ],
        }
    )


def _asked(count: int) -> list[Request]:
    principal = Principal(
        kind="session", arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/x/y", account=ACCOUNT, entity=ROLE
    )
    context = keys(
        {
            "aws:RequestedRegion": "us-east-1",
            "aws:PrincipalArn": ROLE,
            "aws:PrincipalAccount": ACCOUNT,
            "aws:SecureTransport": True,
        }
    )
    return [
        Request(
            principal=principal,
            action=("s3:GetObject", "s3:PutObject", "s3:DeleteObject")[index % 3],
            account=ACCOUNT,
            resource=f"arn:aws:s3:::plinth-{index % 8}/data/{index}.parquet",
            context=context,
        )
        for index in range(count)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--statements", type=int, default=40)
    parser.add_argument("--requests", type=int, default=20_000)
    asked = parser.parse_args()
    names = Names(env="dev", account_id=ACCOUNT, region="us-east-1")
    policies = Policies(
        identity=[_identity(asked.statements)],
        boundary=compiled(json.dumps(boundary(names))),
        resource=[_bucket()],
    )
    spent, allowed = [], 0
    for request in _asked(asked.requests):
        begun = time.perf_counter()
        found = decide(request, policies)
        spent.append((time.perf_counter() - begun) * 1000)
        allowed += found.allowed
    spent.sort()
    median, most = statistics.median(spent), spent[int(len(spent) * 0.99)]
    print(f"{len(spent)} decisions over {asked.statements} statements and a boundary: {allowed}")
    print(f"allowed; median {median:.4f} ms, 99 of 100 below {most:.4f} ms")
    return int(median >= MOST_MILLISECONDS or not 0 < allowed < len(spent))


if __name__ == "__main__":
    sys.exit(main())
