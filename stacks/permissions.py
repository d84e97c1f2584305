"""What deploying a resource takes in IAM: actions from AWS's own schemas, on the resource's ARN."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from string import Template
from typing import Any

from infra.naming import Names
from policies.data import Resource, Unknown
from policies.iam.reference import action as documented
from policies.iam.reference import arn_format

LOOKED_UP = "us-east-1"
"""Region of the schemas: it has every type."""

READS = ("BatchGet", "Describe", "Get", "List", "Search")
"""Beginnings of actions that change nothing; many of them accept no resource."""

SERVICES: Mapping[str, str] = {
    "appautoscaling": "application-autoscaling", "cfg": "config", "costexplorer": "ce",
    "emrserverless": "emr-serverless", "msk": "kafka", "sfn": "states", "vpc": "ec2",
}  # fmt: skip
"""Module of a token -> prefix of its actions in IAM, where they differ."""

OF_A_TYPE: Mapping[str, str] = {
    "aws:cloudwatch/eventRule:EventRule": "events", "aws:cloudwatch/logGroup:LogGroup": "logs",
    "aws:cloudwatch/eventTarget:EventTarget": "events",
}  # fmt: skip
"""Types that are of another service than their module."""

CLOUDFORMATION: Mapping[str, str] = {
    "aws:budgets/budgetAction:BudgetAction": "AWS::Budgets::BudgetsAction",
    "aws:cfg/recorder:Recorder": "AWS::Config::ConfigurationRecorder",
    "aws:cfg/rule:Rule": "AWS::Config::ConfigRule",
    "aws:cloudwatch/eventRule:EventRule": "AWS::Events::Rule",
    "aws:cloudwatch/logGroup:LogGroup": "AWS::Logs::LogGroup",
    "aws:cloudwatch/metricAlarm:MetricAlarm": "AWS::CloudWatch::Alarm",
    "aws:costexplorer/anomalyMonitor:AnomalyMonitor": "AWS::CE::AnomalyMonitor",
    "aws:costexplorer/anomalySubscription:AnomalySubscription": "AWS::CE::AnomalySubscription",
    "aws:ec2/vpcIpv4CidrBlockAssociation:VpcIpv4CidrBlockAssociation": "AWS::EC2::VPCCidrBlock",
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": "AWS::IAM::OIDCProvider",
    "aws:iam/policy:Policy": "AWS::IAM::ManagedPolicy",
}
"""Types whose name in CloudFormation does not follow from their token."""

WITHOUT_SCHEMA: Mapping[str, str] = {
    "aws:cfg/deliveryChannel:DeliveryChannel": "config:PutDeliveryChannel "
    "config:DeleteDeliveryChannel",
    "aws:cfg/recorderStatus:RecorderStatus": "config:StartConfigurationRecorder "
    "config:StopConfigurationRecorder",
    "aws:cloudtrail/trail:Trail": "cloudtrail:CreateTrail cloudtrail:StartLogging "
    "cloudtrail:PutEventSelectors cloudtrail:UpdateTrail cloudtrail:DeleteTrail cloudtrail:AddTags",
    "aws:cloudwatch/eventTarget:EventTarget": "events:PutTargets events:RemoveTargets",
    "aws:codebuild/project:Project": "codebuild:CreateProject codebuild:UpdateProject "
    "codebuild:DeleteProject",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": "ec2:RevokeSecurityGroupIngress "
    "ec2:RevokeSecurityGroupEgress",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": "ec2:AssociateRouteTable "
    "ec2:DisassociateRouteTable",
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": "ecr:PutLifecyclePolicy ecr:DeleteLifecyclePolicy",
    "aws:ecr/repositoryPolicy:RepositoryPolicy": "ecr:SetRepositoryPolicy "
    "ecr:DeleteRepositoryPolicy",
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": "eks:AssociateAccessPolicy "
    "eks:DisassociateAccessPolicy",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "iam:AttachRolePolicy "
    "iam:DetachRolePolicy",
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": ""
    "lambda:PutFunctionEventInvokeConfig lambda:DeleteFunctionEventInvokeConfig",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": ""
    "s3:PutLifecycleConfiguration",
    "aws:s3/bucketLogging:BucketLogging": "s3:PutBucketLogging",
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": ""
    "s3:PutBucketObjectLockConfiguration",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": "s3:PutBucketOwnershipControls",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": ""
    "s3:PutEncryptionConfiguration",
    "aws:s3/bucketVersioning:BucketVersioning": "s3:PutBucketVersioning",
    "aws:sagemaker/modelPackageGroupPolicy:ModelPackageGroupPolicy": ""
    "sagemaker:PutModelPackageGroupPolicy sagemaker:DeleteModelPackageGroupPolicy",
    "aws:sns/topicSubscription:TopicSubscription": "sns:Subscribe sns:Unsubscribe "
    "sns:SetSubscriptionAttributes",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": ""
    "ec2:AuthorizeSecurityGroupEgress ec2:RevokeSecurityGroupEgress ec2:ModifySecurityGroupRules",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": ""
    "ec2:AuthorizeSecurityGroupIngress ec2:RevokeSecurityGroupIngress "
    "ec2:ModifySecurityGroupRules",
}
"""Actions of types that have no schema of their own, or one without handlers (service authorization
reference)."""

NOT_OF_THE_RESOURCE = frozenset(
    (
        "iam:AttachGroupPolicy", "iam:AttachUserPolicy", "iam:CreateServiceLinkedRole",
        "iam:DetachGroupPolicy", "iam:DetachUserPolicy", "iam:PassRole",
        "logs:CreateLogDelivery", "logs:DeleteIndexPolicy", "logs:DeleteResourcePolicy",
        "logs:PutIndexPolicy", "logs:PutResourcePolicy",
    )
)  # fmt: skip
"""What handlers call for something else: roles that are passed or made for services are asked for
by themselves, nothing of ours is attached to users and groups, and no log group of ours has field
indexes or a policy, which would be the account's."""

NO_REGION, NO_ACCOUNT = "arn:{partition}:{service}::{account}:", "arn:{partition}:{service}:::"
HERE = "arn:{partition}:{service}:{region}:{account}:"

ARNS: Mapping[str, str] = {
    "aws:budgets/budget:Budget": f"{NO_REGION}budget/{{name}}",
    "aws:budgets/budgetAction:BudgetAction": f"{NO_REGION}budget/{{budgetName}}/action/0",
    "aws:cloudtrail/trail:Trail": f"{HERE}trail/{{name}}",
    "aws:cloudwatch/dashboard:Dashboard": f"{NO_REGION}dashboard/{{dashboardName}}",
    "aws:cloudwatch/eventRule:EventRule": f"{HERE}rule/{{name}}",
    "aws:cloudwatch/logGroup:LogGroup": f"{HERE}log-group:{{name}}",
    "aws:cloudwatch/metricAlarm:MetricAlarm": f"{HERE}alarm:{{name}}",
    "aws:codebuild/project:Project": f"{HERE}project/{{name}}",
    "aws:dynamodb/table:Table": f"{HERE}table/{{name}}",
    "aws:ecr/repository:Repository": f"{HERE}repository/{{name}}",
    "aws:eks/accessEntry:AccessEntry": f"{HERE}access-entry/{{clusterName}}/role/{{account}}/r/0",
    "aws:eks/addon:Addon": f"{HERE}addon/{{clusterName}}/{{addonName}}/0",
    "aws:eks/cluster:Cluster": f"{HERE}cluster/{{name}}",
    "aws:eks/nodeGroup:NodeGroup": f"{HERE}nodegroup/{{clusterName}}/{{nodeGroupName}}/0",
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": (
        f"{HERE}podidentityassociation/{{clusterName}}/a-0"
    ),
    "aws:emrserverless/application:Application": f"{HERE}/applications/0",
    "aws:iam/instanceProfile:InstanceProfile": f"{NO_REGION}instance-profile/{{name}}",
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": (
        f"{NO_REGION}oidc-provider/token.actions.githubusercontent.com"
    ),
    "aws:iam/policy:Policy": f"{NO_REGION}policy/{{name}}",
    "aws:iam/role:Role": f"{NO_REGION}role/{{name}}",
    "aws:iam/rolePolicy:RolePolicy": f"{NO_REGION}role/{{role}}",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": f"{NO_REGION}role/{{role}}",
    "aws:kms/alias:Alias": f"{HERE}{{name}}",
    "aws:kms/key:Key": f"{HERE}key/00000000-0000-0000-0000-000000000000",
    "aws:kinesis/stream:Stream": f"{HERE}stream/{{name}}",
    "aws:lambda/eventSourceMapping:EventSourceMapping": f"{HERE}event-source-mapping:0",
    "aws:lambda/function:Function": f"{HERE}function:{{name}}",
    "aws:s3/bucket:Bucket": f"{NO_ACCOUNT}{{bucket}}",
    "aws:sagemaker/endpoint:Endpoint": f"{HERE}endpoint/{{name}}",
    "aws:sagemaker/featureGroup:FeatureGroup": f"{HERE}feature-group/{{featureGroupName}}",
    # the name is no part of it (SageMaker API, CreateMlflowApp)
    "aws:sagemaker/mlflowApp:MlflowApp": f"{HERE}mlflow-app/app-0",
    "aws:sagemaker/modelCard:ModelCard": f"{HERE}model-card/{{modelCardName}}",
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": (
        f"{HERE}model-package-group/{{modelPackageGroupName}}"
    ),
    "aws:sagemaker/pipeline:Pipeline": f"{HERE}pipeline/{{pipelineName}}",
    "aws:scheduler/schedule:Schedule": f"{HERE}schedule/default/{{name}}",
    "aws:sns/topic:Topic": f"{HERE}{{name}}",
    "aws:sqs/queue:Queue": f"{HERE}{{name}}",
}
"""ARN of a resource by its inputs (service authorization reference). A type that is left out has a
random id, or shares the ARN of another one."""


@dataclass(frozen=True)
class Need:
    """Actions that deploying takes, on one resource; `*` stands for what has no name yet."""

    actions: tuple[str, ...]
    arn: str


def service_of(token: str) -> str:
    """Prefix of the actions of a type in IAM."""
    module = token.partition(":")[2].partition("/")[0]
    return OF_A_TYPE.get(token, SERVICES.get(module, module))


@cache
def actions_of(token: str) -> tuple[str, ...]:
    """What creating, changing and deleting a type calls of its own service, by its schema.

    What CloudFormation's handlers call of other services is for properties that few resources have.
    Empty where a type has no schema, or no handlers.
    """
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER as SCHEMAS  # takes a second

    if token in WITHOUT_SCHEMA:
        return tuple(sorted(WITHOUT_SCHEMA[token].split()))
    name = CLOUDFORMATION.get(token) or _named_like(token)
    if name is None:
        return ()
    handlers: Mapping[str, Any] = (
        SCHEMAS.get_resource_schema(LOOKED_UP, name).schema.get("handlers") or {}
    )
    called = {
        action
        for verb in ("create", "update", "delete")
        for action in (handlers.get(verb) or {}).get("permissions", ())
    }
    prefix = f"{service_of(token)}:"
    own = {a for a in called if a.startswith(prefix) and "*" not in a}
    return tuple(sorted(own - NOT_OF_THE_RESOURCE))


@cache
def _named_like(token: str) -> str | None:
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER as SCHEMAS

    module, kind = token.partition(":")[2].partition("/")[0], token.rpartition(":")[2]
    services = {module, {"lambda": "lambda", "vpc": "ec2"}.get(module, module)}
    wanted = {f"aws::{one}::{kind}".lower() for one in services}
    names = SCHEMAS.get_resource_types(LOOKED_UP)
    return next((name for name in names if name.lower() in wanted), None)


PARTS: Mapping[str, str] = {
    "aws:cloudwatch/eventTarget:": f"{HERE}rule/{{rule}}",
    "aws:ecr/lifecyclePolicy:": f"{HERE}repository/{{own}}",
    "aws:ecr/repositoryPolicy:": f"{HERE}repository/{{own}}",
    "aws:eks/accessPolicyAssociation:": f"{HERE}access-entry/{{clusterName}}/role/{{account}}/r/0",
    "aws:lambda/functionEventInvokeConfig:": f"{HERE}function:{{functionName}}",
    "aws:s3/bucket": f"{NO_ACCOUNT}{{bucket}}",
    "aws:sagemaker/modelPackageGroupPolicy:": f"{HERE}model-package-group/{{own}}",
    "aws:sns/topic": f"{HERE}{{own}}",
    "aws:sqs/queuePolicy:": f"{HERE}{{own}}",
}
"""Beginnings of tokens of what is part of a resource, and bears its ARN: `own` stands for the name
of something of ours that is only known once it is there."""


def arn_of(resource: Resource, names: Names) -> str:
    """The ARN that a resource will have; `*` where nothing says it."""
    parts = (text for begin, text in PARTS.items() if resource.type.startswith(begin))
    template = ARNS.get(resource.type) or next(parts, None)
    if template is None:
        return "*"
    facts = {
        "service": service_of(resource.type),
        "partition": names.partition,
        "region": names.region,
        "account": names.account_id,
        "own": names.of("0"),
        **{k: v for k, v in (resource.inputs.value or {}).items() if isinstance(v, str)},
    }
    try:
        return template.format_map(facts)
    except KeyError:
        return "*"


def needs(resources: Iterable[Resource], names: Names) -> list[Need]:
    """What deploying these takes: writing actions on their ARNs, each set of them once."""
    found: set[Need] = set()
    for resource in resources:
        asked: dict[str, list[str]] = {}
        for action in actions_of(resource.type):
            if not action.partition(":")[2].startswith(READS):
                arn = arn_of(resource, names) if takes_a_resource(action) else "*"
                asked.setdefault(arn, []).append(action)
                for other in of_other_services(action, names):
                    asked.setdefault(other, []).append(action)
        found |= {Need(tuple(actions), arn) for arn, actions in asked.items()}
    return sorted(found, key=lambda need: (need.actions, need.arn))


def takes_a_resource(action: str) -> bool:
    """Whether IAM asks an action on ARNs: one that accepts none is asked on `*` (service
    authorization reference), such as eks:CreateCluster."""
    known = documented(action)
    return known is None or bool(known["resourceTypes"])


def of_other_services(action: str, names: Names) -> Iterator[str]:
    """ARNs of another service on which IAM asks an action too, such as the key of a stream that
    kinesis:StartStreamEncryption encrypts; any name stands in theirs."""
    service = action.partition(":")[0]
    facts = {"Partition": names.partition, "Region": names.region, "Account": names.account_id}
    for used in (documented(action) or {}).get("resourceTypes", ()):
        template = Template(arn_format(service, used["name"]))
        parts = template.template.split(":")
        if used["required"] and len(parts) > 2 and parts[2] != service:
            others = dict.fromkeys(template.get_identifiers(), "0")
            yield template.substitute({**others, **facts})


def passed_roles(resources: Iterable[Resource], names: Names) -> dict[str, list[str]]:
    """Service -> ARNs of the roles that are handed to it."""
    import json

    found: dict[str, set[str]] = {}
    for resource in resources:
        if resource.type != "aws:iam/role:Role":
            continue
        try:
            trust = json.loads(resource.inputs.get("assumeRolePolicy"))
        except Unknown:
            continue
        for statement in trust["Statement"]:
            services = statement["Principal"].get("Service", [])
            for service in services if isinstance(services, list) else [services]:
                found.setdefault(service, set()).add(arn_of(resource, names))
    return {service: sorted(arns) for service, arns in sorted(found.items())}
