"""Everything that is refused for the state of the account, each with AWS's words and a source."""

from __future__ import annotations

from stacks.local.aws.refusals import acting, conditions
from stacks.local.aws.refusals.acting import cannot_assume
from stacks.local.aws.refusals.bounds import BOUNDS
from stacks.local.aws.refusals.buckets import BUCKETS
from stacks.local.aws.refusals.clusters import ACCESS
from stacks.local.aws.refusals.conditions import principal_is_nobody
from stacks.local.aws.refusals.grammar import GRAMMAR
from stacks.local.aws.refusals.key_states import KEY_STATES
from stacks.local.aws.refusals.limits import LIMITS
from stacks.local.aws.refusals.measures import MEASURES
from stacks.local.aws.refusals.messages import MESSAGES
from stacks.local.aws.refusals.names import NAMED_ONES
from stacks.local.aws.refusals.quotas import QUOTAS
from stacks.local.aws.refusals.refusal import Refusal
from stacks.local.aws.refusals.scaling import SCALING
from stacks.local.aws.refusals.stores import STORES
from stacks.local.aws.refusals.values import VALUES

PRINCIPALS = (
    Refusal(
        service="kms",
        operations=("CreateKey", "PutKeyPolicy"),
        condition=principal_is_nobody(lambda request: request.get("Policy")),
        code="MalformedPolicyDocumentException",
        text="Policy contains a statement with one or more invalid principals.",
        source="KMS developer guide, creating a key policy: principals must exist",
    ),
    Refusal(
        service="s3",
        operations=("PutBucketPolicy",),
        condition=principal_is_nobody(lambda request: request.get("Policy")),
        code="MalformedPolicy",
        text="Invalid principal in policy",
        source="Amazon S3 user guide, principals for bucket policies",
    ),
    Refusal(
        service="ecr",
        operations=("SetRepositoryPolicy",),
        condition=principal_is_nobody(lambda request: request.get("policyText")),
        code="InvalidParameterException",
        text=(
            "Invalid parameter at 'PolicyText' failed to satisfy constraint: "
            "'Invalid repository policy provided'"
        ),
        source="hashicorp/terraform-provider-aws, internal/service/ecr/repository_policy.go",
    ),
    Refusal(
        service="sns",
        operations=("CreateTopic",),
        condition=principal_is_nobody(
            lambda request: (request.get("Attributes") or {}).get("Policy")
        ),
        code="InvalidParameter",
        text="Invalid parameter: Policy Error: PrincipalNotFound",
        source="hashicorp/terraform-provider-aws, internal/service/sns/topic.go",
    ),
    Refusal(
        service="sns",
        operations=("SetTopicAttributes",),
        condition=principal_is_nobody(
            lambda request: (
                request.get("AttributeValue") if request["AttributeName"] == "Policy" else None
            )
        ),
        code="InvalidParameter",
        text="Invalid parameter: Policy Error: PrincipalNotFound",
        source="hashicorp/terraform-provider-aws, internal/service/sns/topic.go",
    ),
    Refusal(
        service="sagemaker",
        operations=("PutModelPackageGroupPolicy",),
        condition=principal_is_nobody(lambda request: request.get("ResourcePolicy")),
        code="ValidationException",
        text="Invalid resource policy: invalid principal {principal}",
        source="SageMaker API, PutModelPackageGroupPolicy; the text is ours",
    ),
    Refusal(
        service="iam",
        operations=("CreateRole",),
        condition=principal_is_nobody(lambda request: request.get("AssumeRolePolicyDocument")),
        code="MalformedPolicyDocument",
        text='Invalid principal in policy: "AWS":"{principal}"',
        source="IAM user guide, troubleshooting IAM policies",
    ),
    Refusal(
        service="iam",
        operations=("UpdateAssumeRolePolicy",),
        condition=principal_is_nobody(lambda request: request.get("PolicyDocument")),
        code="MalformedPolicyDocument",
        text='Invalid principal in policy: "AWS":"{principal}"',
        source="IAM user guide, troubleshooting IAM policies",
    ),
    Refusal(
        service="eks",
        operations=("CreateAccessEntry",),
        condition=conditions.entry_of_nobody,
        code="InvalidParameterException",
        text="The specified principalArn is invalid: invalid principal.",
        source="hashicorp/terraform-provider-aws, internal/service/eks/access_entry.go",
    ),
)
"""Policies and entries that name somebody who does not exist."""

KEYS = (
    Refusal(
        service="cloudtrail",
        operations=("CreateTrail", "UpdateTrail"),
        condition=conditions.trail_key_is_closed,
        code="InsufficientEncryptionPolicyException",
        text="Insufficient permissions to access S3 bucket {bucket} or KMS key {key}.",
        source="AWS CloudTrail user guide, configure AWS KMS key policies for CloudTrail",
    ),
    Refusal(
        service="logs",
        operations=("CreateLogGroup", "AssociateKmsKey"),
        condition=conditions.log_key_is_closed,
        code="AccessDeniedException",
        text=(
            "The specified KMS key does not exist or is not allowed to be used with Arn '{group}'"
        ),
        source="CloudWatch Logs user guide, encrypt log data using AWS KMS",
    ),
)
"""Keys whose policies do not let the service use them that would."""

ROLES = (
    Refusal(
        service="sagemaker",
        operations=("CreateFeatureGroup", "CreateMlflowApp", "CreateMlflowTrackingServer"),
        condition=conditions.trust_is_closed,
        code="ValidationException",
        text=(
            "The execution role ARN is invalid. Please ensure that the role exists and that its "
            "trust relationship policy allows the action 'sts:AssumeRole' for the service "
            "principal 'sagemaker.amazonaws.com'."
        ),
        source=(
            "hashicorp/terraform-provider-aws, internal/service/sagemaker/feature_group.go; "
            "SageMaker developer guide, cross-service confused deputy prevention, lists neither "
            "Feature Store nor MLflow: no account has shown it"
        ),
    ),
    Refusal(
        service="config",
        operations=("PutConfigurationRecorder",),
        condition=conditions.role_is_missing,
        code="InvalidRoleException",
        text="The role {role} does not exist or AWS Config may not assume it.",
        source="AWS Config API, PutConfigurationRecorder; the text is ours",
    ),
    Refusal(
        service="sagemaker",
        operations=("CreateFeatureGroup",),
        condition=acting.role_lacks("RoleArn", acting.offline_store),
        code="ValidationException",
        text="The role {role} must be allowed {actions} on the offline store.",
        source=(
            "AWS managed policy AmazonSageMakerFeatureStoreAccess; AWS creates the group and says "
            "CreateFailed later, in words of its own"
        ),
    ),
)
"""Roles that SageMaker tries when it is given them."""

TAKEN_ON = (
    Refusal(
        service="lambda",
        operations=("CreateFunction", "UpdateFunctionConfiguration"),
        condition=cannot_assume("Role", "lambda"),
        code="InvalidParameterValueException",
        text="The role defined for the function cannot be assumed by Lambda.",
        source="boto/boto3 issue 2976; Lambda API, CreateFunction",
    ),
    Refusal(
        service="lambda",
        operations=("CreateFunction",),
        condition=acting.function_without_interfaces,
        code="InvalidParameterValueException",
        text="The provided execution role does not have permissions to call {action} on EC2",
        source="aws/aws-cdk issue 23589; Lambda developer guide, configuring VPC access",
    ),
    Refusal(
        service="lambda",
        operations=("CreateEventSourceMapping",),
        condition=acting.stream_is_closed,
        code="InvalidParameterValueException",
        text=(
            "Cannot access stream {stream}. Please ensure the role can perform the GetRecords, "
            "GetShardIterator, DescribeStream, ListShards, and ListStreams Actions on your stream "
            "in IAM."
        ),
        source=(
            "aws-samples/cross-account-amazon-dynamodb-replication issue 11; which actions: Lambda "
            "developer guide, Kinesis, required permissions (ListStreams is not among them)"
        ),
    ),
    Refusal(
        service="sagemaker",
        operations=("CreateModel",),
        condition=cannot_assume("ExecutionRoleArn", "sagemaker"),
        code="ValidationException",
        text=(
            "Could not assume role {role}. Please ensure that the role exists and allows principal "
            "'sagemaker.amazonaws.com' to assume the role."
        ),
        source="awslabs/predictive-maintenance-using-machine-learning issue 3",
    ),
    Refusal(
        service="sagemaker",
        operations=("CreatePipeline", "UpdatePipeline"),
        condition=cannot_assume("RoleArn", "sagemaker"),
        code="ValidationException",
        text=(
            "Could not assume role {role}. Please ensure that the role exists and allows principal "
            "'sagemaker.amazonaws.com' to assume the role."
        ),
        source="as CreateModel: SageMaker's text for any role; no account has shown it here",
    ),
    Refusal(
        service="scheduler",
        operations=("CreateSchedule", "UpdateSchedule"),
        condition=cannot_assume("Target.RoleArn", "scheduler"),
        code="ValidationException",
        text=(
            "The execution role you provide must allow AWS EventBridge Scheduler to assume the "
            "role."
        ),
        source="EventBridge Scheduler user guide, troubleshooting",
    ),
    Refusal(
        service="events",
        operations=("PutTargets",),
        condition=cannot_assume("Targets[].RoleArn", "events"),
        code="ValidationException",
        text="Provided role '{role}' cannot be assumed by principal 'events.amazonaws.com'.",
        source="Miserlou/Zappa issue 381",
    ),
    Refusal(
        service="stepfunctions",
        operations=("CreateStateMachine", "UpdateStateMachine"),
        condition=cannot_assume("roleArn", "states"),
        code="AccessDeniedException",
        text=(
            "Neither the global service principal states.amazonaws.com, nor the regional one is "
            "authorized to assume the provided role."
        ),
        source="Step Functions API, CreateStateMachine: the role must trust the service",
    ),
    Refusal(
        service="eks",
        operations=("CreateCluster",),
        condition=cannot_assume("roleArn", "eks"),
        code="InvalidParameterException",
        text=(
            "Role with arn: {role}, could not be assumed because it does not exist or the trusted "
            "entity is not correct"
        ),
        source="terraform-aws-modules/terraform-aws-eks issue 2406",
    ),
    Refusal(
        service="eks",
        operations=("CreateNodegroup",),
        condition=cannot_assume("nodeRole", "ec2"),
        code="InvalidParameterException",
        text=(
            "Following required service principals [ec2.amazonaws.com] were not found in the trust "
            "relationships of nodeRole {role}"
        ),
        source="EKS user guide, Amazon EKS node IAM role: it trusts EC2; the text is ours",
    ),
)
"""Roles that a service must be able to take on, and to use, when it is given them."""

VERSIONS = (
    Refusal(
        service="eks",
        operations=("CreateCluster", "UpdateClusterVersion"),
        condition=conditions.version_is_gone,
        code="InvalidParameterException",
        text="unsupported Kubernetes version {version}",
        source="EKS user guide, Kubernetes versions: none is created after extended support",
    ),
)
"""What is no longer offered."""

COSTS = (
    Refusal(
        service="ce",
        operations=("CreateAnomalyMonitor",),
        condition=conditions.monitor_of_the_payer,
        code="ValidationException",
        text="Linked account doesn't have access to cost allocation tags.",
        source="AWS Cost Management user guide, getting started with AWS Cost Anomaly Detection",
    ),
    Refusal(
        service="ce",
        operations=("CreateAnomalyMonitor",),
        condition=conditions.second_service_monitor,
        code="ValidationException",
        text="Limit exceeded on dimensional spend monitor creation",
        source="aws-cloudformation/cloudformation-coverage-roadmap, issue 2515",
    ),
)
"""Monitors that this account may not have."""

REFUSALS: tuple[Refusal, ...] = (
    *BOUNDS,
    *GRAMMAR,
    *LIMITS,
    *PRINCIPALS,
    *BUCKETS,
    *ACCESS,
    *KEYS,
    *ROLES,
    *TAKEN_ON,
    *VERSIONS,
    *COSTS,
    *QUOTAS,
    *SCALING,
    *KEY_STATES,
    *VALUES,
    *MESSAGES,
    *MEASURES,
    *STORES,
    *NAMED_ONES,
)
