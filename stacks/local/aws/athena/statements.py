"""What a statement of Athena answers: queries run in DuckDB, SHOW and databases in Glue.

Athena's engine is Trino: sqlglot reads its SQL and writes DuckDB's. DuckDB sees the tables that the
statement names and nothing else: no file, no network, no extension.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from stacks.local.aws.athena.results import as_text
from stacks.local.aws.athena.tables import QueryFailed, Source, names_of, table_of
from stacks.local.aws.athena.unload import Unload, content, unload_of
from stacks.local.runtime.s3_files import split_uri

CATALOG = "awsdatacatalog"
MEMORY = "1GB"
WORDS = re.compile(r"\s*(SHOW|MSCK)\s+(\w+)(?:\s+(?:IN|FROM)\s+`?\"?(\w+))?", re.IGNORECASE)

KINDS = {
    "BIGINT": "bigint", "BLOB": "varbinary", "BOOLEAN": "boolean", "DATE": "date",
    "DOUBLE": "double", "FLOAT": "float", "HUGEINT": "bigint", "INTEGER": "integer",
    "SMALLINT": "smallint", "TIMESTAMP": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone", "TINYINT": "tinyint",
    "VARCHAR": "varchar",
}  # fmt: skip
"""Type of DuckDB -> type of Athena."""


@dataclass(kw_only=True)
class Answer:
    """Names and types of columns, and rows as Athena writes them; None is null."""

    columns: Sequence[tuple[str, str]] = ()
    rows: list[list[str | None]] = field(default_factory=list)
    scanned_bytes: int = 0


class Allowed(Protocol):
    """The rights of whoever asks: each raises QueryFailed where there are none."""

    def databases(self) -> None: ...
    def tables(self, database: str) -> None: ...
    def table(self, database: str, name: str) -> None: ...
    def write(self, location: str, content: bytes) -> None: ...


def run(
    sql: str,
    source: Source,
    *,
    database: str,
    parameters: Sequence[str] = (),
    running: Callable[[Any], None] = lambda _: None,
    allowed: Allowed,
) -> Answer:
    """The answer to one statement.

    `running` hears of DuckDB's connection, which another thread may interrupt. Raises QueryFailed,
    as `allowed` does where whoever asks may not see what the statement is about.
    """
    if words := WORDS.match(sql):
        return _shown(words[1].upper(), words[2].upper(), words[3] or database, source, allowed)
    filled = _filled(sql, parameters)
    if asked := unload_of(filled):
        return _unloaded(asked, source, database, running, allowed)
    return _selected(filled, source, database, running, allowed)


def _unloaded(
    asked: Unload,
    source: Source,
    database: str,
    running: Callable[[Any], None],
    allowed: Allowed,
) -> Answer:
    """Write the rows of a query where nothing is yet; the statement itself has none."""
    bucket, prefix = split_uri(asked.place)
    if source.objects(bucket, prefix):
        raise QueryFailed(
            f"HIVE_PATH_ALREADY_EXISTS: Target directory for table already exists: {asked.place}"
        )
    found: list[Any] = []
    told = _selected(asked.query, source, database, running, allowed, typed=found.append)
    name = f"{datetime.now(UTC):%Y%m%d_%H%M%S}_{secrets.token_hex(8)}"
    packed = asked.compression == "gzip" and asked.file_format in ("JSON", "TEXTFILE")
    allowed.write(f"{asked.place}{name}{'.gz' if packed else ''}", content(asked, found[0]))
    return Answer(scanned_bytes=told.scanned_bytes)


def _shown(verb: str, what: str, database: str, source: Source, allowed: Allowed) -> Answer:
    if verb == "MSCK":
        return Answer()  # partitions are read off the keys
    if what == "TABLES":
        allowed.tables(database.lower())
        names = names_of(source.databases(), database.lower())
        return Answer(columns=[("tab_name", "string")], rows=[[name] for name in names])
    if what in ("DATABASES", "SCHEMAS"):
        allowed.databases()
        return Answer(
            columns=[("database_name", "string")],
            rows=[[name] for name in sorted(source.databases())],
        )
    raise QueryFailed(f"NOT_SUPPORTED: SHOW {what} is not emulated by the local cloud")


def _selected(
    sql: str,
    source: Source,
    database: str,
    running: Callable[[Any], None],
    allowed: Allowed,
    *,
    typed: Callable[[Any], None] | None = None,
) -> Answer:
    """`typed` gets the rows as an Arrow table. Default: they are the answer, as texts."""
    import duckdb
    from sqlglot import exp

    parsed = _parsed(sql)
    if not isinstance(parsed, exp.Query):
        raise QueryFailed(
            f"NOT_SUPPORTED: {type(parsed).__name__.upper()} is not emulated by the local cloud: "
            "it answers SELECT, UNLOAD, SHOW TABLES, SHOW DATABASES and MSCK REPAIR TABLE"
        )
    options = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    with duckdb.connect(":memory:", config={**options, "threads": 2}) as connection:
        connection.execute(f"SET memory_limit='{MEMORY}'")
        connection.execute("SET enable_external_access=false")
        connection.execute("SET TimeZone='UTC'")
        connection.execute("SET lock_configuration=true")
        size = 0
        for number, table in enumerate(_named(parsed)):
            where = (table.db or database).lower(), table.name.lower()
            if table.catalog and table.catalog.lower() != CATALOG:
                raise QueryFailed(f"CATALOG_NOT_FOUND: Catalog '{table.catalog}' does not exist")
            allowed.table(*where)
            rows, read = table_of(source, *where)
            size += read
            connection.register(f"table_{number}", rows)
            _replace(table, f"table_{number}")
        running(connection)
        try:
            told = connection.execute(parsed.sql(dialect="duckdb"))
            names = _names(parsed, [name for name, *_ in told.description])
            kinds = [_kind(str(kind)) for _, kind, *_ in told.description]
            columns = [*zip(names, kinds, strict=True)]
            if typed is not None:
                arrow: Any = told.to_arrow_table()
                typed(arrow.rename_columns(names))
                return Answer(scanned_bytes=size)
            rows = [[as_text(value) for value in row] for row in told.fetchall()]
        except duckdb.Error as error:
            raise QueryFailed(f"{_code(error)}: {error}") from None
    return Answer(columns=columns, rows=rows, scanned_bytes=size)


def _names(parsed: Any, told: Sequence[str]) -> list[str]:
    """Names of the columns: an expression without an alias is `_col` and its place, as in Trino."""
    from sqlglot import exp

    names, selects = list(told), parsed.selects
    stars = [place for place, one in enumerate(selects) if one.is_star]
    for number, one in enumerate(selects):
        if one.is_star or isinstance(one, (exp.Alias, exp.Column, exp.Dot)):
            continue
        if not stars or number < stars[0]:
            place = number
        elif number > stars[-1]:
            place = number + len(told) - len(selects)
        else:  # between stars, of which nobody knows how many columns each is
            continue
        names[place] = f"_col{place}"
    return names


def _parsed(sql: str) -> Any:
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        statements = [one for one in sqlglot.parse(sql, read="athena") if one is not None]
    except (SqlglotError, RecursionError) as error:
        raise QueryFailed(f"SYNTAX_ERROR: {error}") from None
    if len(statements) != 1:
        raise QueryFailed(f"Only one sql statement is allowed. Got: {sql[:200]}")
    return statements[0]


def _filled(sql: str, parameters: Sequence[str]) -> str:
    """SQL with its ExecutionParameters, which are literals of SQL, in the places of the `?`."""
    from sqlglot import exp, tokenize
    from sqlglot.errors import SqlglotError

    try:
        places = [t for t in tokenize(sql, read="athena") if t.token_type.name == "PLACEHOLDER"]
    except SqlglotError as error:
        raise QueryFailed(f"SYNTAX_ERROR: {error}") from None
    if len(places) != len(parameters):
        told = f"Incorrect number of parameters: expected {len(places)} but found {len(parameters)}"
        raise QueryFailed(f"INVALID_PARAMETER_USAGE: {told}")
    for place, given in reversed([*zip(places, parameters, strict=True)]):
        value = _parsed(f"SELECT {given}").selects[0]
        if not isinstance(value, (exp.Literal, exp.Neg, exp.Boolean, exp.Null, exp.Cast)):
            raise QueryFailed(f"SYNTAX_ERROR: a parameter must be a literal, got {given}")
        sql = f"{sql[: place.start]}{value.sql(dialect='athena')}{sql[place.end + 1 :]}"
    return sql


def _named(parsed: Any) -> Iterator[Any]:
    """The tables of the catalog that a query reads: not those that it makes by WITH."""
    from sqlglot import exp
    from sqlglot.optimizer.scope import traverse_scope

    seen: set[int] = set()
    for scope in traverse_scope(parsed):
        for source in scope.sources.values():
            if isinstance(source, exp.Table) and id(source) not in seen:
                seen.add(id(source))
                yield source


def _replace(table: Any, name: str) -> None:
    """Another name for a table, under which its columns are found as before."""
    from sqlglot import exp

    alias = table.alias or table.name
    table.set("this", exp.to_identifier(name))
    table.set("db", None)
    table.set("catalog", None)
    table.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))


def _kind(kind: str) -> str:
    return KINDS.get(kind, kind.lower())


def _code(error: Exception) -> str:
    known = {
        "BinderException": "COLUMN_NOT_FOUND",
        "CatalogException": "FUNCTION_NOT_FOUND",
        "ConversionException": "INVALID_CAST_ARGUMENT",
        "InterruptException": "USER_CANCELED",
        "OutOfMemoryException": "EXCEEDED_LOCAL_MEMORY_LIMIT",
        "ParserException": "SYNTAX_ERROR",
    }
    return known.get(type(error).__name__, "GENERIC_INTERNAL_ERROR")
