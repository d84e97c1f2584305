"""Spark on EMR and EMR Serverless: one job each runs, the rest is told without starting Spark."""

import gzip
import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import boto3
import pytest

from stacks.local.aws.emr import runs, serverless
from stacks.local.aws.recorded.engines import JOB_RUN
from stacks.local.aws.recorded.recorder import Store, Thing
from stacks.toolchain import spark
from tests.kits.executions import create, execute, shell, start, steps_of
from tests.kits.local_cloud import BUCKET, ROLE, Cloud, killed_cloud, refusal, until
from tests.kits.path import wait_until

ACCOUNT = "arn:aws:iam::123456789012"
RUNNER, STRANGER = f"{ACCOUNT}:role/spark-runner", f"{ACCOUNT}:role/spark-stranger"
PROFILE = "spark-profile"
SCRIPT = """
import sys
import boto3
from pyspark.sql import SparkSession

print(boto3.client("sts").get_caller_identity()["Arn"])
spark = SparkSession.builder.getOrCreate()
rows = spark.read.csv(sys.argv[1], header=True, schema="k string, v long")
rows.groupBy("k").sum("v").coalesce(1).write.mode("overwrite").csv(sys.argv[2])
print("partitions", spark.conf.get("spark.sql.shuffle.partitions"), "rows", rows.count())
"""
LOGS = f"s3://{BUCKET}/logs/"
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""A Java that is compiled little: these programs are short."""
FEW = {"spark.driver.defaultJavaOptions": QUICK, "spark.sql.shuffle.partitions": "1"}
CLUSTER: Mapping[str, Any] = {
    "ReleaseLabel": "emr-7.9.0",
    "LogUri": LOGS,
    "Applications": [{"Name": "Spark"}],
    "Configurations": [{"Classification": "spark-defaults", "Properties": FEW}],
    "Instances": {
        "InstanceGroups": [
            {"InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1}
        ]
    },
    "JobFlowRole": PROFILE,
    "ServiceRole": "EMR_DefaultRole",
}
ALIVE = {"Name": "kept", "Instances": {"KeepJobFlowAliveWhenNoSteps": True, "InstanceCount": 1,
         "MasterInstanceType": "m5.xlarge"}}  # fmt: skip
SCRIPT_PATH = f"s3://{BUCKET}/script.py"
APPLICATION = {"releaseLabel": "emr-7.9.0", "type": "SPARK"}


def jar_step(*arguments: Any, jar: str = "command-runner.jar") -> dict[str, Any]:
    return {"HadoopJarStep": {"Jar": jar, "Args": [*arguments]}}


def step(*arguments: str, **more: Any) -> dict[str, Any]:
    return {"Name": "a step", "ActionOnFailure": "CONTINUE", **jar_step(*arguments), **more}


def driver(entry: str = SCRIPT_PATH, *arguments: str, **more: Any) -> dict[str, Any]:
    return {"sparkSubmit": {"entryPoint": entry, "entryPointArguments": [*arguments], **more}}


@pytest.fixture(scope="module", autouse=True)
def data(cloud: Cloud) -> Iterator[None]:
    """A script, its input, and two roles: one that both services may take and one that none may."""
    s3, iam = cloud.client("s3"), cloud.client("iam")
    s3.put_object(Bucket=BUCKET, Key="script.py", Body=SCRIPT.encode())
    s3.put_object(Bucket=BUCKET, Key="in/a.csv", Body=b"k,v\na,1\nb,2\na,3\n")
    own = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
    services = ["ec2.amazonaws.com", "emr-serverless.amazonaws.com"]
    for arn, trusted in ((RUNNER, services), (STRANGER, ["lambda.amazonaws.com"])):
        name = arn.rpartition("/")[2]
        principal = {"Service": trusted, "AWS": f"{ACCOUNT}:root"}
        trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
        allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": own}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy)
    iam.create_instance_profile(InstanceProfileName=PROFILE)
    iam.add_role_to_instance_profile(InstanceProfileName=PROFILE, RoleName="spark-runner")
    yield


@pytest.fixture(scope="module")
def emr(cloud: Cloud) -> Any:
    return cloud.client("emr")


@pytest.fixture(scope="module")
def application(cloud: Cloud) -> str:
    made = cloud.client("emr-serverless").create_application(**APPLICATION)
    return str(made["applicationId"])


def printed(cloud: Cloud, key: str) -> str:
    body = cloud.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return gzip.decompress(body).decode()


def written(cloud: Cloud, prefix: str) -> list[str]:
    """The lines of the objects under a prefix, sorted."""
    s3 = cloud.client("s3")
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]]
    bodies = [s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode() for key in keys]
    return sorted(line for body in bodies for line in body.splitlines())


def ended_step(emr: Any, cluster: str, identifier: str) -> Mapping[str, Any]:
    def over() -> bool:
        found = emr.describe_step(ClusterId=cluster, StepId=identifier)["Step"]["Status"]["State"]
        return found not in ("PENDING", "RUNNING")

    wait_until(over)
    told: Mapping[str, Any] = emr.describe_step(ClusterId=cluster, StepId=identifier)["Step"]
    return told


def ended_run(cloud: Cloud, application: str, run: str) -> Mapping[str, Any]:
    client = cloud.client("emr-serverless")

    def told() -> Mapping[str, Any]:
        found: Mapping[str, Any] = client.get_job_run(applicationId=application, jobRunId=run)
        return found["jobRun"]  # type: ignore[no-any-return]

    wait_until(lambda: told()["state"] not in serverless.UNDER_WAY)
    return told()


@pytest.mark.usefixtures("java")
def test_a_pipeline_runs_spark_on_a_cluster_of_its_own_and_ends_it(
    cloud: Cloud, sm: Any, emr: Any
) -> None:
    out = {"Std:Join": {"On": "/", "Values": [f"s3a://{BUCKET}/out", {"Get": "Parameters.Day"}]}}
    submit = ["spark-submit", "--deploy-mode", "cluster", "--master", "yarn", SCRIPT_PATH]
    arguments = {
        "ClusterConfig": CLUSTER,
        "StepConfig": jar_step(*submit, f"s3://{BUCKET}/in/", out),
    }
    spark_step = {"Name": "Spark", "Type": "EMR", "Arguments": arguments}
    after = shell("After", '[ "$1" = COMPLETED ] && [ "$2" = s3a://plinth-test/out/monday ]',
                  {"Get": "Steps.Spark.Status.State"},
                  {"Get": "Steps.Spark.Config.Args[7]"})  # fmt: skip
    days = [{"Name": "Day", "Type": "String", "DefaultValue": "monday"}]
    create(sm, "spark", spark_step, after, parameters=days)
    ended = execute(sm, "spark")
    assert ended["PipelineExecutionStatus"] == "Succeeded", ended
    told = steps_of(sm, ended["PipelineExecutionArn"])["Spark"]["Metadata"]["EMR"]
    cluster, identifier = told["ClusterId"], told["StepId"]
    assert told["LogFilePath"] == f"{LOGS}{cluster}/steps/{identifier}"
    assert written(cloud, "out/monday/") == ["a,4", "b,2"]
    stdout = printed(cloud, f"logs/{cluster}/steps/{identifier}/stdout.gz")
    who, properties = stdout.splitlines()
    assert "assumed-role/spark-runner/" in who, "as the instance profile"
    assert properties == "partitions 1 rows 3", "the cluster's own properties hold"
    status = emr.describe_cluster(ClusterId=cluster)["Cluster"]["Status"]
    assert status["State"] == "TERMINATED"
    assert (
        emr.describe_step(ClusterId=cluster, StepId=identifier)["Step"]["Name"] == told["StepName"]
    )


@pytest.mark.usefixtures("java")
def test_a_client_of_emr_serverless_sees_its_job_run_and_its_logs(
    cloud: Cloud, application: str
) -> None:
    client = cloud.client("emr-serverless")
    parameters = "--conf spark.executor.cores=1 --conf spark.sql.shuffle.partitions=2 "
    parameters += f"--conf 'spark.driver.defaultJavaOptions={QUICK}'"
    run = client.start_job_run(
        applicationId=application,
        executionRoleArn=RUNNER,
        name="totals",
        jobDriver=driver(
            SCRIPT_PATH, f"s3://{BUCKET}/in/", f"s3://{BUCKET}/totals",
            sparkSubmitParameters=parameters,
        ),
        configurationOverrides={
            "monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": LOGS}}
        },
    )["jobRunId"]  # fmt: skip
    told = ended_run(cloud, application, run)
    assert told["state"] == "SUCCESS", told["stateDetails"]
    assert (told["name"], told["executionRole"]) == ("totals", RUNNER)
    assert told["endedAt"] >= told["startedAt"] >= told["createdAt"]
    assert written(cloud, "totals/") == ["a,4", "b,2"]
    place = f"logs/applications/{application}/jobs/{run}/SPARK_DRIVER"
    who, properties = printed(cloud, f"{place}/stdout.gz").splitlines()
    assert who.endswith(f"assumed-role/spark-runner/{run}")
    assert properties == "partitions 2 rows 3"
    assert "SparkContext" in printed(cloud, f"{place}/stderr.gz")
    state = client.get_application(applicationId=application)["application"]["state"]
    assert state == "STARTED"


def test_a_role_that_does_not_trust_the_service_fails_the_run(
    cloud: Cloud, application: str
) -> None:
    client = cloud.client("emr-serverless")
    run = client.start_job_run(
        applicationId=application, executionRoleArn=STRANGER, jobDriver=driver()
    )["jobRunId"]
    told = ended_run(cloud, application, run)
    assert told["state"] == "FAILED"
    assert f"Could not assume role {STRANGER}" in told["stateDetails"]
    listed = client.list_job_runs(applicationId=application, states=["FAILED"])["jobRuns"]
    assert run in [one["id"] for one in listed]
    assert client.list_job_runs(applicationId=application, states=["PENDING"])["jobRuns"] == []


def test_a_pipeline_makes_an_application_for_its_run_and_says_why_it_failed(
    cloud: Cloud, sm: Any
) -> None:
    arguments = {
        "ApplicationConfig": APPLICATION,
        "ExecutionRoleArn": STRANGER,
        "JobConfig": {"executionRoleArn": STRANGER, "jobDriver": driver()},
    }
    create(sm, "serverless", {"Name": "S", "Type": "EMRServerless", "Arguments": arguments})
    before = cloud.client("emr-serverless").list_applications()["applications"]
    ended = execute(sm, "serverless")
    told = steps_of(sm, ended["PipelineExecutionArn"])["S"]
    assert told["StepStatus"] == "Failed"
    assert f"Could not assume role {STRANGER}" in told["FailureReason"]
    assert told["Metadata"]["EMRServerless"]["JobRunId"]
    after = cloud.client("emr-serverless").list_applications()["applications"]
    assert [one["id"] for one in after] == [one["id"] for one in before], "its own is deleted"


def test_a_step_of_a_cluster_without_a_usable_role_fails_and_ends_the_cluster(emr: Any) -> None:
    first = step("spark-submit", SCRIPT_PATH, ActionOnFailure="TERMINATE_CLUSTER")
    asked = {key: value for key, value in CLUSTER.items() if key != "JobFlowRole"}
    cluster = emr.run_job_flow(**{**asked, "Name": "x", "Steps": [first, step("spark-submit", SCRIPT_PATH)]})["JobFlowId"]  # fmt: skip  # noqa: E501
    wait_until(
        lambda: (
            emr.describe_cluster(ClusterId=cluster)["Cluster"]["Status"]["State"]
            == "TERMINATED_WITH_ERRORS"
        )
    )
    second, begun = emr.list_steps(ClusterId=cluster)["Steps"]
    assert begun["Status"]["State"] == "FAILED"
    assert "is no instance profile" in begun["Status"]["FailureDetails"]["Message"]
    assert second["Status"]["State"] == "CANCELLED"
    reason = emr.describe_cluster(ClusterId=cluster)["Cluster"]["Status"]["StateChangeReason"]
    assert reason == {"Code": "STEP_FAILURE", "Message": "Shut down as step failed"}


def test_a_runtime_role_is_assumed_by_the_cluster_as_iam_allows(cloud: Cloud, emr: Any) -> None:
    cluster = emr.run_job_flow(**{**CLUSTER, **ALIVE})["JobFlowId"]
    added = emr.add_job_flow_steps(
        JobFlowId=cluster, Steps=[step("spark-submit", SCRIPT_PATH)], ExecutionRoleArn=ROLE
    )["StepIds"][0]
    told = ended_step(emr, cluster, added)
    assert told["ExecutionRoleArn"] == ROLE
    message = told["Status"]["FailureDetails"]["Message"]
    assert "spark-runner" in message and "sts:AssumeRole" in message
    assert emr.describe_cluster(ClusterId=cluster)["Cluster"]["Status"]["State"] == "WAITING"
    emr.terminate_job_flows(JobFlowIds=[cluster])
    code, message, _ = refusal(
        emr.add_job_flow_steps, JobFlowId=cluster, Steps=[step("spark-submit", SCRIPT_PATH)]
    )
    assert (code, "may not be modified" in message) == ("ValidationException", True)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"Steps": [step("bash", "-c", "true")]}, "runs spark-submit and no other"),
        ({"Steps": [{**step(), **jar_step(jar="s3://b/own.jar")}]}, "only command-runner.jar"),
        ({"BootstrapActions": [{"Name": "b", "ScriptBootstrapAction": {"Path": "s3://b/x"}}]},
         "BootstrapActions"),
        ({"Configurations": [{"Classification": "spark-hive-site", "Properties": {"a": "b"}}]},
         "spark-hive-site"),
    ],
)  # fmt: skip
def test_what_a_cluster_does_not_run_is_refused_by_name(
    emr: Any, given: Mapping[str, Any], told: str
) -> None:
    before = len(emr.list_clusters()["Clusters"])
    code, message, status = refusal(emr.run_job_flow, **{**CLUSTER, **ALIVE, **given})
    assert (code, status) == ("NotEmulated", 501)
    assert told in message
    assert len(emr.list_clusters()["Clusters"]) == before


def test_an_instance_profile_must_exist(emr: Any) -> None:
    asked = {**CLUSTER, **ALIVE, "JobFlowRole": "nobody"}
    code, message, _ = refusal(emr.run_job_flow, **asked)
    assert (code, message) == ("ValidationException", "Invalid InstanceProfile: nobody.")


@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        ({"jobDriver": {"hive": {"query": "s3://b/q.sql"}}}, "NotEmulated", "got hive"),
        ({"jobDriver": driver(sparkSubmitParameters="--archives s3://b/e.tar.gz")},
         "NotEmulated", "--archives"),
        ({"mode": "STREAMING"}, "NotEmulated", "only BATCH"),
        ({"retryPolicy": {"maxAttempts": 2}}, "NotEmulated", "retryPolicy"),
        ({"executionTimeoutMinutes": 2}, "ValidationException", "at least 5 minutes"),
        ({"applicationId": "00nothing"}, "ResourceNotFoundException", "00nothing"),
        ({"configurationOverrides": {"monitoringConfiguration": {
            "cloudWatchLoggingConfiguration": {"enabled": True}}}},
         "NotEmulated", "cloudWatchLoggingConfiguration"),
    ],
)  # fmt: skip
def test_what_an_application_does_not_run_is_refused_and_forgotten(
    cloud: Cloud, application: str, given: Mapping[str, Any], code: str, told: str
) -> None:
    client = cloud.client("emr-serverless")
    asked = {"applicationId": application, "executionRoleArn": RUNNER, "jobDriver": driver()}
    before = len(client.list_job_runs(applicationId=application)["jobRuns"])
    found, message, _ = refusal(client.start_job_run, **{**asked, **given})
    assert found == code and told in message
    assert len(client.list_job_runs(applicationId=application)["jobRuns"]) == before


def acting(cloud: Cloud, service: str, *actions: str) -> Any:
    """A client of somebody who may do these things and pass no role."""
    iam, name = cloud.client("iam"), f"only-{service}"
    trust = {"Effect": "Allow", "Principal": {"AWS": f"{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
    allowed = {"Effect": "Allow", "Action": [*actions], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy)
    sts = cloud.client("sts")
    keys = sts.assume_role(RoleArn=f"{ACCOUNT}:role/{name}", RoleSessionName="it")["Credentials"]
    return boto3.client(
        service, endpoint_url=cloud.info.endpoint_url, region_name="us-east-1",
        aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )  # fmt: skip


def test_whoever_gives_spark_a_role_must_be_allowed_to_pass_it(
    cloud: Cloud, application: str
) -> None:
    emr = acting(cloud, "emr", "elasticmapreduce:*")
    _, message, _ = refusal(emr.run_job_flow, **{**CLUSTER, **ALIVE})
    assert f"iam:PassRole on resource: {RUNNER}" in message
    serverless_client = acting(cloud, "emr-serverless", "emr-serverless:*")
    _, message, _ = refusal(
        serverless_client.start_job_run,
        applicationId=application, executionRoleArn=RUNNER, jobDriver=driver(),
    )  # fmt: skip
    assert f"iam:PassRole on resource: {RUNNER}" in message


def test_without_java_a_job_fails_and_names_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from stacks.local.runtime import spark_jobs

    monkeypatch.setattr(spark, "java_home", lambda: None)
    host = cast(Any, type("Host", (), {"state": tmp_path}))
    end = spark_jobs.run(
        host, "a-job", ["x.py"], environment={}, credentials={}, stopping=threading.Event(),
        seconds=1, say=print,
    )  # fmt: skip
    assert end.status == "Failed"
    assert f"apt-get install {spark.JAVA_PACKAGE}" in end.reason


def test_a_run_that_a_cloud_left_has_failed() -> None:
    store = Store()
    for name in ("RUNNING", "SUCCESS"):
        store.of(JOB_RUN)["a", name] = Thing(JOB_RUN, ("a", name), {"state": name})
    serverless.end_what_ran(store)
    states = {key[1]: thing.members["state"] for key, thing in store.of(JOB_RUN).items()}
    assert states == {"RUNNING": "FAILED", "SUCCESS": "SUCCESS"}


@pytest.mark.usefixtures("java")
def test_a_stopped_execution_ends_its_step_and_its_cluster(sm: Any, emr: Any) -> None:
    waits = jar_step("spark-submit", SCRIPT_PATH, f"s3://{BUCKET}/in/", f"s3://{BUCKET}/never")
    arguments = {"ClusterConfig": CLUSTER, "StepConfig": waits}
    create(sm, "stopped", {"Name": "Spark", "Type": "EMR", "Arguments": arguments})
    arn = start(sm, "stopped")
    wait_until(
        lambda: "StepId" in steps_of(sm, arn).get("Spark", {}).get("Metadata", {}).get("EMR", {})
    )
    sm.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken="s" * 32)
    ended = until(
        lambda: sm.describe_pipeline_execution(PipelineExecutionArn=arn),
        "PipelineExecutionStatus",
    )
    assert ended["PipelineExecutionStatus"] == "Stopped"
    told = steps_of(sm, arn)["Spark"]["Metadata"]["EMR"]
    found = emr.describe_step(ClusterId=told["ClusterId"], StepId=told["StepId"])["Step"]
    assert found["Status"]["State"] == "CANCELLED"
    status = emr.describe_cluster(ClusterId=told["ClusterId"])["Cluster"]["Status"]
    assert status["State"] == "TERMINATED"


@pytest.mark.usefixtures("java")
def test_a_killed_cloud_leaves_its_clusters_and_says_that_their_steps_failed(
    cloud: Cloud, application: str
) -> None:
    run = cloud.client("emr-serverless").start_job_run(
        applicationId=application, executionRoleArn=RUNNER, jobDriver=driver()
    )["jobRunId"]
    steps = [step("spark-submit", SCRIPT_PATH), step("spark-submit", SCRIPT_PATH)]
    cluster = cloud.client("emr").run_job_flow(**{**CLUSTER, **ALIVE, "Steps": steps})["JobFlowId"]
    again = killed_cloud(cloud)
    told = again.client("emr-serverless").get_job_run(applicationId=application, jobRunId=run)
    assert (told["jobRun"]["state"], told["jobRun"]["stateDetails"]) == ("FAILED", runs.ENDED)
    emr = again.client("emr")
    states = [one["Status"]["State"] for one in emr.list_steps(ClusterId=cluster)["Steps"]]
    assert states == ["CANCELLED", "FAILED"], "the newest comes first"
    assert emr.describe_cluster(ClusterId=cluster)["Cluster"]["Status"]["State"] == "WAITING"
