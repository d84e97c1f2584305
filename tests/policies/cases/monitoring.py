"""Programs for the rules about features, monitoring, tracking, labels; see case.py."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pulumi
import pulumi_aws as aws

from tests.policies.cases.case import KEY, later
from tests.policies.cases.endpoints import alarm
from tests.policies.cases.serving import STAGING, fails, passes, skips, unknown, variant

# Feature groups


def group(online: Any = None, **changes: Any) -> None:
    shape = {
        "feature_group_name": "flights",
        "record_identifier_feature_name": "flight",
        "event_time_feature_name": "at",
        "feature_definitions": [{"feature_name": "flight", "feature_type": "String"}],
        "role_arn": "features",
        "online_store_config": {"enable_online_store": True, **(online or {})},
        **changes,
    }
    aws.sagemaker.FeatureGroup("flights", **shape)


def keyed(key: Any = KEY, **online: Any) -> None:
    group({"security_config": {"kms_key_id": key}, **online})


def personal(online: Any = None, **changes: Any) -> None:
    group(online, **{"tags": {"data_class": "personal"}, **changes})


def provisioned(
    read: Any = 100, write: Any = 100, *, watched: str = "flights", actions: Any = ("topic",)
) -> None:
    capacity = {
        "throughput_mode": "Provisioned",
        "provisioned_read_capacity_units": read,
        "provisioned_write_capacity_units": write,
    }
    group(throughput_config=capacity)
    alarm("ConsumedReadRequestsUnits", dimensions={"FeatureGroupName": watched}, actions=actions)


def in_memory(**tags: str) -> None:
    group({"storage_type": "InMemory"}, tags=tags)


def owned(*, role: Any = "features", training: Any = "training", **tags: Any) -> None:
    group(role_arn=role, tags={"owner": "ml", "data_class": "internal", **tags})
    aws.sagemaker.Pipeline(
        "training",
        pipeline_name="training",
        pipeline_display_name="training",
        pipeline_definition="{}",
        role_arn=training,
    )


def with_the_role_of_training() -> None:
    role = aws.iam.Role("role", assume_role_policy="{}")
    owned(role=role.arn, training=role.arn)


def with_roles_of_their_own() -> None:
    features = aws.iam.Role("features", assume_role_policy="{}")
    training = aws.iam.Role("training", assume_role_policy="{}")
    owned(role=features.arn, training=training.arn)


FEATURE_STORE = [
    passes("ML-FS-002", keyed),
    passes("ML-FS-002", partial(keyed, "alias/aws/sagemaker")),
    fails("ML-FS-002", group, "securityConfig.kmsKeyId must be set"),
    unknown("ML-FS-002", lambda: keyed(later()), "kmsKeyId"),
    skips("ML-FS-002", partial(group, {"enable_online_store": False}), "no online store"),
    skips("ML-FS-002", partial(group, online_store_config=None), "no online store"),
    skips("ML-FS-002", partial(group, {"storage_type": "InMemory"}), "in memory"),
    passes("ML-FS-004", partial(personal, {"ttl_duration": {"unit": "Days", "value": 30}})),
    fails("ML-FS-004", personal, "ttlDuration.value must be set"),
    unknown("ML-FS-004", lambda: personal(tags={"data_class": later()}), "tags.data_class"),
    skips("ML-FS-004", group, "not about persons"),
    skips("ML-FS-004", partial(personal, {"enable_online_store": False}), "no online store"),
    passes("ML-FS-005", provisioned),
    passes("ML-FS-005", partial(in_memory, storage_reason="answers within 5 ms")),
    fails("ML-FS-005", in_memory, "must have the tag 'storage_reason'"),
    fails("ML-FS-005", partial(provisioned, 1001), "must be at most 1000, got 1001"),
    fails("ML-FS-005", partial(provisioned, watched="weather"), "must watch the feature group"),
    fails("ML-FS-005", partial(provisioned, actions=()), "must watch the feature group flights"),
    unknown("ML-FS-005", lambda: provisioned(later().apply(lambda _: 1)), "provisionedRead"),
    skips("ML-FS-005", group, "on demand"),
    passes("ML-FS-006", owned),
    passes("ML-FS-006", with_roles_of_their_own, preview=True),
    fails("ML-FS-006", partial(owned, data_class=""), "tag 'data_class' must be set"),
    fails("ML-FS-006", partial(owned, owner=""), "tag 'owner' must be set"),
    fails("ML-FS-006", partial(owned, training="features"), "must not be the role of training"),
    fails("ML-FS-006", with_the_role_of_training, "must not be the role", preview=True),
    unknown("ML-FS-006", lambda: owned(owner=later()), "tags.owner"),
    skips("ML-FS-006", variant),
]

# Monitoring

HARDENED = {
    "enable_network_isolation": True,
    "vpc_config": {"security_group_ids": ["sg"], "subnets": ["a"]},
}
REPORT = {"s3_output": {"s3_uri": "s3://reports/x"}}


def cluster(instance_type: Any = "ml.m5.large", count: Any = 1, key: Any = KEY) -> Any:
    shape = {"instance_count": count, "instance_type": instance_type, "volume_size_in_gb": 20}
    return {"cluster_config": {**shape, **({"volume_kms_key_id": key} if key else {})}}


def quality(resources: Any = None, *, key: Any = KEY, seconds: Any = 3600, **network: Any) -> None:
    output: Any = {"monitoring_outputs": REPORT, "kms_key_id": key}
    hardened: Any = {**HARDENED, **network}
    stopping: Any = {"max_runtime_in_seconds": seconds} if seconds else None
    aws.sagemaker.DataQualityJobDefinition(
        "definition",
        name="definition",
        role_arn="role",
        data_quality_app_specification={"image_uri": "image"},
        data_quality_job_input={"endpoint_input": {"endpoint_name": "endpoint"}},
        data_quality_job_output_config=output,
        job_resources=resources or cluster(),
        network_config=hardened,
        stopping_condition=stopping,
    )


def native(kind: str = "ModelBias", *, key: Any = KEY, count: int = 1, **network: Any) -> None:
    """A definition that pulumi-aws has no resource for, as aws-native registers it."""
    shape = {"instanceCount": count, "instanceType": "ml.m5.large", "volumeKmsKeyId": KEY}
    pulumi.CustomResource(
        f"aws-native:sagemaker:{kind}JobDefinition",
        "definition",
        {
            "jobDefinitionName": "definition",
            f"{kind[0].lower()}{kind[1:]}JobOutputConfig": {"kmsKeyId": key},
            "jobResources": {"clusterConfig": shape},
            "networkConfig": {
                "enableNetworkIsolation": True,
                "vpcConfig": {"subnets": ["a"]},
                **network,
            },
        },
    )


def checking(
    kind: str = "ClarifyCheck", *, key: Any = KEY, isolated: Any = True, text: Any = None
) -> None:
    """A pipeline with a step that checks the model."""
    shape = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeKmsKeyId": KEY}
    arguments = {
        "ProcessingResources": {"ClusterConfig": shape},
        "ProcessingOutputConfig": {"KmsKeyId": key},
        "NetworkConfig": {"EnableNetworkIsolation": isolated, "VpcConfig": {"Subnets": ["a"]}},
    }
    step = {"Name": "Check", "Type": kind, "Arguments": arguments}
    aws.sagemaker.Pipeline(
        "training",
        pipeline_name="training",
        pipeline_display_name="training",
        pipeline_definition=text or json.dumps({"Version": "2020-12-01", "Steps": [step]}),
        role_arn="role",
    )


def schedule(
    job: Any = None,
    *,
    expression: Any = "cron(0 0 ? * * *)",
    name: Any = "schedule",
    definition: str = "",
) -> None:
    config: Any = {
        "monitoring_type": "DataQuality",
        "schedule_config": {"schedule_expression": expression},
    }
    if definition:
        config["monitoring_job_definition_name"] = definition
    else:
        config["monitoring_job_definition"] = job or inline()
    aws.sagemaker.MonitoringSchedule("schedule", name=name, monitoring_schedule_config=config)


def inline(
    resources: Any = None, *, key: Any = KEY, seconds: Any = 3600, **network: Any
) -> dict[str, Any]:
    return {
        "monitoring_app_specification": {"image_uri": "image"},
        "monitoring_inputs": {"endpoint_input": {"endpoint_name": "endpoint"}},
        "monitoring_output_config": {"monitoring_outputs": REPORT, "kms_key_id": key},
        "monitoring_resources": resources or cluster(),
        "network_config": {**HARDENED, **network},
        "stopping_conditions": [{"max_runtime_in_seconds": seconds}] if seconds else [],
        "role_arn": "role",
    }


def heard(
    *, dimension: str = "ScheduleName", named: Any = "schedule", actions: Any = ("topic",)
) -> None:
    schedule()
    alarm("feature_baseline_drift_x", dimensions={dimension: named}, actions=actions)


def told_by_event(*, pattern: str = "schedule", target: bool = True) -> None:
    schedule()
    prefix = {"ProcessingJobName": [{"prefix": pattern}]}
    made = aws.cloudwatch.EventRule("rule", name="rule", event_pattern=json.dumps(prefix))
    if target:
        aws.cloudwatch.EventTarget("target", rule=made.name, arn="topic")


def by_name(kind: str, *, found: str = "definition", **changes: Any) -> None:
    quality(**changes) if kind == "DataQuality" else native(kind, **changes)
    schedule(definition=found)


HOURLY = "cron(0 * ? * * *)"

MONITORING = [
    passes("ML-MO-001", quality),
    passes("ML-MO-001", partial(quality, cluster("ml.c5d.large", key=None))),
    passes(
        "ML-MO-001",
        partial(quality, cluster(count=2), enable_inter_container_traffic_encryption=True),
    ),
    fails("ML-MO-001", partial(quality, key=None), "OutputConfig.kmsKeyId must be set"),
    fails("ML-MO-001", partial(quality, cluster(key=None)), "volumeKmsKeyId must be set"),
    fails("ML-MO-001", partial(quality, cluster(count=2)), "TrafficEncryption must be true"),
    fails("ML-MO-001", partial(quality, enable_network_isolation=False), "Isolation must be true"),
    fails("ML-MO-001", partial(quality, vpc_config=None), "networkConfig.vpcConfig must be set"),
    fails("ML-MO-001", partial(quality, seconds=None), "maxRuntimeInSeconds must be set"),
    unknown("ML-MO-001", lambda: quality(key=later()), "kmsKeyId"),
    skips("ML-MO-001", variant),
    passes("ML-MO-002", native),
    passes("ML-MO-002", partial(native, "ModelQuality")),
    passes("ML-MO-002", partial(native, "ModelExplainability")),
    passes("ML-MO-002", checking),
    passes("ML-MO-002", partial(checking, "QualityCheck")),
    fails("ML-MO-002", partial(native, key=None), "modelBiasJobOutputConfig.kmsKeyId must be"),
    fails("ML-MO-002", partial(native, "ModelQuality", count=2), "TrafficEncryption must be true"),
    fails("ML-MO-002", partial(native, enableNetworkIsolation=False), "Isolation must be true"),
    fails("ML-MO-002", partial(checking, isolated=False), "Steps[0].Arguments.NetworkConfig"),
    fails("ML-MO-002", partial(checking, "QualityCheck", key=None), "OutputConfig.KmsKeyId"),
    unknown("ML-MO-002", lambda: native(key=later()), "kmsKeyId"),
    unknown("ML-MO-002", lambda: checking(text=later()), "pipelineDefinition"),
    unknown("ML-MO-002", partial(checking, key={"Get": "Parameters.Key"}), "KmsKeyId"),
    skips("ML-MO-002", partial(checking, "Processing"), "no such step"),
    passes("ML-MO-003", schedule),
    passes("ML-MO-003", partial(by_name, "DataQuality")),
    passes("ML-MO-003", partial(by_name, "ModelQuality")),
    fails("ML-MO-003", lambda: schedule(inline(key=None)), "OutputConfig.kmsKeyId must be set"),
    fails("ML-MO-003", lambda: schedule(inline(vpc_config=None)), "vpcConfig must be set"),
    fails("ML-MO-003", lambda: schedule(inline(cluster(count=2))), "TrafficEncryption must be"),
    fails(
        "ML-MO-003",
        partial(by_name, "DataQuality", enable_network_isolation=False),
        "enableNetworkIsolation must be true",
    ),
    fails("ML-MO-003", partial(by_name, "ModelBias", key=None), "modelBiasJobOutputConfig"),
    unknown("ML-MO-003", lambda: schedule(inline(key=later())), "kmsKeyId"),
    skips("ML-MO-003", partial(by_name, "DataQuality", found="other"), "not in this stack"),
    passes("ML-MO-004", heard),
    passes("ML-MO-004", partial(heard, dimension="MonitoringSchedule")),
    passes("ML-MO-004", told_by_event),
    passes("ML-MO-004", told_by_event, preview=True),
    fails("ML-MO-004", schedule, "an alarm with actions or an event must tell of schedule"),
    fails("ML-MO-004", partial(heard, named="another"), "must tell of schedule, got none"),
    fails("ML-MO-004", partial(heard, actions=()), "must tell of schedule, got none"),
    fails("ML-MO-004", partial(told_by_event, target=False), "must tell of schedule"),
    fails("ML-MO-004", partial(told_by_event, pattern="another"), "must tell of schedule"),
    unknown("ML-MO-004", lambda: heard(named=later()), "dimensions.ScheduleName"),
    skips("ML-MO-004", schedule, "outside production", config=STAGING),
    passes("ML-MO-005", schedule),
    passes("ML-MO-005", partial(schedule, expression=HOURLY)),
    passes("ML-MO-005", partial(by_name, "DataQuality")),
    fails("ML-MO-005", lambda: schedule(inline(cluster("ml.g5.xlarge"))), "must not use GPUs"),
    fails(
        "ML-MO-005",
        lambda: schedule(inline(cluster(count=2)), expression=HOURLY),
        "at most 800 instance hours a month, got up to 1460",
    ),
    fails(
        "ML-MO-005",
        lambda: schedule(inline(seconds=7200), expression="cron(0 0/6 ? * * *)"),
        "got up to 248",
        config={"monitoring_hours_per_month_max": 247},
    ),
    fails(
        "ML-MO-005",
        partial(by_name, "DataQuality", seconds=7200),
        "got up to 62",
        config={"monitoring_hours_per_month_max": 61},
    ),
    unknown("ML-MO-005", lambda: schedule(expression=later()), "scheduleExpression"),
    skips("ML-MO-005", partial(by_name, "DataQuality", found="other"), "not in this stack"),
]

# Tracking and people


def app(uri: Any = "s3://artifacts/mlflow", mode: Any = "AutoModelRegistrationEnabled") -> None:
    aws.sagemaker.MlflowApp(
        "app", name="app", artifact_store_uri=uri, role_arn="role", model_registration_mode=mode
    )


def server(size: Any = "Small", *, registers: Any = True) -> None:
    aws.sagemaker.MlflowTrackingServer(
        "server",
        tracking_server_name="server",
        artifact_store_uri="s3://artifacts/mlflow",
        tracking_server_size=size,
        role_arn="role",
        automatic_model_registration=registers,
    )


CROWD = "arn:aws:sagemaker:us-east-1:394669845002:workteam/public-crowd/default"
OWN = "arn:aws:sagemaker:us-east-1:123456789012:workteam/private-crowd/ours"


def labelled(team: Any = CROWD, *, key: Any = KEY, **tags: Any) -> None:
    aws.sagemaker.LabelingJob(
        "labels",
        labeling_job_name="labels",
        label_attribute_name="label",
        role_arn="role",
        input_config={"data_source": {"s3_data_source": {"manifest_s3_uri": "s3://in/manifest"}}},
        output_config={"s3_output_path": "s3://out/", "kms_key_id": key},
        human_task_config={
            "number_of_human_workers_per_data_object": 1,
            "task_description": "late or not",
            "task_time_limit_in_seconds": 60,
            "task_title": "late",
            "ui_config": {},
            "workteam_arn": team,
        },
        tags=tags,
    )


def reviewed(team: Any = CROWD, *, key: Any = KEY, **tags: Any) -> None:
    aws.sagemaker.FlowDefinition(
        "review",
        flow_definition_name="review",
        role_arn="role",
        output_config={"s3_output_path": "s3://out/", "kms_key_id": key},
        human_loop_config={
            "human_task_ui_arn": "ui",
            "task_count": 1,
            "task_description": "right or not",
            "task_title": "right",
            "workteam_arn": team,
        },
        tags=tags,
    )


TRACKING = [
    passes("ML-TR-001", app),
    passes("ML-TR-001", server),
    passes("ML-TR-001", partial(app, mode=None), config=STAGING),
    passes("ML-TR-001", partial(app, mode=None), config={"tracking_registers_models": False}),
    passes("ML-TR-001", partial(server, "Medium"), config={"tracking_server_size_max": "Medium"}),
    fails("ML-TR-001", partial(app, mode=None), "modelRegistrationMode must be"),
    fails("ML-TR-001", partial(server, registers=False), "automaticModelRegistration must be"),
    fails("ML-TR-001", partial(server, "Large"), "must be at most Small, got Large"),
    fails("ML-TR-001", app, "must lie in plinth-*", config={"artifact_buckets": ["plinth-*"]}),
    unknown("ML-TR-001", lambda: app(later()), "artifactStoreUri"),
    skips("ML-TR-001", variant),
    passes("ML-TR-002", labelled),
    passes("ML-TR-002", partial(labelled, OWN, data_class="personal")),
    passes("ML-TR-002", partial(reviewed, OWN, data_class="personal")),
    fails("ML-TR-002", partial(labelled, key=None), "outputConfig.kmsKeyId must be set"),
    fails("ML-TR-002", partial(reviewed, key=None), "outputConfig.kmsKeyId must be set"),
    fails("ML-TR-002", partial(labelled, data_class="personal"), "must be a private workteam"),
    fails("ML-TR-002", partial(reviewed, data_class="personal"), "must be a private workteam"),
    unknown("ML-TR-002", lambda: labelled(key=later()), "kmsKeyId"),
    skips("ML-TR-002", variant),
]
