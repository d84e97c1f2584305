"""Members of each request: what acts, and what is kept and shown only."""

from collections.abc import Mapping

from stacks.local.aws.sagemaker import (
    job_fields,
    monitoring_fields,
    pipeline_fields,
    studio_fields,
)
from stacks.local.aws.sagemaker.reasons import ACCESS, ACCOUNTING, KEY, MACHINE, NETWORK

FIELDS: Mapping[str, frozenset[str]] = {
    **pipeline_fields.FIELDS,
    **job_fields.FIELDS,
    "AddTags": frozenset({"ResourceArn", "Tags"}),
    "BatchDescribeModelPackage": frozenset({"ModelPackageArnList"}),
    "CreateEndpoint": frozenset({"EndpointName", "EndpointConfigName", "DeploymentConfig", "Tags"}),
    "CreateEndpointConfig": frozenset(
        {
            "EndpointConfigName",
            "ProductionVariants",
            "ShadowProductionVariants",
            "AsyncInferenceConfig",
            "DataCaptureConfig",
            "Tags",
        }
    ),
    "CreateFeatureGroup": frozenset(
        {
            "FeatureGroupName",
            "RecordIdentifierFeatureName",
            "EventTimeFeatureName",
            "FeatureDefinitions",
            "OnlineStoreConfig",
            "OfflineStoreConfig",
            "Tags",
        }
    ),
    "CreateInferenceComponent": frozenset(
        {
            "InferenceComponentName",
            "EndpointName",
            "VariantName",
            "Specification",
            "RuntimeConfig",
            "Tags",
        }
    ),
    "CreateMlflowApp": frozenset({"Name", "ArtifactStoreUri", "Tags"}),
    "CreateMlflowTrackingServer": frozenset(
        {"TrackingServerName", "ArtifactStoreUri", "MlflowVersion", "Tags"}
    ),
    "CreateModel": frozenset(
        {"ModelName", "PrimaryContainer", "Containers", "InferenceExecutionConfig", "Tags"}
    ),
    "CreateModelCard": frozenset({"ModelCardName", "Content", "ModelCardStatus", "Tags"}),
    "CreateModelPackage": frozenset(
        {
            "ClientToken",
            "ModelPackageName",
            "ModelPackageGroupName",
            "InferenceSpecification",
            "ModelApprovalStatus",
            "ModelLifeCycle",
            "CustomerMetadataProperties",
            "Tags",
        }
    ),
    "CreateModelPackageGroup": frozenset({"ModelPackageGroupName", "Tags"}),
    "DeleteModelPackageGroupPolicy": frozenset({"ModelPackageGroupName"}),
    "DeleteTags": frozenset({"ResourceArn", "TagKeys"}),
    "DescribeModelCard": frozenset({"ModelCardName", "ModelCardVersion"}),
    "GetModelPackageGroupPolicy": frozenset({"ModelPackageGroupName"}),
    "GetSearchSuggestions": frozenset({"Resource", "SuggestionQuery"}),
    "ListModelCardVersions": frozenset(
        {
            "ModelCardName",
            "ModelCardStatus",
            "CreationTimeAfter",
            "CreationTimeBefore",
            "SortBy",
            "SortOrder",
            "NextToken",
            "MaxResults",
        }
    ),
    "ListTags": frozenset({"ResourceArn", "NextToken", "MaxResults"}),
    "PutModelPackageGroupPolicy": frozenset({"ModelPackageGroupName"}),
    "QueryLineage": frozenset(
        {
            "StartArns",
            "Direction",
            "IncludeEdges",
            "Filters",
            "MaxDepth",
            "MaxResults",
            "NextToken",
        }
    ),
    "Search": frozenset(
        {"Resource", "SearchExpression", "SortBy", "SortOrder", "NextToken", "MaxResults"}
    ),
    "UpdateEndpoint": frozenset(
        {
            "EndpointName",
            "EndpointConfigName",
            "RetainAllVariantProperties",
            "ExcludeRetainedVariantProperties",
            "DeploymentConfig",
            "RetainDeploymentConfig",
        }
    ),
    "UpdateEndpointWeightsAndCapacities": frozenset(
        {"EndpointName", "DesiredWeightsAndCapacities"}
    ),
    "UpdateFeatureGroup": frozenset({"FeatureGroupName", "FeatureAdditions", "OnlineStoreConfig"}),
    "UpdateInferenceComponent": frozenset(
        {"InferenceComponentName", "Specification", "RuntimeConfig"}
    ),
    "UpdateInferenceComponentRuntimeConfig": frozenset(
        {"InferenceComponentName", "DesiredRuntimeConfig"}
    ),
    "UpdateMlflowApp": frozenset({"Arn", "Name", "ArtifactStoreUri"}),
    "UpdateMlflowTrackingServer": frozenset({"TrackingServerName", "ArtifactStoreUri"}),
    "UpdateModelCard": frozenset({"ModelCardName", "Content", "ModelCardStatus"}),
    "UpdateModelPackage": frozenset(
        {
            "ModelPackageArn",
            "ModelApprovalStatus",
            "ApprovalDescription",
            "CustomerMetadataProperties",
            "CustomerMetadataPropertiesToRemove",
            "InferenceSpecification",
            "ModelLifeCycle",
            "SourceUri",
        }
    ),
}
"""Operation -> members that act. Describe, delete and list follow from the resource table."""

ROLLING = "moves the traffic in batches, while the new fleet stands whole from the start"
TIMEOUT = "a local update ends by itself"

DEPLOYMENT = {
    "DeploymentConfig.RollingUpdatePolicy": ROLLING,
    "DeploymentConfig.RollingUpdatePolicy.RollbackMaximumBatchSize": "all goes back at once",
    "DeploymentConfig.BlueGreenUpdatePolicy.MaximumExecutionTimeoutInSeconds": TIMEOUT,
}

COMPONENT = {
    "Specification.ComputeResourceRequirements": MACHINE,
    "Specification.DataCacheConfig": "model data is on this machine",
    "Specification.SchedulingConfig": MACHINE,
    "Specification.StartupParameters.ModelDataDownloadTimeoutInSeconds": (
        "model data is on this machine"
    ),
    "RuntimeConfig.CopyCount": "at most two processes run per component",
}

RECORDED: Mapping[str, Mapping[str, str]] = {
    **pipeline_fields.RECORDED,
    **job_fields.RECORDED,
    **monitoring_fields.RECORDED,
    **studio_fields.RECORDED,
    "CreateEndpointConfig": {
        "ProductionVariants[].InstanceType": MACHINE,
        "ProductionVariants[].InitialInstanceCount": "at most two processes run per variant",
        "ProductionVariants[].VolumeSizeInGB": MACHINE,
        "ProductionVariants[].ModelDataDownloadTimeoutInSeconds": "model data is on this machine",
        "ProductionVariants[].InferenceAmiVersion": MACHINE,
        "ProductionVariants[].AcceleratorType": MACHINE,
        "ProductionVariants[].AcceleratorPartitionLayouts": MACHINE,
        "ProductionVariants[].CapacityReservationConfig": MACHINE,
        "ProductionVariants[].VariantInstanceProvisionTimeoutInSeconds": MACHINE,
        "ProductionVariants[].EnableSSMAccess": "a local server is a process of this machine",
        "ProductionVariants[].ManagedInstanceScaling": "a local fleet keeps its size",
        "ProductionVariants[].ServerlessConfig.MemorySizeInMB": MACHINE,
        "AsyncInferenceConfig.OutputConfig.KmsKeyId": KEY,
        "ProductionVariants[].RoutingConfig": "requests go to the processes in turn",
        "KmsKeyId": KEY,
        "ExecutionRoleArn": ACCESS,
        "VpcConfig": NETWORK,
        "EnableNetworkIsolation": NETWORK,
        "MetricsConfig": "invocations are measured each second, instances are not",
    },
    "CreateFeatureGroup": {
        "RoleArn": ACCESS,
        "Description": ACCOUNTING,
        "ThroughputConfig": MACHINE,
        "OnlineStoreConfig.SecurityConfig": KEY,
        "OnlineStoreConfig.StorageType": "every online store is in memory",
        "OfflineStoreConfig.S3StorageConfig.KmsKeyId": KEY,
    },
    "CreateInferenceComponent": COMPONENT,
    "CreateMlflowApp": {
        "RoleArn": ACCESS,
        "KmsKeyId": KEY,
        "ModelRegistrationMode": "models are registered by the pipeline",
        "WeeklyMaintenanceWindowStart": MACHINE,
        "AccountDefaultStatus": "there is no Studio",
        "DefaultDomainIdList": "there is no Studio",
    },
    "CreateMlflowTrackingServer": {
        "RoleArn": ACCESS,
        "TrackingServerSize": MACHINE,
        "AutomaticModelRegistration": "models are registered by the pipeline",
        "WeeklyMaintenanceWindowStart": MACHINE,
    },
    "CreateModel": {
        "ExecutionRoleArn": ACCESS,
        "VpcConfig": NETWORK,
        "EnableNetworkIsolation": NETWORK,
        "PrimaryContainer.Image": "a table says what is run in its place",
        "Containers[].Image": "a table says what is run in its place",
    },
    "CreateModelCard": {"SecurityConfig": KEY},
    "CreateModelPackage": {
        "ModelPackageDescription": ACCOUNTING,
        "MetadataProperties": ACCOUNTING,
        "ModelMetrics": ACCOUNTING,
        "DriftCheckBaselines": ACCOUNTING,
        "Domain": ACCOUNTING,
        "Task": ACCOUNTING,
        "SamplePayloadUrl": ACCOUNTING,
        "SourceUri": ACCOUNTING,
        "ModelCard": ACCOUNTING,
        "SecurityConfig": KEY,
        "SkipModelValidation": "a local package is not validated by a job",
        "CertifyForMarketplace": "there is no marketplace here",
    },
    "CreateModelPackageGroup": {"ModelPackageGroupDescription": ACCOUNTING},
    "DescribeFeatureGroup": {"NextToken": "every answer carries all features"},
    "DescribeModelCard": {"IncludedData": "every answer carries all data"},
    "DescribeModelPackage": {"IncludedData": "every answer carries all data"},
    "ListModelPackageGroups": {"CrossAccountFilterOption": "there is one account"},
    "PutModelPackageGroupPolicy": {
        "ResourcePolicy": "IAM decides by it, for callers of this account"
    },
    "Search": {"CrossAccountFilterOption": "there is one account"},
    "UpdateEndpoint": DEPLOYMENT,
    "UpdateFeatureGroup": {"ThroughputConfig": MACHINE},
    "UpdateInferenceComponent": {**COMPONENT, "DeploymentConfig": "all copies move at once"},
    "UpdateMlflowApp": {
        "ModelRegistrationMode": "models are registered by the pipeline",
        "WeeklyMaintenanceWindowStart": MACHINE,
        "AccountDefaultStatus": "there is no Studio",
        "DefaultDomainIdList": "there is no Studio",
    },
    "UpdateMlflowTrackingServer": {
        "TrackingServerSize": MACHINE,
        "AutomaticModelRegistration": "models are registered by the pipeline",
        "WeeklyMaintenanceWindowStart": MACHINE,
    },
    "UpdateModelPackage": {
        "ClientToken": "an update is idempotent by itself",
        "ModelCard": ACCOUNTING,
    },
}
"""Operation -> member -> why it is kept without effect. Dotted names stand inside acting ones."""
