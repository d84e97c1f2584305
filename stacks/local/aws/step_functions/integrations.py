"""What the tasks of a state machine call: this cloud, as the role of the machine.

moto's interpreter has no `.sync` for SageMaker; here is one over botocore's model. Source: Step
Functions developer guide, "Create and manage SageMaker AI jobs", "Run a Job (.sync)".
"""

# mypy: disable-error-code="misc,no-untyped-call"

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.role_sessions import CannotAssume

JOBS = (
    "HyperParameterTuningJob",
    "LabelingJob",
    "ProcessingJob",
    "TrainingJob",
    "TransformJob",
)
"""Resources whose Create operation can be waited for."""

ENDED, GOOD = frozenset({"Completed", "Failed", "Stopped"}), "Completed"
DENIED = "States.Permissions"


def install(emulator: Emulator) -> None:
    """Before the interpreter is loaded: its modules take the maker of clients by name."""
    from moto.stepfunctions.parser.asl.utils import boto_client

    def client(region: str, service: str, state_credentials: Any = None) -> Any:
        acting = emulator.act(
            state_credentials.role_arn, service="states", session_name="StepFunctions"
        )
        return acting.client(service)

    boto_client.boto_client_for = client
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
        state_task_service_factory as factory,
    )

    factory.StateTaskServiceUnsupported = _services()


def _services() -> type:
    """The class of tasks of SageMaker and others that the interpreter only hands on."""
    from botocore.exceptions import ClientError
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import resource
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
        state_task_service_callback as callback,
    )
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
        state_task_service_unsupported as unsupported,
    )

    class Services(unsupported.StateTaskServiceUnsupported):
        def __init__(self) -> None:
            callback.StateTaskServiceCallback.__init__(
                self,
                supported_integration_patterns={
                    resource.ResourceCondition.Sync,
                    resource.ResourceCondition.WaitForTaskToken,
                },
            )

        def _from_error(self, env: Any, ex: Exception) -> Any:
            if isinstance(ex, CannotAssume):
                return _failure(self, env, DENIED, str(ex))
            if isinstance(ex, ClientError) and self.resource.service_name == "sagemaker":
                name = "SageMaker.AmazonSageMakerException"
                return _failure(self, env, name, ex.response["Error"]["Message"])
            return super()._from_error(env=env, ex=ex)

        def _build_sync_resolver(
            self, env: Any, resource_runtime_part: Any, normalised_parameters: Any,
            state_credentials: Any,
        ) -> Callable[[], Any]:  # fmt: skip
            stem = self.resource.api_action.removeprefix("create").removeprefix("Create")
            if self.resource.service_name != "sagemaker" or stem not in JOBS:
                raise RuntimeError(f"Unsupported .sync in resource {self.resource.resource_arn}")
            env.stack.pop()
            name = normalised_parameters[f"{stem}Name"]
            client = unsupported.boto_client_for(
                region=resource_runtime_part.region, service="sagemaker",
                state_credentials=state_credentials,
            )  # fmt: skip
            describe = getattr(client, _snake(f"Describe{stem}"))
            return lambda: _ended(self, env, stem, describe(**{f"{stem}Name": name}))

    return Services


def _snake(operation: str) -> str:
    from botocore import xform_name

    return str(xform_name(operation))


def _ended(task: Any, env: Any, stem: str, told: dict[str, Any]) -> Any:
    """What a job that is over answers; None while it runs."""
    from moto.stepfunctions.parser.asl.component.common.error_name import failure_event

    status = told[f"{stem}Status"]
    if status not in ENDED:
        return None
    told.pop("ResponseMetadata", None)
    plain = json.loads(json.dumps(told, default=_milliseconds))
    if status != GOOD:
        event = _failure(task, env, "States.TaskFailed", json.dumps(plain))
        raise failure_event.FailureEventException(event)
    return plain


def _milliseconds(value: Any) -> Any:
    """Times in what a task answers are milliseconds since the epoch."""
    return int(value.timestamp() * 1000) if hasattr(value, "timestamp") else str(value)


def _failure(task: Any, env: Any, error: str, cause: str) -> Any:
    from moto.stepfunctions.parser import api
    from moto.stepfunctions.parser.asl.component.common.error_name import error_name, failure_event
    from moto.stepfunctions.parser.asl.eval.event import event_detail

    details = api.TaskFailedEventDetails(
        resource=task._get_sfn_resource(),
        resourceType=task._get_sfn_resource_type(),
        error=error,
        cause=cause,
    )
    return failure_event.FailureEvent(
        env=env,
        error_name=error_name.ErrorName(error_name=error),
        event_type=api.HistoryEventType.TaskFailed,
        event_details=event_detail.EventDetails(taskFailedEventDetails=details),
    )
