"""moto's Athena, which keeps queries and answers none: here they run, as whoever asks.

Tables of Glue are read with the rights of the caller (glue:GetTable, s3:GetObject), results are
written with them (s3:PutObject), as Athena does. Source: Amazon Athena API reference,
StartQueryExecution, GetQueryExecution, GetQueryResults; user guide, "Work with query results".
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stacks.local.aws.athena.results import as_csv
from stacks.local.aws.athena.statements import Answer, run
from stacks.local.aws.athena.tables import QueryFailed, Source
from stacks.local.aws.emulator import Emulator, moto_backend
from stacks.local.aws.iam.asked import Check
from stacks.local.aws.sagemaker import features
from stacks.local.runtime.s3_files import split_uri

UNDER_WAY = ("QUEUED", "RUNNING")
MOST_RESULTS = 1000
ENDED = "the local cloud ended meanwhile"

CONNECTIONS: dict[str, Any] = {}
"""Id of a query that runs -> DuckDB's connection, which StopQueryExecution interrupts."""


class Refused(Exception):
    """An InvalidRequestException."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Whoever asks, by whose rights is read and written."""

    emulator: Emulator
    access_key_id: str

    def may(self, action: str, resource: str) -> None:
        """QueryFailed where IAM denies."""
        told = self.emulator.authorizer.refuses(
            self.access_key_id, Check(action=action, resource=resource)
        )
        if told:
            raise QueryFailed(f"Access denied: {told}")

    def source(self) -> Source:
        return Source(databases=self._databases, objects=self._objects)

    def _databases(self) -> Mapping[str, Any]:
        databases: Mapping[str, Any] = moto_backend("glue", self.emulator).databases
        return databases

    def databases(self) -> None:
        """May list the databases."""
        self._may_look("GetDatabases", "database/*")

    def tables(self, database: str) -> None:
        """May list the tables of a database."""
        self._may_look("GetTables", f"table/{database}/*")

    def table(self, database: str, name: str) -> None:
        """May read a table's description; what its feature group holds is written first."""
        self._may_look("GetTable", f"table/{database}/{name}")
        for group in self.emulator.store.all(features.GROUP):
            where = group.fields.get("OfflineStoreConfig", {}).get("DataCatalogConfig", {})
            if (where.get("Database"), where.get("TableName")) == (database, name):
                features.flush(self.emulator, group)

    def _may_look(self, operation: str, resource: str) -> None:
        place = self.emulator.authorizer.place
        here = f"arn:{place.partition}:glue:{place.region}:{place.account}"
        self.may(f"glue:{operation}", f"{here}:{resource}")

    def _object(self, bucket: str, key: str) -> str:
        return f"arn:{self.emulator.authorizer.place.partition}:s3:::{bucket}/{key}"

    def _objects(self, bucket: str, prefix: str) -> Mapping[str, bytes]:
        from moto.s3.models import FakeKey

        held = _s3(self.emulator).buckets.get(bucket)
        if held is None:
            raise QueryFailed(f"HIVE_CANNOT_OPEN_SPLIT: bucket {bucket} does not exist")
        found = {
            name: key
            for name, key in list(held.keys.items())
            if name.startswith(prefix) and isinstance(key, FakeKey)  # no mark of a deletion
        }
        for name in found:
            self.may("s3:GetObject", self._object(bucket, name))
        return {name: key.value for name, key in found.items()}

    def write(self, location: str, content: bytes) -> None:
        """Put the results where they belong."""
        bucket, key = split_uri(location)
        self.may("s3:PutObject", self._object(bucket, key))
        if bucket not in _s3(self.emulator).buckets:
            raise QueryFailed(f"the output bucket {bucket} must exist")
        _s3(self.emulator).put_object(bucket, key, content)


def _s3(emulator: Emulator) -> Any:
    from moto.s3.models import s3_backends

    place = emulator.authorizer.place
    return s3_backends[place.account][place.partition]


def install(emulator: Emulator) -> None:
    """Let moto's operations start, tell and stop queries that run."""
    from moto.athena.models import Execution
    from moto.athena.responses import AthenaResponse

    for execution in moto_backend("athena", emulator).executions.values():
        if execution._status in UNDER_WAY:
            _end(execution, "FAILED", ENDED)
    Execution.status = property(lambda self: self._status, _set_status)
    for name, operation in (
        ("start_query_execution", _start),
        ("get_query_execution", _get),
        ("batch_get_query_execution", _batch_get),
        ("get_query_results", _results),
        ("stop_query_execution", _stop),
    ):
        setattr(AthenaResponse, name, _answering(operation, emulator))


def _set_status(execution: Any, status: str) -> None:
    execution._status = status


def _answering(operation: Any, emulator: Emulator) -> Any:
    @functools.wraps(operation)
    def answer(response: Any) -> Any:
        try:
            return json.dumps(operation(emulator, response), default=str)
        except Refused as error:
            return response.error(str(error), 400)

    return answer


def _execution(response: Any, identifier: str) -> Any:
    found = response.athena_backend.executions.get(identifier)
    if found is None:
        raise Refused(f"QueryExecution {identifier} was not found")
    return found


def _start(emulator: Emulator, response: Any) -> Mapping[str, Any]:
    backend, group = response.athena_backend, response._get_param("WorkGroup") or "primary"
    held = backend.work_groups.get(group)
    if held is None:
        raise Refused(f"WorkGroup {group} is not found.")
    own = held.configuration.get("ResultConfiguration") or {}
    asked = response._get_param("ResultConfiguration") or {}
    enforced = held.configuration.get("EnforceWorkGroupConfiguration")
    config = dict(own) if enforced and own.get("OutputLocation") else {**own, **asked}
    if not config.get("OutputLocation"):
        raise Refused(
            "No output location provided. An output location is required either through the "
            "Workgroup result configuration setting or as an API input."
        )
    context = response._get_param("QueryExecutionContext") or {}
    identifier: str = backend.start_query_execution(
        query=response._get_param("QueryString"),
        context=context,
        config=config,
        workgroup=group,
        execution_parameters=response._get_param("ExecutionParameters"),
    )
    execution = backend.executions[identifier]
    execution.end_time = None
    caller = Caller(emulator=emulator, access_key_id=response.access_key)
    emulator.background(
        lambda: _work(backend, execution, caller),
        broken=lambda error: _end(execution, "FAILED", f"GENERIC_INTERNAL_ERROR: {error!r}"),
    )
    return {"QueryExecutionId": identifier}


def _work(backend: Any, execution: Any, caller: Caller) -> None:
    if execution._status != "QUEUED":  # stopped before it began
        return
    execution._status = "RUNNING"
    try:
        answer = run(
            execution.query,
            caller.source(),
            database=execution.context.get("Database") or "default",
            parameters=execution.execution_parameters or (),
            running=lambda connection: CONNECTIONS.update({execution.id: connection}),
            allowed=caller,
        )
        names = [name for name, _ in answer.columns]
        caller.write(execution.config["OutputLocation"], as_csv(names, answer.rows))
    except QueryFailed as error:
        if execution._status != "CANCELLED":
            _end(execution, "FAILED", str(error))
        return
    finally:
        CONNECTIONS.pop(execution.id, None)
    backend.query_results[execution.id] = _told(answer)
    execution.scanned_bytes = answer.scanned_bytes
    if execution._status != "CANCELLED":
        _end(execution, "SUCCEEDED")


def _end(execution: Any, status: str, reason: str = "") -> None:
    execution.end_time, execution.reason = time.time(), reason
    execution._status = status


def _told(answer: Answer) -> Any:
    from moto.athena.models import QueryResults

    def row(values: list[str | None]) -> dict[str, Any]:
        return {"Data": [{} if one is None else {"VarCharValue": one} for one in values]}

    info = [
        {
            "CatalogName": "hive", "SchemaName": "", "TableName": "", "Name": name, "Label": name,
            "Type": kind, "Precision": 0, "Scale": 0, "Nullable": "UNKNOWN",
            "CaseSensitive": kind in ("varchar", "char", "string"),
        }
        for name, kind in answer.columns
    ]  # fmt: skip
    return QueryResults([row(values) for values in answer.rows], info)


def _get(emulator: Emulator, response: Any) -> Mapping[str, Any]:
    execution = _execution(response, response._get_param("QueryExecutionId"))
    return {"QueryExecution": _shown(execution)}


def _batch_get(emulator: Emulator, response: Any) -> Mapping[str, Any]:
    held = response.athena_backend.executions
    asked = response._get_param("QueryExecutionIds")
    missing = [
        {
            "QueryExecutionId": one,
            "ErrorCode": "INVALID_INPUT",
            "ErrorMessage": f"QueryExecution {one} was not found",
        }
        for one in asked
        if one not in held
    ]
    return {
        "QueryExecutions": [_shown(held[one]) for one in asked if one in held],
        "UnprocessedQueryExecutionIds": missing,
    }


def _shown(execution: Any) -> Mapping[str, Any]:
    """A query as GetQueryExecution tells it."""
    end = execution.end_time
    reason = getattr(execution, "reason", "")
    took = int(1000 * ((end or time.time()) - execution.start_time))
    word = execution.query.split(maxsplit=1)[0].upper() if execution.query.split() else ""
    kinds = {"SHOW": "UTILITY", "DESCRIBE": "UTILITY", "EXPLAIN": "UTILITY"}
    ddl = word in ("ALTER", "CREATE", "DROP", "MSCK")
    optional = {"ExecutionParameters": execution.execution_parameters}
    return {
        "QueryExecutionId": execution.id,
        "Query": execution.query,
        "StatementType": "DDL" if ddl else kinds.get(word, "DML"),
        "ResultConfiguration": execution.config,
        "QueryExecutionContext": execution.context,
        "Status": {
            "State": execution._status,
            "SubmissionDateTime": execution.start_time,
            **({"CompletionDateTime": end} if end else {}),
            **({"StateChangeReason": reason} if reason else {}),
        },
        "Statistics": {
            "EngineExecutionTimeInMillis": took,
            "TotalExecutionTimeInMillis": took,
            "DataScannedInBytes": getattr(execution, "scanned_bytes", 0),
        },
        "WorkGroup": execution.workgroup.name if execution.workgroup else "primary",
        "EngineVersion": {
            "SelectedEngineVersion": "AUTO",
            "EffectiveEngineVersion": "Athena engine version 3",
        },
        **{name: value for name, value in optional.items() if value},
    }


def _results(emulator: Emulator, response: Any) -> Mapping[str, Any]:
    """A page of the rows; before those of a query is its header, before those of SHOW is none."""
    identifier = response._get_param("QueryExecutionId")
    status = _execution(response, identifier)._status
    if status in UNDER_WAY:
        raise Refused(f"Query has not yet finished. Current state: {status}")
    if status != "SUCCEEDED":
        raise Refused(f"Query did not finish successfully. Final query state: {status}")
    held = response.athena_backend.query_results[identifier].to_dict()["ResultSet"]
    columns = held["ResultSetMetadata"]["ColumnInfo"]
    header = {"Data": [{"VarCharValue": column["Label"]} for column in columns]}
    rows = [header, *held["Rows"]] if columns and columns[0]["Type"] != "string" else held["Rows"]
    start = int(response._get_param("NextToken") or 0)
    end = start + int(response._get_param("MaxResults") or MOST_RESULTS)
    more = {"NextToken": str(end)} if end < len(rows) else {}
    return {"UpdateCount": 0, "ResultSet": {**held, "Rows": rows[start:end]}, **more}


def _stop(emulator: Emulator, response: Any) -> Mapping[str, Any]:
    identifier = response._get_param("QueryExecutionId")
    execution = _execution(response, identifier)
    if execution._status in UNDER_WAY:
        _end(execution, "CANCELLED", "Query cancelled by user")
        if (connection := CONNECTIONS.get(identifier)) is not None:
            connection.interrupt()
    return {}
