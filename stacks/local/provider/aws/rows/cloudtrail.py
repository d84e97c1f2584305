"""Trails."""

from stacks.local.provider.aws.row import Call, Missing, Row, Tags, named

SETTINGS = (
    "cloudWatchLogsGroupArn",
    "cloudWatchLogsRoleArn",
    "enableLogFileValidation",
    "includeGlobalServiceEvents",
    "isMultiRegionTrail",
    "isOrganizationTrail",
    "kmsKeyId",
    "s3BucketName",
    "s3KeyPrefix",
    "snsTopicName",
)

ROWS = (
    Row(
        token="aws:cloudtrail/trail:Trail",
        service="cloudtrail",
        cfn="AWS::CloudTrail::Trail",
        create=Call("CreateTrail", ("name", *SETTINGS)),
        read=Call("GetTrail", result="Trail"),
        also=(
            Call("GetEventSelectors", key={"TrailName": "{name}"}),
            Call("GetTrailStatus"),
            Call(
                "ListTags",
                key={"ResourceIdList": ["{TrailARN}"]},
                result="ResourceTagList[0]",
            ),
        ),
        then=(
            Call("PutEventSelectors", ("advancedEventSelectors",), key={"TrailName": "{name}"}),
            Call("StartLogging", when={"enableLogging": True}),
            Call("StopLogging", ("enableLogging",), when={"enableLogging": False}),
        ),
        update=(
            Call("UpdateTrail", SETTINGS),
            Call("StartLogging", ("enableLogging",), when={"enableLogging": True}),
        ),
        delete=Call("DeleteTrail"),
        identity=named("name"),
        rename={"cloudWatchLogsGroupArn": "CloudWatchLogsLogGroupArn"},
        reads={"enableLogFileValidation": "LogFileValidationEnabled", "enableLogging": "IsLogging"},
        defaults={
            "enableLogFileValidation": False,
            "enableLogging": True,
            "includeGlobalServiceEvents": True,
            "isMultiRegionTrail": False,
            "isOrganizationTrail": False,
        },
        keyed={"advancedEventSelectors": "name"},
        replace_on=("name",),
        refuses=("eventSelectors", "insightSelectors"),
        outputs={"arn": "TrailARN", "homeRegion": "HomeRegion"},
        tags=Tags(
            create="TagsList",
            add="AddTags",
            remove="RemoveTags",
            member="TagsList",
            keys="TagsList",
            key={"ResourceId": "{TrailARN}"},
            path="TagsList",
        ),
        missing=(Missing("TrailNotFoundException"),),
        fidelity="recorded by moto: no call is logged and nothing is delivered",
    ),
)
