"""EventBridge by itself: what changes in the cloud becomes an event, and rules bring it to targets.

Level-triggered: each round compares the states with those of the round before, so of two changes
within a second only the last is told. moto matches the patterns and delivers to queues and log
groups; functions, topics and pipelines are called from here.
"""

import copy
import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jmespath

from stacks.local.aws import lambda_async, moto_events
from stacks.local.aws.account_id import ACCOUNT_ID
from stacks.local.aws.deliveries import ACTIONS, EVENTS, NotDelivered, check
from stacks.local.aws.emulator import Emulator, moto_backend
from stacks.local.aws.moto_lambda import qualifier_of
from stacks.local.aws.refusals.account import Account
from stacks.local.aws.sagemaker import events

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Event:
    """What happened, as a rule sees it."""

    source: str
    detail_type: str
    resources: Sequence[str]
    detail: Mapping[str, Any]


@dataclass
class States:
    """The states of the round before, by ARN."""

    known: dict[str, str] = field(default_factory=dict)


def tell(emulator: Emulator, states: States) -> None:
    """One round: every change of a state goes to the rules of the default bus."""
    for event in [*_alarms(emulator, states), *_sagemaker(emulator, states)]:
        put(emulator, event)


def put(emulator: Emulator, event: Event) -> None:
    """Bring an event to the targets of every rule that matches it."""
    bus = moto_backend("events", emulator).event_buses["default"]
    for rule in list(bus.rules.values()):
        rule.send_to_targets(_message(emulator, event))


def _message(emulator: Emulator, event: Event) -> dict[str, Any]:
    """The event as moto hands it about."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": event.detail_type,
        "source": event.source,
        "account": ACCOUNT_ID,
        "time": time.time(),
        "ingestion-time": time.time(),  # moto's own
        "region": emulator.region,
        "resources": list(event.resources),
        "detail": json.loads(json.dumps(event.detail, default=_milliseconds)),
    }


def _milliseconds(value: object) -> int | str:
    """Times in events of SageMaker are milliseconds since the epoch."""
    return int(value.timestamp() * 1000) if isinstance(value, datetime) else str(value)


def _alarms(emulator: Emulator, states: States) -> Iterator[Event]:
    """CloudWatch user guide, "Alarm events and EventBridge"."""
    for alarm in list(moto_backend("cloudwatch", emulator).alarms.values()):
        before = states.known.get(alarm.alarm_arn, "INSUFFICIENT_DATA")
        if _same(states, alarm.alarm_arn, alarm.state_value):
            continue
        at = alarm.state_updated_timestamp.isoformat()
        yield Event(
            source="aws.cloudwatch",
            detail_type="CloudWatch Alarm State Change",
            resources=[alarm.alarm_arn],
            detail={
                "alarmName": alarm.name,
                "state": {
                    "value": alarm.state_value,
                    "reason": alarm.state_reason,
                    "timestamp": at,
                },
                "previousState": {"value": before},
                "configuration": {"description": alarm.description or ""},
            },
        )


def _sagemaker(emulator: Emulator, states: States) -> Iterator[Event]:
    def same(key: str, now: str) -> bool:
        return _same(states, key, now)

    for detail_type, resources, detail in events.changes(emulator, states.known, same):
        yield Event(
            source=events.SOURCE, detail_type=detail_type, resources=resources, detail=detail
        )


def _same(states: States, arn: str, now: str) -> bool:
    """Whether a state is known already; from now on it is."""
    known = states.known.get(arn)
    states.known[arn] = now
    return known == now


# -- targets -------------------------------------------------------------------------------------


def install(emulator: Emulator) -> None:
    """Let moto's rules reach functions, topics and pipelines too."""
    from moto.events.models import Rule

    moto_events.install()
    Rule.send_as_moto = Rule.send_to_targets

    def send(rule: Any, event: Mapping[str, Any], transform_input: bool = True) -> None:
        pattern = rule.event_pattern  # a rule without one has a schedule alone
        if rule.state == "ENABLED" and pattern.get_pattern() and pattern.matches_event(event):
            _send(emulator, rule, event)

    Rule.send_to_targets = send


def send_scheduled(emulator: Emulator, rule: Any) -> None:
    """A rule's schedule came due: its targets get the event that AWS makes of that.

    Source: EventBridge user guide, "Creating a rule that runs on a schedule".
    """
    event = Event(
        source="aws.events", detail_type="Scheduled Event", resources=[rule.arn], detail={}
    )
    _send(emulator, rule, _message(emulator, event))


def _send(emulator: Emulator, rule: Any, event: Mapping[str, Any]) -> None:
    """To each target; what does not reach one is counted and goes to its dead letters."""
    from moto.core.exceptions import ServiceException
    from werkzeug.exceptions import HTTPException

    for target in list(rule.targets):
        try:
            _deliver(emulator, rule, target, event)
        except (HTTPException, ServiceException, NotImplementedError, LookupError) as error:
            log.warning("rule %s did not reach %s: %s", rule.name, target["Arn"], error)
            _count_failure(emulator, rule.name)
            _bury(emulator, rule, target, event)


def _deliver(
    emulator: Emulator, rule: Any, target: Mapping[str, Any], event: Mapping[str, Any]
) -> None:
    if target["Arn"].split(":")[2] in ACTIONS and "RoleArn" not in target:
        check(Account(region=emulator.region), EVENTS, rule.arn, target["Arn"])
    ours = _target(target["Arn"])
    if ours is None:
        alone = copy.copy(rule)
        alone.targets, alone.event_pattern = [target], _everything()
        alone.send_as_moto(dict(event))
    else:
        ours(emulator, target, _input(target, _timed(event)))


def _everything() -> Any:
    """moto asks the pattern again, which has been asked or is none."""
    from moto.events.models import EventPattern

    return EventPattern.load(None)


def _count_failure(emulator: Emulator, rule: str) -> None:
    """EventBridge user guide, monitoring: FailedInvocations, what did not reach its target."""
    datum = {
        "MetricName": "FailedInvocations",
        "Dimensions": [{"Name": "RuleName", "Value": rule}],
        "Unit": "Count",
        "Value": 1,
    }
    moto_backend("cloudwatch", emulator).put_metric_data("AWS/Events", [datum])


def _bury(
    emulator: Emulator, rule: Any, target: Mapping[str, Any], event: Mapping[str, Any]
) -> None:
    """What could not be delivered goes to the target's dead-letter queue, if it has one."""
    arn = target.get("DeadLetterConfig", {}).get("Arn", "")
    name, sqs = arn.rpartition(":")[2], moto_backend("sqs", emulator)
    if name not in sqs.queues:
        return
    try:
        check(Account(region=emulator.region), EVENTS, rule.arn, arn)
    except NotDelivered as error:
        log.warning("dead letters of rule %s: %s", rule.name, error)
        return
    sqs.send_message(name, json.dumps(_timed(event)))


Deliver = Callable[[Emulator, Mapping[str, Any], Any], None]


def _target(arn: str) -> Deliver | None:
    """How a target is reached; None: moto knows."""
    service = arn.split(":")[2]
    if service == "sagemaker" and ":pipeline/" in arn:
        return _start_pipeline
    return {"lambda": _invoke, "sns": _publish, "sqs": _enqueue}.get(service)


def _timed(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event with its time as text, without what moto adds for itself."""
    at = datetime.fromtimestamp(float(event["time"]), UTC).isoformat(timespec="seconds")
    shown = {name: value for name, value in event.items() if name != "ingestion-time"}
    return {**shown, "time": at.replace("+00:00", "Z")}


def _input(target: Mapping[str, Any], event: Mapping[str, Any]) -> Any:
    """What the target gets: a constant, a part, a template, or the event."""
    from moto.events.utils import EventTemplateParser

    if "Input" in target:
        return json.loads(target["Input"])
    if "InputPath" in target:
        return _part(event, target["InputPath"])
    transformer = target.get("InputTransformer")
    if transformer:
        template, paths = transformer["InputTemplate"], transformer.get("InputPathsMap", {})
        return EventTemplateParser.parse(
            template, paths, {**event, "ingestion-time": event["time"]}
        )
    return event


def _part(event: Any, path: str) -> Any:
    """A JSON path of EventBridge's kind: members only."""
    return jmespath.search(path.removeprefix("$").removeprefix(".") or "@", event)


def _publish(emulator: Emulator, target: Mapping[str, Any], message: Any) -> None:
    moto_backend("sns", emulator).publish(message=_text(target, message), arn=target["Arn"])


def _enqueue(emulator: Emulator, target: Mapping[str, Any], message: Any) -> None:
    """moto sends the event, whatever the target says of its input."""
    group = (target.get("SqsParameters") or {}).get("MessageGroupId")
    moto_backend("sqs", emulator).send_message(
        queue_name=target["Arn"].rpartition(":")[2],
        message_body=_text(target, message),
        group_id=group,
        deduplication_id=uuid.uuid4().hex if group else None,
    )


def _text(target: Mapping[str, Any], message: Any) -> str:
    """What a queue or topic gets: a constant as it was written, or JSON."""
    constant: str | None = target.get("Input")
    return json.dumps(message) if constant is None else constant


def _start_pipeline(emulator: Emulator, target: Mapping[str, Any], event: Any) -> None:
    given = target.get("SageMakerPipelineParameters", {}).get("PipelineParameterList", [])
    parameters = [
        {"Name": item["Name"], "Value": str(_part(event, value) if value[:1] == "$" else value)}
        for item in given
        for value in [item["Value"]]
    ]
    name = target["Arn"].rpartition("/")[2]
    role = target.get("RoleArn", "")

    def start() -> None:
        acting = emulator.act(role, service="events", session_name=uuid.uuid4().hex)
        acting.client("sagemaker").start_pipeline_execution(
            PipelineName=name, PipelineParameters=parameters
        )

    emulator.background(
        start,
        broken=lambda error: log.warning("pipeline %s did not start: %s", name, error),
    )


def _invoke(emulator: Emulator, target: Mapping[str, Any], event: Any) -> None:
    """Call a function asynchronously."""
    arn = target["Arn"]
    function = moto_backend("lambda", emulator).get_function(arn)
    waiting = lambda_async.Event(function=function, content=event, qualifier=qualifier_of(arn))
    lambda_async.enqueue(emulator, waiting)
