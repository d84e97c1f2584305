"""Asks every service of the local cloud one question before the first deployment does.

A service's model and backend are loaded on first use, some tenths of a second each and one after
the other; the time while definitions compile and the preview runs is free for it.
"""

import logging
import time
from typing import Protocol

QUESTIONS = {
    "cloudwatch": "describe_alarms",
    "ec2": "describe_vpcs",
    "ecr": "describe_repositories",
    "eks": "list_clusters",
    "iam": "list_roles",
    "kms": "list_aliases",
    "logs": "describe_log_groups",
    "s3": "list_buckets",
    "sagemaker": "list_pipelines",
    "sns": "list_topics",
}

log = logging.getLogger(__name__)


class Clients(Protocol):
    """What makes boto3 clients."""

    def client(self, service: str) -> object: ...


def warm(clients: Clients) -> None:
    """Load what a deployment needs."""
    started = time.perf_counter()
    for service, operation in QUESTIONS.items():
        getattr(clients.client(service), operation)()
    log.info("warm after %.1f s", time.perf_counter() - started)
