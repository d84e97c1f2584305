"""What the registry says of a model package: approval and the metrics of its evaluation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from stacks.targets.aws_clients import Clients

PACKAGE = ":model-package/"


def facts(client: Clients, arns: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Package ARN -> its facts; one that cannot be asked about has none, and the review says so."""
    found = {arn: _facts(client, arn) for arn in sorted(set(arns)) if PACKAGE in arn}
    return {arn: known for arn, known in found.items() if known}


def _facts(client: Clients, arn: str) -> dict[str, Any]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        described = client("sagemaker").describe_model_package(ModelPackageName=arn)
    except (BotoCoreError, ClientError):
        return {}
    quality = described.get("ModelMetrics", {}).get("ModelQuality", {})
    uri = quality.get("Statistics", {}).get("S3Uri", "")
    try:
        metrics = _metrics(client, uri) if uri else {}
    except (BotoCoreError, ClientError, KeyError, TypeError, ValueError):
        metrics = {}
    return {"approval": described["ModelApprovalStatus"], **metrics}


def _metrics(client: Clients, uri: str) -> Mapping[str, float]:
    """The figures of an evaluation report, as the pipeline's own step writes it."""
    place = urlsplit(uri)
    body = client("s3").get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))["Body"].read()
    return {name: round(item["value"], 4) for name, item in json.loads(body)["metrics"].items()}
