"""Members of the requests that start and stop jobs, in the three tables of fields.py."""

from collections.abc import Mapping

from stacks.local.aws.sagemaker.reasons import ACCESS, FAULTS, KEY, MACHINE, NETWORK

TUNED = "[TrainingJobDefinition, TrainingJobDefinitions][]"
"""The training jobs that a tuning job defines."""

FIELDS: Mapping[str, frozenset[str]] = {
    "CreateHyperParameterTuningJob": frozenset(
        {
            "HyperParameterTuningJobName",
            "HyperParameterTuningJobConfig",
            "TrainingJobDefinition",
            "TrainingJobDefinitions",
            "WarmStartConfig",
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
    "CreateTransformJob": frozenset(
        {
            "TransformJobName",
            "ModelName",
            "MaxConcurrentTransforms",
            "ModelClientConfig",
            "MaxPayloadInMB",
            "BatchStrategy",
            "Environment",
            "TransformInput",
            "TransformOutput",
            "TransformResources",
            "DataProcessing",
            "ExperimentConfig",
            "Tags",
        }
    ),
    "ListTrainingJobsForHyperParameterTuningJob": frozenset(
        {
            "HyperParameterTuningJobName",
            "NextToken",
            "MaxResults",
            "StatusEquals",
            "SortBy",
            "SortOrder",
        }
    ),
    "StopHyperParameterTuningJob": frozenset({"HyperParameterTuningJobName"}),
    "StopProcessingJob": frozenset({"ProcessingJobName"}),
    "StopTrainingJob": frozenset({"TrainingJobName"}),
    "StopTransformJob": frozenset({"TransformJobName"}),
}

RECORDED: Mapping[str, Mapping[str, str]] = {
    "CreateHyperParameterTuningJob": {
        "TrainingJobDefinition.VpcConfig": NETWORK,
        "TrainingJobDefinition.EnableInterContainerTrafficEncryption": NETWORK,
        "TrainingJobDefinition.EnableManagedSpotTraining": "a local job is not interrupted",
        "TrainingJobDefinition.RetryStrategy": FAULTS,
        "TrainingJobDefinition.ResourceConfig.InstanceType": MACHINE,
        "TrainingJobDefinition.HyperParameterTuningResourceConfig.InstanceConfigs": (
            "every instance can be had: the first is taken"
        ),
        "TrainingJobDefinition.OutputDataConfig.KmsKeyId": KEY,
    },
    "CreateProcessingJob": {
        "NetworkConfig.VpcConfig": NETWORK,
        "NetworkConfig.EnableInterContainerTrafficEncryption": NETWORK,
        "RoleArn": ACCESS,
        "ProcessingResources.ClusterConfig.InstanceType": MACHINE,
        "ProcessingInputs[].DatasetDefinition.AthenaDatasetDefinition.KmsKeyId": KEY,
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
    "CreateTransformJob": {
        "TransformOutput.KmsKeyId": KEY,
        "TransformResources.InstanceType": MACHINE,
        "TransformResources.InstanceCount": "one process answers for every instance",
        "TransformResources.TransformAmiVersion": MACHINE,
    },
}

OF_TRAINING: Mapping[str, str] = {
    "AlgorithmSpecification.AlgorithmName": "marketplace algorithms are not built",
    "AlgorithmSpecification.TrainingInputMode=='Pipe'": "only File and FastFile are built",
    "InputDataConfig[?InputMode=='Pipe']": "only File and FastFile are built",
    "InputDataConfig[?!DataSource.S3DataSource]": "only S3 channels are built",
    "InputDataConfig[].DataSource.S3DataSource.S3DataType"
    " | [?@!='S3Prefix' && @!='ManifestFile']": "only S3Prefix and ManifestFile are built",
    "InputDataConfig[?CompressionType=='Gzip']": "channels are not decompressed",
    "InputDataConfig[?RecordWrapperType=='RecordIO']": "records are not wrapped",
    "OutputDataConfig.CompressionType=='NONE'": "the model is packed as model.tar.gz",
    "DebugRuleConfigurations": "debugger rules are not built",
    "ProfilerRuleConfigurations": "profiler rules are not built",
}
"""What no training job can have, nor one that a tuning job defines."""

REFUSED: Mapping[str, Mapping[str, str]] = {
    "CreateHyperParameterTuningJob": {
        "Autotune": "ranges and limits are not found by the local cloud",
        f"[HyperParameterTuningJobConfig.ParameterRanges, {TUNED}.HyperParameterRanges][]"
        ".AutoParameters[]": "Autotune finds them",
        "HyperParameterTuningJobConfig.TuningJobCompletionCriteria.ConvergenceDetected"
        ".CompleteOnConvergence=='Enabled'": "SageMaker does not say when a job has converged",
        **{
            f"{TUNED} | [?{path}]": why
            for path, why in OF_TRAINING.items()
            if not path.endswith("RuleConfigurations")
        },
    },
    "CreateProcessingJob": {
        "ProcessingInputs[?!AppManaged && DatasetDefinition.RedshiftDatasetDefinition]": (
            "there is no Redshift here"
        ),
        "ProcessingInputs[?DatasetDefinition.InputMode=='Pipe']": "only File mode is built",
        "ProcessingInputs[?S3Input.S3InputMode=='Pipe']": "only File mode is built",
        "ProcessingInputs[?S3Input.S3CompressionType=='Gzip']": "inputs are not decompressed",
        "ProcessingInputs[?!AppManaged && !S3Input && !DatasetDefinition]": (
            "only inputs from S3 and Athena are built"
        ),
        "ProcessingOutputConfig.Outputs[?S3Output.S3UploadMode=='Continuous']": (
            "outputs are uploaded when the job ends"
        ),
        "ProcessingOutputConfig.Outputs[?!AppManaged && !S3Output && !FeatureStoreOutput]": (
            "only S3 outputs are built"
        ),
    },
    "CreateTrainingJob": OF_TRAINING,
    "CreateTransformJob": {"DataCaptureConfig": "what a transform job asks is not captured"},
}
