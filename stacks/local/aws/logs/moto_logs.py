"""moto's CloudWatch Logs with patterns that filter, metrics of what they match, and queries.

moto takes every pattern of JSON or words in columns for one that matches everything, keeps metric
filters without publishing anything, and answers every query with all events. Source: CloudWatch
Logs API reference, FilterLogEvents, PutMetricFilter, StartQuery, TestMetricFilter.
"""

from __future__ import annotations

import functools
import json
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stacks.local.aws.logs.filter_patterns import InvalidPattern, compiled, value_of
from stacks.local.aws.signatures import Refused

FUNCTIONS = "/aws/lambda/"
"""Log groups of functions begin so."""


class EventMessageFilter:
    """What moto asks whether an event matches."""

    def __init__(self, pattern: str) -> None:
        self.matched = pattern_of(pattern or "")

    def matches(self, message: str) -> bool:
        return self.matched(message) is not None


def pattern_of(text: str) -> Any:
    """The test of a filter pattern, or the answer that AWS gives to none."""
    try:
        return compiled(text)
    except InvalidPattern as error:
        raise Refused(
            "InvalidParameterException", f"Invalid filter pattern: {error}", status=400
        ) from None


@functools.cache
def install() -> None:
    """Let moto's classes filter, publish and answer."""
    from moto.logs import models
    from moto.logs.responses import LogsResponse

    models.EventMessageFilter = EventMessageFilter
    models.LogQuery = LogQuery
    LogsResponse.filter_log_events = _filtered(LogsResponse.filter_log_events)
    LogsResponse.start_query = _start_query
    LogsResponse.get_query_results = _query_results
    LogsResponse.stop_query = _stop_query
    LogsResponse.test_metric_filter = _test_metric_filter
    for name in ("put_metric_filter", "put_subscription_filter"):
        setattr(LogsResponse, name, _checked(getattr(LogsResponse, name)))
    models.LogStream._send_log_events = _sent(models.LogStream._send_log_events)
    models.LogStream.put_log_events = _published(models.LogStream.put_log_events)


def _checked(own: Any) -> Any:
    """Refuse what is no pattern before it is kept."""

    @functools.wraps(own)
    def put(response: Any) -> Any:
        pattern_of(response._get_param("filterPattern") or "")
        return own(response)

    return put


def _filtered(own: Any) -> Any:
    """FilterLogEvents, by the begin of the streams' names, too, which moto does not read."""

    @functools.wraps(own)
    def filter_log_events(response: Any) -> str:
        from moto.logs.exceptions import InvalidParameterException

        pattern_of(response._get_param("filterPattern") or "")
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

    return filter_log_events


def _group(response: Any) -> Any:
    return response.logs_backend.groups.get(response._get_param("logGroupName"))


def _sent(own: Any) -> Any:
    """A subscription gets the events that match alone."""

    @functools.wraps(own)
    def send(stream: Any, *, filter_name: str, log_events: list[Any], **more: Any) -> None:
        pattern = stream.log_group.subscription_filters[filter_name].filter_pattern or ""
        matching = [one for one in log_events if compiled(pattern)(one["message"]) is not None]
        if matching:
            own(stream, filter_name=filter_name, log_events=matching, **more)

    return send


def _published(own: Any) -> Any:
    """Publish what the group's metric filters make of new events."""

    @functools.wraps(own)
    def put(stream: Any, log_events: Sequence[Mapping[str, Any]]) -> Any:
        from moto.cloudwatch.models import cloudwatch_backends
        from moto.logs.models import logs_backends

        told = own(stream, log_events)
        filters = logs_backends[stream.account_id][stream.region].filters
        cloudwatch = cloudwatch_backends[stream.account_id][stream.region]
        for one in filters.get_matching_filters(log_group_name=stream.log_group.name):
            for transformation in one["metricTransformations"]:
                data = list(_data(one["filterPattern"], transformation, log_events))
                if data:
                    cloudwatch.put_metric_data(transformation["metricNamespace"], data)
        return told

    return put


def _data(
    pattern: str, transformation: Mapping[str, Any], events: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """A datum per event that matches and has the value; the default where none matches."""
    common = {
        "MetricName": transformation["metricName"],
        "Unit": transformation.get("unit", "None"),
    }
    matches = [one for one in events if compiled(pattern)(one["message"]) is not None]
    if not matches and transformation.get("defaultValue") is not None:
        yield {**common, "Value": float(transformation["defaultValue"]), "Dimensions": []}
    for event in matches:
        message = event["message"]
        value = _metric_value(transformation["metricValue"], pattern, message)
        named = {
            name: value_of(selector, pattern, message)
            for name, selector in (transformation.get("dimensions") or {}).items()
        }
        if value is not None and None not in named.values():
            dimensions = [{"Name": name, "Value": str(one)} for name, one in named.items()]
            yield {**common, "Value": value, "Dimensions": dimensions}


def _metric_value(told: str, pattern: str, message: str) -> float | None:
    found = value_of(told, pattern, message) if told.startswith("$") else told
    try:
        return None if isinstance(found, bool) else float(found)
    except (TypeError, ValueError):
        return None


def _test_metric_filter(response: Any) -> str:
    matched = pattern_of(response._get_param("filterPattern") or "")
    messages = response._get_param("logEventMessages") or []
    found = [(place, one, matched(one)) for place, one in enumerate(messages, 1)]
    matches = [
        {"eventNumber": place, "eventMessage": message, "extractedValues": dict(values)}
        for place, message, values in found
        if values is not None
    ]
    return json.dumps({"matches": matches})


class LogQuery:
    """A query and its answer, in place of moto's: it is over as soon as it is asked.

    Source: API reference, StartQuery, GetQueryResults, DescribeQueries.
    """

    def __init__(
        self, query_id: str, start_time: int, end_time: int, query: str, log_groups: Sequence[Any]
    ) -> None:
        from moto.core.utils import unix_time_millis, utcnow

        from stacks.local.aws.logs import queries

        self.query_id, self.query = query_id, query
        self.log_group_names = [group.name for group in log_groups]
        self.created_ms = int(unix_time_millis(utcnow()))
        commands = queries.parsed(query)
        scanned = [
            _event(group, stream, event)
            for group in log_groups
            for stream in group.streams.values()
            for event in stream.events
            if start_time <= event.timestamp / 1000 <= end_time
        ]
        self.status = "Complete"
        self.results = queries.answered(commands, scanned)
        self.scanned = Counter(
            records=len(scanned), bytes=sum(len(one["@message"].encode()) for one in scanned)
        )

    def to_json(self, log_group_name: str) -> dict[str, Any]:
        """A member of DescribeQueries' answer."""
        return {
            "queryId": self.query_id,
            "queryString": self.query,
            "status": self.status,
            "createTime": self.created_ms,
            "logGroupName": log_group_name,
        }

    def to_result_json(self) -> dict[str, Any]:
        """GetQueryResults' answer."""
        rows = [
            [{"field": name, "value": value} for name, value in row.items()] for row in self.results
        ]
        statistics = {
            "recordsMatched": float(len(rows)),
            "recordsScanned": float(self.scanned["records"]),
            "bytesScanned": float(self.scanned["bytes"]),
        }
        return {
            "queryLanguage": "CWLI",
            "results": rows,
            "statistics": statistics,
            "status": self.status,
        }


def _event(group: Any, stream: Any, event: Any) -> dict[str, Any]:
    from stacks.local.aws.logs import queries

    of_function = group.name.startswith(FUNCTIONS)
    return {
        **queries.discovered(event.message, of_function=of_function),
        "@timestamp": queries.Timestamp(event.timestamp),
        "@ingestionTime": queries.Timestamp(event.ingestion_time),
        "@message": event.message,
        "@logStream": stream.log_stream_name,
        "@log": f"{stream.account_id}:{group.name}",
        "@ptr": str(event.event_id),
    }


def _start_query(response: Any) -> str:
    from moto.logs.exceptions import InvalidParameterException, ResourceNotFoundException

    from stacks.local.aws.logs import queries

    asked = {
        name: response._get_param(name)
        for name in ("logGroupName", "logGroupNames", "logGroupIdentifiers")
    }
    given = [value for value in asked.values() if value]
    language = response._get_param("queryLanguage") or "CWLI"
    if language != "CWLI":
        told = f"logs: the query language {language} is not emulated by the local cloud"
        raise Refused("NotEmulated", told, status=501)
    if len(given) != 1:
        raise InvalidParameterException(f"give exactly one of {', '.join(asked)}")
    names = [given[0]] if isinstance(given[0], str) else given[0]
    names = [one.removesuffix(":*").rpartition(":log-group:")[2] for one in names]
    backend = response.logs_backend
    if missing := [one for one in names if one not in backend.groups]:
        raise ResourceNotFoundException(f"Log group {missing[0]!r} does not exist")
    start, end = response._get_int_param("startTime"), response._get_int_param("endTime")
    if start > end:
        raise InvalidParameterException("End time should not be before the start time")
    query = response._get_param("queryString")
    identifier = str(uuid.uuid4())
    try:
        groups = [backend.groups[one] for one in dict.fromkeys(names)]
        made = LogQuery(identifier, start, end, query, groups)
    except queries.MalformedQuery as error:
        raise Refused("MalformedQueryException", f"{query!r}: {error}", status=400) from None
    except queries.NotBuilt as error:
        told = f"logs: {error} is not emulated by the local cloud"
        raise Refused("NotEmulated", told, status=501) from None
    made.results = made.results[: response._get_int_param("limit") or queries.MOST_ROWS]
    backend.queries[identifier] = made
    return json.dumps({"queryId": identifier})


def _query(response: Any) -> Any:
    from moto.logs.exceptions import ResourceNotFoundException

    identifier = response._get_param("queryId")
    if (found := response.logs_backend.queries.get(identifier)) is None:
        raise ResourceNotFoundException(f"Query {identifier} does not exist")
    return found


def _query_results(response: Any) -> str:
    return json.dumps(_query(response).to_result_json())


def _stop_query(response: Any) -> str:
    from moto.logs.exceptions import InvalidParameterException

    found = _query(response)
    raise InvalidParameterException(f"Query {found.query_id} is not in a cancellable state")
