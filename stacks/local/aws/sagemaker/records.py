"""The records of one feature group: the newest per identifier online, all of them offline in S3.

Offline files are Parquet under SageMaker's documented layout, partitioned by event time, with its
three extra columns.
"""

import math
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from stacks.local.aws.sagemaker.errors import ApiError
from stacks.local.aws.sagemaker.shapes import now
from stacks.local.runtime.s3_files import split_uri

TTL_SECONDS = {"Seconds": 1, "Minutes": 60, "Hours": 3600, "Days": 86_400, "Weeks": 604_800}

MOMENT = "_moment"
"""Event time of a waiting row, in seconds since the epoch; not written."""

Values = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Online:
    """The newest record of an identifier, or the mark of its deletion."""

    event_time: float
    values: Values | None
    """None: deleted; an older record must not bring it back."""

    expires: float = math.inf


@dataclass(kw_only=True, eq=False)
class Records:
    """Both stores of a feature group."""

    identifier: str
    event_time: str
    types: dict[str, str]
    """Feature -> Integral, Fractional or String. Grows when features are added."""

    online: bool
    offline_uri: str | None
    """`.../data` of the offline store. None: the group has no offline store."""

    ttl_seconds: float = math.inf
    current: dict[str, Online] = field(default_factory=dict)
    waiting: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    flushing: threading.Lock = field(default_factory=threading.Lock)

    def put(self, values: Values, stores: Sequence[str], ttl: Mapping[str, Any] | None) -> None:
        """Write a record; online only if no newer one is there."""
        moment = self._check(values)
        seconds = seconds_of(ttl) if ttl else self.ttl_seconds
        with self.lock:
            if "OnlineStore" in stores:
                self._replace(
                    values[self.identifier],
                    Online(event_time=moment, values=values, expires=moment + seconds),
                )
            if "OfflineStore" in stores:
                self._remember(values, moment, deleted=False)

    def update(
        self,
        identifier: str,
        changes: Values,
        stores: Sequence[str],
        ttl: Mapping[str, Any] | None,
    ) -> None:
        """Change some features of a record that is there (UpdateRecord, API reference)."""
        if ttl and self.event_time not in changes:
            raise _invalid("TtlDuration needs an event time in the request")
        with self.lock:
            found = self._found(identifier)
            if found is None or found.values is None:
                raise ApiError("ResourceNotFound", f"there is no record {identifier!r}")
            values = {**found.values, **changes, self.identifier: identifier}
            moment = self._check(values)
            if moment < found.event_time:
                told = f"the record has the newer event time {found.values[self.event_time]}"
                raise ApiError("ConflictException", told)
            if "OnlineStore" in stores:
                expires = moment + seconds_of(ttl) if ttl else found.expires
                self.current[identifier] = Online(event_time=moment, values=values, expires=expires)
            if "OfflineStore" in stores:
                self._remember(values, moment, deleted=False)

    def delete(self, identifier: str, event_time: str, stores: Sequence[str], hard: bool) -> None:
        """Remove a record online and write the fact offline (DeleteRecord, API reference).

        An older deletion does nothing online; a hard one is refused then.
        """
        moment = parse_event_time(event_time)
        values = {self.identifier: identifier, self.event_time: event_time}
        with self.lock:
            if "OnlineStore" in stores:
                known = self.current.get(identifier)
                if hard and known is not None and known.event_time > moment:
                    raise _invalid(f"EventTime {event_time} is older than that of the record")
                if hard:
                    self.current.pop(identifier, None)
                else:
                    self._replace(identifier, Online(event_time=moment, values=None))
            if "OfflineStore" in stores:
                self._remember(values, moment, deleted=True)

    def get(self, identifier: str, names: Sequence[str]) -> dict[str, Any]:
        """Record, features of the newest record in the group's order, and ExpiresAt, if it does.

        ValidationError where the group has no such feature (GetRecord, API reference).
        """
        if unknown := [name for name in names if name not in self.types]:
            raise ApiError("ValidationError", f"Features {unknown} are not in the feature group")
        with self.lock:
            found = self._found(identifier)
        if found is None or found.values is None:
            return {}
        wanted = names or self.types
        record = [
            {"FeatureName": name, "ValueAsString": found.values[name]}
            for name in wanted
            if name in found.values
        ]
        if math.isinf(found.expires):
            return {"Record": record}
        moment = datetime.fromtimestamp(found.expires, UTC).isoformat().replace("+00:00", "Z")
        return {"Record": record, "ExpiresAt": moment}

    def identifiers(self, deleted: bool) -> list[str]:
        """Of every record online, in order; `deleted`: of those deleted softly, too."""
        with self.lock:
            there = [(name, self._found(name)) for name in sorted(self.current)]
        return [name for name, found in there if found and (deleted or found.values is not None)]

    def _found(self, identifier: str) -> Online | None:
        """The newest record, which its time to live has not ended."""
        found = self.current.get(identifier)
        if found is not None and found.expires < time.time():
            del self.current[identifier]
            return None
        return found

    @property
    def unwritten(self) -> bool:
        """Whether something waits, or somebody is about to write what did."""
        return bool(self.waiting) or self.flushing.locked()

    def flush(self, s3: Any) -> int:
        """Write what waits to the offline store; the number of records.

        What cannot be written waits on.
        """
        written = 0
        with self.flushing:
            with self.lock:
                waiting, self.waiting = self.waiting, []
            parts: dict[str, list[dict[str, Any]]] = defaultdict(list)
            for row in waiting:
                hour = datetime.fromtimestamp(row[MOMENT], UTC)
                parts[f"{hour:year=%Y/month=%m/day=%d/hour=%H}"].append(row)
            try:
                for part in sorted(parts):
                    name = f"{now():%Y%m%dT%H%M%SZ}_{secrets.token_hex(8)}.parquet"
                    bucket, key = split_uri(f"{self.offline_uri}/{part}/{name}")
                    s3.put_object(Bucket=bucket, Key=key, Body=parquet(parts[part], self.types))
                    written += len(parts.pop(part))
            finally:
                with self.lock:
                    self.waiting = [
                        *(row for rows in parts.values() for row in rows),
                        *self.waiting,
                    ]
        return written

    def _check(self, values: Values) -> float:
        for required in (self.identifier, self.event_time):
            if not values.get(required):
                raise _invalid(f"the record must have a value for {required!r}")
        for name, value in values.items():
            if name not in self.types:
                raise _invalid(f"the feature group has no feature {name!r}")
            _typed(name, value, self.types[name])
        return parse_event_time(values[self.event_time])

    def _replace(self, identifier: str, record: Online) -> None:
        known = self.current.get(identifier)
        if known is None or known.event_time <= record.event_time:
            self.current[identifier] = record

    def _remember(self, values: Values, moment: float, *, deleted: bool) -> None:
        time_now = now()
        typed = {name: _typed(name, value, self.types[name]) for name, value in values.items()}
        stamps = {"write_time": time_now, "api_invocation_time": time_now, "is_deleted": deleted}
        self.waiting.append({**typed, **stamps, MOMENT: moment})


def seconds_of(duration: Mapping[str, Any]) -> int:
    """A TtlDuration in seconds."""
    return int(duration["Value"]) * TTL_SECONDS[duration["Unit"]]


def parquet(rows: Sequence[Mapping[str, Any]], types: Mapping[str, str]) -> bytes:
    """Rows as a Parquet file with SageMaker's three columns."""
    import pyarrow as pa
    from pyarrow import parquet as pq

    of_type = {"Integral": pa.int64(), "Fractional": pa.float64(), "String": pa.string()}
    stamp = pa.timestamp("ms", tz="UTC")
    schema = pa.schema(
        [
            *((name, of_type[kind]) for name, kind in types.items()),
            ("write_time", stamp),
            ("api_invocation_time", stamp),
            ("is_deleted", pa.bool_()),
        ]
    )
    out = BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), out)
    return out.getvalue()


def parse_event_time(text: str) -> float:
    """Seconds since the epoch of a Unix time or an ISO 8601 time with its zone."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _invalid(f"event time {text!r} is neither a Unix nor an ISO 8601 time") from error
    if moment.tzinfo is None:
        raise _invalid(f"event time {text!r} must end with its time zone, for example Z")
    return moment.timestamp()


def _typed(name: str, value: str, kind: str) -> int | float | str:
    casts: dict[str, Callable[[str], int | float | str]]
    casts = {"Integral": int, "Fractional": float, "String": str}
    try:
        return casts[kind](value)
    except ValueError as error:
        raise _invalid(f"feature {name!r} is {kind}, got {value!r}") from error


def _invalid(message: str) -> ApiError:
    return ApiError("ValidationError", f"Validation Error: {message}")
