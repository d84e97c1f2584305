"""What documentation says of an input, and what a new thing names; each with its counterpart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from policies.review.amounts import amount, quantity
from tests.review.test_creations import AWS, made, reviewed
from tests.review.test_open_world import loud
from tests.review.test_unsaid import Sides, pod, risk

ACL = "aws:wafv2/ruleGroup:RuleGroup"
BATCH = "aws:batch/jobDefinition:JobDefinition"
BUCKET = "aws:s3/bucket:Bucket"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
FUNCTION = "aws:lambda/function:Function"
GROUP = "aws:rds/parameterGroup:ParameterGroup"
HARNESS = "aws:bedrock/agentcoreHarness:AgentcoreHarness"
JOB = "aws:glue/job:Job"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
POLL = "aws:lambda/eventSourceMapping:EventSourceMapping"
PROJECT = "kubernetes:argoproj.io/v1alpha1:AppProject"
REDSHIFT = "aws:redshift/cluster:Cluster"
REPLICAS = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"
RULE = "aws:cloudwatch/eventRule:EventRule"
SERVICE = "kubernetes:core/v1:Service"
SHIFT = "aws:codedeploy/deploymentConfig:DeploymentConfig"
TARGETS = "aws:lb/targetGroup:TargetGroup"
THROTTLE = "aws:apigateway/methodSettings:MethodSettings"
TOPIC = "aws:sns/topic:Topic"
USERS = "aws:cognito/managedUserPoolClient:ManagedUserPoolClient"


def parameter(name: str, value: str) -> dict[str, Any]:
    return {"parameters": [{"name": name, "value": value}]}


def annotated(**keys: str) -> dict[str, Any]:
    return {"metadata": {"annotations": {key.replace("__", "/"): keys[key] for key in keys}}}


def clients(*names: str) -> dict[str, Any]:
    return {"authorizerConfiguration": {"customJwtAuthorizer": {"allowedClients": [*names]}}}


def marked(status: str) -> dict[str, Any]:
    """Whether the deletion of an object is copied too."""
    return {"rules": [{"id": "a", "deleteMarkerReplication": {"status": status}}]}


def canary(minutes: int) -> dict[str, Any]:
    return {"trafficRoutingConfig": {"timeBasedCanary": {"interval": minutes}}}


def apart(term: str) -> dict[str, Any]:
    made_so = pod()
    made_so["spec"]["template"]["spec"]["affinity"] = {
        "podAntiAffinity": {term: [{"topologyKey": "kubernetes.io/hostname"}]}
    }
    return made_so


def rule(**more: Any) -> dict[str, Any]:
    return {"rules": [{"status": "Enabled", "expiration": {"days": 30}, **more}]}


def listening(**port: Any) -> dict[str, Any]:
    return pod(ports=[{"containerPort": 9090, **port}])


BOTH: list[tuple[Sides, Sides]] = [
    # what is waited for, tried, given or recorded, by the words of the documentation
    ((FUNCTION, {"ephemeralStorage": {"size": 512}}, {"ephemeralStorage": {"size": 1_024}}),
     (FUNCTION, {"ephemeralStorage": {"size": 1_024}}, {"ephemeralStorage": {"size": 512}})),
    ((TARGETS, {"deregistrationDelay": 60}, {"deregistrationDelay": 120}),
     (TARGETS, {"deregistrationDelay": 60}, {"deregistrationDelay": 3_600})),
    ((JOB, {"maxRetries": 1}, {"maxRetries": 2}), (JOB, {"maxRetries": 2}, {"maxRetries": 0})),
    ((BATCH, {"retryStrategy": {"attempts": 3}}, {"retryStrategy": {"attempts": 5}}),
     (BATCH, {"retryStrategy": {"attempts": 3}}, {"retryStrategy": {"attempts": 1}})),
    ((ACL, {"visibilityConfig": {"sampledRequestsEnabled": False}},
      {"visibilityConfig": {"sampledRequestsEnabled": True}}),
     (ACL, {"visibilityConfig": {"sampledRequestsEnabled": True}},
      {"visibilityConfig": {"sampledRequestsEnabled": False}})),
    ((TOPIC, {"sqsSuccessFeedbackSampleRate": 10}, {"sqsSuccessFeedbackSampleRate": 50}),
     (TOPIC, {"sqsSuccessFeedbackSampleRate": 50}, {"sqsSuccessFeedbackSampleRate": 10})),
    # what is nobody's but its user's
    ((SERVICE, annotated(), annotated(owner="a")),
     (SERVICE, annotated(), annotated(**{"some.operator__expose": "a"}))),
    ((LIFECYCLE, rule(id="a"), rule(id="b")), (LIFECYCLE, rule(id="a"), rule(id="a", prefix="x"))),
    # flags and words by their good side
    ((GROUP, parameter("rds.force_ssl", "0"), parameter("rds.force_ssl", "1")),
     (GROUP, parameter("rds.force_ssl", "1"), parameter("rds.force_ssl", "0"))),
    ((USERS, {"analyticsConfiguration": {"userDataShared": True}},
      {"analyticsConfiguration": {"userDataShared": False}}),
     (USERS, {"analyticsConfiguration": {"userDataShared": False}},
      {"analyticsConfiguration": {"userDataShared": True}})),
    (("aws:rds/clusterInstance:ClusterInstance", {"applyImmediately": True},
      {"applyImmediately": False}),
     ("aws:rds/clusterInstance:ClusterInstance", {"applyImmediately": False},
      {"applyImmediately": True})),
    (("aws:rds/instance:Instance", {"databaseInsightsMode": "standard"},
      {"databaseInsightsMode": "advanced"}),
     ("aws:rds/instance:Instance", {"databaseInsightsMode": "advanced"},
      {"databaseInsightsMode": "standard"})),
    # a switch of what guards, or that its documentation knows, and one of something else
    (("aws:eks/nodeGroup:NodeGroup", {"nodeRepairConfig": {"enabled": False}},
      {"nodeRepairConfig": {"enabled": True}}),
     ("aws:customerprofiles/domain:Domain", {"matching": {"enabled": False}},
      {"matching": {"enabled": True}})),
    (("aws:mskconnect/connector:Connector",
      {"logDelivery": {"workerLogDelivery": {"s3": {"enabled": False}}}},
      {"logDelivery": {"workerLogDelivery": {"s3": {"enabled": True}}}}),
     ("aws:opensearch/domain:Domain", {"cognitoOptions": {"enabled": False}},
      {"cognitoOptions": {"enabled": True}})),
    (("aws:s3/bucketVersioning:BucketVersioning",
      {"versioningConfiguration": {"status": "Suspended"}},
      {"versioningConfiguration": {"status": "Enabled"}}),
     (RULE, {"state": "DISABLED"}, {"state": "ENABLED"})),
    ((REPLICAS, marked("Enabled"), marked("Disabled")),
     (REPLICAS, marked("Disabled"), marked("Enabled"))),
    ((REDSHIFT, {"allowVersionUpgrade": False}, {"allowVersionUpgrade": True}),
     (REDSHIFT, {"allowVersionUpgrade": True}, {"allowVersionUpgrade": False})),
    (("aws:amplify/app:App", {"enableBranchAutoDeletion": True},
      {"enableBranchAutoDeletion": False}),
     ("aws:amplify/app:App", {"enableBranchAutoDeletion": False},
      {"enableBranchAutoDeletion": True})),
    # numbers by what they are of
    ((THROTTLE, {"settings": {"throttlingRateLimit": 100}},
      {"settings": {"throttlingRateLimit": 90}}),
     (THROTTLE, {"settings": {"throttlingRateLimit": 100}},
      {"settings": {"throttlingRateLimit": -1}})),
    ((SHIFT, canary(5), canary(10)), (SHIFT, canary(10), canary(1))),
    ((DEPLOYMENT, pod(readinessProbe={"periodSeconds": 10}),
      pod(readinessProbe={"periodSeconds": 12})),
     (DEPLOYMENT, pod(readinessProbe={"periodSeconds": 10}),
      pod(readinessProbe={"periodSeconds": 600}))),
    # fewer are let in
    ((HARNESS, clients("a", "b"), clients("b")), (HARNESS, clients("a"), clients())),
    ((HARNESS, clients("a", "b"), clients("a")), (HARNESS, clients("a"), clients("a", "b"))),
    ((PROJECT, {"spec": {"sourceRepos": ["*"]}}, {"spec": {"sourceRepos": ["https://a"]}}),
     (PROJECT, {"spec": {"sourceRepos": ["https://a"]}}, {"spec": {"sourceRepos": ["*"]}})),
    (("aws:eks/addon:Addon", {"preserve": False}, {"preserve": True}),
     ("aws:eks/addon:Addon", {"preserve": True}, {"preserve": False})),
    (("aws:opensearch/domain:Domain", {"clusterConfig": {"dedicatedMasterCount": 3}},
      {"clusterConfig": {"dedicatedMasterCount": 5}}),
     ("aws:opensearch/domain:Domain", {"clusterConfig": {"dedicatedMasterCount": 3}},
      {"clusterConfig": {"dedicatedMasterCount": 1}})),
    # pods
    ((DEPLOYMENT, pod(), apart("preferredDuringSchedulingIgnoredDuringExecution")),
     (DEPLOYMENT, pod(), apart("requiredDuringSchedulingIgnoredDuringExecution"))),
    ((DEPLOYMENT, pod(), listening()), (DEPLOYMENT, pod(), listening(hostPort=9090))),
]  # fmt: skip
"""A harmless change, and one beside it that is not."""

LOUD: list[Sides] = [
    (ACL, {"rules": [{"name": "a", "statement": {"sizeConstraintStatement": {"size": 8_192}}}]},
     {"rules": [{"name": "a", "statement": {"sizeConstraintStatement": {"size": 12_000}}}]}),
    (BUCKET, {"lifecycleRules": [{"enabled": False, "expiration": {"days": 1}}]},
     {"lifecycleRules": [{"enabled": True, "expiration": {"days": 1}}]}),
    (POLL, {"maximumRetryAttempts": 10}, {"maximumRetryAttempts": 1}),
    (REDSHIFT, {"manualSnapshotRetentionPeriod": -1}, {"manualSnapshotRetentionPeriod": 30}),
    ("aws:dlm/lifecyclePolicy:LifecyclePolicy",
     {"policyDetails": {"schedules": [{"createRule": {"interval": 12}}]}},
     {"policyDetails": {"schedules": [{"createRule": {"interval": 24}}]}}),
    ("aws:opensearch/domain:Domain", {"clusterConfig": {"availabilityZoneCount": 3}},
     {"clusterConfig": {"availabilityZoneCount": 2}}),
    ("aws:fms/policy:Policy", {"deleteUnusedFmManagedResources": False},
     {"deleteUnusedFmManagedResources": True}),
    ("aws:cloudfront/distribution:Distribution",
     {"viewerCertificate": {"cloudfrontDefaultCertificate": False}},
     {"viewerCertificate": {"cloudfrontDefaultCertificate": True}}),
    ("aws:cloudfront/distribution:Distribution",
     {"customErrorResponses": [{"errorCode": 404, "errorCachingMinTtl": 10}]},
     {"customErrorResponses": [{"errorCode": 404, "errorCachingMinTtl": 86_400}]}),
    ("aws:lb/loadBalancer:LoadBalancer", {"clientKeepAlive": 3_600},
     {"clientKeepAlive": 604_800}),
    ("aws:fsx/openZfsVolume:OpenZfsVolume",
     {"nfsExports": {"clientConfigurations": [{"clients": "10.0.0.0/8"}]}},
     {"nfsExports": {"clientConfigurations": [{"clients": "*"}]}}),
    (GROUP, parameter("old_passwords", "0"), parameter("old_passwords", "1")),
    ("aws:eks/cluster:Cluster", {"storageConfig": {"blockStorage": {"enabled": False}}},
     {"storageConfig": {"blockStorage": {"enabled": True}}}),
]  # fmt: skip


@pytest.mark.parametrize(("quiet", "asks"), BOTH, ids=lambda sides: str(sides)[:60])
def test_one_way_is_quiet_and_what_lies_beside_it_asks(quiet: Sides, asks: Sides) -> None:
    assert risk(*quiet) == "low"
    assert risk(*asks) != "low"


@pytest.mark.parametrize(("token", "old", "new"), LOUD, ids=lambda side: str(side)[:60])
def test_no_step_and_no_word_excuses_these(
    token: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    assert risk(token, old, new) != "low"


@pytest.mark.parametrize(
    ("token", "quiet", "asks"),
    [
        ("aws:cloudwatch/eventBus:EventBus", {"name": "orders"},
         {"name": "orders", "eventSourceName": "aws.partner/a/b"}),
        ("aws:scheduler/scheduleGroup:ScheduleGroup", {"name": "nightly"},
         {"name": "nightly", "targetArn": "a"}),
        ("aws:iot/certificate:Certificate", {"active": False}, {"active": True}),
        ("aws:grafana/workspace:Workspace", {"name": "g"},
         {"name": "g", "authenticationProviders": ["SAML"]}),
        ("aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate", {"description": "a"},
         {"description": "a", "prefix": "ROOT"}),
        ("kubernetes:serving.kserve.io/v1alpha1:ServingRuntime", {"metadata": {"name": "a"}},
         {"spec": {"supportedModelFormats": [{"name": "a", "autoSelect": True}]}}),
        ("kubernetes:policy/v1:PodDisruptionBudget", {"spec": {"maxUnavailable": 1}},
         {"spec": {"maxUnavailable": 0}}),
        ("aws:backup/vaultLockConfiguration:VaultLockConfiguration", {"minRetentionDays": 7},
         {"minRetentionDays": 7, "changeableForDays": 3}),
        ("kubernetes:networking.k8s.io/v1:IngressClass", {"metadata": {"name": "a"}},
         {"metadata": {"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}}),
    ],
)  # fmt: skip
def test_a_new_one_that_names_nothing_but_itself_is_quiet(
    token: str, quiet: Mapping[str, Any], asks: Mapping[str, Any]
) -> None:
    urn = f"{AWS}{token}::it"
    tags = {key: "x" for key in ("environment", "project", "owner", "team", "cost_centre")}
    whole = {} if token.startswith("kubernetes:") else {"tags": {**tags, "environment": "prod"}}
    assert urn not in loud(reviewed(made(token, {**whole, **quiet})))
    assert urn in loud(reviewed(made(token, {**whole, **asks})))


@pytest.mark.parametrize(
    ("token", "inputs"),
    [
        ("aws:macie2/findingsFilter:FindingsFilter", {"name": "f", "action": "ARCHIVE"}),
        ("aws:securityhub/automationRule:AutomationRule", {"ruleName": "r"}),
        ("aws:ec2/serialConsoleAccess:SerialConsoleAccess", {"enabled": False}),
        ("aws:elasticbeanstalk/environment:Environment", {"name": "e", "application": "a"}),
        ("aws:ssm/document:Document", {"name": "SSM-SessionManagerRunShell", "content": "{}"}),
        ("aws:cfg/retentionConfiguration:RetentionConfiguration", {"retentionPeriodInDays": 30}),
        ("aws:ecr/lifecyclePolicy:LifecyclePolicy", {"repository": "r", "policy": "{}"}),
        ("aws-native:backup:LegalHold", {"title": "t", "selection": {"vaultNames": ["*"]}}),
        (
            "aws:sagemaker/notebookInstanceLifecycleConfiguration:"
            "NotebookInstanceLifecycleConfiguration",
            {"onStart": "Y3VybA=="},
        ),
        ("kubernetes:data.fluid.io/v1alpha1:AlluxioRuntime", {"spec": {"replicas": 50}}),
        ("aws:odb/cloudExadataInfrastructure:CloudExadataInfrastructure", {"shape": "X9M"}),
    ],
)
def test_a_new_one_that_hides_runs_or_switches_something_asks(
    token: str, inputs: Mapping[str, Any]
) -> None:
    assert f"{AWS}{token}::it" in loud(reviewed(made(token, inputs)))


def test_a_version_is_no_number() -> None:
    assert [amount(text) for text in ("1.2.3", "1.2", ".5", "5.")] == [None, 1.2, 0.5, 5.0]
    assert [quantity(text) for text in ("1.2.3", "1.5Gi", "500m")] == [None, 1.5 * 2**30, 0.5]
