"""What moto's EventBridge lacks: TestEventPattern, and sources that are AWS's own.

Source: EventBridge API reference, TestEventPattern and PutEvents.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

NOT_FOR_OTHERS = {
    "ErrorCode": "NotAuthorizedForSourceException",
    "ErrorMessage": "Not authorized for the source.",
}
NEEDED = ("id", "account", "source", "time", "region", "resources", "detail-type")
"""Members that an event must have to be tested."""


def install() -> None:
    """For the one EventBridge of this process."""
    from moto.events.models import EventsBackend
    from moto.events.responses import EventsHandler

    EventsHandler.test_event_pattern = test_event_pattern
    put = EventsBackend.put_events

    @functools.wraps(put)
    def put_events(backend: Any, events: Sequence[Mapping[str, Any]]) -> Any:
        """Events of a source `aws.` are refused, one by one."""
        if len(events) > MOST:
            return put(backend, events)  # which refuses them
        told = iter(put(backend, [one for one in events if not _is_of_aws(one)]))
        return [NOT_FOR_OTHERS if _is_of_aws(one) else next(told) for one in events]

    EventsBackend.put_events = put_events


MOST = 10
"""Events of one request."""


def _is_of_aws(event: Mapping[str, Any]) -> bool:
    return str(event.get("Source") or "").startswith("aws.")


def test_event_pattern(response: Any) -> str:
    """Whether an event matches a pattern."""
    from moto.events.exceptions import ValidationException
    from moto.events.models import EventPattern

    pattern = EventPattern.load(response._get_param("EventPattern"))
    try:
        event = json.loads(response._get_param("Event"))
        lost = [name for name in NEEDED if name not in event]
    except (TypeError, ValueError):
        raise ValidationException("Event is not valid. Reason: Invalid JSON") from None
    if lost:
        told = f"Parameter Event is not valid. Reason: {lost[0]} is a required argument."
        raise ValidationException(told)
    return json.dumps({"Result": bool(pattern.matches_event(event))})
