"""What a statement of Athena answers: queries run in DuckDB, SHOW and databases in Glue.

Athena's engine is Trino: sqlglot reads its SQL and writes DuckDB's. DuckDB sees the tables that the
statement names and nothing else: no file, no network, no extension.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from stacks.local.aws.athena.definitions import Asked, Catalog, define, is_create_as
from stacks.local.aws.athena.descriptions import (
    WIDTH,
    columns_of,
    partitions_of,
    statement_of,
    view_of,
)
from stacks.local.aws.athena.results import as_text
from stacks.local.aws.athena.tables import (
    QueryFailed,
    Source,
    described_table,
    names_of,
    table_of,
)
from stacks.local.aws.athena.unload import STATEMENT, Unload, content, file_name, unload_of
from stacks.local.runtime.s3_files import split_uri

CATALOG = "awsdatacatalog"
MEMORY = "1GB"
NAME = r"(?:([`\"\w]+)\.)?([`\"\w]+)"
WORDS = re.compile(
    r"\s*(SHOW|MSCK|DESC(?=\s)|DESCRIBE(?=\s))\s*"
    r"((?<=SHOW )(?:CREATE|\w+)|REPAIR|)(?:\s+(?:TABLE|VIEW|IN|FROM)\b)*"
    rf"(?:\s*{NAME})?",
    re.IGNORECASE,
)
"""SHOW TABLES IN shop, SHOW CREATE TABLE shop.orders, DESCRIBE orders."""

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
    written: Sequence[str] = ()
    """URIs of the files that the statement wrote."""


class Allowed(Catalog, Protocol):
    """The rights of whoever asks: each raises QueryFailed where there are none."""

    def databases(self) -> None: ...
    def tables(self, database: str) -> None: ...
    def table(self, database: str, name: str) -> None: ...
    def partitions(self, database: str, name: str) -> list[list[str]]: ...


class WrongStatement(QueryFailed):
    """What Athena refuses before it runs: it is no SQL, or several statements."""


def check(sql: str) -> None:
    """WrongStatement of what no parser reads, with `?` for its parameters."""
    if WORDS.match(sql):
        return
    from sqlglot import exp

    unloaded = STATEMENT.fullmatch(sql.rstrip().removesuffix(";"))
    parsed = parsed_of(unloaded["query"] if unloaded else sql)
    if not isinstance(parsed, (exp.Query, exp.DDL, exp.DML, exp.Drop, exp.Alter, exp.Command)):
        raise WrongStatement(f"line 1:1: mismatched input '{sql.split(maxsplit=1)[0]}'")


def statement_type(sql: str) -> str:
    """DDL, DML or UTILITY, as GetQueryExecution says of a statement."""
    word = sql.split(maxsplit=1)[0].upper() if sql.split() else ""
    if word in ("ALTER", "CREATE", "DROP", "MSCK"):
        return "DDL"
    return "UTILITY" if word in ("SHOW", "DESC", "DESCRIBE", "EXPLAIN") else "DML"


def is_made_by_query(sql: str) -> bool:
    """Whether a statement makes a table of the rows of a query."""
    return sql.lstrip()[:6].upper() == "CREATE" and is_create_as(parsed_of(sql))


def run(
    sql: str,
    source: Source,
    *,
    database: str,
    place: str = "",
    parameters: Sequence[str] = (),
    running: Callable[[Any], None] = lambda _: None,
    allowed: Allowed,
) -> Answer:
    """The answer to one statement.

    `place` is where a table lies that a query makes and that names none. `running` hears of
    DuckDB's connection, which another thread may interrupt. Raises QueryFailed, as `allowed` does
    where whoever asks may not see what the statement is about.
    """
    if words := WORDS.match(sql):
        return _shown(words, database, source, allowed)
    filled = _filled(sql, parameters)

    def select(query: str) -> tuple[Any, int]:
        found: list[Any] = []
        told = _selected(query, source, database, running, allowed, typed=found.append)
        return found[0], told.scanned_bytes

    if asked := unload_of(filled):
        return _unloaded(asked, source, select, allowed)
    done = define(
        Asked(
            parsed=parsed_of(filled), database=database, source=source, catalog=allowed,
            place=place, select=select,
        )
    )  # fmt: skip
    if done is not None:
        return Answer(scanned_bytes=done.scanned_bytes, written=done.written)
    return _selected(filled, source, database, running, allowed)


def _unloaded(
    asked: Unload,
    source: Source,
    select: Callable[[str], tuple[Any, int]],
    allowed: Allowed,
) -> Answer:
    """Write the rows of a query where nothing is yet; the statement itself has none."""
    bucket, prefix = split_uri(asked.place)
    if source.objects(bucket, prefix):
        raise QueryFailed(
            f"HIVE_PATH_ALREADY_EXISTS: Target directory for table already exists: {asked.place}"
        )
    rows, size = select(asked.query)
    uri = f"{asked.place}{file_name(asked)}"
    allowed.write(uri, content(asked, rows))
    return Answer(scanned_bytes=size, written=[uri])


def _shown(words: re.Match[str], database: str, source: Source, allowed: Allowed) -> Answer:
    verb, what = words[1].upper(), words[2].upper()
    schema, name = ((one or "").strip('`"').lower() for one in (words[3], words[4]))
    if verb == "MSCK":
        return Answer()  # partitions are read off the keys
    if verb == "SHOW" and what == "TABLES":
        asked = name or database.lower()
        allowed.tables(asked)
        return _lines("tab_name", [[one] for one in names_of(source.databases(), asked)])
    if verb == "SHOW" and what in ("DATABASES", "SCHEMAS"):
        allowed.databases()
        return _lines("database_name", [[one] for one in sorted(source.databases())])
    if verb == "SHOW" and what not in ("CREATE", "COLUMNS", "PARTITIONS"):
        raise QueryFailed(f"NOT_SUPPORTED: SHOW {what} is not emulated by the local cloud")
    return _of_table(what, (schema or database.lower(), name), source, allowed)


def _of_table(what: str, of: tuple[str, str], source: Source, allowed: Allowed) -> Answer:
    """SHOW CREATE TABLE, COLUMNS and PARTITIONS; otherwise DESCRIBE."""
    allowed.table(*of)
    table = described_table(source, *of)
    if what == "CREATE":
        return _lines("createtab_stmt", statement_of(of[0], table))
    if what == "PARTITIONS":
        return _lines("partition", partitions_of(table, allowed.partitions(*of)))
    if what == "COLUMNS":
        columns = [*table["StorageDescriptor"]["Columns"], *table.get("PartitionKeys", ())]
        return _lines("field", [[one["Name"].ljust(WIDTH)] for one in columns])
    return _lines("col_name", columns_of(table))


def _lines(name: str, rows: list[list[str | None]]) -> Answer:
    return Answer(columns=[(name, "string")], rows=rows)


def _selected(
    sql: str,
    source: Source,
    database: str,
    running: Callable[[Any], None],
    allowed: Allowed,
    *,
    typed: Callable[[Any], None] | None = None,
    views: Sequence[tuple[str, str]] = (),
) -> Answer:
    """`typed` gets the rows as an Arrow table. Default: they are the answer, as texts.

    `views` are those that the query is inside of.
    """
    import duckdb
    from sqlglot import exp

    parsed = parsed_of(sql)
    if not isinstance(parsed, exp.Query):
        raise QueryFailed(
            f"NOT_SUPPORTED: {type(parsed).__name__.upper()} is not emulated by the local cloud: "
            "it answers SELECT, UNLOAD, CREATE, DROP, INSERT INTO, SHOW, DESCRIBE and MSCK REPAIR"
        )
    with _connected() as connection:
        size = 0
        for number, table in enumerate(_named(parsed)):
            where = (table.db or database).lower(), table.name.lower()
            if table.catalog and table.catalog.lower() != CATALOG:
                raise QueryFailed(f"CATALOG_NOT_FOUND: Catalog '{table.catalog}' does not exist")
            allowed.table(*where)
            rows, read = _rows(source, where, running, allowed, views)
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


def _connected() -> Any:
    """A database of its own that reaches neither files nor networks."""
    import duckdb

    options = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    connection = duckdb.connect(":memory:", config={**options, "threads": 2})
    connection.execute(f"SET memory_limit='{MEMORY}'")
    connection.execute("SET enable_external_access=false")
    connection.execute("SET TimeZone='UTC'")
    connection.execute("SET lock_configuration=true")
    return connection


def _rows(
    source: Source,
    where: tuple[str, str],
    running: Callable[[Any], None],
    allowed: Allowed,
    views: Sequence[tuple[str, str]],
) -> tuple[Any, int]:
    """Of a table, or of the query behind a view."""
    view = view_of(described_table(source, *where))
    if view is None:
        return table_of(source, *where)
    if where in views:
        raise QueryFailed(f"INVALID_VIEW: View '{'.'.join(where)}' is recursive")
    found: list[Any] = []
    told = _selected(
        view[0], source, view[1], running, allowed, typed=found.append, views=[*views, where]
    )
    return found[0], told.scanned_bytes


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


UNDERLINED = re.compile(r"\x1b\[\d*m")
"""How sqlglot marks the place of an error for a terminal."""


def parsed_of(sql: str) -> Any:
    """One statement; QueryFailed where it is none, or more."""
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        statements = [one for one in sqlglot.parse(sql, read="athena") if one is not None]
    except (SqlglotError, RecursionError) as error:
        raise WrongStatement(f"SYNTAX_ERROR: {UNDERLINED.sub('', str(error))}") from None
    if len(statements) != 1:
        raise WrongStatement(f"Only one sql statement is allowed. Got: {sql[:200]}")
    return statements[0]


def _filled(sql: str, parameters: Sequence[str]) -> str:
    """SQL with its ExecutionParameters, which are literals of SQL, in the places of the `?`."""
    from sqlglot import exp, tokenize
    from sqlglot.errors import SqlglotError

    try:
        places = [t for t in tokenize(sql, read="athena") if t.token_type.name == "PLACEHOLDER"]
    except SqlglotError as error:
        raise QueryFailed(f"SYNTAX_ERROR: {UNDERLINED.sub('', str(error))}") from None
    if len(places) != len(parameters):
        told = f"Incorrect number of parameters: expected {len(places)} but found {len(parameters)}"
        raise QueryFailed(f"INVALID_PARAMETER_USAGE: {told}")
    for place, given in reversed([*zip(places, parameters, strict=True)]):
        value = parsed_of(f"SELECT {given}").selects[0]
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
