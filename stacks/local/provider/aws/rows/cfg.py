"""AWS Config: the recorder, where it delivers, and its rules."""

from stacks.local.provider.aws.row import ALL, Call, Missing, Row, Tags, named

RECORDED = "recorded by moto: no configuration is recorded and no rule evaluated"
NO_RECORDER = (Missing("NoSuchConfigurationRecorderException"),)

ROWS = (
    Row(
        token="aws:cfg/deliveryChannel:DeliveryChannel",
        service="config",
        cfn="AWS::Config::DeliveryChannel",
        create=Call("PutDeliveryChannel"),
        read=Call(
            "DescribeDeliveryChannels",
            key={"DeliveryChannelNames": ["{id}"]},
            result="DeliveryChannels[0]",
            into="DeliveryChannel",
        ),
        update=(Call("PutDeliveryChannel", ALL),),
        delete=Call("DeleteDeliveryChannel", key={"DeliveryChannelName": "{id}"}),
        identity=named("name"),
        body="DeliveryChannel",
        rename={
            "snapshotDeliveryProperties": "configSnapshotDeliveryProperties",
            "snsTopicArn": "snsTopicARN",
        },
        replace_on=("name",),
        missing=(Missing("NoSuchDeliveryChannelException"),),
        fidelity=RECORDED,
    ),
    Row(
        token="aws:cfg/recorder:Recorder",
        service="config",
        cfn="AWS::Config::ConfigurationRecorder",
        create=Call(
            "PutConfigurationRecorder",
            omits=(
                "arn",
                "connectorArn",
                "recordingScope",
                "scopeConfiguration",
                "servicePrincipal",
            ),
        ),
        read=Call(
            "DescribeConfigurationRecorders",
            key={"ConfigurationRecorderNames": ["{id}"]},
            result="ConfigurationRecorders[0]",
            into="ConfigurationRecorder",
        ),
        update=(Call("PutConfigurationRecorder", ALL),),
        delete=Call("DeleteConfigurationRecorder", key={"ConfigurationRecorderName": "{id}"}),
        identity=named("name"),
        body="ConfigurationRecorder",
        rename={
            "roleArn": "roleARN",
            "exclusionByResourceTypes[0]": "exclusionByResourceTypes",
            "recordingStrategies[0]": "recordingStrategy",
            "recordingModeOverride": "recordingModeOverrides[0]",
        },
        computed=(
            "recordingGroup.exclusionByResourceTypes",
            "recordingGroup.recordingStrategies",
            "recordingGroup.resourceTypes",
        ),
        replace_on=("name",),
        missing=NO_RECORDER,
        fidelity=RECORDED,
    ),
    Row(
        token="aws:cfg/recorderStatus:RecorderStatus",
        service="config",
        cfn="",
        create=Call("StartConfigurationRecorder", ("name",)),
        read=Call(
            "DescribeConfigurationRecorderStatus",
            key={"ConfigurationRecorderNames": ["{id}"]},
            result="ConfigurationRecordersStatus[?recording] | [0]",
        ),
        update=(
            Call("StartConfigurationRecorder", ("isEnabled",), when={"isEnabled": True}),
            Call("StopConfigurationRecorder", ("isEnabled",), when={"isEnabled": False}),
        ),
        delete=Call("StopConfigurationRecorder"),
        identity=named("name"),
        rename={"name": "ConfigurationRecorderName"},
        reads={"isEnabled": "recording"},
        replace_on=("name",),
        missing=NO_RECORDER,
        fidelity=RECORDED,
    ),
    Row(
        token="aws:cfg/rule:Rule",
        service="config",
        cfn="AWS::Config::ConfigRule",
        create=Call(
            "PutConfigRule",
            omits=(
                "configRuleArn",
                "configRuleId",
                "configRuleState",
                "createdBy",
                "ruleEvaluationVisibility",
            ),
        ),
        read=Call(
            "DescribeConfigRules",
            key={"ConfigRuleNames": ["{id}"]},
            result="ConfigRules[0].{ConfigRule: @, Arn: ConfigRuleArn}",
        ),
        also=(Call("ListTagsForResource", key={"ResourceArn": "{Arn}"}),),
        update=(Call("PutConfigRule", ALL),),
        delete=Call("DeleteConfigRule", key={"ConfigRuleName": "{id}"}),
        identity=named("name"),
        body="ConfigRule",
        rename={"name": "ConfigRuleName"},
        computed=("evaluationModes",),
        replace_on=("name",),
        outputs={"arn": "Arn", "ruleId": "ConfigRule.ConfigRuleId"},
        tags=Tags(add="TagResource", remove="UntagResource", key={"ResourceArn": "{Arn}"}),
        missing=(Missing("NoSuchConfigRuleException"),),
        fidelity=RECORDED,
    ),
)
