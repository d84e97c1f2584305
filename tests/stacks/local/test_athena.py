"""Queries of Athena over tables of Glue: what a data scientist asks of the offline store."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from pyarrow import orc, parquet

from tests.kits.local_cloud import BUCKET, ROLE, Cloud, process, refusal, trusted_role
from tests.kits.path import wait_until

OUTPUT = {"OutputLocation": f"s3://{BUCKET}/athena/"}
HIVE = "org.apache.hadoop.hive.serde2"
CSV = {
    "SerializationLibrary": f"{HIVE}.lazy.LazySimpleSerDe",
    "Parameters": {"field.delim": ";", "skip.header.line.count": "1"},
}
JSON = {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe"}


def finished(athena: Any, sql: str, **more: Any) -> Mapping[str, Any]:
    """A query that has ended."""
    request = {"ResultConfiguration": dict(OUTPUT), "QueryString": sql, **more}
    identifier = athena.start_query_execution(**request)["QueryExecutionId"]

    def told() -> Mapping[str, Any]:
        found: Mapping[str, Any] = athena.get_query_execution(QueryExecutionId=identifier)
        return found["QueryExecution"]  # type: ignore[no-any-return]

    wait_until(lambda: told()["Status"]["State"] not in ("QUEUED", "RUNNING"))
    return told()


def rows(athena: Any, sql: str, **more: Any) -> list[list[str | None]]:
    """The rows of a query that succeeds, its header first."""
    ended = finished(athena, sql, **more)
    assert ended["Status"]["State"] == "SUCCEEDED", ended["Status"]
    paginator = athena.get_paginator("get_query_results")
    pages = paginator.paginate(
        QueryExecutionId=ended["QueryExecutionId"], PaginationConfig={"PageSize": 2}
    )
    found = [row["Data"] for page in pages for row in page["ResultSet"]["Rows"]]
    return [[one.get("VarCharValue") for one in row] for row in found]


def reason(athena: Any, sql: str, **more: Any) -> str:
    ended = finished(athena, sql, **more)
    assert ended["Status"]["State"] == "FAILED"
    return str(ended["Status"]["StateChangeReason"])


def make_table(
    cloud: Cloud, name: str, serde: Mapping[str, Any], columns: Mapping[str, str],
    partitions: Sequence[str] = (),
) -> None:  # fmt: skip
    glue = cloud.client("glue")
    if "shop" not in [one["Name"] for one in glue.get_databases()["DatabaseList"]]:
        glue.create_database(DatabaseInput={"Name": "shop"})
    glue.create_table(
        DatabaseName="shop",
        TableInput={
            "Name": name,
            "PartitionKeys": [{"Name": key, "Type": "int"} for key in partitions],
            "StorageDescriptor": {
                "Columns": [{"Name": n, "Type": kind} for n, kind in columns.items()],
                "Location": f"s3://{BUCKET}/shop/{name}",
                "SerdeInfo": serde,
            },
        },
    )


@pytest.fixture(scope="module")
def athena(cloud: Cloud) -> Any:
    s3 = cloud.client("s3")
    orders = {"id": "bigint", "customer": "string", "total": "decimal(10,2)", "day": "date"}
    make_table(cloud, "orders", CSV, orders, ["year"])
    parts = {
        "2025": "1;ann;10.50;2025-01-31\n2;;3.00;2025-02-01\n",
        "2026": "3;bob;7.25;2026-03-01\n",
    }
    for year, lines in parts.items():
        body = f"id;customer;total;day\n{lines}".encode()
        s3.put_object(Bucket=BUCKET, Key=f"shop/orders/year={year}/part.csv", Body=body)
    make_table(cloud, "people", JSON, {"name": "string", "age": "int", "vip": "boolean"})
    people = [{"name": "ann", "age": 41, "vip": True}, {"name": "bob", "age": 7}]
    body = "".join(json.dumps(one) + "\n" for one in people).encode()
    s3.put_object(Bucket=BUCKET, Key="shop/people/part.json", Body=body)
    return cloud.client("athena")


IN_SHOP = {"QueryExecutionContext": {"Database": "shop"}}


def test_the_offline_store_of_a_feature_group_is_asked_in_sql(cloud: Cloud, athena: Any) -> None:
    sm = cloud.client("sagemaker")
    kinds = {"id": "String", "at": "Fractional", "fare": "Fractional", "stops": "Integral"}
    sm.create_feature_group(
        FeatureGroupName="trips",
        RecordIdentifierFeatureName="id",
        EventTimeFeatureName="at",
        FeatureDefinitions=[{"FeatureName": n, "FeatureType": k} for n, k in kinds.items()],
        OnlineStoreConfig={"EnableOnlineStore": True},
        OfflineStoreConfig={"S3StorageConfig": {"S3Uri": f"s3://{BUCKET}/features"}},
        RoleArn=ROLE,
    )
    features = cloud.client("sagemaker-featurestore-runtime")
    for number in range(5):
        values = {"id": f"t{number % 2}", "at": f"{number}", "fare": f"{number / 2}", "stops": "1"}
        record = [{"FeatureName": n, "ValueAsString": v} for n, v in values.items()]
        features.put_record(FeatureGroupName="trips", Record=record)
    where = sm.describe_feature_group(FeatureGroupName="trips")["OfflineStoreConfig"]
    table = where["DataCatalogConfig"]
    assert table["Database"] == "sagemaker_featurestore"
    newest = (
        'SELECT id, fare, stops, is_deleted FROM (SELECT *, row_number() OVER (PARTITION BY "id" '
        "ORDER BY at DESC, api_invocation_time DESC, write_time DESC) AS place "
        f'FROM "AwsDataCatalog"."{table["Database"]}"."{table["TableName"]}") '
        "WHERE place = 1 AND NOT is_deleted ORDER BY id"
    )
    assert rows(athena, newest) == [
        ["id", "fare", "stops", "is_deleted"],
        ["t0", "2.0", "1", "false"],
        ["t1", "1.5", "1", "false"],
    ]


def test_tables_of_csv_and_json_are_joined_and_partitions_read(athena: Any) -> None:
    sql = """
        WITH big AS (SELECT * FROM orders WHERE total > 5)
        SELECT p.name, b.total, b.year, p.vip, date_format(b.day, '%Y-%m') AS month
        FROM big b JOIN shop.people p ON p.name = b.customer ORDER BY 1
    """
    assert rows(athena, sql, **IN_SHOP) == [
        ["name", "total", "year", "vip", "month"],
        ["ann", "10.50", "2025", "true", "2025-01"],
        ["bob", "7.25", "2026", None, "2026-03"],
    ]


def test_results_lie_in_s3_and_tell_their_types(cloud: Cloud, athena: Any) -> None:
    ended = finished(athena, "SELECT count(*) AS n, max(vip) v FROM people", **IN_SHOP)
    location = ended["ResultConfiguration"]["OutputLocation"]
    assert location == f"s3://{BUCKET}/athena/{ended['QueryExecutionId']}.csv"
    body = cloud.client("s3").get_object(Bucket=BUCKET, Key=location.partition(f"{BUCKET}/")[2])
    assert body["Body"].read() == b'"n","v"\n"2","true"\n'
    assert ended["Statistics"]["DataScannedInBytes"] > 0 and ended["StatementType"] == "DML"
    told = athena.get_query_results(QueryExecutionId=ended["QueryExecutionId"])["ResultSet"]
    columns = told["ResultSetMetadata"]["ColumnInfo"]
    assert [(one["Name"], one["Type"]) for one in columns] == [("n", "bigint"), ("v", "boolean")]


@pytest.mark.parametrize(
    ("selected", "names"),
    [
        ("count(*), max(vip) AS v, CAST(max(name) AS varchar)", ["_col0", "v", "_col2"]),
        ("1, *", ["_col0", "name", "age", "vip"]),
        ("*, 1, name n, upper(name)", ["name", "age", "vip", "_col3", "n", "_col5"]),
    ],
)
def test_a_column_without_a_name_has_that_of_its_place(
    selected: str, names: list[str], athena: Any
) -> None:
    assert rows(athena, f"SELECT {selected} FROM people", **IN_SHOP)[0] == names


def test_parameters_stand_where_the_question_marks_are(athena: Any) -> None:
    sql = "SELECT id, '?' AS mark FROM orders WHERE total > ? AND coalesce(customer, '') <> ?"
    found = rows(athena, sql, ExecutionParameters=["5", "'it''s'"], **IN_SHOP)
    assert sorted(found[1:], key=str) == [["1", "?"], ["3", "?"]]
    told = reason(athena, sql, ExecutionParameters=["5"], **IN_SHOP)
    assert "expected 2 but found 1" in told
    injected = reason(athena, sql, ExecutionParameters=["5", "(SELECT 1)"], **IN_SHOP)
    assert "must be a literal" in injected


def test_what_is_shown_is_of_the_catalog(athena: Any) -> None:
    assert rows(athena, "SHOW TABLES IN shop") == [["orders"], ["people"]]
    assert ["shop"] in rows(athena, "SHOW DATABASES")
    assert rows(athena, "MSCK REPAIR TABLE orders", **IN_SHOP) == []


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT * FROM nothing", "TABLE_NOT_FOUND: Table 'awsdatacatalog.shop.nothing'"),
        ("SELECT * FROM none.orders", "SCHEMA_NOT_FOUND"),
        ("SELECT * FROM other.shop.orders", "CATALOG_NOT_FOUND"),
        ("SELECT missing FROM orders", "COLUMN_NOT_FOUND"),
        ("SELECT cast(customer AS bigint) FROM orders", "INVALID_CAST_ARGUMENT"),
        ("DELETE FROM orders", "NOT_SUPPORTED: DELETE"),
        ("SELECT * FROM read_csv('/etc/passwd')", ": "),
        ("SELECT getenv('PATH')", ": "),
    ],
)
def test_a_query_that_fails_says_why(athena: Any, sql: str, told: str) -> None:
    assert told in reason(athena, sql, **IN_SHOP)


ORDERS = (
    "SELECT id, nullif(customer, '') AS customer, total FROM orders WHERE year = 2025 ORDER BY id"
)


def unloaded(cloud: Cloud, athena: Any, name: str, options: str) -> bytes:
    """The one file that an UNLOAD of two orders writes."""
    place = f"s3://{BUCKET}/unloaded/{name}"
    ended = finished(athena, f"UNLOAD ({ORDERS}) TO '{place}/' WITH ({options});", **IN_SHOP)
    assert ended["Status"]["State"] == "SUCCEEDED", ended["Status"]
    s3 = cloud.client("s3")
    (file,) = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"unloaded/{name}/")["Contents"]
    body: bytes = s3.get_object(Bucket=BUCKET, Key=file["Key"])["Body"].read()
    return gzip.decompress(body) if file["Key"].endswith(".gz") else body


def test_rows_are_unloaded_in_the_format_that_is_asked_for(cloud: Cloud, athena: Any) -> None:
    rows: list[dict[str, Any]] = [
        {"id": 1, "customer": "ann", "total": Decimal("10.50")},
        {"id": 2, "customer": None, "total": Decimal("3.00")},
    ]
    snappy = unloaded(cloud, athena, "parquet", "format = 'PARQUET', compression = 'SNAPPY'")
    read = parquet.ParquetFile(io.BytesIO(snappy))
    assert read.read().to_pylist() == rows
    assert read.metadata.row_group(0).column(0).compression == "SNAPPY"
    in_orc = unloaded(cloud, athena, "orc", "format='ORC'")
    assert orc.read_table(io.BytesIO(in_orc)).to_pylist() == rows
    lines = unloaded(cloud, athena, "json", "format = 'JSON'").splitlines()
    assert [json.loads(line) for line in lines] == [
        {**row, "total": str(row["total"])} for row in rows
    ]
    text = unloaded(cloud, athena, "text", "format = 'TEXTFILE', field_delimiter = '|'")
    assert text == b"1|ann|10.50\n2|\\N|3.00\n"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("format = 'AVRO'", "NOT_SUPPORTED: format 'AVRO'"),
        ("format = 'PARQUET', partitioned_by = ARRAY['id']", "NOT_SUPPORTED: partitioned_by"),
        ("format = 'JSON', compression = 'snappy'", "NOT_SUPPORTED: compression 'snappy'"),
        ("format = 'ORC'", "HIVE_PATH_ALREADY_EXISTS"),
    ],
)
def test_what_is_not_unloaded_is_named(cloud: Cloud, athena: Any, options: str, told: str) -> None:
    cloud.client("s3").put_object(Bucket=BUCKET, Key="taken/file", Body=b"x")
    place = "taken" if told.startswith("HIVE") else "free"
    sql = f"UNLOAD ({ORDERS}) TO 's3://{BUCKET}/{place}' WITH ({options})"
    assert reason(athena, sql, **IN_SHOP).startswith(told)


def dataset(query: str) -> dict[str, Any]:
    asked = {
        "Catalog": "AwsDataCatalog",
        "Database": "shop",
        "QueryString": query,
        "OutputS3Uri": f"s3://{BUCKET}/datasets/",
        "OutputFormat": "JSON",
    }
    place = {"LocalPath": "/opt/ml/processing/rows", "DataDistributionType": "FullyReplicated"}
    return {"InputName": "rows", "DatasetDefinition": {**place, "AthenaDatasetDefinition": asked}}


def test_a_processing_job_reads_the_rows_of_a_query(cloud: Cloud, sm: Any, athena: Any) -> None:
    code = (
        "import gzip, os; folder = '/opt/ml/processing/rows'; (name,) = os.listdir(folder);"
        "print(gzip.open(f'{folder}/{name}', 'rt').read().splitlines())"
    )
    job = process(sm, "asks", code, ProcessingInputs=[dataset(ORDERS)])
    assert job["ProcessingJobStatus"] == "Completed", job
    log = (cloud.home / "local" / "jobs" / "asks" / "log.txt").read_text().strip()
    assert log == str(
        [
            '{"id": 1, "customer": "ann", "total": "10.50"}',
            '{"id": 2, "customer": null, "total": "3.00"}',
        ]
    )
    job = process(sm, "asks-badly", "pass", ProcessingInputs=[dataset("SELECT x FROM orders")])
    assert job["ProcessingJobStatus"] == "Failed"
    assert "COLUMN_NOT_FOUND" in job["FailureReason"]


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELEC 1", "SYNTAX_ERROR"),
        ("selec nonsense", "mismatched input 'selec'"),
        ("SELECT 1; SELECT 2", "Only one sql statement"),
        ("EXECUTE none", "PreparedStatement none was not found in workGroup primary"),
    ],
)
def test_what_is_no_statement_does_not_start(athena: Any, sql: str, told: str) -> None:
    code, message, _ = refusal(
        athena.start_query_execution, QueryString=sql, ResultConfiguration=dict(OUTPUT)
    )
    assert code == "InvalidRequestException" and told in message


def test_a_failed_query_says_whose_fault_it_was(athena: Any) -> None:
    status = finished(athena, "SELECT * FROM nothing", **IN_SHOP)["Status"]
    assert status["AthenaError"] == {
        "ErrorCategory": 2, "Retryable": False, "ErrorMessage": status["StateChangeReason"],
    }  # fmt: skip


def test_a_prepared_statement_is_executed_with_its_values(athena: Any) -> None:
    athena.create_prepared_statement(
        StatementName="older", WorkGroup="primary",
        QueryStatement="SELECT name FROM people WHERE age > ? AND name <> ?",
    )  # fmt: skip
    found = rows(athena, "EXECUTE older USING 8, 'it''s'", **IN_SHOP)
    assert found == [["name"], ["ann"]]


def test_a_token_starts_one_query(athena: Any) -> None:
    asked = {"ResultConfiguration": dict(OUTPUT), "ClientRequestToken": "t" * 32}
    first, second = (
        athena.start_query_execution(QueryString="SELECT 1", **asked)["QueryExecutionId"]
        for _ in range(2)
    )
    assert first == second
    other = refusal(athena.start_query_execution, QueryString="SELECT 2", **asked)
    assert other[:2] == ("InvalidRequestException", "Idempotent parameters do not match")


def test_a_table_is_made_of_a_query_and_its_files_are_listed(cloud: Cloud, athena: Any) -> None:
    ended = finished(athena, f"CREATE TABLE kept AS {ORDERS}", **IN_SHOP)
    assert ended["Status"]["State"] == "SUCCEEDED", ended["Status"]
    identifier = ended["QueryExecutionId"]
    place = f"s3://{BUCKET}/athena/tables/{identifier}"
    assert ended["ResultConfiguration"]["OutputLocation"] == place
    manifest = ended["Statistics"]["DataManifestLocation"]
    assert manifest == f"s3://{BUCKET}/athena/{identifier}-manifest.csv"
    body = cloud.client("s3").get_object(Bucket=BUCKET, Key=manifest.partition(f"{BUCKET}/")[2])
    (uri,) = body["Body"].read().decode().split()
    assert uri.startswith(f"{place}/")
    assert rows(athena, "SELECT count(*) AS n FROM kept", **IN_SHOP) == [["n"], ["2"]]
    shown = finished(athena, "DESCRIBE kept", **IN_SHOP)
    assert shown["ResultConfiguration"]["OutputLocation"].endswith(".txt")
    assert rows(athena, "DROP TABLE kept", **IN_SHOP) == []


def test_what_cannot_start_is_refused(cloud: Cloud, athena: Any) -> None:
    code, message, status = refusal(athena.start_query_execution, QueryString="SELECT 1")
    assert (code, status) == ("InvalidRequestException", 400)
    assert "No output location provided" in message
    missing = refusal(athena.get_query_execution, QueryExecutionId="0" * 8)
    assert missing[0] == "InvalidRequestException" and "was not found" in missing[1]
    failed = finished(athena, "SELECT * FROM nothing", **IN_SHOP)["QueryExecutionId"]
    refused = refusal(athena.get_query_results, QueryExecutionId=failed)
    assert "Final query state: FAILED" in refused[1]


def test_what_was_deleted_from_a_bucket_with_versions_is_no_row(cloud: Cloud, athena: Any) -> None:
    s3 = cloud.client("s3")
    make_table(cloud, "gone", JSON, {"name": "string"})
    enabled = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration=enabled)
    for name in ("one", "two"):
        body = json.dumps({"name": name}).encode()
        s3.put_object(Bucket=BUCKET, Key=f"shop/gone/{name}.json", Body=body)
    s3.delete_object(Bucket=BUCKET, Key="shop/gone/one.json")
    assert rows(athena, "SELECT name FROM gone", **IN_SHOP) == [["name"], ["two"]]


def test_a_workgroup_says_where_results_go(athena: Any) -> None:
    own = {"ResultConfiguration": {"OutputLocation": f"s3://{BUCKET}/of-the-group/"}}
    athena.create_work_group(Name="analysts", Configuration=own)
    ended = finished(athena, "SELECT 1", WorkGroup="analysts")
    assert ended["ResultConfiguration"]["OutputLocation"].startswith(f"s3://{BUCKET}/of-the-group/")


def test_a_query_reads_and_writes_by_the_rights_of_whoever_asks(cloud: Cloud, athena: Any) -> None:
    allowed = ["athena:*", "glue:GetTable", "s3:PutObject"]
    trusted_role(cloud.client("iam"), "analyst", Action=allowed)
    arn = ROLE.replace("plinth-test", "analyst")
    got = cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="one")["Credentials"]
    theirs = boto3.client(
        "athena", endpoint_url=cloud.info.endpoint_url, region_name="us-east-1",
        aws_access_key_id=got["AccessKeyId"], aws_secret_access_key=got["SecretAccessKey"],
        aws_session_token=got["SessionToken"],
    )  # fmt: skip
    told = reason(theirs, "SELECT * FROM people", **IN_SHOP)
    assert told.startswith("Access denied") and "s3:GetObject" in told
    assert "glue:GetTables" in reason(theirs, "SHOW TABLES IN shop")
    assert "glue:GetDatabases" in reason(theirs, "SHOW DATABASES")
    assert rows(theirs, "SELECT 1 AS one") == [["one"], ["1"]]


def test_a_query_that_takes_too_long_is_stopped(athena: Any) -> None:
    many = "UNNEST(sequence(1, 100000))"
    sql = f"SELECT count(*) FROM {many} AS a(x) CROSS JOIN {many} AS b(y) WHERE x * y % 7 = 3"
    started = athena.start_query_execution(
        QueryString=sql, ResultConfiguration=dict(OUTPUT)
    )["QueryExecutionId"]  # fmt: skip

    def state() -> str:
        told = athena.get_query_execution(QueryExecutionId=started)["QueryExecution"]
        return str(told["Status"]["State"])

    wait_until(lambda: state() == "RUNNING")
    athena.stop_query_execution(QueryExecutionId=started)
    assert state() == "CANCELLED"
    with pytest.raises(ClientError, match="CANCELLED"):
        athena.get_query_results(QueryExecutionId=started)
