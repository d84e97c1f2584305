"""FilterLogEvents by the begin of the streams' names, which moto does not read.

Source: CloudWatch Logs API reference, FilterLogEvents, logStreamNamePrefix.
"""

from __future__ import annotations

import json
from typing import Any


def install() -> None:
    """Let moto search the streams with a prefix alone; it would answer with everybody's lines."""
    from moto.logs.exceptions import InvalidParameterException
    from moto.logs.responses import LogsResponse

    own = LogsResponse.filter_log_events

    def filter_log_events(response: Any) -> str:
        prefix, group = response._get_param("logStreamNamePrefix"), _group(response)
        if prefix is None or group is None:
            return str(own(response))
        if response._get_param("logStreamNames"):
            raise InvalidParameterException(
                constraint="Member must not be given with logStreamNames",
                parameter="logStreamNamePrefix",
                value=prefix,
            )
        names = [name for name in group.streams if name.startswith(prefix)]
        events, token, searched = (
            response.logs_backend.filter_log_events(
                group.name,
                names,
                response._get_param("startTime"),
                response._get_param("endTime"),
                response._get_param("limit"),
                response._get_param("nextToken"),
                response._get_param("filterPattern"),
                interleaved=True,
            )
            if names
            else ([], None, [])
        )
        told = {"events": events, "nextToken": token, "searchedLogStreams": searched}
        return json.dumps({name: value for name, value in told.items() if value is not None})

    LogsResponse.filter_log_events = filter_log_events


def _group(response: Any) -> Any:
    return response.logs_backend.groups.get(response._get_param("logGroupName"))
