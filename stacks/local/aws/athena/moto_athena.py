"""moto's Athena, which keeps queries and answers none: here they run, as whoever asks.

Tables of Glue are read with the rights of the caller (glue:GetTable, s3:GetObject), results are
written with them (s3:PutObject), as Athena does. Source: Amazon Athena API reference,
StartQueryExecution, GetQueryExecution, GetQueryResults; user guide, "Work with query results".
"""

from __future__ import annotations

import functools
import json
import re
import time
from collections.abc import Mapping
from typing import Any

from stacks.local.aws.athena.caller import Caller
from stacks.local.aws.athena.results import as_csv, as_lines
from stacks.local.aws.athena.statements import (
    Answer,
    WrongStatement,
    check,
    is_made_by_query,
    parsed_of,
    run,
    statement_type,
)
from stacks.local.aws.athena.tables import QueryFailed
from stacks.local.aws.emulator import Emulator, moto_backend

UNDER_WAY = ("QUEUED", "RUNNING")
MOST_RESULTS = 1000
EXECUTE = re.compile(r"\s*EXECUTE\s+(\w+)(?:\s+USING\s+(.*))?", re.IGNORECASE | re.DOTALL)
ENDED = "the local cloud ended meanwhile"

CONNECTIONS: dict[str, Any] = {}
"""Id of a query that runs -> DuckDB's connection, which StopQueryExecution interrupts."""


class Refused(Exception):
    """An InvalidRequestException; its code says more where it is about the statement."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


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
            told = {"__type": "InvalidRequestException", "Message": str(error)}
            more = {"AthenaErrorCode": error.code} if error.code else {}
            return json.dumps({**told, **more}), {"status": 400}

    return answer


def _execution(response: Any, identifier: str) -> Any:
    found = response.athena_backend.executions.get(identifier)
    if found is None:
        raise Refused(f"QueryExecution {identifier} was not found")
    return found


def _start(emulator: Emulator, response: Any) -> Mapping[str, Any]:
    backend, group = response.athena_backend, response._get_param("WorkGroup") or "primary"
    token, query = response._get_param("ClientRequestToken"), response._get_param("QueryString")
    if (known := _of_token(backend, token)) is not None:
        if known.query != query:
            raise Refused("Idempotent parameters do not match")
        return {"QueryExecutionId": known.id}
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
    parameters = response._get_param("ExecutionParameters")
    try:
        sql, parameters = _prepared(backend, held, query, parameters)
        check(sql)
    except WrongStatement as error:
        raise Refused(str(error), "MALFORMED_QUERY") from None
    context = response._get_param("QueryExecutionContext") or {}
    identifier: str = backend.start_query_execution(
        query=query,
        context=context,
        config=config,
        workgroup=group,
        execution_parameters=response._get_param("ExecutionParameters"),
    )
    execution = backend.executions[identifier]
    execution.end_time, execution.token = None, token
    folder = config["OutputLocation"].removesuffix(f"{identifier}.csv")
    if statement_type(sql) != "DML":
        made = f"tables/{identifier}" if is_made_by_query(sql) else f"{identifier}.txt"
        config["OutputLocation"] = f"{folder}{made}"
    caller = Caller(emulator=emulator, access_key_id=response.access_key)
    emulator.background(
        lambda: _work(backend, execution, caller, (sql, parameters or (), folder)),
        broken=lambda error: _end(execution, "FAILED", f"GENERIC_INTERNAL_ERROR: {error!r}"),
    )
    return {"QueryExecutionId": identifier}


def _prepared(backend: Any, group: Any, query: str, given: Any) -> tuple[str, Any]:
    """The statement that EXECUTE names, and its values (user guide, "Use prepared statements")."""
    found = EXECUTE.fullmatch(query.rstrip().removesuffix(";"))
    if found is None:
        return query, given
    held = backend.get_prepared_statement(found[1], group.name)
    if held is None:
        raise Refused(f"PreparedStatement {found[1]} was not found in workGroup {group.name}")
    values = parsed_of(f"SELECT {found[2]}").selects if found[2] else ()
    return held.query_statement, [one.sql(dialect="athena") for one in values] or given


def _of_token(backend: Any, token: str | None) -> Any:
    """The query that was started with a token (StartQueryExecution, ClientRequestToken)."""
    known = (one for one in backend.executions.values() if token)
    return next((one for one in known if getattr(one, "token", None) == token), None)


def _work(backend: Any, execution: Any, caller: Caller, asked: tuple[str, Any, str]) -> None:
    if execution._status != "QUEUED":  # stopped before it began
        return
    execution._status = "RUNNING"
    sql, parameters, folder = asked
    try:
        answer = run(
            sql,
            caller.source(),
            database=(execution.context.get("Database") or "default").strip("`"),
            place=f"{folder}tables/{execution.id}/",
            parameters=parameters,
            running=lambda connection: CONNECTIONS.update({execution.id: connection}),
            allowed=caller,
        )
        _write(execution, caller, answer, folder)
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


def _write(execution: Any, caller: Caller, answer: Answer, folder: str) -> None:
    """Results, or the list of the files that a statement wrote (user guide, "Identify query
    output files")."""
    location = execution.config["OutputLocation"]
    if location.endswith(".txt"):
        caller.write(location, as_lines(answer.rows))
    elif location.endswith(".csv"):
        caller.write(location, as_csv([name for name, _ in answer.columns], answer.rows))
    if answer.written:
        execution.manifest = f"{folder}{execution.id}-manifest.csv"
        caller.write(execution.manifest, "".join(f"{uri}\n" for uri in answer.written).encode())


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
    manifest = getattr(execution, "manifest", "")
    optional = {"ExecutionParameters": execution.execution_parameters}
    return {
        "QueryExecutionId": execution.id,
        "Query": execution.query,
        "StatementType": statement_type(execution.query),
        "ResultConfiguration": execution.config,
        "QueryExecutionContext": execution.context,
        "Status": {
            "State": execution._status,
            "SubmissionDateTime": execution.start_time,
            **({"CompletionDateTime": end} if end else {}),
            **({"StateChangeReason": reason} if reason else {}),
            **({"AthenaError": _error(reason)} if execution._status == "FAILED" else {}),
        },
        "Statistics": {
            "EngineExecutionTimeInMillis": took,
            "TotalExecutionTimeInMillis": took,
            "DataScannedInBytes": getattr(execution, "scanned_bytes", 0),
            **({"DataManifestLocation": manifest} if manifest else {}),
        },
        "WorkGroup": execution.workgroup.name if execution.workgroup else "primary",
        "EngineVersion": {
            "SelectedEngineVersion": "AUTO",
            "EffectiveEngineVersion": "Athena engine version 3",
        },
        **{name: value for name, value in optional.items() if value},
    }


def _error(reason: str) -> Mapping[str, Any]:
    """Whose fault it was (API reference, AthenaError): 1 is the system's, 2 the user's."""
    ours = reason.startswith("GENERIC_INTERNAL_ERROR") or reason == ENDED
    return {"ErrorCategory": 1 if ours else 2, "Retryable": ours, "ErrorMessage": reason}


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
