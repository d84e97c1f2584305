"""What the data of a cloud that ended describe, put right in the next one.

What served serves again; what ran has failed, and says why. Nothing else runs by itself: a pipeline
execution goes on where somebody retries it (RetryPipelineExecution, API reference).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker import components, endpoints, jobs, mlflow_app
from stacks.local.aws.sagemaker.fleet import launch
from stacks.local.aws.sagemaker.pipelines import EXECUTION, RUNNING
from stacks.local.aws.sagemaker.rollout import Deployment
from stacks.local.aws.sagemaker.runs import Run
from stacks.local.aws.sagemaker.servers import ServingFailed
from stacks.local.aws.sagemaker.shapes import now
from stacks.local.aws.store import Resource
from stacks.local.runtime.jobs import Ending

REASON = "InternalServerError: the local cloud ended meanwhile"

JOBS: Mapping[str, str] = {
    "processing job": "ProcessingJob",
    "training job": "TrainingJob",
    "transform job": "TransformJob",
    "hyperparameter tuning job": "HyperParameterTuningJob",
}
"""Kind -> how its members begin."""

SERVING: Mapping[str, str] = {"endpoint": "EndpointStatus", components.KIND: components.STATUS}
"""Kind -> its status."""

UNDER_MAINTENANCE = {"endpoint": "SystemUpdating", components.KIND: "Updating"}
NOT_SERVING = {"endpoint": "OutOfService", components.KIND: "Failed"}
"""Kind -> its status while its processes start, and where they do not (EndpointStatus and
InferenceComponentStatus, API reference)."""

log = logging.getLogger(__name__)


def resume(emulator: Emulator) -> list[threading.Event]:
    """Put everything right; an event is set when something that served answers again."""
    for kind, stem in JOBS.items():
        for item in emulator.store.all(kind):
            _end_job(emulator, item, stem)
    for item in emulator.store.all(EXECUTION):
        _end_execution(item)
    started = [mlflow_app.resume(emulator, item) for item in mlflow_app.everything(emulator)]
    for kind, status in SERVING.items():
        started += [_serve(emulator, item, status) for item in emulator.store.all(kind)]
    return started


def _end_job(emulator: Emulator, item: Resource, stem: str) -> None:
    status = item.fields[f"{stem}Status"]
    if status not in ("InProgress", "Stopping"):
        return
    if status == "Stopping":
        jobs.finish(emulator, item, stem, Ending(status="Stopped"))
    else:
        jobs.finish(emulator, item, stem, Ending(status="Failed", failure_reason=REASON))


def _end_execution(item: Resource) -> None:
    status = item.fields["PipelineExecutionStatus"]
    if status not in RUNNING:
        return
    ended = "Stopped" if status == "Stopping" else "Failed"
    live: Run = item.live
    for step in live.steps.values():
        if "EndTime" not in step:
            step.update(StepStatus=ended, EndTime=now(), FailureReason=REASON)
    item.set(PipelineExecutionStatus=ended, FailureReason=REASON if ended == "Failed" else None)


def _serve(emulator: Emulator, item: Resource, status: str) -> threading.Event:
    """Start the processes of what served; the event is set when they answer, or never will.

    An update that was under way is given up: the old fleet serves, as after a roll-back.
    """
    done, live, was = threading.Event(), item.live, item.fields[status]
    cut_off = None if was == "InService" else REASON
    if was == "Deleting":
        emulator.store.remove(item)
    if was == "Creating" and item.kind == "endpoint":
        endpoints.create_endpoint(emulator, item, item.fields)
    elif live.fleet is None:
        item.set(**{status: "Failed", "FailureReason": item.fields.get("FailureReason", REASON)})
    if was in ("Creating", "Deleting") or live.fleet is None:
        done.set()
        return done
    item.live = Deployment(fleet=live.fleet)
    item.set(**{status: UNDER_MAINTENANCE[item.kind], "PendingDeploymentSummary": None})

    def work() -> None:
        try:
            launch(emulator, live.fleet, item.live.cancelled)
        except ServingFailed as error:
            item.set(**{status: NOT_SERVING[item.kind], "FailureReason": str(error)})
        else:
            item.set(**{status: "InService", "FailureReason": cut_off})
        done.set()

    def broken(error: BaseException) -> None:
        item.set(**{status: NOT_SERVING[item.kind], "FailureReason": f"{error!r}"})
        done.set()

    emulator.background(work, broken=broken)
    return done
