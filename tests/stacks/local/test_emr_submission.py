"""What of a Spark job's arguments reaches spark-submit here, and what is refused by name."""

from collections.abc import Sequence
from typing import Any

import pytest

from stacks.local.aws.emr.submission import (
    NotSubmittable,
    defaults_of,
    of_arguments,
    of_driver,
    of_step,
)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["s3://b/x.py", "--master", "1"], ["s3://b/x.py", "--master", "1"]),
        (["--master", "yarn", "--deploy-mode=cluster", "s3://b/x.py"], ["s3://b/x.py"]),
        (["--num-executors", "4", "--executor-memory", "8g", "x.py"], ["x.py"]),
        (["--verbose", "--py-files", "y.zip", "x.py"], ["--py-files", "y.zip", "x.py"]),
        (["--class", "org.M", "s3://b/x.jar", "a"], ["--class", "org.M", "s3://b/x.jar", "a"]),
        (["--conf", "spark.master=yarn", "--conf", "spark.x=a=b", "x.py"],
         ["--conf", "spark.x=a=b", "x.py"]),
        (["-c", "spark.submit.deployMode=client", "--name=n", "x.py"], ["--name", "n", "x.py"]),
        (["--conf", "spark.executorEnv.PYSPARK_PYTHON=/usr/bin/python3", "x.py"], ["x.py"]),
    ],
)  # fmt: skip
def test_where_and_how_large_a_job_runs_is_dropped_and_the_rest_stays(
    given: Sequence[str], kept: Sequence[str]
) -> None:
    assert of_arguments(given).arguments == kept


def test_variables_of_the_driver_are_those_of_the_process() -> None:
    given = ["--conf", "spark.yarn.appMasterEnv.A=1", "--conf", "spark.executorEnv.B=2", "x.py"]
    assert of_arguments(given).environment == {"A": "1", "B": "2"}


def test_a_job_says_otherwise_than_its_cluster() -> None:
    own = of_arguments(["--conf", "spark.x=own", "--conf", "spark.executorEnv.A=own", "x.py"])
    under = own.under({"spark.x": "cluster", "spark.y": "2", "spark.executorEnv.A": "cluster"})
    assert under.arguments == [
        "--conf", "spark.x=cluster", "--conf", "spark.y=2", "--conf", "spark.x=own", "x.py",
    ]  # fmt: skip
    assert under.environment == {"A": "own"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], "a script or a jar must be named"),
        (["x.R"], "only .py and .jar"),
        (["--archives", "a.tar.gz", "x.py"], "--archives: no packed Python environment"),
        (["--conf", "spark.archives=a", "x.py"], "spark.archives: no packed"),
        (["--principal=me", "x.py"], "there is no Kerberos"),
        (["--nonsense", "x.py"], "--nonsense: not an option"),
        (["--name"], "--name: its value is missing"),
        (["--conf", "spark.executorEnv.PYSPARK_PYTHON=./environment/bin/python", "x.py"],
         "PYSPARK_PYTHON: only this machine's python3"),
        (["--conf", "spark.hadoop.hive.metastore.client.factory.class=com.amazonaws.X", "x.py"],
         "no Glue catalog"),
    ],
)  # fmt: skip
def test_what_would_act_otherwise_is_refused_by_name(given: Sequence[str], told: str) -> None:
    with pytest.raises(NotSubmittable, match=r".") as caught:
        of_arguments(given)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"Jar": "s3://b/own.jar"}, "only command-runner.jar runs here, got 's3://b/own.jar'"),
        ({"Jar": "command-runner.jar"}, "got none"),
        ({"Jar": "command-runner.jar", "Args": ["hive-script"]}, "got 'hive-script'"),
        ({"Jar": "command-runner.jar", "MainClass": "M", "Args": ["spark-submit"]}, "MainClass"),
    ],
)
def test_a_step_runs_spark_submit_alone(config: dict[str, Any], told: str) -> None:
    with pytest.raises(NotSubmittable) as caught:
        of_step(config)
    assert told in str(caught.value)


def test_a_job_run_has_its_parameters_before_its_program() -> None:
    submit = {
        "entryPoint": "s3://b/x.py",
        "entryPointArguments": ["--conf", "mine"],
        "sparkSubmitParameters": "--conf 'spark.a=b c' --conf spark.emr-serverless.driverEnv.E=1",
    }
    found = of_driver({"sparkSubmit": submit})
    assert found.arguments == ["--conf", "spark.a=b c", "s3://b/x.py", "--conf", "mine"]
    assert found.environment == {"E": "1"}
    with pytest.raises(NotSubmittable, match="No closing quotation"):
        of_driver({"sparkSubmit": {"entryPoint": "x.py", "sparkSubmitParameters": "'"}})


def test_spark_defaults_are_read_in_the_names_of_both_services() -> None:
    emr = {"Classification": "spark-defaults", "Properties": {"spark.a": "1", "spark.b": "1"}}
    own = {"classification": "spark-defaults", "properties": {"spark.b": "2"}}
    size = {"Classification": "yarn-site", "Properties": {"yarn.x": "1"}}
    assert defaults_of([emr, size, own]) == {"spark.a": "1", "spark.b": "2"}
    with pytest.raises(NotSubmittable, match="'spark-hive-site': only spark-defaults"):
        defaults_of([{"Classification": "spark-hive-site"}])
