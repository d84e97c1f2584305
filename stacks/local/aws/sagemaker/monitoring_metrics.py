"""What the container of a monitoring job left for CloudWatch, published as the job's role.

Source: SageMaker developer guide, "CloudWatch Metrics for Bring Your Own Containers" and the pages
on the metrics of each kind of monitor. They spell the namespace of data quality in three ways; here
it is that of the other kinds, by which AWS's own samples set their alarms.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from stacks.local.aws.emulator import Emulator, moto_backend
from stacks.local.aws.iam.asked import Check
from stacks.local.runtime.acting import Acting
from stacks.local.runtime.frameworks.cloudwatch_metrics import ENDPOINT_NAME, PUBLISH

KINDS = {
    "DATA_QUALITY": "data",
    "MODEL_BIAS": "bias",
    "MODEL_EXPLAINABILITY": "explainability",
    "MODEL_QUALITY": "model",
}
"""`analysis_type` of the container -> its part of the namespace."""

MEMBERS = ("Dimensions", "StatisticValues", "Unit", "Value")

log = logging.getLogger(__name__)


def publish(
    emulator: Emulator, acting: Acting, environment: Mapping[str, str], lines: Iterable[str]
) -> None:
    """Bring them to CloudWatch where the definition wants them and its role may."""
    lines = list(lines)
    if not lines or environment[PUBLISH] != "Enabled":
        return
    of = "Endpoints" if environment.get(ENDPOINT_NAME) else "ModelMonitoring"
    namespace = f"aws/sagemaker/{of}/{KINDS[environment['analysis_type']]}-metrics"
    known = {"cloudwatch:namespace": namespace}
    check = Check(action="cloudwatch:PutMetricData", resource="*", known=known)
    if not emulator.authorizer.refuses(acting.environment["AWS_ACCESS_KEY_ID"], check):
        for line in lines:
            _put(moto_backend("cloudwatch", emulator), namespace, line)


def _put(cloudwatch: Any, namespace: str, line: str) -> None:
    """Publish a line; one that is no datum of CloudWatch is left out with a word in the log."""
    from moto.core.exceptions import ServiceException

    try:
        told = json.loads(line)
        datum = {name: told[name] for name in MEMBERS if name in told}
        datum["MetricName"] = told["MetricName"]
        at = datetime.fromisoformat(told["Timestamp"]).astimezone(UTC)
        datum["Timestamp"] = at.replace(tzinfo=None)  # as moto keeps its own
        cloudwatch.put_metric_data(namespace, [datum])
    except (AttributeError, LookupError, ServiceException, TypeError, ValueError) as error:
        log.warning("a monitoring job left %r for CloudWatch: %r", line[:200], error)
