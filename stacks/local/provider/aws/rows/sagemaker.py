"""Feature groups, models, endpoints, pipelines and tracking, served by our own SageMaker."""

from collections.abc import Mapping
from typing import Any

from stacks.local.provider.aws.row import (
    EVERYTHING,
    Call,
    HookContext,
    Missing,
    Row,
    Tags,
    Wait,
    named,
    returned,
)

# Most of SageMaker answers ValidationException, not NotFound, for what does not exist
MISSING = (
    Missing("ResourceNotFound"),
    Missing("ValidationException", "Could not find"),
    Missing("ValidationException", "does not exist"),
)

CONTAINER = {"s3DataSources[0]": "S3DataSource"}
VARIANT = {"routingConfigs[0]": "RoutingConfig"}


def tags(arn: str) -> Tags:
    """SageMaker tags everything by ARN."""
    return Tags(add="AddTags", remove="DeleteTags", key={"ResourceArn": f"{{{arn}}}"})


def list_tags(arn: str) -> Call:
    """No describe call tells the tags."""
    return Call("ListTags", key={"ResourceArn": f"{{{arn}}}"})


def by_name(feature: Mapping[str, Any]) -> str:
    """Features are told apart by their names."""
    return str(feature["featureName"])


def not_only_additions(before: Any, after: Any) -> bool:
    """SageMaker adds features in place; it neither removes nor changes one."""
    if not isinstance(before, list) or not isinstance(after, list):
        return True
    new = {by_name(feature): feature for feature in after if isinstance(feature, Mapping)}
    return any(new.get(by_name(feature)) != feature for feature in before)


def feature_additions(scene: HookContext) -> Mapping[str, Any] | None:
    """The features that the group does not have yet, also after an update that was cut off."""
    held = {f["FeatureName"] for f in (scene.describe() or {})["FeatureDefinitions"]}
    missing = [f for f in scene.new["featureDefinitions"] if by_name(f) not in held]
    members = {"featureName": "FeatureName", "featureType": "FeatureType"}
    additions = [{members[k]: v for k, v in f.items() if k in members} for f in missing]
    return {"FeatureAdditions": additions} if additions else None


ROWS = (
    Row(
        token="aws:sagemaker/endpoint:Endpoint",
        service="sagemaker",
        cfn="AWS::SageMaker::Endpoint",
        create=Call("CreateEndpoint"),
        read=Call("DescribeEndpoint"),
        also=(list_tags("EndpointArn"),),
        update=(Call("UpdateEndpoint", ("deploymentConfig", "endpointConfigName")),),
        delete=Call("DeleteEndpoint"),
        identity=named("name"),
        rename={"/name": "EndpointName"},
        reads={"deploymentConfig": "LastDeploymentConfig"},
        autoname="name",
        replace_on=("name",),
        outputs={"arn": "EndpointArn", "name": "EndpointName"},
        tags=tags("EndpointArn"),
        missing=MISSING,
        wait=Wait(
            status="EndpointStatus",
            good=("InService",),
            bad=("Failed", "OutOfService", "RollbackFailed", "UpdateRollbackFailed"),
            equal={"endpointConfigName": "EndpointConfigName"},
        ),
        fidelity="behaves: serving processes answer; an update moves the traffic in its steps and "
        "goes back on an alarm",
    ),
    Row(
        token="aws:sagemaker/endpointConfiguration:EndpointConfiguration",
        service="sagemaker",
        cfn="AWS::SageMaker::EndpointConfig",
        create=Call(
            "CreateEndpointConfig",
            omits=(
                "crossRegionTrafficConfig",
                "enableNetworkIsolation",
                "explainerConfig",
                "metricsConfig",
                "vpcConfig",
            ),
        ),
        read=Call("DescribeEndpointConfig"),
        also=(list_tags("EndpointConfigArn"),),
        delete=Call("DeleteEndpointConfig"),
        identity=named("name"),
        rename={"/name": "EndpointConfigName", "/kmsKeyArn": "KmsKeyId", **VARIANT},
        autoname="name",
        replace_on=EVERYTHING,  # the API has no update call
        refuses=("namePrefix",),
        outputs={"arn": "EndpointConfigArn", "name": "EndpointConfigName"},
        tags=tags("EndpointConfigArn"),
        missing=MISSING,
        fidelity="behaves: variants, weights, shadow, serverless, asynchronous and data capture; "
        "volumes are not encrypted",
    ),
    Row(
        token="aws:sagemaker/featureGroup:FeatureGroup",
        service="sagemaker",
        cfn="AWS::SageMaker::FeatureGroup",
        create=Call("CreateFeatureGroup"),
        read=Call("DescribeFeatureGroup"),
        also=(list_tags("FeatureGroupArn"),),
        update=(
            Call("UpdateFeatureGroup", ("featureDefinitions",), build=feature_additions),
            Call("UpdateFeatureGroup", ("onlineStoreConfig", "throughputConfig")),
        ),
        delete=Call("DeleteFeatureGroup"),
        identity=named("featureGroupName"),
        computed=(
            "offlineStoreConfig.dataCatalogConfig",
            "offlineStoreConfig.disableGlueTableCreation",
            "offlineStoreConfig.s3StorageConfig.resolvedOutputS3Uri",
            "offlineStoreConfig.tableFormat",
            "onlineStoreConfig.storageType",
            "throughputConfig",
        ),
        replace_on=(
            "description",
            "eventTimeFeatureName",
            "featureGroupName",
            "offlineStoreConfig",
            "onlineStoreConfig.enableOnlineStore",
            "onlineStoreConfig.securityConfig",
            "onlineStoreConfig.storageType",
            "recordIdentifierFeatureName",
            "roleArn",
        ),
        replace_if={"featureDefinitions": not_only_additions},
        # `feature_definition` is ForceNew (terraform-provider-aws, sagemaker/feature_group.go)
        official={"featureDefinitions": True},
        keyed={"featureDefinitions": "featureName"},
        outputs={"arn": "FeatureGroupArn"},
        tags=tags("FeatureGroupArn"),
        missing=MISSING,
        wait=Wait(
            status="LastUpdateStatus.Status == 'Failed' && 'UpdateFailed' || "
            "LastUpdateStatus.Status == 'InProgress' && 'Updating' || FeatureGroupStatus",
            good=("Created",),
            bad=("CreateFailed", "DeleteFailed", "UpdateFailed"),
            reason="FailureReason || LastUpdateStatus.FailureReason",
        ),
        fidelity="behaves: records are served online and written offline as Parquet; not encrypted",
    ),
    Row(
        token="aws:sagemaker/mlflowApp:MlflowApp",
        service="sagemaker",
        cfn="AWS::SageMaker::MlflowApp",
        create=Call("CreateMlflowApp", omits=("kmsKeyId",)),
        read=Call("DescribeMlflowApp"),
        also=(list_tags("Arn"),),
        update=(
            Call(
                "UpdateMlflowApp",
                (
                    "accountDefaultStatus",
                    "artifactStoreUri",
                    "defaultDomainIdLists",
                    "modelRegistrationMode",
                    "name",
                    "weeklyMaintenanceWindowStart",
                ),
            ),
        ),
        delete=Call("DeleteMlflowApp"),
        identity=returned("Arn"),
        key={"Arn": "{id}"},
        occupies=("name",),
        provider_only=("timeouts",),
        computed=("weeklyMaintenanceWindowStart",),
        defaults={
            "accountDefaultStatus": "DISABLED",
            "modelRegistrationMode": "AutoModelRegistrationDisabled",
        },
        replace_on=("roleArn",),
        outputs={"arn": "Arn"},
        tags=tags("Arn"),
        missing=MISSING,
        gone="Status == 'Deleted'",
        wait=Wait(
            status="Status",
            good=("Created", "Updated"),
            bad=("CreateFailed", "DeleteFailed", "UpdateFailed"),
        ),
        fidelity="behaves: a real MLflow server; there is no Studio beside it",
    ),
    Row(
        token="aws:sagemaker/mlflowTrackingServer:MlflowTrackingServer",
        service="sagemaker",
        cfn="AWS::SageMaker::MlflowTrackingServer",
        create=Call(
            "CreateMlflowTrackingServer",
            omits=("s3BucketOwnerAccountId", "s3BucketOwnerVerification"),
        ),
        read=Call("DescribeMlflowTrackingServer"),
        also=(list_tags("TrackingServerArn"),),
        update=(
            Call(
                "UpdateMlflowTrackingServer",
                (
                    "artifactStoreUri",
                    "automaticModelRegistration",
                    "trackingServerSize",
                    "weeklyMaintenanceWindowStart",
                ),
            ),
        ),
        delete=Call("DeleteMlflowTrackingServer"),
        identity=named("trackingServerName"),
        computed=("mlflowVersion", "weeklyMaintenanceWindowStart"),
        defaults={"automaticModelRegistration": False, "trackingServerSize": "Small"},
        replace_on=("mlflowVersion", "roleArn", "trackingServerName"),
        outputs={"arn": "TrackingServerArn", "trackingServerUrl": "TrackingServerUrl"},
        tags=tags("TrackingServerArn"),
        missing=MISSING,
        wait=Wait(
            status="TrackingServerStatus",
            good=("Created", "Updated"),
            bad=("CreateFailed", "DeleteFailed", "UpdateFailed"),
        ),
        fidelity="behaves: a real MLflow server of this machine, whatever the size",
    ),
    Row(
        token="aws:sagemaker/model:Model",
        service="sagemaker",
        cfn="AWS::SageMaker::Model",
        create=Call("CreateModel"),
        read=Call("DescribeModel"),
        also=(list_tags("ModelArn"),),
        delete=Call("DeleteModel"),
        identity=named("name"),
        rename={"/name": "ModelName", **CONTAINER},
        autoname="name",
        defaults={"enableNetworkIsolation": False},
        replace_on=EVERYTHING,  # the API has no update call
        outputs={"arn": "ModelArn", "name": "ModelName"},
        tags=tags("ModelArn"),
        missing=MISSING,
        fidelity="behaves: its artefact is served by this machine's Python, whatever the image",
    ),
    Row(
        token="aws:sagemaker/modelCard:ModelCard",
        service="sagemaker",
        cfn="AWS::SageMaker::ModelCard",
        create=Call("CreateModelCard"),
        read=Call("DescribeModelCard"),
        also=(list_tags("ModelCardArn"),),
        update=(Call("UpdateModelCard", ("content", "modelCardStatus")),),
        delete=Call("DeleteModelCard"),
        identity=named("modelCardName"),
        provider_only=("timeouts",),
        replace_on=("modelCardName", "securityConfig"),
        # no RequiresReplace, and UpdateModelCard has no such member: a change never reaches AWS
        # (terraform-provider-aws, sagemaker/model_card.go)
        official={"securityConfig": False},
        outputs={"modelCardArn": "ModelCardArn"},
        tags=tags("ModelCardArn"),
        missing=MISSING,
        fidelity="recorded only: the content is kept, not checked against the card's schema",
    ),
    Row(
        token="aws:sagemaker/modelPackageGroup:ModelPackageGroup",
        service="sagemaker",
        cfn="AWS::SageMaker::ModelPackageGroup",
        create=Call("CreateModelPackageGroup", omits=("managedConfiguration",)),
        read=Call("DescribeModelPackageGroup"),
        also=(list_tags("ModelPackageGroupArn"),),
        delete=Call("DeleteModelPackageGroup"),
        identity=named("modelPackageGroupName"),
        replace_on=EVERYTHING,  # the API has no update call
        outputs={"arn": "ModelPackageGroupArn"},
        tags=tags("ModelPackageGroupArn"),
        missing=MISSING,
        wait=Wait(
            status="ModelPackageGroupStatus", good=("Completed",), bad=("Failed", "DeleteFailed")
        ),
        fidelity="behaves: versions, approval and metrics are kept",
    ),
    Row(
        token="aws:sagemaker/modelPackageGroupPolicy:ModelPackageGroupPolicy",
        service="sagemaker",
        cfn="",  # there, a property of the group
        create=Call("PutModelPackageGroupPolicy"),
        read=Call("GetModelPackageGroupPolicy"),
        update=(Call("PutModelPackageGroupPolicy", ("resourcePolicy",)),),
        delete=Call("DeleteModelPackageGroupPolicy"),
        identity=named("modelPackageGroupName"),
        replace_on=("modelPackageGroupName",),
        missing=(*MISSING, Missing("ValidationException", "Cannot find")),
        fidelity="behaves: IAM decides by it, for callers of this account",
    ),
    Row(
        token="aws:sagemaker/pipeline:Pipeline",
        service="sagemaker",
        cfn="AWS::SageMaker::Pipeline",
        create=Call("CreatePipeline", omits=("pipelineVersionAliases",)),
        read=Call("DescribePipeline"),
        also=(list_tags("PipelineArn"),),
        update=(
            Call(
                "UpdatePipeline",
                (
                    "parallelismConfiguration",
                    "pipelineDefinition",
                    "pipelineDefinitionS3Location",
                    "pipelineDescription",
                    "pipelineDisplayName",
                    "roleArn",
                ),
            ),
        ),
        delete=Call("DeletePipeline"),
        identity=named("pipelineName"),
        write_only=("pipelineDefinitionS3Location",),
        computed=("pipelineDefinition",),
        replace_on=("pipelineName",),
        outputs={"arn": "PipelineArn"},
        tags=tags("PipelineArn"),
        missing=MISSING,
        fidelity="behaves: executions run the definition's steps as processes",
    ),
)
