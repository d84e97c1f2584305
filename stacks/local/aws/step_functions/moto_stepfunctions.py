"""moto's Step Functions, whose executions run.

moto keeps machines and executions in one backend, which outlives the process, and interprets them
in another, which cannot. Here the first keeps them and the interpreter of the second works.
Source: AWS Step Functions API reference; Amazon States Language specification.
"""

# mypy: disable-error-code="misc,no-untyped-call"

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from inspect import signature
from types import SimpleNamespace
from typing import Any

from stacks.local.aws.emulator import Emulator, moto_backend
from stacks.local.aws.step_functions import integrations

ENDED = "the local cloud ended meanwhile"

JSONATA = re.compile(r'"QueryLanguage"\s*:\s*"JSONata"')

RUNS: dict[str, Any] = {}
"""ARN of an execution that runs -> the interpreter's worker."""


def install(emulator: Emulator) -> None:
    """Let executions run, be stopped and tell their history."""
    from moto.stepfunctions.models import Execution, StateMachine, StepFunctionBackend

    for machine in moto_backend("stepfunctions", emulator).state_machines:
        for execution in machine.executions:
            if execution.status == "RUNNING":
                _over(execution, "FAILED", error="States.Runtime", cause=ENDED)
    load = functools.cache(lambda: integrations.install(emulator))  # a second, once
    _check_definitions(StepFunctionBackend, load)
    _answer_tasks(StepFunctionBackend)
    _run_executions(emulator, StateMachine, load)
    Execution.get_execution_history = _history


def _check_definitions(backend: Any, load: Callable[[], None]) -> None:
    create, update = backend.create_state_machine, backend.update_state_machine

    def created(self: Any, name: str, definition: str, *more: Any, **named: Any) -> Any:
        load()
        _check(definition)
        asked = signature(create).bind(self, name, definition, *more, **named).arguments
        before = len(self.state_machines)
        made = create(self, name, definition, *more, **named)
        if len(self.state_machines) == before and _differs(made, asked):
            raise _refused(
                "StateMachineAlreadyExists", f"State Machine Already Exists: '{made.arn}'"
            )
        return made

    def updated(self: Any, arn: str, definition: str | None = None, **named: Any) -> Any:
        load()
        if definition is not None:
            _check(definition)
        return update(self, arn, definition, **named)

    backend.create_state_machine, backend.update_state_machine = created, updated


def _run_executions(emulator: Emulator, machine: Any, load: Callable[[], None]) -> None:
    start, stop = machine.start_execution, machine.stop_execution

    def started(self: Any, **named: Any) -> Any:
        load()
        execution = start(self, **named)
        if execution.execution_arn not in RUNS and execution.status == "RUNNING":
            _begin(emulator, self, execution)
        return execution

    def stopped(self: Any, execution_arn: str) -> Any:
        worker = RUNS.get(execution_arn)
        if worker is not None and worker.env is not None:
            worker.stop(stop_date=datetime.now(UTC), error=None, cause=None)
        return stop(self, execution_arn)

    machine.start_execution, machine.stop_execution = started, stopped


def _answer_tasks(backend: Any) -> None:
    """SendTaskSuccess, SendTaskFailure and SendTaskHeartbeat reach what waits for a token."""
    from moto.core.responses import EmptyResult
    from moto.stepfunctions.responses import StepFunctionResponse

    def running(self: Any, execution_status: Any = None) -> list[Any]:
        return [SimpleNamespace(exec_worker=one) for one in RUNS.values() if one.env is not None]

    def sends(name: str) -> Any:
        def send(self: Any, *given: Any, **named: Any) -> Any:
            from moto.stepfunctions.parser.models import StepFunctionsParserBackend

            return getattr(StepFunctionsParserBackend, name)(self, *given, **named)

        return send

    def fails(response: Any) -> Any:
        """With its cause, which moto leaves out."""
        asked = {name: response._get_param(name) for name in ("error", "cause")}
        response.stepfunction_backend.send_task_failure(response._get_param("taskToken"), **asked)
        return EmptyResult()

    StepFunctionResponse.send_task_failure = fails
    backend._get_executions = running
    for name in ("send_task_success", "send_task_failure", "send_task_heartbeat"):
        setattr(backend, name, sends(name))


def _check(definition: str) -> None:
    """InvalidDefinition of what the interpreter does not read."""
    from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

    try:
        told = json.loads(definition)
        if JSONATA.search(definition):
            raise ValueError("QueryLanguage JSONata is not emulated by the local cloud")
        AmazonStateLanguageParser.parse(definition)
    except Exception as error:  # the interpreter's are of many kinds
        raise _refused(INVALID, f"Invalid State Machine Definition: '{error}'") from error
    if problems := [*_missing(told, "/")]:
        raise _refused(INVALID, f"Invalid State Machine Definition: '{'; '.join(problems)}'")


INVALID = "InvalidDefinition"


def _differs(machine: Any, asked: Mapping[str, Any]) -> bool:
    """Whether a machine is another one than is asked for by its name (CreateStateMachine, API
    reference: definition, type, logging and tracing count, its role and tags do not)."""
    usual: dict[str, Any] = {
        "type": "STANDARD",
        "loggingConfiguration": {"level": "OFF"},
        "tracingConfiguration": {"enabled": False},
    }
    wanted = {**usual, "type": asked.get("sm_type") or usual["type"]}
    wanted |= {name: asked[name] for name in usual if asked.get(name)}
    same = all(getattr(machine, name) == value for name, value in wanted.items())
    return not same or json.loads(machine.definition) != json.loads(asked["definition"])


def _refused(code: str, message: str) -> Exception:
    from moto.core.exceptions import AWSError

    error: Exception = type(code, (AWSError,), {"TYPE": code, "STATUS": 400})(message)
    return error


GO_ON = ("Map", "Parallel", "Pass", "Task", "Wait")
"""Types of states that say which one comes next, or that none does."""


def _missing(machine: Mapping[str, Any], where: str) -> list[str]:
    """Names of states that no state has (Amazon States Language, "Transitions")."""
    states = machine.get("States", {})
    found = []
    if machine.get("StartAt") not in states:
        found.append(
            f"MISSING_TRANSITION_TARGET: StartAt {machine.get('StartAt')} at {where}StartAt"
        )
    for name, state in states.items():
        branches = [*state.get("Branches", ())]
        branches += [state[key] for key in ("Iterator", "ItemProcessor") if key in state]
        for branch in branches:
            found += _missing(branch, f"{where}States/{name}/")
        if state.get("Type") in GO_ON and "Next" not in state and "End" not in state:
            found.append(
                f"MISSING_TRANSITION_TARGET: Missing 'Next' or 'End' at {where}States/{name}"
            )
        goals = [state.get("Next"), state.get("Default")]
        goals += [rule.get("Next") for key in ("Choices", "Catch") for rule in state.get(key, ())]
        found += [
            f"MISSING_TRANSITION_TARGET: {goal} at {where}States/{name}"
            for goal in goals
            if goal is not None and goal not in states
        ]
    return found


def _begin(emulator: Emulator, machine: Any, execution: Any) -> None:
    """Interpret an execution in a thread of its own."""
    from moto.stepfunctions.parser.api import StateMachineType
    from moto.stepfunctions.parser.asl.eval import evaluation_details as details
    from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
    from moto.stepfunctions.parser.backend.execution_worker_comm import (
        ExecutionWorkerCommunication,
    )

    class Told(ExecutionWorkerCommunication):
        def terminated(self) -> None:
            _reflect(execution, RUNS[execution.execution_arn])

    worker = ExecutionWorker(
        evaluation_details=details.EvaluationDetails(
            aws_execution_details=details.AWSExecutionDetails(
                account=execution.account_id, region=emulator.region, role_arn=machine.roleArn
            ),
            execution_details=details.ExecutionDetails(
                arn=execution.execution_arn,
                name=execution.name,
                role_arn=machine.roleArn,
                inpt=json.loads(execution.execution_input or "{}"),
                start_time=f"{execution.start_date:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
            ),
            state_machine_details=details.StateMachineDetails(
                arn=machine.arn,
                name=machine.name,
                typ=StateMachineType(machine.type),
                definition=machine.definition,
            ),
        ),
        exec_comm=Told(),
        cloud_watch_logging_session=None,
        activity_store={},
    )
    RUNS[execution.execution_arn] = worker

    def broken(error: BaseException) -> None:
        _over(execution, "FAILED", error="States.Runtime", cause=str(error))

    emulator.background(worker._execution_logic, broken=broken, waits=True)


def _reflect(execution: Any, worker: Any) -> None:
    """What the interpreter ended with."""
    from moto.stepfunctions.parser.asl.eval import program_state as ended
    from moto.stepfunctions.parser.asl.utils.encoding import to_json_str

    state = worker.env.program_state()
    if isinstance(state, ended.ProgramEnded):
        _over(execution, "SUCCEEDED", output=to_json_str(worker.env.states.get_input()))
    elif isinstance(state, ended.ProgramError):
        told = state.error or {}
        _over(execution, "FAILED", error=told.get("error"), cause=told.get("cause"))
    elif isinstance(state, ended.ProgramTimedOut):
        _over(execution, "TIMED_OUT", error="States.Timeout")
    else:
        _over(execution, "ABORTED")


def _over(execution: Any, status: str, **told: Any) -> None:
    worker = RUNS.pop(execution.execution_arn, None)
    if worker is not None and worker.env is not None:
        execution.history = _plain(worker.env.event_manager.get_event_history())
    execution.stop_date = datetime.now(UTC)
    for name, value in told.items():
        setattr(execution, name, value)
    execution.output_details = {"included": True} if "output" in told else None
    if execution.status != "ABORTED":
        execution.status = status


def _history(execution: Any, role_arn: str) -> Any:
    """Events of an execution, the first first."""
    worker = RUNS.get(execution.execution_arn)
    if worker is not None and worker.env is not None:
        return _plain(worker.env.event_manager.get_event_history())
    return getattr(execution, "history", [])


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
