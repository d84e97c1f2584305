"""Schedules that come due call their target as the role that they name; rules send their event.

Level-triggered like the rest of the local cloud: each round looks at what came due since the last
one.

Sources, EventBridge Scheduler user guide: "Schedule types", "Using universal targets", "Adding
context attributes", "Configuring a dead-letter queue".
"""

from __future__ import annotations

import json
import logging
import math
import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

from stacks.local.aws.emulator import Emulator, moto_backend
from stacks.local.aws.eventbridge import send_scheduled
from stacks.local.aws.schedule_expressions import Due, Timed, is_due
from stacks.local.runtime.acting import Acting, CannotAct

UNIVERSAL = "arn:aws:scheduler:::aws-sdk:"

log = logging.getLogger(__name__)


def fire(emulator: Emulator, due: Due) -> None:
    """One round: call the targets of what came due."""
    now = time.time()
    for schedule in _schedules(emulator):
        is_on = schedule.state != "DISABLED"  # moto's default is None
        if is_due(due, _timed(schedule), now) and is_on:
            _call(emulator, schedule)
    for bus in list(moto_backend("events", emulator).event_buses.values()):
        for rule in list(bus.rules.values()):
            if rule.scheduled_expression and rule.state == "ENABLED":
                timed = Timed(key=(rule.arn, ""), expression=rule.scheduled_expression)
                if is_due(due, timed, now):
                    send_scheduled(emulator, rule)


def _schedules(emulator: Emulator) -> list[Any]:
    groups = list(moto_backend("scheduler", emulator).schedule_groups.values())
    return [one for group in groups for one in list(group.schedules.values())]


def _timed(schedule: Any) -> Timed:
    return Timed(
        key=(schedule.arn, str(schedule.last_modified_date)),
        expression=schedule.schedule_expression,
        zone=schedule.schedule_expression_timezone or "UTC",
        start=float(schedule.start_date or 0),
        end=float(schedule.end_date or math.inf),
    )


def _call(emulator: Emulator, schedule: Any) -> None:
    target = schedule.target
    execution = str(uuid.uuid4())
    text = _filled(str(target.get("Input") or "{}"), schedule.arn, execution)

    def work() -> None:
        try:
            acting = emulator.act(
                target["RoleArn"],
                _group(schedule.arn),
                service="scheduler",
                session_name=f"{schedule.name}"[:64],
            )
        except CannotAct as error:
            log.warning("schedule %s: %s", schedule.name, error)
            return
        try:
            _reach(acting, target, text)
        except (ClientError, BotoCoreError, ValueError) as error:
            log.warning("schedule %s did not reach %s: %s", schedule.name, target["Arn"], error)
            _bury(acting, target, text)

    emulator.background(
        work, broken=lambda error: log.warning("schedule %s: %s", schedule.name, error)
    )


def _reach(acting: Acting, target: Mapping[str, Any], text: str) -> None:
    arn = str(target["Arn"])
    if arn.startswith(UNIVERSAL):
        service, _, operation = arn.removeprefix(UNIVERSAL).partition(":")
        client = acting.client(service)
        getattr(client, xform_name(operation))(**json.loads(text))
    elif ":lambda:" in arn:
        acting.client("lambda").invoke(FunctionName=arn, InvocationType="Event", Payload=text)
    elif ":sqs:" in arn:
        _send(acting, arn, text)
    else:
        raise ValueError("the local cloud calls functions, queues and universal targets alone")


def _bury(acting: Acting, target: Mapping[str, Any], text: str) -> None:
    """What did not reach its target goes to the dead-letter queue, as the role too."""
    arn = str((target.get("DeadLetterConfig") or {}).get("Arn") or "")
    if not arn:
        return
    try:
        _send(acting, arn, text)
    except (ClientError, BotoCoreError) as error:
        log.warning("%s was not told: %s", arn, error)


def _send(acting: Acting, arn: str, text: str) -> None:
    sqs = acting.client("sqs")
    account, name = arn.split(":")[4:6]
    url = f"{sqs.meta.endpoint_url}/{account}/{name}"
    sqs.send_message(QueueUrl=url, MessageBody=text)


def _group(arn: str) -> str:
    """What the service says that it acts for: the group of a schedule, never the schedule itself
    (user guide, "Confused deputy prevention")."""
    head, _, rest = arn.partition(":schedule/")
    return f"{head}:schedule-group/{rest.partition('/')[0]}"


def _filled(text: str, arn: str, execution: str) -> str:
    """The input with the context attributes that Scheduler knows."""
    known = {
        "execution-id": execution,
        "schedule-arn": arn,
        "scheduled-time": datetime.now(tz=ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "attempt-number": "1",
    }
    for name, value in known.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return text
