"""EventBridge Scheduler: schedules that come due call their target as the role that they name.

`rate(...)` and `at(...)` fire; `cron(...)` does not, and `plinth coverage` says so. Level-triggered
like the rest of the local cloud: each round looks at what came due since the last one.

Sources, EventBridge Scheduler user guide: "Schedule types", "Using universal targets", "Adding
context attributes", "Configuring a dead-letter queue".
"""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

from stacks.local.aws.emulator import Emulator, moto_backend
from stacks.local.runtime.acting import Acting, CannotAct

RATE = re.compile(r"rate\((?P<n>\d+) (?P<unit>minute|hour|day)s?\)")
AT = re.compile(r"at\((?P<when>[\dT:-]+)\)")
SECONDS = {"minute": 60, "hour": 3600, "day": 86400}

UNIVERSAL = "arn:aws:scheduler:::aws-sdk:"

log = logging.getLogger(__name__)


@dataclass
class Due:
    """When each schedule fires next."""

    at: dict[tuple[str, str, float], float | None] = field(default_factory=dict)
    """ARN, expression and time of its last change -> seconds since the epoch; None: never."""


def fire(emulator: Emulator, due: Due) -> None:
    """One round: call the targets of what came due."""
    now = time.time()
    for schedule in _schedules(emulator):
        key = (schedule.arn, schedule.schedule_expression, schedule.last_modified_date)
        if key not in due.at:
            due.at[key] = _first(schedule, now)
        when = due.at[key]
        if when is None or when > now or schedule.state == "DISABLED":  # moto's default is None
            continue
        due.at[key] = _after(schedule, when)
        _call(emulator, schedule)


def _schedules(emulator: Emulator) -> list[Any]:
    groups = list(moto_backend("scheduler", emulator).schedule_groups.values())
    return [one for group in groups for one in list(group.schedules.values())]


def _first(schedule: Any, now: float) -> float | None:
    """A rate begins to count when the schedule is made; a time that has passed is due at once.

    What AWS does with a time that has passed when the schedule is made is not documented.
    """
    if period := _period(schedule):
        return now + period
    if match := AT.fullmatch(schedule.schedule_expression):
        zone = ZoneInfo(schedule.schedule_expression_timezone)
        return datetime.fromisoformat(match["when"]).replace(tzinfo=zone).timestamp()
    return None


def _after(schedule: Any, when: float) -> float | None:
    period = _period(schedule)
    return when + period if period else None


def _period(schedule: Any) -> int:
    match = RATE.fullmatch(schedule.schedule_expression)
    return int(match["n"]) * SECONDS[match["unit"]] if match else 0


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
