"""What EKS refuses of who is let into a cluster, and of the roles of its pods."""

from __future__ import annotations

from collections.abc import Mapping

from stacks.local.aws.recorded.eks import POD_IDENTITY
from stacks.local.aws.refusals.account import Account
from stacks.local.aws.refusals.refusal import Refusal, Request

OURS = ("system:", "eks:", "aws:", "amazon:", "iam:")
"""What names of groups and users must not start with (EKS User Guide, "Create access entries")."""

MODES = ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API")
"""In the order in which a cluster may go from one to the next."""


def no_entries_there(request: Request, account: Account) -> Mapping[str, str] | None:
    """A cluster that goes by its ConfigMap alone."""
    mode = account.authentication_mode(str(request.get("clusterName")))
    return {} if mode == "CONFIG_MAP" else None


def reserved_group(request: Request, _: Account) -> Mapping[str, str] | None:
    """A group that Kubernetes or AWS gives."""
    for group in request.get("kubernetesGroups") or ():
        for prefix in OURS:
            if group.startswith(prefix):
                return {"group": group, "prefix": prefix}
    return None


def reserved_user(request: Request, _: Account) -> Mapping[str, str] | None:
    """A user name that Kubernetes or AWS gives."""
    name = str(request.get("username") or "")
    prefix = next((prefix for prefix in OURS if name.startswith(prefix)), None)
    return {"prefix": prefix} if prefix else None


def groups_of_a_node(request: Request, _: Account) -> Mapping[str, str] | None:
    """Nodes are in the groups that EKS gives them."""
    type_ = str(request.get("type") or "STANDARD")
    return {"type": type_} if request.get("kubernetesGroups") and type_ != "STANDARD" else None


def service_linked(request: Request, _: Account) -> Mapping[str, str] | None:
    """Roles that services keep for themselves get no entry."""
    arn = str(request["principalArn"])
    return {"principal": arn} if ":role/aws-service-role/" in arn else None


def no_entry(request: Request, account: Account) -> Mapping[str, str] | None:
    """A policy is associated with an entry that exists."""
    cluster, arn = str(request["clusterName"]), str(request["principalArn"])
    return {"principal": arn} if account.entry(cluster, arn) is None else None


def associated_already(request: Request, account: Account) -> Mapping[str, str] | None:
    """A service account has one role."""
    named = {name: request.get(name) for name in ("clusterName", "namespace", "serviceAccount")}
    for thing in account.recorded.of(POD_IDENTITY).values():
        if named.items() <= thing.members.items():
            return {"association": str(thing.members["associationId"])}
    return None


def policy_of_a_node(request: Request, account: Account) -> Mapping[str, str] | None:
    """Policies are for people and programs, and for nodes of EKS Auto Mode."""
    entry = account.entry(str(request["clusterName"]), str(request["principalArn"]))
    type_ = str(entry["type"]) if entry else "STANDARD"
    return None if type_ in ("STANDARD", "EC2") else {"type": type_}


def unknown_policy(request: Request, _: Account) -> Mapping[str, str] | None:
    """Access policies are AWS's own."""
    arn = str(request["policyArn"])
    return None if ":eks::aws:cluster-access-policy/Amazon" in arn else {"policy": arn}


def mode_goes_back(request: Request, account: Account) -> Mapping[str, str] | None:
    """Entries are never given up again, the ConfigMap is in a step of its own, and what is already
    so cannot be asked for."""
    after = (request.get("accessConfig") or {}).get("authenticationMode")
    before = account.authentication_mode(str(request["name"]))
    if not after or not before:
        return None
    is_next = MODES.index(after) == MODES.index(before) + 1
    return None if is_next else {"before": before, "after": str(after)}


def nobody_is_let_in(request: Request, _: Account) -> Mapping[str, str] | None:
    """Without entries and without its creator nobody could write the ConfigMap."""
    asked = request.get("accessConfig") or {}
    by_map = asked.get("authenticationMode", "CONFIG_MAP") == "CONFIG_MAP"
    return {} if by_map and asked.get("bootstrapClusterCreatorAdminPermissions") is False else None


ACCESS = (
    Refusal(
        service="eks",
        operations=("CreatePodIdentityAssociation",),
        condition=associated_already,
        code="ResourceInUseException",
        text="Association already exists: {association}",
        source="EKS User Guide, Pod Identity: a service account has one association in a cluster",
    ),
    Refusal(
        service="eks",
        operations=(
            "CreateAccessEntry",
            "DescribeAccessEntry",
            "ListAccessEntries",
            "AssociateAccessPolicy",
        ),
        condition=no_entries_there,
        code="InvalidRequestException",
        text=(
            "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to "
            "perform this operation."
        ),
        source="aws-ia/terraform-aws-eks-blueprints, issue 1877",
    ),
    Refusal(
        service="eks",
        operations=("CreateAccessEntry", "UpdateAccessEntry"),
        condition=reserved_group,
        code="InvalidParameterException",
        text="The kubernetes group name {group} is invalid, it cannot start with {prefix}",
        source="terraform-aws-modules/terraform-aws-eks, issue 2915",
    ),
    Refusal(
        service="eks",
        operations=("CreateAccessEntry", "UpdateAccessEntry"),
        condition=reserved_user,
        code="InvalidParameterException",
        text="The username must not begin with {prefix}",
        source="aws-ia/terraform-aws-eks-blueprints, pull request 1920",
    ),
    Refusal(
        service="eks",
        operations=("CreateAccessEntry",),
        condition=service_linked,
        code="InvalidParameterException",
        text="Access entries do not support service linked roles, such as {principal}",
        source='EKS User Guide, "Create access entries"; the text is ours',
    ),
    Refusal(
        service="eks",
        operations=("CreateAccessEntry",),
        condition=groups_of_a_node,
        code="InvalidParameterException",
        text="Kubernetes groups cannot be specified for access entries of type {type}",
        source='EKS User Guide, "Create access entries"; the text is ours',
    ),
    Refusal(
        service="eks",
        operations=("AssociateAccessPolicy",),
        condition=no_entry,
        code="ResourceNotFoundException",
        text="The specified principalArn could not be found: {principal} has no access entry",
        source="Amazon EKS API, AssociateAccessPolicy; the text is ours",
    ),
    Refusal(
        service="eks",
        operations=("AssociateAccessPolicy",),
        condition=policy_of_a_node,
        code="InvalidRequestException",
        text="Access policies cannot be associated with access entries of type {type}",
        source='EKS User Guide, "Create access entries"; the text is ours',
    ),
    Refusal(
        service="eks",
        operations=("AssociateAccessPolicy",),
        condition=unknown_policy,
        code="InvalidParameterException",
        text="The policyArn {policy} is none of an access policy of EKS",
        source='EKS User Guide, "Review access policy permissions"; the text is ours',
    ),
    Refusal(
        service="eks",
        operations=("UpdateClusterConfig",),
        condition=mode_goes_back,
        code="InvalidParameterException",
        text="Unsupported authentication mode update from {before} to {after}",
        source="pulumi/pulumi-eks, issue 1493; aws/aws-cdk, issue 31032",
    ),
    Refusal(
        service="eks",
        operations=("CreateCluster",),
        condition=nobody_is_let_in,
        code="InvalidParameterException",
        text=(
            "bootstrapClusterCreatorAdminPermissions must be true if cluster authentication mode "
            "is set to CONFIG_MAP"
        ),
        source="terraform-aws-modules/terraform-aws-eks, issue 3026",
    ),
)
"""Who may be let into a cluster, and how, and which pods have a role."""
