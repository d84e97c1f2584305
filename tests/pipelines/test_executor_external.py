"""Lambda and Callback steps: what they send, their typed outputs, and how they end."""

import io
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from pipelines.executor.model import Callback, Outcome, StepState
from pipelines.executor.plan import validate
from pipelines.executor.run import run
from tests.kits.executor import (
    FUNCTION as ARN,
)
from tests.kits.executor import (
    PARAMETERS,
    QUEUE,
    FakeSageMaker,
    Json,
    callback,
    compare,
    condition,
    definition,
    lambda_step,
    processing,
)
from tests.pipelines.test_executor import EXECUTION
from tests.pipelines.test_executor_foreach import each

PATIENCE_SECONDS = 20


@dataclass
class World:
    """A function that returns or raises what the test says, and a queue that answers itself."""

    returns: Any = None
    raises: Exception | None = None
    error: bool = False
    answer: Callable[[Callback], None] = lambda callback: None
    events: list[Any] = field(default_factory=list)
    messages: list[Any] = field(default_factory=list)
    callbacks: dict[str, Callback] = field(default_factory=dict)
    sagemaker: FakeSageMaker = field(default_factory=FakeSageMaker)

    def client(self, service: str) -> Any:
        return self.sagemaker if service == "sagemaker" else self

    def invoke(self, FunctionName: str, Payload: bytes) -> Json:
        self.events.append((FunctionName, json.loads(Payload)))
        if self.raises:
            raise self.raises
        body = io.BytesIO(json.dumps(self.returns).encode())
        return {"Payload": body} | ({"FunctionError": "Unhandled"} if self.error else {})

    def send_message(self, QueueUrl: str, MessageBody: str) -> None:
        message = json.loads(MessageBody)
        self.messages.append((QueueUrl, message))
        waiting = self.callbacks[message["token"]]
        threading.Thread(target=self._give_back, args=(waiting,)).start()

    def _give_back(self, waiting: Callback) -> None:
        self.answer(waiting)
        if not waiting.answered.wait(PATIENCE_SECONDS):  # a test must end
            refused(waiting)

    def run(
        self, *steps: Json, stopping: Callable[[list[StepState]], bool] = lambda _: False
    ) -> tuple[Outcome, dict[str, StepState]]:
        states: list[StepState] = []
        whole = definition(*steps, parameters=PARAMETERS)
        assert validate(whole) == []
        outcome = run(
            whole,
            parameters={},
            execution=EXECUTION,
            client=self.client,
            observe=states.append,
            stopping=lambda: stopping(states),
            expect=lambda made: self.callbacks.update({made.token: made}),
        )
        return outcome, {state.name: state for state in states}


def given(outputs: Mapping[str, str]) -> Callable[[Callback], None]:
    def answer(waiting: Callback) -> None:
        waiting.outputs = outputs
        waiting.answered.set()

    return answer


def refused(waiting: Callback) -> None:
    waiting.failure = "no reviewer"
    waiting.answered.set()


TYPED = ["n:Integer", "f:Float", "b:Boolean", "s:String"]
VALUES = {"n": 7, "f": 0.5, "b": True, "s": "text"}


def test_a_function_gets_the_arguments_and_its_outputs_have_their_types() -> None:
    world = World(returns={**VALUES, "more": [1]})
    arguments = {"days": {"Get": "Parameters.Days"}, "deep": {"auc": [{"Get": "Parameters.Auc"}]}}
    outcome, states = world.run(lambda_step("L", *TYPED, Arguments=arguments))
    assert outcome.status == "Succeeded"
    assert world.events == [(ARN, {"days": 14, "deep": {"auc": [0.7]}})]
    result = states["L"].result
    assert result is not None and result.answer == {"OutputParameters": VALUES}
    assert states["L"].metadata == {
        "Lambda": {
            "Arn": ARN,
            "OutputParameters": [
                {"Name": "n", "Value": "7"},
                {"Name": "f", "Value": "0.5"},
                {"Name": "b", "Value": "true"},
                {"Name": "s", "Value": "text"},
            ],
        }
    }


def test_an_output_reaches_conditions_and_arguments_of_later_steps() -> None:
    number, text = ({"Get": f"Steps.L.OutputParameters['{key}']"} for key in "ns")
    later = processing("A", Arguments={"Environment": {"X": text}})
    steps = [lambda_step("L", *TYPED), condition("If", [compare(number, "Equals", 7)], [later])]
    world = World(returns=VALUES)
    assert world.run(*steps)[0].status == "Succeeded"
    assert world.sagemaker.requests["A"]["Environment"] == {"X": "text"}


TIMEOUT = ReadTimeoutError(endpoint_url="http://localhost")
DENIED = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "not you"}}, "Invoke")


@pytest.mark.parametrize(
    ("world", "reason"),
    [
        (World(returns={"errorMessage": "boom"}, error=True), "boom"),
        (World(returns=VALUES, error=True), f"function {ARN} failed: "),
        (World(returns={"s": 1}), "gave no output n, f, b"),
        (World(returns=[1]), "gave no output n, f, b, s, got [1]"),
        (World(returns=None), "gave no output"),
        (World(returns=VALUES | {"n": "many"}), "output 'n' of function"),
        (World(returns=VALUES | {"s": ["a"]}), "must be of type String, got ['a']"),
        (World(raises=TIMEOUT), "did not answer within 600 seconds"),
        (World(raises=DENIED), "not you"),
    ],
)
def test_a_function_that_does_not_give_its_outputs_fails_the_step(
    world: World, reason: str
) -> None:
    outcome, states = world.run(lambda_step("L", *TYPED))
    assert outcome.status == "Failed"
    assert reason in states["L"].failure_reason
    assert len(world.events) == 1, "it is called once"


def test_a_callback_sends_its_token_and_takes_what_comes_back() -> None:
    world = World(answer=given({"s": "s3://done", "n": "7"}))
    text = {"Get": "Steps.K.OutputParameters['s']"}
    later = processing("A", Arguments={"Environment": {"X": text}})
    step = callback("K", "s:String", "n:Integer", Arguments={"a": {"Get": "Parameters.Days"}})
    outcome, states = world.run(step, later)
    assert outcome.status == "Succeeded"
    ((queue, message),) = world.messages
    token = message["token"]
    assert queue == QUEUE and len(token) == 10 and token.isalnum()
    assert message == {
        "token": token,
        "pipelineExecutionArn": EXECUTION.execution_arn,
        "arguments": {"a": 14},
        "status": "Executing",
    }
    assert world.sagemaker.requests["A"]["Environment"] == {"X": "s3://done"}
    assert states["K"].metadata["Callback"] == {
        "CallbackToken": token,
        "SqsQueueUrl": QUEUE,
        "OutputParameters": [{"Name": "s", "Value": "s3://done"}, {"Name": "n", "Value": "7"}],
    }


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (refused, "no reviewer"),
        (given({}), "gave no output s"),
        (given({"s": "x", "n": "many"}), "output 'n' of the answer to"),
    ],
)
def test_a_callback_fails_with_the_reason_it_is_given(
    answer: Callable[[Callback], None], reason: str
) -> None:
    outcome, states = World(answer=answer).run(callback("K", "s:String", "n:Integer"))
    assert (outcome.status, states["K"].status) == ("Failed", "Failed")
    assert reason in states["K"].failure_reason


@pytest.mark.parametrize(("answer", "end"), [(given({}), "Succeeded"), (refused, "Stopped")])
def test_a_stop_waits_for_the_callback_which_is_told(
    answer: Callable[[Callback], None], end: str
) -> None:
    world = World()

    def once_told(waiting: Callback) -> None:
        if world.messages[-1][1]["status"] == "Stopping":
            answer(waiting)

    world.answer = once_told
    outcome, states = world.run(
        callback("K"),
        processing("A", "K"),
        stopping=lambda states: any(state.status == "Executing" for state in states),
    )
    assert [message["status"] for _, message in world.messages] == ["Executing", "Stopping"]
    assert outcome.status == "Stopped"
    assert (states["K"].status, "A" in states) == (end, False)


def test_a_stop_waits_for_the_function() -> None:
    outcome, states = World(returns={}).run(lambda_step("L"), processing("A", "L"), stopping=bool)
    assert (outcome.status, states["L"].status, "A" in states) == ("Stopped", "Succeeded", False)


class Slow(World):
    """A function that returns once the execution is to stop."""

    def __init__(self) -> None:
        super().__init__(returns={})
        self.to_stop = threading.Event()

    def invoke(self, FunctionName: str, Payload: bytes) -> Json:
        self.to_stop.wait(PATIENCE_SECONDS)
        time.sleep(0.3)  # what is told to stop hears of it in the meantime
        return super().invoke(FunctionName, Payload)

    def stopping(self, states: list[StepState]) -> bool:
        if any(state.name == "L-0" for state in states):
            self.to_stop.set()
        return self.to_stop.is_set()


def test_a_stop_starts_no_other_child_of_a_loop() -> None:
    world = Slow()
    loop = each("E", ["a", "b"], lambda_step("L"), MaxConcurrency=1)
    outcome, states = world.run(loop, stopping=world.stopping)
    assert (outcome.status, states["L-0"].status, states["E"].status) == (
        "Stopped",
        "Succeeded",
        "Stopped",
    )
    assert "L-1" not in states


PROBLEMS: dict[str, tuple[Json, str]] = {
    "no function": (lambda_step("L", FunctionArn=None), "Steps[0].FunctionArn is missing"),
    "no queue": (callback("K", SqsQueueUrl=None), "Steps[0].SqsQueueUrl is missing"),
    "a function that is none": (lambda_step("L", FunctionArn=3), "FunctionArn must be text, got 3"),
    "a queue from nowhere": (
        callback("K", SqsQueueUrl={"Get": "Parameters.Nope"}),
        "Steps[0].SqsQueueUrl: parameter 'Nope' is not declared",
    ),
    "an output": (
        lambda_step("L", OutputParameters=[{"OutputName": "n"}]),
        "Steps[0].OutputParameters[0] must hold OutputName and OutputType",
    ),
    "a type": (
        lambda_step("L", "n:Number"),
        "OutputParameters[0].OutputType must be one of String, Integer, Float, Boolean",
    ),
    "an output twice": (lambda_step("L", "n:Float", "n:Float"), "'n' is declared twice"),
    "too many": (
        lambda_step("L", *(f"n{index}:Float" for index in range(51))),
        "Steps[0].OutputParameters must be a list of at most 50 outputs",
    ),
    "a cache": (lambda_step("L", CacheConfig={"Enabled": 1}), "CacheConfig.Enabled must be true"),
    "a retry": (lambda_step("L", RetryPolicies=[]), "RetryPolicies is not emulated for a Lambda"),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_a_wrong_step_is_refused_with_its_path(case: str) -> None:
    step, expected = PROBLEMS[case]
    found = validate(definition(step))
    assert [problem for problem in found if expected in problem], found


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("OutputParameters['x']", "has no output 'x', it has n"),
        ("Payload", "a Lambda step answers no 'Payload'"),
        ("OutputParameters['n']", "of type integer to an argument of type string"),
    ],
)
def test_a_reference_to_what_a_function_does_not_put_out_is_refused(
    path: str, expected: str
) -> None:
    later = processing("A", Arguments={"Environment": {"X": {"Get": f"Steps.L.{path}"}}})
    (problem,) = validate(definition(lambda_step("L", "n:Integer"), later))
    assert problem.startswith("Steps[1].Arguments.Environment.X: ") and expected in problem
