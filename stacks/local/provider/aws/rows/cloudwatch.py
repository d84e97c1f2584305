"""Log groups, alarms, dashboards, and the rules of EventBridge."""

from collections.abc import Mapping
from typing import Any

from stacks.local.provider.aws.row import ALL, Call, HookContext, Missing, Row, Tags, named, parts

LOG_GROUP_ARN = "arn:aws:logs:{region}:{account}:log-group:{id}"


def if_given(name: str) -> Any:
    """The call applies only when the input is there."""

    def build(scene: HookContext) -> Mapping[str, Any] | None:
        return {} if scene.new.get(name) else None

    return build


ROWS = (
    Row(
        token="aws:cloudwatch/dashboard:Dashboard",
        service="cloudwatch",
        cfn="AWS::CloudWatch::Dashboard",
        create=Call("PutDashboard"),
        read=Call("GetDashboard"),
        update=(Call("PutDashboard", ("dashboardBody",)),),
        delete=Call("DeleteDashboards", key={"DashboardNames": ["{id}"]}),
        identity=named("dashboardName"),
        replace_on=("dashboardName",),
        outputs={"dashboardArn": "arn:aws:cloudwatch::{account}:dashboard/{id}"},
        missing=(Missing("ResourceNotFound"), Missing("DashboardNotFoundError")),
        fidelity="recorded by moto: nothing draws it",
    ),
    Row(
        token="aws:cloudwatch/eventRule:EventRule",
        service="events",
        cfn="AWS::Events::Rule",
        create=Call("PutRule"),
        read=Call("DescribeRule"),
        also=(Call("ListTagsForResource", key={"ResourceARN": "{Arn}"}),),
        update=(Call("PutRule", ALL),),
        delete=Call("DeleteRule"),
        identity=named("name"),
        autoname="name",
        defaults={"state": "ENABLED"},
        replace_on=("name",),
        refuses=("eventBusName", "forceDestroy", "isEnabled", "namePrefix"),
        outputs={"arn": "Arn"},
        tags=Tags(add="TagResource", remove="UntagResource", key={"ResourceARN": "{Arn}"}),
        missing=(Missing("ResourceNotFoundException"),),
        fidelity="behaves: matches the events of the default bus; a schedule never fires",
    ),
    Row(
        token="aws:cloudwatch/eventTarget:EventTarget",
        service="events",
        cfn="",
        create=Call("PutTargets"),
        read=Call(
            "ListTargetsByRule",
            key={"Rule": "{rule}"},
            result="Targets[?Id=='{targetId}'] | [0]",
            into="Targets",
        ),
        update=(Call("PutTargets", ALL),),
        delete=Call("RemoveTargets", key={"Rule": "{rule}", "Ids": ["{targetId}"]}),
        identity=parts("/", "rule", "targetId"),
        body="Targets[0]",
        rename={
            "targetId": "Id",
            "appsyncTarget": "AppSyncParameters",
            "batchTarget": "BatchParameters",
            "ecsTarget": "EcsParameters",
            "httpTarget": "HttpParameters",
            "kinesisTarget": "KinesisParameters",
            "redshiftTarget": "RedshiftDataParameters",
            "runCommandTargets": "RunCommandParameters",
            "inputPaths": "InputPathsMap",
            "sagemakerPipelineTarget": "SageMakerPipelineParameters",
            "sqsTarget": "SqsParameters",
        },
        autoname="targetId",
        ordered=("sagemakerPipelineTarget.pipelineParameterLists",),
        replace_on=("rule", "targetId"),
        refuses=(
            "appsyncTarget",
            "batchTarget",
            "ecsTarget",
            "eventBusName",
            "forceDestroy",
            "httpTarget",
            "kinesisTarget",
            "redshiftTarget",
            "runCommandTargets",
        ),
        missing=(Missing("ResourceNotFoundException"),),
        fidelity="behaves for queues, log groups, functions, topics and SageMaker pipelines",
    ),
    Row(
        token="aws:cloudwatch/logGroup:LogGroup",
        service="logs",
        cfn="AWS::Logs::LogGroup",
        create=Call("CreateLogGroup"),
        read=Call(
            "DescribeLogGroups",
            key={"logGroupNamePrefix": "{id}"},
            result="logGroups[?logGroupName=='{id}'] | [0]",
        ),
        also=(Call("ListTagsForResource", key={"resourceArn": LOG_GROUP_ARN}),),
        then=(Call("PutRetentionPolicy", ("retentionInDays",), build=if_given("retentionInDays")),),
        update=(
            Call("DeleteRetentionPolicy", ("retentionInDays",), when={"retentionInDays": None}),
            Call("AssociateKmsKey", ("kmsKeyId",), build=if_given("kmsKeyId")),
            Call("DisassociateKmsKey", ("kmsKeyId",), when={"kmsKeyId": None}),
        ),
        delete=Call("DeleteLogGroup"),
        identity=named("name"),
        rename={"name": "logGroupName"},
        autoname="name",
        defaults={"logGroupClass": "STANDARD"},
        replace_on=("logGroupClass", "name"),
        refuses=("deletionProtectionEnabled", "namePrefix", "skipDestroy"),
        outputs={"arn": LOG_GROUP_ARN},
        tags=Tags(
            create="tags",
            add="TagResource",
            remove="UntagResource",
            member="tags",
            keys="tagKeys",
            key={"resourceArn": LOG_GROUP_ARN},
            path="tags",
        ),
        missing=(Missing("ResourceNotFoundException"),),
        fidelity="behaves: events are kept and answered; nothing expires",
    ),
    Row(
        token="aws:cloudwatch/metricAlarm:MetricAlarm",
        service="cloudwatch",
        cfn="AWS::CloudWatch::Alarm",
        create=Call("PutMetricAlarm", omits=("actionConfiguration",)),
        read=Call("DescribeAlarms", key={"AlarmNames": ["{id}"]}, result="MetricAlarms[0]"),
        also=(Call("ListTagsForResource", key={"ResourceARN": "{AlarmArn}"}),),
        update=(Call("PutMetricAlarm", ALL),),
        delete=Call("DeleteAlarms", key={"AlarmNames": ["{id}"]}),
        identity=named("name"),
        rename={
            "/name": "AlarmName",
            "evaluateLowSampleCountPercentiles": "EvaluateLowSampleCountPercentile",
            "metricQueries": "Metrics",
            "metric": "MetricStat",
            "metricName": "Metric.MetricName",
            "namespace": "Metric.Namespace",
            "dimensions": "Metric.Dimensions",
            "/metricName": "MetricName",
            "/namespace": "Namespace",
            "/dimensions": "Dimensions",
        },
        autoname="name",
        defaults={"actionsEnabled": True, "treatMissingData": "missing"},
        replace_on=("name",),
        refuses=(
            "evaluationCriteria",
            "evaluationInterval",
            "evaluationWindow",
            "warmUpConfiguration",
        ),
        outputs={"arn": "AlarmArn"},
        tags=Tags(
            add="TagResource",
            remove="UntagResource",
            key={"ResourceARN": "{AlarmArn}"},
        ),
        missing=(Missing("ResourceNotFound"), Missing("ResourceNotFoundException")),
        fidelity="behaves: metric data move its state and topics and scaling policies hear "
        "of it; other actions are only recorded",
    ),
)
