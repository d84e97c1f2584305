"""In which statuses SageMaker takes an operation on something that is there.

What is on its way is neither changed nor deleted: SageMaker refuses, and a client waits and asks
again. A type whose statuses move by the clock alone says so itself (`lifecycles.check_free`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker import crud, mlflow_app
from stacks.local.aws.sagemaker.errors import ApiError
from stacks.local.aws.sagemaker.resource_type import Request
from stacks.local.aws.sagemaker.resource_types import BY_NAME


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """One rule: of which type, in which statuses, and what SageMaker says otherwise."""

    kind: str
    states: tuple[str, ...]
    text: str
    """`{arn}`, `{status}` and `{states}` are filled in."""

    code: str = "ValidationException"

    def check(self, emulator: Emulator, request: Request) -> None:
        """Refuse what is in another status, or is not there."""
        kind = BY_NAME[self.kind]
        item = crud.asked(emulator, kind, request)
        status = item.fields[kind.status_field]
        if status not in self.states:
            states = ", ".join(self.states)
            raise ApiError(self.code, self.text.format(arn=item.arn, status=status, states=states))


SETTLED = Allowed(
    kind="endpoint",
    states=("InService", "Failed", "OutOfService", "UpdateRollbackFailed"),
    text='Cannot update in-progress endpoint "{arn}".',
)
"""aws/amazon-sagemaker-operator-for-k8s knows DeleteEndpoint's refusal by these words; of updates
sagemaker-python-sdk and others quote the same."""

SERVING = Allowed(
    kind="endpoint",
    states=("InService",),
    text='Cannot update endpoint "{arn}" in status {status}.',
)
"""A Failed endpoint can only be deleted (DescribeEndpoint, API reference, EndpointStatus)."""

COMPONENT = Allowed(
    kind="inference component",
    states=("InService", "Failed"),
    text='Cannot update in-progress inference component "{arn}".',
)
"""Nobody could delete one while it was Creating (amazon-sagemaker-examples#3432)."""

COPIES = Allowed(
    kind="inference component",
    states=("InService",),
    text='Cannot update inference component "{arn}" in status {status}.',
)

AT_REST = ("Stopped", "Failed")


def _notebook(states: tuple[str, ...], to: str) -> tuple[Allowed]:
    """Texts: amazon-sagemaker-examples#1094, terraform-provider-aws#16767."""
    text = "Status ({status}) not in ([{states}]). Unable to transition to (%s) for Notebook "
    told = text % to + "Instance ({arn})."
    return (Allowed(kind="notebook instance", states=states, text=told),)


def _stoppable(kind: str) -> tuple[Allowed]:
    """The text is what Amazon Braket's SDK and others know a job by that is over."""
    told = f"The request was rejected because the {kind} is in status {{status}}."
    return (Allowed(kind=kind, states=("InProgress", "Stopping"), text=told),)


def _over(kind: str) -> tuple[Allowed]:
    """In a terminal state alone (DeleteTrainingJob, API reference)."""
    told = f"The request was rejected because the {kind} is in status {{status}}; stop it first."
    return (Allowed(kind=kind, states=("Completed", "Failed", "Stopped"), text=told),)


SCHEDULE = (
    Allowed(
        kind="monitoring schedule",
        states=("Scheduled", "Stopped", "Failed"),
        text="Monitoring schedule in status {status}",
    ),
)
"""amazon-sagemaker-examples#2342, of DeleteMonitoringSchedule."""

_TRACKING = Allowed(
    kind=mlflow_app.SERVER,
    states=(*mlflow_app.ANSWERING, *mlflow_app.FAILED, "Stopped"),
    code="ConflictException",
    text="{arn} is {status}, not one of {states}.",
)
_APP = replace(
    _TRACKING,
    kind=mlflow_app.KIND,
    states=("Created", "Updated", "CreateFailed", "UpdateFailed", "DeleteFailed"),
)

ALLOWED: Mapping[str, tuple[Allowed, ...]] = {
    "DeleteEndpoint": (SETTLED,),
    "UpdateEndpoint": (SETTLED, SERVING),
    "UpdateEndpointWeightsAndCapacities": (SETTLED,),  # in service once its variants are known
    "DeleteInferenceComponent": (COMPONENT,),
    "UpdateInferenceComponent": (COMPONENT, COPIES),
    "UpdateInferenceComponentRuntimeConfig": (COMPONENT, COPIES),
    "DeleteNotebookInstance": _notebook(AT_REST, "Deleting"),
    "StartNotebookInstance": _notebook(AT_REST, "Pending"),
    "StopNotebookInstance": _notebook(("InService",), "Stopping"),
    "UpdateNotebookInstance": _notebook(AT_REST, "Updating"),
    "StopHyperParameterTuningJob": _stoppable("hyperparameter tuning job"),
    "StopProcessingJob": _stoppable("processing job"),
    "StopTrainingJob": _stoppable("training job"),
    "StopTransformJob": _stoppable("transform job"),
    "DeleteHyperParameterTuningJob": _over("hyperparameter tuning job"),
    "DeleteProcessingJob": _over("processing job"),
    "DeleteTrainingJob": _over("training job"),
    "DeleteMonitoringSchedule": SCHEDULE,
    "StartMonitoringSchedule": SCHEDULE,
    "StopMonitoringSchedule": SCHEDULE,
    "UpdateMonitoringSchedule": SCHEDULE,
    "DeleteMlflowApp": (_APP,),
    "UpdateMlflowApp": (_APP,),
    "DeleteMlflowTrackingServer": (_TRACKING,),
    "UpdateMlflowTrackingServer": (_TRACKING,),
    "StartMlflowTrackingServer": (replace(_TRACKING, states=("Stopped", "StopFailed")),),
    "StopMlflowTrackingServer": (replace(_TRACKING, states=mlflow_app.ANSWERING),),
}
"""Operation -> its rules, in their order."""


def check(emulator: Emulator, operation: str, request: Request) -> None:
    """Refuse an operation on what is not in a status for it."""
    for rule in ALLOWED.get(operation, ()):
        rule.check(emulator, request)
