"""Statements of Athena that change the catalog: tables of queries, views, external tables."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from moto import mock_aws

from stacks.local.aws.athena import tables
from stacks.local.aws.athena.statements import Answer, WrongStatement, check, run
from stacks.local.aws.athena.tables import QueryFailed, Source
from stacks.local.aws.refusals.account import backend
from stacks.local.runtime.s3_files import split_uri


class Shop:
    """A database of Glue and its objects, in which whoever asks may do everything."""

    def __init__(self) -> None:
        self.glue = backend("glue", "us-east-1")
        self.objects: dict[str, bytes] = {}
        self.glue.create_database("shop", {"Name": "shop"})
        self.count = 0

    def do(self, sql: str) -> Answer:
        self.count += 1
        check(sql)
        source = Source(databases=lambda: self.glue.databases, objects=self._below)
        place = f"s3://b/tables/{self.count}/"
        return run(sql, source, database="shop", place=place, allowed=self)

    def rows(self, sql: str) -> list[list[str | None]]:
        return self.do(sql).rows

    def _below(self, bucket: str, prefix: str) -> Mapping[str, bytes]:
        return {key: body for key, body in self.objects.items() if key.startswith(prefix)}

    def databases(self) -> None: ...
    def tables(self, database: str) -> None: ...
    def table(self, database: str, name: str) -> None: ...

    def partitions(self, database: str, name: str) -> list[list[str]]:
        return [[*one.values] for one in self.glue.get_table(database, name).partitions.values()]

    def create_database(self, name: str) -> None:
        self.glue.create_database(name, {"Name": name})

    def delete_database(self, name: str) -> None:
        self.glue.delete_database(name)

    def create_table(self, database: str, table: Mapping[str, Any], *, replace: bool) -> None:
        there = table["Name"] in self.glue.databases[database].tables
        act = self.glue.update_table if there else self.glue.create_table
        act(database, table["Name"], {**table})

    def delete_table(self, database: str, name: str) -> None:
        self.glue.delete_table(database, name)

    def create_partition(
        self, database: str, name: str, values: Sequence[str], location: str
    ) -> None:
        if str([*values]) not in self.glue.get_table(database, name).partitions:
            self.glue.create_partition(database, name, {"Values": [*values]})

    def write(self, location: str, content: bytes) -> None:
        self.objects[split_uri(location)[1]] = content


@pytest.fixture
def shop() -> Iterator[Shop]:
    with mock_aws():
        yield Shop()


ROWS = "SELECT * FROM (VALUES (1, 'ann', 2025), (2, NULL, 2026)) AS t (id, name, year)"


@pytest.mark.parametrize(
    "options",
    [
        "",
        "WITH (format = 'PARQUET', write_compression = 'SNAPPY')",
        "WITH (format = 'ORC')",
        "WITH (format = 'JSON', external_location = 's3://b/own/')",
        "WITH (format = 'TEXTFILE', field_delimiter = '|')",
        "WITH (partitioned_by = ARRAY['year'])",
    ],
)
def test_a_table_of_a_query_has_its_rows_and_takes_more(options: str, shop: Shop) -> None:
    made = shop.do(f"CREATE TABLE people {options} AS {ROWS}")
    assert made.rows == [] and len(made.written) == (2 if "partitioned" in options else 1)
    shop.do("INSERT INTO people VALUES (3, 'it''s', 2026)")
    shop.do("INSERT INTO people (name, id, year) SELECT 'bob', 4, 2027")
    found = shop.rows("SELECT id, name, year FROM people ORDER BY id")
    assert found == [
        ["1", "ann", "2025"], ["2", None, "2026"], ["3", "it's", "2026"], ["4", "bob", "2027"],
    ]  # fmt: skip
    if "partitioned" in options:
        shown = shop.rows("SHOW PARTITIONS people")
        assert shown == [["year=2025"], ["year=2026"], ["year=2027"]]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ("('a'), (NULL)", ["part=__HIVE_DEFAULT_PARTITION__", "part=a"]),
        ("('a/b=c'), ('50%')", ["part=50%", "part=a/b=c"]),
        ("(true), (NULL)", ["part=__HIVE_DEFAULT_PARTITION__", "part=true"]),
        ("(0.5e0), (CAST('NaN' AS double))", ["part=0.5", "part=NaN"]),
        ("(DATE '2026-11-30'), (DATE '2026-12-01')", ["part=2026-11-30", "part=2026-12-01"]),
    ],
)
def test_no_row_is_lost_between_partitions(values: str, shown: list[str], shop: Shop) -> None:
    rows = f"SELECT 1 AS id, part FROM (VALUES {values}) AS t (part)"
    made = shop.do(f"CREATE TABLE parts WITH (partitioned_by = ARRAY['part']) AS {rows}")
    assert len(made.written) == 2 and all(uri.count("/") == 6 for uri in made.written)
    assert shop.rows("SHOW PARTITIONS parts") == [[one] for one in shown]
    assert sorted(shop.rows("SELECT * FROM parts"), key=str) == sorted(shop.rows(rows), key=str)


def test_no_table_is_made_whose_rows_cannot_be_written(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(location: str, content: bytes) -> None:
        raise QueryFailed(f"Access denied: {location}")

    monkeypatch.setattr(shop, "write", denied)
    with pytest.raises(QueryFailed, match="Access denied"):
        shop.do(f"CREATE TABLE people AS {ROWS}")
    assert shop.rows("SHOW TABLES") == []


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"no gzip", "HIVE_CURSOR_ERROR"),
        (gzip.compress(b'{"id": 1}')[:-6], "HIVE_CURSOR_ERROR"),
        (gzip.compress(b" " * 2000), "EXCEEDED_LOCAL_MEMORY_LIMIT"),
    ],
)
def test_an_object_that_does_not_unpack_ends_its_query(
    body: bytes, told: str, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "UNPACKED_BYTES", 1000)
    shop.do("CREATE TABLE packed WITH (format = 'JSON') AS SELECT 1 AS id")
    assert shop.rows("SELECT id FROM packed") == [["1"]]
    shop.objects["tables/1/b.gz"] = body
    with pytest.raises(QueryFailed, match=told):
        shop.do("SELECT id FROM packed")


def test_types_are_those_of_the_query(shop: Shop) -> None:
    shop.do(
        "CREATE TABLE t AS SELECT 1 AS i, 1.5 AS d, 2e0 AS f, true AS b, DATE '2026-01-02' AS day, "
        "CAST(7 AS bigint) AS l, 'x' AS s, count(*) AS n"
    )
    columns = [(line[0] or "").split() for line in shop.rows("DESCRIBE shop.t")]
    assert columns == [
        ["i", "int"], ["d", "decimal(2,1)"], ["f", "double"], ["b", "boolean"], ["day", "date"],
        ["l", "bigint"], ["s", "string"], ["n", "bigint"],
    ]  # fmt: skip


def test_a_view_is_its_query_wherever_it_is_read(shop: Shop) -> None:
    shop.do(f"CREATE TABLE people AS {ROWS}")
    shop.do("CREATE VIEW named AS SELECT id, name FROM people WHERE name IS NOT NULL")
    assert shop.rows("SELECT n.name FROM shop.named n") == [["ann"]]
    with pytest.raises(QueryFailed, match="TABLE_ALREADY_EXISTS"):
        shop.do("CREATE VIEW named AS SELECT 1 AS one")
    shop.do("CREATE OR REPLACE VIEW named AS SELECT count(*) AS n FROM people")
    shop.do("CREATE VIEW twice AS SELECT n * 2 AS n FROM named")
    assert shop.rows("SELECT * FROM twice") == [["4"]]
    shop.do("CREATE OR REPLACE VIEW named AS SELECT n FROM twice")
    with pytest.raises(QueryFailed, match="INVALID_VIEW"):
        shop.do("SELECT * FROM twice")
    shop.do("DROP VIEW twice")
    assert shop.rows("SHOW TABLES") == [["named"], ["people"]]


def test_an_external_table_reads_what_is_there(shop: Shop) -> None:
    shop.objects["csv/year=2026/a.csv"] = b"id,name\n1,ann\n"
    statement = (
        "CREATE EXTERNAL TABLE IF NOT EXISTS shop.people (id int, `name` string) "
        "PARTITIONED BY (year int) ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' "
        "STORED AS TEXTFILE LOCATION 's3://b/csv/' TBLPROPERTIES ('skip.header.line.count'='1')"
    )
    shop.do(statement)
    shop.do(statement)
    assert shop.rows("SELECT * FROM people") == [["1", "ann", "2026"]]
    shown = [line[0] for line in shop.rows("SHOW CREATE TABLE people")]
    assert shown[:3] == ["CREATE EXTERNAL TABLE `shop.people`(", "  `id` int,", "  `name` string)"]
    assert [(line[0] or "").strip() for line in shop.rows("SHOW COLUMNS IN people")] == [
        "id", "name", "year",
    ]  # fmt: skip


def test_databases_are_made_and_go_with_their_tables(shop: Shop) -> None:
    shop.do("CREATE DATABASE IF NOT EXISTS shop")
    shop.do("CREATE SCHEMA other")
    shop.do("CREATE TABLE other.t AS SELECT 1 AS a")
    with pytest.raises(QueryFailed, match="other is not empty"):
        shop.do("DROP DATABASE other")
    shop.do("DROP DATABASE other CASCADE")
    assert shop.rows("SHOW DATABASES") == [["shop"]]
    shop.do("DROP DATABASE IF EXISTS other")


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("CREATE TABLE people AS SELECT 1 AS a", "TABLE_ALREADY_EXISTS"),
        ("CREATE TABLE none.t AS SELECT 1 AS a", "SCHEMA_NOT_FOUND"),
        ("CREATE TABLE t WITH (format = 'AVRO') AS SELECT 1 AS a", "NOT_SUPPORTED: format 'AVRO'"),
        ("CREATE TABLE t WITH (bucketed_by = ARRAY['a']) AS SELECT 1 AS a", "NOT_SUPPORTED"),
        ("CREATE TABLE t WITH (partitioned_by = ARRAY['a']) AS SELECT 1 AS a, 2 AS b",
         "HIVE_COLUMN_ORDER_MISMATCH"),
        ("CREATE TABLE t WITH (external_location = 's3://b/tables/1/') AS SELECT 1 AS a",
         "HIVE_PATH_ALREADY_EXISTS"),
        ("CREATE TABLE t (a int) LOCATION 's3://b/t/' TBLPROPERTIES ('table_type' = 'ICEBERG')",
         "NOT_SUPPORTED"),
        ("INSERT INTO people SELECT 1", "MISMATCHED_COLUMN_TYPES"),
        ("INSERT INTO people VALUES ('x', 'y', 1)", "TYPE_MISMATCH"),
        ("INSERT INTO nothing SELECT 1", "TABLE_NOT_FOUND"),
        ("DROP TABLE nothing", "Table not found nothing"),
        ("SHOW PARTITIONS people", "is not a partitioned table"),
        ("SHOW FUNCTIONS", "NOT_SUPPORTED"),
        ("DESCRIBE nothing", "TABLE_NOT_FOUND"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_named(sql: str, told: str, shop: Shop) -> None:
    shop.do(f"CREATE TABLE people AS {ROWS}")
    with pytest.raises(QueryFailed, match=told):
        shop.do(sql)


@pytest.mark.parametrize("sql", ["SELEC 1", "selec nonsense", "SELECT 1; SELECT 2", "1"])
def test_what_is_no_statement_is_told_apart(sql: str) -> None:
    with pytest.raises(WrongStatement):
        check(sql)
