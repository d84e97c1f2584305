"""Types of resources that moto's CloudFormation lacks, made by the APIs of their services."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.kits.local_cloud import Cloud, killed_cloud, running_cloud
from tests.stacks.local.test_cloudformation import reasons

TRUST = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"},
         "Action": "sts:AssumeRole"}  # fmt: skip
ALARM = {"Namespace": "mine", "MetricName": "m", "Statistic": "Sum", "Period": "60",
         "EvaluationPeriods": "1", "Threshold": "2",
         "ComparisonOperator": "GreaterThanThreshold"}  # fmt: skip


def document(**statement: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}


def of(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": f"AWS::{kind}", "Properties": properties}


def ref(name: str) -> dict[str, str]:
    return {"Ref": name}


def arn(name: str, attribute: str = "Arn") -> dict[str, list[str]]:
    return {"Fn::GetAtt": [name, attribute]}


SNS = {"Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
EVENTS = {"Principal": {"Service": "events.amazonaws.com"}, "Action": "sns:Publish"}
COLUMNS = [{"Name": "a", "Type": "string"}]
RESOURCES = {
    "Topic": of("SNS::Topic", TopicName="stacked"),
    "TopicPolicy": of("SNS::TopicPolicy", Topics=[ref("Topic")],
                      PolicyDocument=document(**EVENTS, Resource=ref("Topic"))),
    "Queue": of("SQS::Queue", QueueName="stacked"),
    "QueuePolicy": of("SQS::QueuePolicy", Queues=[ref("Queue")],
                      PolicyDocument=document(**SNS, Resource=arn("Queue"))),
    "Hears": of("SNS::Subscription", TopicArn=ref("Topic"), Protocol="sqs",
                Endpoint=arn("Queue"), RawMessageDelivery="true"),
    "Bucket": of("S3::Bucket", BucketName="stacked"),
    "BucketPolicy": of("S3::BucketPolicy", Bucket=ref("Bucket"), PolicyDocument=document(
        Principal={"Service": "logging.s3.amazonaws.com"}, Action="s3:PutObject",
        Resource={"Fn::Sub": "${Bucket.Arn}/*"})),
    "Role": of("IAM::Role", RoleName="stacked",
               AssumeRolePolicyDocument={"Version": "2012-10-17", "Statement": [TRUST]}),
    "May": of("IAM::RolePolicy", RoleName=ref("Role"), PolicyName="may",
              PolicyDocument=document(Action="s3:GetObject", Resource="*")),
    "Logs": of("Logs::LogGroup", LogGroupName="stacked"),
    "Stream": of("Logs::LogStream", LogGroupName=ref("Logs"), LogStreamName="one"),
    "Counts": of("Logs::MetricFilter", LogGroupName=ref("Logs"), FilterPattern="ERROR",
                 MetricTransformations=[{"MetricName": "errors", "MetricNamespace": "mine",
                                         "MetricValue": "1"}]),
    "Alarm": of("CloudWatch::Alarm", AlarmName="stacked", **ALARM, AlarmActions=[ref("Topic")]),
    "Both": of("CloudWatch::CompositeAlarm", AlarmName="stacked-both",
               AlarmRule={"Fn::Sub": 'ALARM("${Alarm}")'}),
    "Group": of("Scheduler::ScheduleGroup", Name="stacked"),
    "Secret": of("SecretsManager::Secret", Name="stacked", GenerateSecretString={
        "PasswordLength": "12", "ExcludePunctuation": "true", "GenerateStringKey": "password",
        "SecretStringTemplate": '{"user": "a"}'}),
    "Database": of("Glue::Database", CatalogId=ref("AWS::AccountId"),
                   DatabaseInput={"Name": "stacked"}),
    "Table": of("Glue::Table", CatalogId=ref("AWS::AccountId"), DatabaseName=ref("Database"),
                TableInput={"Name": "t", "StorageDescriptor": {"Columns": COLUMNS}}),
    "Work": of("Athena::WorkGroup", Name="stacked", WorkGroupConfiguration={
        "EnforceWorkGroupConfiguration": "true",
        "ResultConfiguration": {"OutputLocation": "s3://stacked/results/"}}),
}  # fmt: skip
OUTPUTS = {
    "Alarm": {"Value": arn("Alarm")},
    "Secret": {"Value": ref("Secret")},
    "Hears": {"Value": ref("Hears")},
    "Group": {"Value": arn("Group")},
}


@pytest.fixture(scope="module")
def cf(cloud: Cloud) -> Any:
    return cloud.client("cloudformation")


def made(cf: Any, name: str, resources: Any = RESOURCES, outputs: Any = OUTPUTS) -> Any:
    body = json.dumps({"Resources": resources, "Outputs": outputs})
    cf.create_stack(StackName=name, TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"])
    shown = cf.describe_stacks(StackName=name)["Stacks"][0]
    assert shown["StackStatus"] == "CREATE_COMPLETE", reasons(cf, name)
    return {one["OutputKey"]: one["OutputValue"] for one in shown["Outputs"]}


def test_a_stack_makes_what_its_services_then_have(cloud: Cloud, cf: Any) -> None:
    told = made(cf, "services")
    sns, sqs, logs = cloud.client("sns"), cloud.client("sqs"), cloud.client("logs")
    topic = sns.create_topic(Name="stacked")["TopicArn"]
    sns.publish(TopicArn=topic, Message="through both policies")
    url = sqs.get_queue_url(QueueName="stacked")["QueueUrl"]
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert message["Body"] == "through both policies"
    assert "logging.s3" in cloud.client("s3").get_bucket_policy(Bucket="stacked")["Policy"]
    iam = cloud.client("iam").get_role_policy(RoleName="stacked", PolicyName="may")
    assert iam["PolicyDocument"]["Statement"][0]["Action"] == "s3:GetObject"
    (filter_,) = logs.describe_metric_filters(logGroupName="stacked")["metricFilters"]
    assert filter_["metricTransformations"][0]["metricName"] == "errors"
    (alarm,) = cloud.client("cloudwatch").describe_alarms(AlarmNames=["stacked"])["MetricAlarms"]
    assert (alarm["Threshold"], alarm["AlarmActions"]) == (2.0, [topic])
    assert told["Alarm"] == alarm["AlarmArn"]
    secret = cloud.client("secretsmanager").get_secret_value(SecretId=told["Secret"])
    text = json.loads(secret["SecretString"])
    assert (text["user"], len(text["password"]), text["password"].isalnum()) == ("a", 12, True)
    table = cloud.client("glue").get_table(DatabaseName="stacked", Name="t")["Table"]
    assert table["StorageDescriptor"]["Columns"] == COLUMNS
    work = cloud.client("athena").get_work_group(WorkGroup="stacked")["WorkGroup"]
    assert work["Configuration"]["EnforceWorkGroupConfiguration"] is True
    assert told["Group"].endswith(":schedule-group/stacked")
    assert told["Hears"].startswith(topic)

    cf.delete_stack(StackName="services")
    assert cloud.client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    assert sns.list_subscriptions()["Subscriptions"] == []
    left = cloud.client("glue").get_databases()["DatabaseList"]
    assert "stacked" not in [one["Name"] for one in left]
    assert cloud.client("secretsmanager").list_secrets()["SecretList"] == []


def test_what_can_be_changed_in_place_is(cloud: Cloud, cf: Any) -> None:
    resources = {"Alarm": of("CloudWatch::Alarm", **ALARM)}
    name = made(cf, "alarmed", resources, {"Name": {"Value": ref("Alarm")}})["Name"]
    resources["Alarm"]["Properties"]["Threshold"] = "5"
    cf.update_stack(StackName="alarmed", TemplateBody=json.dumps({"Resources": resources}))
    (alarm,) = cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert (alarm["AlarmName"], alarm["Threshold"]) == (name, 5.0)
    cf.delete_stack(StackName="alarmed")


def test_what_a_service_refuses_is_the_reason(cf: Any) -> None:
    wrong = {"Alarm": of("CloudWatch::Alarm", **{**ALARM, "Period": "45"})}
    cf.create_stack(StackName="refused", TemplateBody=json.dumps({"Resources": wrong}))
    assert "AWS::CloudWatch::Alarm: ValidationError: Period must be" in reasons(cf, "refused")
    cf.delete_stack(StackName="refused")


def test_a_property_is_an_attribute_and_no_output_is_lost(cf: Any) -> None:
    resources = {"P": of("SSM::Parameter", Type="String", Name="/stacked", Value="21")}
    outputs = {"Value": {"Value": arn("P", "Value")}, "Name": {"Value": ref("P")}}
    assert made(cf, "shown", resources, outputs) == {"Value": "21", "Name": "/stacked"}
    cf.delete_stack(StackName="shown")
    nothing = {"Nothing": {"Value": arn("P", "Nothing")}}
    body = json.dumps({"Resources": resources, "Outputs": nothing})
    with pytest.raises(cf.exceptions.ClientError, match="Nothing"):
        cf.create_stack(StackName="nothing", TemplateBody=body)


def test_what_services_made_outlives_the_cloud(tmp_path: Path) -> None:
    resources = {"Alarm": of("CloudWatch::Alarm", **ALARM)}
    with running_cloud(tmp_path / "home") as first:
        made(first.client("cloudformation"), "kept", resources, {"N": {"Value": ref("Alarm")}})
        second = killed_cloud(first)
        assert len(second.client("cloudwatch").describe_alarms()["MetricAlarms"]) == 1
        second.client("cloudformation").delete_stack(StackName="kept")
        assert second.client("cloudwatch").describe_alarms()["MetricAlarms"] == []
