"""One role per purpose; what each may do comes from the components that grant it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role, Statement, plain_json
from infra.naming import GITHUB, Names, account_roots

POD_IDENTITY = "pods.eks.amazonaws.com"
"""EKS Pod Identity assumes roles for pods (EKS user guide, Pod Identity role trust policy)."""

SENDS_NO_SOURCE = frozenset(("ec2.amazonaws.com", "lambda.amazonaws.com"))
"""Services not documented to say for which account they assume a role: a condition on it would
shut them out."""


@dataclass(frozen=True, kw_only=True)
class Trust:
    """Which people and which pipelines, as opposed to AWS services, may assume a role."""

    permission_sets: Sequence[str] = ()
    """Permission sets of IAM Identity Center in this account; its sign-in asks for MFA. Default:
    none."""

    principal_arns: Sequence[str] = ()
    """Users and roles that are not from Identity Center. Default: none."""

    require_mfa: bool = True
    """`principal_arns` must have signed in with MFA. Default: they must."""

    external_id: str | None = None
    """Word that `principal_arns` of another organisation must say. Default: none is asked for."""

    github_subjects: Sequence[str] = ()
    """Exact subjects of GitHub's tokens, `repo:org/repo:environment:prod`. Default: none."""


@dataclass(frozen=True, kw_only=True)
class RoleSpec:
    """Who assumes a role."""

    service: str = ""
    """Service principal, such as `sagemaker.amazonaws.com`. Default: no service may."""

    managed_policies: Sequence[str] = ()
    """Names of AWS managed policies that a service demands. Default: none."""

    trust: Trust | None = None
    """People and pipelines that may assume it. Default: nobody."""

    only_in_vpc: bool = False
    """Whether `service` uses it inside the VPC alone, such as for jobs that have a VpcConfig: the
    buckets then refuse it elsewhere. Default: also from the service's own network."""

    says_account: bool = True
    """Whether `service` is documented to say for which account it acts when it uses this role.

    SageMaker says it for jobs and endpoints, and neither for Feature Store nor for MLflow
    (developer guide, cross-service confused deputy prevention): if they do not, they must be let
    in. Default: it does."""

    service_account: str = ""
    """Of a role for Pod Identity: `namespace/name` of the one service account whose pods may have
    it. Default: whatever an association in our clusters names."""


@dataclass(frozen=True, kw_only=True)
class AccessArgs(ComponentArgs):
    """The roles by purpose."""

    roles: Mapping[str, RoleSpec]

    permissions_boundary: pulumi.Input[str] | Mapping[str, object] | None = None
    """Boundary of every role: the ARN of a policy, or the document of one to create. Default:
    none."""

    create_github_provider: bool = False
    """Let IAM know GitHub's tokens; an account has room for one such provider. Default: it is
    there, or nobody needs it."""


class Access(Component):
    """IAM roles that start with nothing, each trusted by those who need it and nobody else."""

    boundary_arn: pulumi.Input[str] | None
    """What none of the roles may exceed."""

    def __init__(
        self, name: str, args: AccessArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        self._roles: dict[str, Role] = {}
        self.boundary_arn = boundary = self._boundary(args)
        before = [self._github_provider()] if args.create_github_provider else []
        for purpose, spec in args.roles.items():
            role = aws.iam.Role(
                f"{name}-{purpose}",
                name=self.names.of(purpose),
                assume_role_policy=plain_json(trust_policy(spec, self.names)),
                permissions_boundary=boundary,
                tags=self.tags(purpose),
                opts=pulumi.ResourceOptions(parent=self, depends_on=before),
            )
            for policy in spec.managed_policies:
                aws.iam.RolePolicyAttachment(
                    f"{name}-{purpose}-{policy.rpartition('/')[2]}",
                    role=role.name,
                    policy_arn=self.names.aws_arn("iam", f"policy/{policy}"),
                    opts=self.child,
                )
            self._roles[purpose] = Role(purpose, role.name, role.arn)
        self.role_arns = pulumi.Output.all(**{p: r.arn for p, r in self._roles.items()})
        self.seal()

    def role(self, purpose: str) -> Role:
        """The role with this purpose; KeyError names one that does not exist."""
        return self._roles[purpose]

    def find(self, purpose: str) -> Role | None:
        """The role with this purpose, where there is one."""
        return self._roles.get(purpose)

    def grant_pass(
        self, role: Role, passed: Sequence[pulumi.Input[str]], service: str
    ) -> pulumi.Resource:
        """Let a role hand the roles with these ARNs, and no others, to a service."""
        return self.grant(role, "pass", pass_roles(passed, service))

    def allow(self, role: Role, *statements: Sequence[Statement]) -> pulumi.Resource:
        """Let a role do all of this, by one policy of it; returned for what has to wait for it."""
        return self.grant(role, "allow", [one for several in statements for one in several])

    def _boundary(self, args: AccessArgs) -> pulumi.Input[str] | None:
        """ARN of the boundary; our own is a policy of the environment."""
        if not isinstance(args.permissions_boundary, Mapping):
            return args.permissions_boundary
        policy = aws.iam.Policy(
            f"{self.component_name}-boundary",
            name=self.names.of("boundary"),
            description="What no role of this environment may exceed",
            policy=plain_json(args.permissions_boundary),
            tags=self.tags("boundary"),
            opts=self.child,
        )
        return policy.arn

    def _github_provider(self) -> aws.iam.OpenIdConnectProvider:
        return aws.iam.OpenIdConnectProvider(
            f"{self.component_name}-github",
            url=f"https://{GITHUB}",
            client_id_lists=["sts.amazonaws.com"],
            tags=self.tags("github"),
            opts=self.child,
        )


def pass_roles(arns: Sequence[pulumi.Input[str]], service: str) -> list[Statement]:
    """Handing the roles with these ARNs, and no others, to a service."""
    return [
        {
            "Action": ["iam:PassRole"],
            "Resource": list(arns),
            "Condition": {"StringEquals": {"iam:PassedToService": service}},
        }
    ]


def observe(names: Names) -> list[Statement]:
    """Writing the log and the metrics of jobs and endpoints."""
    return [
        {
            "Action": [
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:DescribeLogStreams",
                "logs:PutLogEvents",
            ],
            "Resource": [names.arn("logs", "log-group:/aws/sagemaker/*")],
        },
        {
            # PutMetricData has no resource-level permissions; the namespace bounds it
            # (CloudWatch, service authorization reference)
            "Action": ["cloudwatch:PutMetricData"],
            "Resource": ["*"],
            "Condition": {
                "StringLike": {"cloudwatch:namespace": ["AWS/SageMaker*", "/aws/sagemaker/*"]}
            },
        },
    ]


def trust_policy(spec: RoleSpec, names: Names) -> dict[str, Any]:
    """Who may assume a role; ValueError when nobody could, or when a service account is no pod's.

    Every service but those that cannot says for which account it acts, so that nobody else's
    resources are used to reach ours (IAM user guide, the confused deputy problem).
    """
    if spec.service_account and spec.service != POD_IDENTITY:
        raise ValueError(f"service_account needs the service {POD_IDENTITY}, got {spec.service!r}")
    statements = [_service_trust(spec, names)] if spec.service else []
    if spec.trust is not None:
        statements += _people_trust(spec.trust, names)
    if not statements:
        raise ValueError("a role needs a service or a trust, got neither")
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", **statement} for statement in statements],
    }


def _service_trust(spec: RoleSpec, names: Names) -> Statement:
    statement: dict[str, object] = {
        "Principal": {"Service": spec.service},
        "Action": "sts:AssumeRole",
    }
    equals = {"aws:SourceAccount": names.account_id}
    if spec.service == POD_IDENTITY:
        statement["Action"] = ["sts:AssumeRole", "sts:TagSession"]
        if spec.service_account:
            namespace, _, account = spec.service_account.partition("/")
            equals["aws:RequestTag/kubernetes-namespace"] = namespace
            equals["aws:RequestTag/kubernetes-service-account"] = account
        clusters = names.arn("eks", f"cluster/{names.platform.of('*')}")
        statement["Condition"] = {"StringEquals": equals, "ArnLike": {"aws:SourceArn": clusters}}
    elif spec.service not in SENDS_NO_SOURCE:
        operator = "StringEquals" if spec.says_account else "StringEqualsIfExists"
        statement["Condition"] = {operator: equals}
    return statement


def _people_trust(trust: Trust, names: Names) -> list[Statement]:
    """A statement for each kind of principal that the trust names."""
    found: list[Statement] = []
    if trust.permission_sets:
        # Identity Center makes a role per permission set, with a random end and, outside
        # us-east-1, its region in the path (IAM Identity Center user guide, referencing
        # permission sets in resource policies)
        path = names.iam_arn("role/aws-reserved/sso.amazonaws.com*")
        roles = [f"{path}/AWSReservedSSO_{name}_*" for name in sorted(trust.permission_sets)]
        found.append(
            {
                "Principal": {"AWS": account_roots([names.account_id], names.region)[0]},
                "Action": "sts:AssumeRole",
                "Condition": {"ArnLike": {"aws:PrincipalArn": roles}},
            }
        )
    if trust.principal_arns:
        condition: dict[str, object] = {}
        if trust.require_mfa:
            condition["Bool"] = {"aws:MultiFactorAuthPresent": "true"}
        if trust.external_id is not None:
            condition["StringEquals"] = {"sts:ExternalId": trust.external_id}
        found.append(
            {
                "Principal": {"AWS": sorted(set(trust.principal_arns))},
                "Action": "sts:AssumeRole",
                "Condition": condition,
            }
        )
    if trust.github_subjects:
        provider = names.iam_arn(f"oidc-provider/{GITHUB}")
        subjects = sorted(set(trust.github_subjects))
        found.append(
            {
                "Principal": {"Federated": provider},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {
                        f"{GITHUB}:aud": "sts.amazonaws.com",
                        f"{GITHUB}:sub": subjects,
                    }
                },
            }
        )
    return found
