"""Names of what is not there, and calls that are only tried: EKS, EC2 and IAM."""

from __future__ import annotations

from collections.abc import Mapping

from stacks.local.aws.protocols import model_of
from stacks.local.aws.refusals.account import Account, backend
from stacks.local.aws.refusals.refusal import Condition, Refusal, Request

MOST_PORT = 65_535
OF_AWS = "aws:"


def _having(service: str, member: str, error: str = "") -> tuple[str, ...]:
    """Operations with a member, and with an error of that name."""
    model = model_of(service)
    found = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        errors = {one.name for one in operation.error_shapes}
        if operation.input_shape and member in operation.input_shape.members:
            found += [name] if not error or error in errors else []
    return tuple(found)


def _is_tried(request: Request, account: Account) -> Mapping[str, str] | None:
    return {} if request.get("DryRun") is True else None


def _no_cluster(request: Request, account: Account) -> Mapping[str, str] | None:
    name = request.get("clusterName")
    if name is None or name in backend("eks", account.region).clusters:
        return None
    return {"name": str(name)}


def _no_subnet(request: Request, account: Account) -> Mapping[str, str] | None:
    known = {name for zone in backend("ec2", account.region).subnets.values() for name in zone}
    for one in (request.get("resourcesVpcConfig") or {}).get("subnetIds") or ():
        if one not in known:
            return {"subnet": str(one)}
    return None


def _no_such_type(request: Request, account: Account) -> Mapping[str, str] | None:
    kind = request.get("InstanceType")
    known = model_of("ec2").shape_for("InstanceType").enum
    return {"type": str(kind)} if kind and kind not in known else None


def _no_port(request: Request, account: Account) -> Mapping[str, str] | None:
    for rule in [request, *(request.get("IpPermissions") or ())]:
        if str(rule.get("IpProtocol")) in ("tcp", "udp", "6", "17"):
            for member in ("FromPort", "ToPort"):
                port = rule.get(member)
                if port is not None and not -1 <= int(port) <= MOST_PORT:
                    return {"port": str(port)}
    return None


def _tag_of_aws(request: Request, account: Account) -> Mapping[str, str] | None:
    keys = [str(one.get("Key")) for one in request.get("Tags") or ()]
    found = next((key for key in keys if key.lower().startswith(OF_AWS)), None)
    return {"key": found} if found else None


def _no_boundary(request: Request, account: Account) -> Mapping[str, str] | None:
    arn = request.get("PermissionsBoundary")
    known = backend("iam", "aws").managed_policies
    return {"arn": str(arn)} if arn and arn not in known else None


def _row(
    service: str, operations: tuple[str, ...], condition: Condition, *, code: str, text: str,
    source: str, status: int | None = None,
) -> Refusal:  # fmt: skip
    return Refusal(
        service=service, operations=operations, condition=condition, code=code, text=text,
        source=source, status=status,
    )  # fmt: skip


NAMED_ONES = (
    _row(
        "eks", _having("eks", "clusterName", "ResourceNotFoundException"), _no_cluster,
        code="ResourceNotFoundException", text="No cluster found for name: {name}.",
        source="EKS API, errors of operations on what belongs to a cluster", status=404,
    ),
    _row(
        "eks", ("CreateCluster",), _no_subnet, code="InvalidParameterException",
        text="The subnet ID '{subnet}' does not exist",
        source="EKS API, CreateCluster; EC2's words",
    ),
    _row(
        "ec2", ("RunInstances",), _no_such_type, code="InvalidParameterValue",
        text="Invalid value '{type}' for InstanceType.", source="EC2 API, RunInstances",
    ),
    _row(
        "ec2", ("AuthorizeSecurityGroupEgress", "AuthorizeSecurityGroupIngress"), _no_port,
        code="InvalidParameterValue",
        text="Invalid value '{port}' for portRange. Must be between 0 and 65535.",
        source="EC2 API, IpPermission; the text is ours",
    ),
    _row(
        "ec2", ("CreateTags",), _tag_of_aws, code="InvalidParameterValue",
        text="Tag keys starting with 'aws:' are reserved for internal use",
        source="EC2 user guide, tag restrictions",
    ),
    _row(
        "iam", ("CreatePolicy", "CreateRole", "CreateUser", "TagPolicy", "TagRole", "TagUser"),
        _tag_of_aws, code="InvalidInput",
        text="System tags (aws:) cannot be added or changed: {key}",
        source="IAM user guide, rules for tagging; the text is ours",
    ),
    _row(
        "iam",
        ("CreateRole", "CreateUser", "PutRolePermissionsBoundary", "PutUserPermissionsBoundary"),
        _no_boundary, code="NoSuchEntity",
        text="Scope ARN: {arn} does not exist or is not attachable.",
        source="IAM API, PutRolePermissionsBoundary", status=404,
    ),
    _row(
        "ec2", _having("ec2", "DryRun"), _is_tried, code="DryRunOperation",
        text="Request would have succeeded, but DryRun flag is set.",
        source="EC2 API reference, DryRun: whoever may do it gets this error", status=412,
    ),
)  # fmt: skip
"""What nobody may is denied before: by the gate."""
