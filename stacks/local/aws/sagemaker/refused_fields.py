"""What of a request is refused, and why.

The keys are JMESPath: a request for which one finds something is answered with NotEmulated.
"""

from collections.abc import Mapping

from stacks.local.aws.sagemaker import job_fields, monitoring_fields, studio_fields

NOT_OF_COMPONENTS = {
    "Specification.BaseInferenceComponentName": "adapters are not built",
    "Specification.Container.ContainerMetricsConfig": "metrics of containers are not read",
    "Specification.InstanceType": "one specification is for every instance",
    "Specifications": "one specification is for every instance",
}

REFUSED: Mapping[str, Mapping[str, str]] = {
    **job_fields.REFUSED,
    **monitoring_fields.REFUSED,
    **studio_fields.REFUSED,
    "CreateEndpointConfig": {
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
        "[[PrimaryContainer], Containers][][].AdditionalModelDataSources": "one model data source",
        "[[PrimaryContainer], Containers][][].InferenceSpecificationName": "the first is used",
        "[[PrimaryContainer], Containers][][] | [?Mode=='MultiModel'].ModelDataSource": (
            "the models of a container are archives under ModelDataUrl"
        ),
    },
    "CreateModelPackage": {
        "ValidationSpecification": "validation jobs are not built",
        "SourceAlgorithmSpecification": "marketplace algorithms are not built",
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
    "UpdateFeatureGroup": {"FeatureAdditions[].CollectionType": "features hold one value"},
}
"""Operation -> JMESPath -> why it is answered with NotEmulated."""
