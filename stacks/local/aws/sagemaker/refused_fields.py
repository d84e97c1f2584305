"""What of a request is refused, and why.

The keys are JMESPath: a request for which one finds something is answered with NotEmulated.
"""

from collections.abc import Mapping

NOT_OF_COMPONENTS = {
    "Specification.BaseInferenceComponentName": "adapters are not built",
    "Specification.Container.ContainerMetricsConfig": "metrics of containers are not read",
    "Specification.InstanceType": "one specification is for every instance",
    "Specifications": "one specification is for every instance",
}

CLUSTER = "MonitoringScheduleConfig.MonitoringJobDefinition.MonitoringResources.ClusterConfig"
SCHEDULE = {f"{CLUSTER}.InstanceCount > `1`": "a local job is one process on one machine"}

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
    "CreateInferenceComponent": NOT_OF_COMPONENTS,
    "CreateModel": {
        "Containers[1]": "inference pipelines are not built",
        "InferenceExecutionConfig": "inference pipelines are not built",
        "[PrimaryContainer, Containers[0]][?Mode=='MultiModel']": "a process holds one model",
        "[PrimaryContainer, Containers[0]][].AdditionalModelDataSources": "one model data source",
        "[PrimaryContainer, Containers[0]][].InferenceSpecificationName": "the first is used",
    },
    "CreateModelPackage": {
        "ValidationSpecification": "validation jobs are not built",
        "SourceAlgorithmSpecification": "marketplace algorithms are not built",
        "InferenceSpecification.Containers[1]": "inference pipelines are not built",
    },
    "CreateMonitoringSchedule": SCHEDULE,
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
    "UpdateInferenceComponent": {
        **NOT_OF_COMPONENTS,
        "DeploymentConfig.AutoRollbackConfiguration": "no alarm is watched meanwhile",
    },
    "UpdateMonitoringSchedule": SCHEDULE,
    "UpdateFeatureGroup": {"FeatureAdditions[].CollectionType": "features hold one value"},
}
"""Operation -> JMESPath -> why it is answered with NotEmulated."""
