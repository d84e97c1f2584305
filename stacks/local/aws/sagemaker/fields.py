"""Members of each request: what acts, what is kept and shown only, what is refused.

The keys of REFUSED are JMESPath: a request for which one finds something is answered with
NotEmulated.
"""

from collections.abc import Mapping

NETWORK = "there is one network: loopback"
KEY = "objects and volumes are not encrypted on this machine"
ACCESS = "IAM decides what it may"
ACCOUNTING = "kept for reviews and policies"
FAULTS = "a local job meets no fault of the service"
MACHINE = "one machine plays every instance"

FIELDS: Mapping[str, frozenset[str]] = {
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
    "CreateMlflowApp": frozenset({"Name", "ArtifactStoreUri", "Tags"}),
    "CreateMlflowTrackingServer": frozenset(
        {"TrackingServerName", "ArtifactStoreUri", "MlflowVersion", "Tags"}
    ),
    "CreateModel": frozenset({"ModelName", "PrimaryContainer", "Containers", "Tags"}),
    "CreateModelCard": frozenset({"ModelCardName", "Content", "ModelCardStatus", "Tags"}),
    "CreateModelPackage": frozenset(
        {
            "ModelPackageGroupName",
            "InferenceSpecification",
            "ModelApprovalStatus",
            "CustomerMetadataProperties",
            "Tags",
        }
    ),
    "CreateModelPackageGroup": frozenset({"ModelPackageGroupName", "Tags"}),
    "CreatePipeline": frozenset(
        {
            "PipelineName",
            "PipelineDisplayName",
            "PipelineDefinition",
            "PipelineDefinitionS3Location",
            "ParallelismConfiguration",
            "Tags",
        }
    ),
    "CreateProcessingJob": frozenset(
        {
            "ProcessingJobName",
            "ProcessingInputs",
            "ProcessingOutputConfig",
            "ProcessingResources",
            "StoppingCondition",
            "AppSpecification",
            "Environment",
            "NetworkConfig",
            "ExperimentConfig",
            "Tags",
        }
    ),
    "CreateTrainingJob": frozenset(
        {
            "TrainingJobName",
            "HyperParameters",
            "AlgorithmSpecification",
            "InputDataConfig",
            "OutputDataConfig",
            "ResourceConfig",
            "StoppingCondition",
            "CheckpointConfig",
            "EnableNetworkIsolation",
            "Environment",
            "ExperimentConfig",
            "Tags",
        }
    ),
    "DeleteModelPackageGroupPolicy": frozenset({"ModelPackageGroupName"}),
    "DeleteTags": frozenset({"ResourceArn", "TagKeys"}),
    "DescribeModelCard": frozenset({"ModelCardName", "ModelCardVersion"}),
    "DescribePipelineDefinitionForExecution": frozenset({"PipelineExecutionArn"}),
    "DescribePipelineExecution": frozenset({"PipelineExecutionArn"}),
    "GetModelPackageGroupPolicy": frozenset({"ModelPackageGroupName"}),
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
    "ListPipelineExecutionSteps": frozenset(
        {"PipelineExecutionArn", "NextToken", "MaxResults", "SortOrder"}
    ),
    "ListPipelineExecutions": frozenset(
        {
            "PipelineName",
            "CreatedAfter",
            "CreatedBefore",
            "SortBy",
            "SortOrder",
            "NextToken",
            "MaxResults",
        }
    ),
    "ListPipelineParametersForExecution": frozenset(
        {"PipelineExecutionArn", "NextToken", "MaxResults"}
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
    "StartPipelineExecution": frozenset(
        {
            "PipelineName",
            "PipelineExecutionDisplayName",
            "PipelineParameters",
            "PipelineExecutionDescription",
            "ClientRequestToken",
            "ParallelismConfiguration",
        }
    ),
    "StopPipelineExecution": frozenset({"PipelineExecutionArn"}),
    "StopProcessingJob": frozenset({"ProcessingJobName"}),
    "StopTrainingJob": frozenset({"TrainingJobName"}),
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
            "SourceUri",
        }
    ),
    "UpdatePipeline": frozenset(
        {
            "PipelineName",
            "PipelineDisplayName",
            "PipelineDefinition",
            "PipelineDefinitionS3Location",
            "ParallelismConfiguration",
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

RECORDED: Mapping[str, Mapping[str, str]] = {
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
        "ClientToken": "each request makes its own version",
    },
    "CreateModelPackageGroup": {"ModelPackageGroupDescription": ACCOUNTING},
    "CreatePipeline": {
        "PipelineDescription": ACCOUNTING,
        "RoleArn": ACCESS,
        "ClientRequestToken": "a taken name is refused in any case",
    },
    "CreateProcessingJob": {
        "NetworkConfig.VpcConfig": NETWORK,
        "NetworkConfig.EnableInterContainerTrafficEncryption": NETWORK,
        "RoleArn": ACCESS,
        "ProcessingResources.ClusterConfig.InstanceType": MACHINE,
        "ProcessingOutputConfig.KmsKeyId": KEY,
    },
    "CreateTrainingJob": {
        "RoleArn": ACCESS,
        "VpcConfig": NETWORK,
        "EnableInterContainerTrafficEncryption": NETWORK,
        "EnableManagedSpotTraining": "a local job is not interrupted",
        "ProfilerConfig": "a local job is not profiled",
        "DebugHookConfig": "tensors are not collected",
        "TensorBoardOutputConfig": "a local job's TensorBoard files are not brought away",
        "RetryStrategy": FAULTS,
        "RemoteDebugConfig": "a local job is a process of this machine",
        "InfraCheckConfig": FAULTS,
        "SessionChainingConfig": ACCESS,
        "ResourceConfig.InstanceType": MACHINE,
        "OutputDataConfig.KmsKeyId": KEY,
        "AlgorithmSpecification.TrainingImage": "a table says what is run in its place",
    },
    "DeletePipeline": {"ClientRequestToken": "a second delete finds nothing"},
    "DescribeFeatureGroup": {"NextToken": "every answer carries all features"},
    "DescribeModelCard": {"IncludedData": "every answer carries all data"},
    "DescribeModelPackage": {"IncludedData": "every answer carries all data"},
    "ListModelPackageGroups": {"CrossAccountFilterOption": "there is one account"},
    "PutModelPackageGroupPolicy": {
        "ResourcePolicy": "IAM decides by it, for callers of this account"
    },
    "Search": {"CrossAccountFilterOption": "there is one account"},
    "StartPipelineExecution": {"RoleArn": ACCESS},
    "StopPipelineExecution": {"ClientRequestToken": "a second stop changes nothing"},
    "UpdateEndpoint": DEPLOYMENT,
    "UpdateFeatureGroup": {"ThroughputConfig": MACHINE},
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
    "UpdateModelPackage": {"ClientToken": "an update is idempotent by itself"},
    "UpdatePipeline": {"PipelineDescription": ACCOUNTING, "RoleArn": ACCESS},
}
"""Operation -> member -> why it is kept without effect. Dotted names stand inside acting ones."""

REFUSED: Mapping[str, Mapping[str, str]] = {
    "CreateEndpointConfig": {
        "AsyncInferenceConfig.OutputConfig.NotificationConfig.IncludeInferenceResponseIn": (
            "topics hear where the answer is, not the answer"
        ),
        "ExplainerConfig": "there is no explainer",
        "ProductionVariants[].InstancePools": "only one instance type per variant is built",
        "ProductionVariants[].CoreDumpConfig": "core dumps are not brought away",
    },
    "CreateFeatureGroup": {
        "FeatureDefinitions[].CollectionType": "features hold one value",
        "OfflineStoreConfig.TableFormat == 'Iceberg'": "the offline store is plain Parquet",
    },
    "CreateModel": {
        "Containers[1]": "inference pipelines are not built",
        "InferenceExecutionConfig": "inference pipelines are not built",
        "[PrimaryContainer, Containers[0]][?Mode=='MultiModel']": "a process holds one model",
        "[PrimaryContainer, Containers[0]][].AdditionalModelDataSources": "one model data source",
        "[PrimaryContainer, Containers[0]][].InferenceSpecificationName": "the first is used",
    },
    "CreateModelPackage": {
        "ModelPackageName": "only versions of a model package group are built",
        "ValidationSpecification": "validation jobs are not built",
        "SourceAlgorithmSpecification": "marketplace algorithms are not built",
        "InferenceSpecification.Containers[1]": "inference pipelines are not built",
    },
    "CreateProcessingJob": {
        "ProcessingInputs[?DatasetDefinition]": "Athena and Redshift inputs are not built",
        "ProcessingInputs[?AppManaged]": "the local cloud brings every input",
        "ProcessingInputs[?S3Input.S3DataType=='ManifestFile']": "manifests are not read",
        "ProcessingInputs[?S3Input.S3InputMode=='Pipe']": "only File mode is built",
        "ProcessingInputs[?S3Input.S3CompressionType=='Gzip']": "inputs are not decompressed",
        "ProcessingInputs[?!S3Input]": "only S3 inputs are built",
        "ProcessingOutputConfig.Outputs[?FeatureStoreOutput]": "write through PutRecord instead",
        "ProcessingOutputConfig.Outputs[?S3Output.S3UploadMode=='Continuous']": (
            "outputs are uploaded when the job ends"
        ),
        "ProcessingOutputConfig.Outputs[?AppManaged]": "the local cloud brings every output away",
        "ProcessingOutputConfig.Outputs[?!S3Output]": "only S3 outputs are built",
    },
    "CreateTrainingJob": {
        "AlgorithmSpecification.AlgorithmName": "marketplace algorithms are not built",
        "AlgorithmSpecification.TrainingInputMode=='Pipe'": "only File and FastFile are built",
        "InputDataConfig[?InputMode=='Pipe']": "only File and FastFile are built",
        "InputDataConfig[?!DataSource.S3DataSource]": "only S3 channels are built",
        "InputDataConfig[?DataSource.S3DataSource.S3DataType!='S3Prefix']": "only S3Prefix",
        "InputDataConfig[?CompressionType=='Gzip']": "channels are not decompressed",
        "InputDataConfig[?RecordWrapperType=='RecordIO']": "records are not wrapped",
        "OutputDataConfig.CompressionType=='NONE'": "the model is packed as model.tar.gz",
        "DebugRuleConfigurations": "debugger rules are not built",
        "ProfilerRuleConfigurations": "profiler rules are not built",
    },
    "DescribeClusterSchedulerConfig": {"ClusterSchedulerConfigVersion": "the newest is kept"},
    "DescribeComputeQuota": {"ComputeQuotaVersion": "the newest is kept"},
    "ListClusters": {"TrainingPlanArn": "capacity is not reserved here"},
    "ListDevices": {
        "LatestHeartbeatAfter": "no device sends a heartbeat here",
        "ModelName": "no model is on a device",
    },
    "UpdateFeatureGroup": {"FeatureAdditions[].CollectionType": "features hold one value"},
}
"""Operation -> JMESPath -> why it is answered with NotEmulated."""
