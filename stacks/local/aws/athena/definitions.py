"""Statements that change the catalog: CREATE, DROP, INSERT INTO (Athena SQL reference)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from stacks.local.aws.athena.descriptions import VIEW_MARK, described
from stacks.local.aws.athena.table_writes import (
    FORMATS,
    Asked,
    Catalog,
    Done,
    create_as,
    free,
    hive_type,
    insert,
)
from stacks.local.aws.athena.tables import QueryFailed

__all__ = ["Asked", "Catalog", "define", "is_create_as"]


def is_create_as(parsed: Any) -> bool:
    """Whether a statement makes a table of the rows of a query."""
    kind = str(parsed.args.get("kind") or "").upper()
    return kind == "TABLE" and parsed.args.get("expression") is not None


def define(asked: Asked) -> Done | None:
    """Do what a statement says; None: it changes nothing."""
    from sqlglot import exp

    parsed, kind = asked.parsed, str(asked.parsed.args.get("kind") or "").upper()
    if isinstance(parsed, exp.Insert):
        return insert(asked)
    if not isinstance(parsed, (exp.Create, exp.Drop)):
        return None
    verb = "CREATE" if isinstance(parsed, exp.Create) else "DROP"
    act = ACTS.get((verb, kind))
    return None if act is None else act(asked)


def _create_database(asked: Asked) -> Done:
    name = asked.parsed.this.name.lower() or asked.parsed.this.db.lower()
    if name in asked.source.databases():
        if not asked.parsed.args.get("exists"):
            raise QueryFailed(f"AlreadyExistsException: Database {name} already exists")
        return Done()
    asked.catalog.create_database(name)
    return Done()


def _drop_database(asked: Asked) -> Done:
    """With its tables where the statement says CASCADE."""
    this = asked.parsed.args.get("this") or asked.parsed.args["tables"][0]
    name = this.name.lower() or this.db.lower()
    held = asked.source.databases().get(name)
    if held is None:
        if not asked.parsed.args.get("exists"):
            raise QueryFailed(f"SCHEMA_NOT_FOUND: Schema 'awsdatacatalog.{name}' does not exist")
        return Done()
    if held.tables and not asked.parsed.args.get("cascade"):
        raise QueryFailed(
            f"InvalidOperationException: Database {name} is not empty. One or more tables exist."
        )
    for table in list(held.tables):
        asked.catalog.delete_table(name, table)
    asked.catalog.delete_database(name)
    return Done()


def _drop(asked: Asked) -> Done:
    """The files of a table stay, as those of every external table do."""
    tables = asked.parsed.args.get("tables") or [asked.parsed.this]
    for database, name in map(asked.name, tables):
        if asked.has(database, name):
            asked.catalog.delete_table(database, name)
        elif not asked.parsed.args.get("exists"):
            raise QueryFailed(f"SemanticException [Error 10001]: Table not found {name}")
    return Done()


def _create_view(asked: Asked) -> Done:
    """Glue keeps the text as Trino's Hive connector writes it (ViewReaderUtil)."""
    database, name = asked.name(asked.parsed.this)
    replace = bool(asked.parsed.args.get("replace"))
    query = asked.parsed.expression.sql(dialect="athena")
    rows, _ = asked.select(f"SELECT * FROM ({query}) LIMIT 0")
    columns = [{"Name": f.name, "Type": hive_type(f.name, f.type)} for f in rows.schema]
    text = json.dumps(
        {
            "originalSql": query,
            "catalog": "awsdatacatalog",
            "schema": asked.database,
            "columns": [{"name": one["Name"], "type": one["Type"]} for one in columns],
        }
    )
    view = {
        "Name": name,
        "TableType": "VIRTUAL_VIEW",
        "Parameters": {"presto_view": "true", "comment": "Presto View"},
        "ViewOriginalText": f"{VIEW_MARK}{base64.b64encode(text.encode()).decode()} */",
        "ViewExpandedText": "/* Presto View */",
        "PartitionKeys": [],
        "StorageDescriptor": {"Columns": columns, "Location": "", "SerdeInfo": {}},
    }
    free(asked, database, name, replace=replace)
    asked.catalog.create_table(database, view, replace=replace)
    return Done()


def _create_table(asked: Asked) -> Done:
    return create_as(asked) if is_create_as(asked.parsed) else _create_external(asked)


def _create_external(asked: Asked) -> Done:
    """CREATE EXTERNAL TABLE: columns, partitions, format and place of files that are there."""
    from sqlglot import exp

    parsed = asked.parsed
    told = {type(one): one for one in parsed.args["properties"].expressions} if parsed.args.get(
        "properties"
    ) else {}  # fmt: skip
    database, name = asked.name(parsed.find(exp.Table))
    if asked.has(database, name) and parsed.args.get("exists"):
        return Done()
    if exp.ExternalProperty not in told or exp.LocationProperty not in told:
        raise QueryFailed(
            "NOT_SUPPORTED: a table that is neither EXTERNAL with a LOCATION nor made AS a query "
            "is not emulated by the local cloud"
        )
    free(asked, database, name)
    serde, parameters = _serde(told)
    others = {
        one.name: one.args["value"].name
        for one in parsed.args["properties"].expressions
        if type(one) is exp.Property
    }
    keys = told.get(exp.PartitionedByProperty)
    table = described(
        name,
        [_column(one) for one in parsed.this.expressions],
        [_column(one) for one in keys.this.expressions] if keys else [],
        location=told[exp.LocationProperty].name,
        classes=serde,
        serde=parameters,
        others=others,
    )
    asked.catalog.create_table(database, table, replace=False)
    return Done()


def _column(one: Any) -> dict[str, str]:
    return {"Name": one.name.lower(), "Type": one.args["kind"].sql(dialect="hive").lower()}


def _serde(told: Mapping[Any, Any]) -> tuple[tuple[str, str, str], dict[str, str]]:
    """Classes and parameters of what is stored; LazySimpleSerDe is the default."""
    from sqlglot import exp

    stored = told.get(exp.FileFormatProperty)
    named = stored.name.upper() if stored is not None and stored.name else "TEXTFILE"
    if named not in FORMATS:
        raise QueryFailed(f"NOT_SUPPORTED: STORED AS {named} is not emulated by the local cloud")
    classes, parameters = FORMATS[named], {}
    if (row := told.get(exp.RowFormatSerdeProperty)) is not None:
        classes = (*classes[:2], row.name)
        given = row.args.get("serde_properties")
        parameters = {one.name: one.args["value"].name for one in given or ()}
    elif exp.RowFormatDelimitedProperty in told:
        field = told[exp.RowFormatDelimitedProperty].args.get("fields")
        delimiter = "\x01" if field is None else field.name
        parameters = {"field.delim": delimiter, "serialization.format": delimiter}
    return classes, parameters


ACTS: Mapping[tuple[str, str], Callable[[Asked], Done]] = {
    ("CREATE", "DATABASE"): _create_database,
    ("CREATE", "SCHEMA"): _create_database,
    ("CREATE", "TABLE"): _create_table,
    ("CREATE", "VIEW"): _create_view,
    ("DROP", "DATABASE"): _drop_database,
    ("DROP", "SCHEMA"): _drop_database,
    ("DROP", "TABLE"): _drop,
    ("DROP", "VIEW"): _drop,
}
"""Verb and what it is about -> what does it."""
