"""Jobs and crawlers of Glue: what runs, what it says of its end, and what is refused by name."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from stacks.local.aws.glue import commands
from stacks.local.runtime import table_schemas
from tests.kits.local_cloud import BUCKET, ROLE, Cloud, killed_cloud, refusal, running_cloud
from tests.kits.path import wait_until

UNDER_WAY = ("STARTING", "RUNNING", "STOPPING")
SAYS = """
import sys
print("hello", sys.argv[1:])
print("careful", file=sys.stderr)
"""
WRITES = """
import sys
import boto3
boto3.client("s3").put_object(Bucket=sys.argv[2], Key="written", Body=b"here")
"""
BROKEN = "raise ValueError('no')\n"
SLOW = "import time\ntime.sleep(300)\n"


@pytest.fixture(scope="module")
def glue(cloud: Cloud) -> Any:
    return cloud.client("glue")


def job(cloud: Cloud, name: str, script: str, command: str = "pythonshell", **more: Any) -> str:
    key = f"scripts/{name}.py"
    cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=script.encode())
    told = {"Name": command, "ScriptLocation": f"s3://{BUCKET}/{key}", "PythonVersion": "3.9"}
    cloud.client("glue").create_job(Name=name, Role=ROLE, Command=told, **more)
    return name


def over(glue: Any, name: str, run: str) -> Mapping[str, Any]:
    def shown() -> Mapping[str, Any]:
        told: Mapping[str, Any] = glue.get_job_run(JobName=name, RunId=run)["JobRun"]
        return told

    wait_until(lambda: shown()["JobRunState"] not in UNDER_WAY)
    return shown()


def logged(cloud: Cloud, group: str, run: str) -> list[str]:
    found = cloud.client("logs").get_log_events(logGroupName=group, logStreamName=run)
    return [event["message"] for event in found["events"]]


def test_a_python_shell_runs_with_its_arguments_and_logs(cloud: Cloud, glue: Any) -> None:
    name = job(cloud, "says", SAYS, DefaultArguments={"--a": "1", "--b": "2"})
    run = glue.start_job_run(JobName=name, Arguments={"--b": "3"})["JobRunId"]
    told = over(glue, name, run)
    assert (told["JobRunState"], "ErrorMessage" in told) == ("SUCCEEDED", False)
    assert told["LogGroupName"] == "/aws-glue/python-jobs"
    assert told["CompletedOn"] >= told["StartedOn"]
    said = "hello ['--a', '1', '--b', '3']"
    assert logged(cloud, "/aws-glue/python-jobs/output", run) == [said]
    assert logged(cloud, "/aws-glue/python-jobs/error", run) == ["careful"]


def test_a_run_acts_as_the_role_of_its_job(cloud: Cloud, glue: Any) -> None:
    name = job(cloud, "writes", WRITES)
    run = glue.start_job_run(JobName=name, Arguments={"--bucket": BUCKET})["JobRunId"]
    assert over(glue, name, run)["JobRunState"] == "SUCCEEDED"
    assert cloud.client("s3").get_object(Bucket=BUCKET, Key="written")["Body"].read() == b"here"
    glue.create_job(
        Name="nobody", Role="nobody",
        Command={"Name": "pythonshell", "ScriptLocation": f"s3://{BUCKET}/scripts/writes.py"},
    )  # fmt: skip
    told = over(glue, "nobody", glue.start_job_run(JobName="nobody")["JobRunId"])
    assert told["JobRunState"] == "FAILED"
    assert told["ErrorMessage"].endswith(
        "should be given assume role permissions for Glue Service."
    )


def test_a_run_that_fails_says_why_and_is_tried_again(cloud: Cloud, glue: Any) -> None:
    name = job(cloud, "broken", BROKEN, MaxRetries=1)
    run = glue.start_job_run(JobName=name)["JobRunId"]
    told = over(glue, name, run)
    assert (told["JobRunState"], told["ErrorMessage"]) == ("FAILED", "ValueError: no")
    again = over(glue, name, f"{run}_attempt_1")
    assert (again["JobRunState"], again["Attempt"], again["PreviousRunId"]) == ("FAILED", 1, run)
    assert len(glue.get_job_runs(JobName=name)["JobRuns"]) == 2


def test_a_run_is_stopped_and_only_one_runs_at_a_time(cloud: Cloud, glue: Any) -> None:
    name = job(cloud, "slow", SLOW)
    run = glue.start_job_run(JobName=name)["JobRunId"]
    assert refusal(glue.start_job_run, JobName=name)[0] == "ConcurrentRunsExceededException"
    told = glue.batch_stop_job_run(JobName=name, JobRunIds=[run, "jr_none"])
    assert [one["JobRunId"] for one in told["SuccessfulSubmissions"]] == [run]
    assert told["Errors"][0]["ErrorDetail"]["ErrorCode"] == "EntityNotFoundException"
    assert over(glue, name, run)["JobRunState"] == "STOPPED"


@pytest.mark.parametrize(
    ("command", "arguments", "what"),
    [
        ("glueray", {}, "the command glueray"),
        ("glueetl", {"--extra-jars": "s3://b/a.jar"}, "--extra-jars"),
        ("glueetl", {"--job-bookmark-option": "job-bookmark-enable"}, "--job-bookmark-option"),
        ("pythonshell", {"--additional-python-modules": "x"}, "--additional-python-modules"),
    ],
)
def test_jobs_that_nobody_plays(
    command: str, arguments: Any, what: str, cloud: Cloud, glue: Any
) -> None:
    name = job(cloud, f"unplayed-{abs(hash(what))}", SAYS, command)
    code, message, status = refusal(glue.start_job_run, JobName=name, Arguments=arguments)
    assert (code, status, what in message) == ("NotEmulated", 501, True)
    assert glue.get_job_runs(JobName=name)["JobRuns"] == []


def test_what_starts_nothing_is_refused(cloud: Cloud, glue: Any) -> None:
    name = job(cloud, "triggered", SAYS)
    action = {"Name": "t", "Type": "ON_DEMAND", "Actions": [{"JobName": name}]}
    glue.create_trigger(**action)
    glue.create_workflow(Name="w")
    sessions = {"Id": "s", "Role": ROLE, "Command": {"Name": "glueetl"}}
    scheduled = {**action, "Name": "u", "Type": "SCHEDULED", "Schedule": "cron(0 1 * * ? *)"}
    for call, asked in (
        (glue.start_trigger, {"Name": "t"}),
        (glue.start_workflow_run, {"Name": "w"}),
        (glue.create_session, sessions),
        (glue.create_trigger, {**scheduled, "StartOnCreation": True}),
    ):
        code, _, status = refusal(call, **asked)
        assert (code, status) == ("NotEmulated", 501)


def test_a_spark_program_is_told_its_jobs_name() -> None:
    class Job:
        name = "n"
        command: Mapping[str, str] = {"Name": "glueetl"}

    told = commands.words(Job(), "jr_1", {"--a": "b"})
    assert told == [
        "--a", "b", "--JOB_ID", "j_1", "--JOB_RUN_ID", "jr_1", "--JOB_NAME", "n",
    ]  # fmt: skip


SPARK = """
import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
at = sys.argv[sys.argv.index("--bucket") + 1]
spark.range(10).write.parquet(f"s3://{at}/spark/")
print("rows", spark.read.parquet(f"s3://{at}/spark/").count())
import awsglue
"""


@pytest.mark.usefixtures("java")
def test_a_spark_program_runs_without_glues_own_library(cloud: Cloud, glue: Any) -> None:
    name = job(cloud, "spark", SPARK, "glueetl")
    run = glue.start_job_run(JobName=name, Arguments={"--bucket": BUCKET})["JobRunId"]
    told = over(glue, name, run)
    assert (told["JobRunState"], told["LogGroupName"]) == ("FAILED", "/aws-glue/jobs")
    assert told["ErrorMessage"] == (
        "ModuleNotFoundError: No module named 'awsglue' "
        "(Glue's own library is not there on the local cloud)"
    )
    assert "rows 10" in logged(cloud, "/aws-glue/jobs/output", run)


def crawled(cloud: Cloud, name: str, path: str, **more: Any) -> Mapping[str, Any]:
    glue = cloud.client("glue")
    glue.create_crawler(
        Name=name, Role=ROLE, DatabaseName="lake", Targets={"S3Targets": [{"Path": path}]}, **more
    )
    glue.start_crawler(Name=name)
    wait_until(lambda: glue.get_crawler(Name=name)["Crawler"]["State"] == "READY")
    last: Mapping[str, Any] = glue.get_crawler(Name=name)["Crawler"]["LastCrawl"]
    return last


def columns(glue: Any, name: str) -> dict[str, str]:
    found = glue.get_table(DatabaseName="lake", Name=name)["Table"]["StorageDescriptor"]
    return {column["Name"]: column["Type"] for column in found["Columns"]}


def asked(cloud: Cloud, sql: str) -> list[list[str]]:
    athena = cloud.client("athena")
    where = {"OutputLocation": f"s3://{BUCKET}/results/"}
    query = athena.start_query_execution(
        QueryString=sql, ResultConfiguration=where, QueryExecutionContext={"Database": "lake"}
    )["QueryExecutionId"]

    def state() -> str:
        told = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]
        return str(told["State"])

    wait_until(lambda: state() in ("SUCCEEDED", "FAILED"))
    rows = athena.get_query_results(QueryExecutionId=query)["ResultSet"]["Rows"]
    return [[cell.get("VarCharValue", "") for cell in row["Data"]] for row in rows[1:]]


def test_a_crawler_makes_tables_that_athena_reads(cloud: Cloud, glue: Any) -> None:
    s3 = cloud.client("s3")
    glue.create_database(DatabaseInput={"Name": "lake"})
    for year in (2025, 2026):
        body = f"id,Name,at\n{year},a,2026-01-02\n".encode()
        s3.put_object(Bucket=BUCKET, Key=f"lake/Sales-EU/year={year}/a.csv", Body=body)
    told = crawled(cloud, "sales", f"s3://{BUCKET}/lake/Sales-EU/")
    assert told["Status"] == "SUCCEEDED", told
    table = glue.get_table(DatabaseName="lake", Name="sales_eu")["Table"]
    assert columns(glue, "sales_eu") == {"id": "bigint", "name": "string", "at": "string"}
    assert [key["Name"] for key in table["PartitionKeys"]] == ["year"]
    assert table["Parameters"]["UPDATED_BY_CRAWLER"] == "sales"
    found = glue.get_partitions(DatabaseName="lake", TableName="sales_eu")["Partitions"]
    assert sorted(one["Values"] for one in found) == [["2025"], ["2026"]]
    assert asked(cloud, "SELECT id, name FROM sales_eu WHERE year = '2026'") == [["2026", "a"]]

    stream = io.BytesIO()
    parquet.write_table(pa.table({"x": [1.5], "n": pa.array([1], pa.int32())}), stream)
    s3.put_object(Bucket=BUCKET, Key="lake/both/numbers/a.parquet", Body=stream.getvalue())
    line = json.dumps({"a": 1, "b": {"c": ["x"]}}).encode()
    s3.put_object(Bucket=BUCKET, Key="lake/both/lines/a.json", Body=line)
    told = crawled(cloud, "both", f"s3://{BUCKET}/lake/both", TablePrefix="p_")
    assert told["Status"] == "SUCCEEDED"
    assert columns(glue, "p_numbers") == {"x": "double", "n": "int"}
    assert columns(glue, "p_lines") == {"a": "bigint", "b": "struct<c:array<string>>"}
    assert asked(cloud, "SELECT x FROM p_numbers") == [["1.5"]]

    s3.put_object(Bucket=BUCKET, Key="lake/both/numbers/a.parquet", Body=b"PAR1 no")
    glue.start_crawler(Name="both")
    wait_until(lambda: glue.get_crawler(Name="both")["Crawler"]["State"] == "READY")
    last = glue.get_crawler(Name="both")["Crawler"]["LastCrawl"]
    assert last["Status"] == "FAILED"
    assert "lake/both/numbers/a.parquet" in last["ErrorMessage"]


def test_crawls_that_nobody_plays(cloud: Cloud, glue: Any) -> None:
    s3 = cloud.client("s3")
    for folder in ("one", "two"):
        s3.put_object(Bucket=BUCKET, Key=f"alike/{folder}/a.csv", Body=b"id,name\n1,a\n")
    last = crawled(cloud, "alike", f"s3://{BUCKET}/alike/")
    assert (last["Status"], "have one schema" in last["ErrorMessage"]) == ("FAILED", True)
    for name, targets in {
        "table": {"DynamoDBTargets": [{"Path": "t"}]},
        "some": {"S3Targets": [{"Path": f"s3://{BUCKET}/a/", "Exclusions": ["*.x"]}]},
    }.items():
        glue.create_crawler(Name=name, Role=ROLE, DatabaseName="lake", Targets=targets)
        code, _, status = refusal(glue.start_crawler, Name=name)
        assert (code, status) == ("NotEmulated", 501)
        assert glue.get_crawler(Name=name)["Crawler"]["State"] == "READY"


@pytest.mark.parametrize(
    ("told", "hive"),
    [
        ("DECIMAL(18,3)", "decimal(18,3)"),
        ("TIMESTAMP WITH TIME ZONE", "timestamp"),
        ("MAP(VARCHAR, BIGINT[])", "map<string,array<bigint>>"),
        ('STRUCT("a b" STRUCT(c DOUBLE), d MAP(VARCHAR, INTEGER))[]',
         "array<struct<a b:struct<c:double>,d:map<string,int>>>"),
        ("UUID", "string"),
    ],
)  # fmt: skip
def test_types_of_duckdb_in_hives_words(told: str, hive: str) -> None:
    assert table_schemas.hive(told) == hive


def test_what_ran_when_its_cloud_ended_has_failed(tmp_path: Path) -> None:
    with running_cloud(tmp_path / "home") as cloud:
        name = job(cloud, "slow", SLOW)
        run = cloud.client("glue").start_job_run(JobName=name)["JobRunId"]
        told = killed_cloud(cloud).client("glue").get_job_run(JobName=name, RunId=run)["JobRun"]
        assert told["JobRunState"] == "FAILED"
        assert told["ErrorMessage"] == "the local cloud ended meanwhile"
