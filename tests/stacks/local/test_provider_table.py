"""The table of the local provider is true: to botocore, to pulumi_aws and to CloudFormation."""

import importlib
import inspect
import typing
import warnings
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

import jmespath
import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape
from pulumi import _types as pulumi_types

from stacks.local.provider.aws.backend import VERSION, module_of
from stacks.local.provider.aws.diff import changes
from stacks.local.provider.aws.requests import TEMPLATE, RowMapper
from stacks.local.provider.aws.row import ALL, EVERYTHING, Call, Row
from stacks.local.provider.aws.shapes import pair, pulumi_name, service_model, slots
from stacks.local.provider.aws.table import MODULES, ROWS
from tests.kits.each import each

TOKENS = sorted(ROWS)
every_row = pytest.mark.parametrize("token", TOKENS, ids=lambda token: token.rpartition(":")[2])

UPDATED_IN_PLACE = "the API changes it in place, and so does the official provider"
REPLACED_HERE = "the local endpoint cannot change it in place"
NO_CALL = "the API has no call that changes it"
OTHER_NAME = "Pulumi has another name for it than CloudFormation"

DEVIATIONS: Mapping[tuple[str, str], str] = {
    ("aws:budgets/budget:Budget", "name"): NO_CALL,
    ("aws:cloudtrail/trail:Trail", "name"): NO_CALL,
    ("aws:cloudwatch/logGroup:LogGroup", "logGroupClass"): NO_CALL,
    ("aws:ec2/eip:Eip", "domain"): NO_CALL,
    ("aws:ec2/flowLog:FlowLog", "vpcId"): "CloudFormation has one ResourceId for all kinds",
    ("aws:ec2/internetGateway:InternetGateway", "vpcId"): REPLACED_HERE,
    ("aws:ec2/placementGroup:PlacementGroup", "name"): "CloudFormation chooses the name itself",
    ("aws:ec2/routeTableAssociation:RouteTableAssociation", "gatewayId"): NO_CALL,
    ("aws:ec2/vpc:Vpc", "instanceTenancy"): "default to dedicated cannot be changed in place",
    ("aws:eks/nodeGroup:NodeGroup", "launchTemplate.id"): "another template is another group",
    ("aws:eks/nodeGroup:NodeGroup", "launchTemplate.name"): "another template is another group",
    ("aws:eks/nodeGroup:NodeGroup", "tags"): REPLACED_HERE,
    ("aws:iam/openIdConnectProvider:OpenIdConnectProvider", "clientIdLists"): REPLACED_HERE,
    ("aws:kms/key:Key", "customKeyStoreId"): NO_CALL,
    ("aws:kms/key:Key", "customerMasterKeySpec"): NO_CALL,
    ("aws:kms/key:Key", "keyUsage"): NO_CALL,
    ("aws:kms/key:Key", "multiRegion"): NO_CALL,
    ("aws:lambda/permission:Permission", "statementId"): NO_CALL,
    ("aws:s3/bucket:Bucket", "objectLockEnabled"): "the official provider makes another bucket",
    **{
        ("aws:msk/cluster:Cluster", name): OTHER_NAME
        for name in (
            "brokerNodeGroupInfo.azDistribution",
            "brokerNodeGroupInfo.brokerAzDistribution",
            "encryptionInfo.encryptionAtRest",
            "encryptionInfo.encryptionAtRestKmsKeyArn",
        )
    },
    ("aws:sagemaker/mlflowApp:MlflowApp", "name"): UPDATED_IN_PLACE,
    ("aws:sagemaker/mlflowTrackingServer:MlflowTrackingServer", "mlflowVersion"): NO_CALL,
    ("aws:sagemaker/mlflowTrackingServer:MlflowTrackingServer", "roleArn"): NO_CALL,
    ("aws:sns/topicPolicy:TopicPolicy", "arn"): "it is which topic the policy belongs to",
    **{
        ("aws:fsx/lustreFileSystem:LustreFileSystem", name): REPLACED_HERE
        for name in (
            "automaticBackupRetentionDays",
            "copyTagsToBackups",
            "dataCompressionType",
            "deploymentType",
            "fileSystemTypeVersion",
            "perUnitStorageThroughput",
            "storageCapacity",
            "storageType",
            "weeklyMaintenanceStartTime",
        )
    },
    **{
        (f"aws:vpc/securityGroup{direction}Rule:SecurityGroup{direction}Rule", name): why
        for direction in ("Egress", "Ingress")
        for name, why in {
            "cidrIpv4": UPDATED_IN_PLACE,
            "fromPort": UPDATED_IN_PLACE,
            "ipProtocol": UPDATED_IN_PLACE,
            "toPort": UPDATED_IN_PLACE,
        }.items()
    },
}
"""Where a row replaces, or does not, although CloudFormation says otherwise; and why."""

CLOUDFORMATION_NAMES = {
    "DestinationPrefixListId": "prefixListId",
    "DestinationSecurityGroupId": "referencedSecurityGroupId",
    "SourcePrefixListId": "prefixListId",
    "SourceSecurityGroupId": "referencedSecurityGroupId",
    "CidrIp": "cidrIpv4",
    "GroupId": "securityGroupId",
    "ManagedPolicyName": "name",
    "TopicName": "name",
    "BucketName": "bucket",
    "GroupDescription": "description",
    "DatabaseName": "name",
    "KafkaVersionsList": "kafkaVersions",
}
"""Properties that CloudFormation calls neither as the API does nor as Pulumi does."""


def calls(row: Row) -> Iterator[Call]:
    """Every call a row can make, those for tags included."""
    yield from (row.create, row.read, *row.also, *row.update, *row.then)
    if row.delete:
        yield row.delete
    if row.tags:
        tags = row.tags
        yield Call(tags.add, key={**tags.key, tags.member.partition(".")[0]: None})
        yield Call(tags.remove, key={**tags.key, **({} if tags.whole else {tags.keys: None})})


def official(token: str) -> tuple[type, dict[str, Any]]:
    """A resource class of pulumi_aws and its inputs by Pulumi name, with their types."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pulumi_aws deprecates parts of itself at import
        module = importlib.import_module(f"pulumi_aws.{module_of(token)}")
        cls = getattr(module, token.rpartition(":")[2])
    own = inspect.getmodule(cls)
    # where a nested type has taken the name, the resource's own is called InitArgs
    arguments = getattr(own, f"{cls.__name__}InitArgs", None) or getattr(own, f"{cls.__name__}Args")
    return cls, _inputs(arguments)


def _inputs(arguments: type) -> dict[str, Any]:
    names = pulumi_types.input_type_py_to_pulumi_names(arguments)
    types = pulumi_types.input_type_types(arguments)
    return {name: types.get(name) for name in names.values()}


def kind_of(annotation: Any) -> tuple[str, type | None]:
    """list, map, structure or plain; and the structure's type if there is one."""
    found = "plain"
    for part in _unwrapped(annotation):
        origin = typing.get_origin(part)
        if origin is not None and issubclass(origin, Mapping):
            return "map", None
        if origin is not None and issubclass(origin, (list, typing.Sequence)):
            inner = kind_of(typing.get_args(part)[0])
            return "list", inner[1]
        if inspect.isclass(part) and pulumi_types.is_input_type(part):
            found, structure = "structure", part
    return (found, structure) if found == "structure" else (found, None)


def _unwrapped(annotation: Any) -> Iterator[Any]:
    """The alternatives of `Optional[Union[X, Awaitable[X], Output[X]]]`."""
    origin = typing.get_origin(annotation)
    if origin is typing.Union:
        for part in typing.get_args(annotation):
            yield from _unwrapped(part)
    else:
        yield annotation


def nested_mismatches(
    structure: type, shape: Shape, rename: Any, path: str, depth: int = 0
) -> Iterator[str]:
    """Paths of nested inputs that have no member, or a list where AWS has a value."""
    if isinstance(shape, ListShape):
        shape = shape.member
    if not isinstance(shape, StructureShape) or depth > 6:
        return
    known = slots(shape, rename)
    for name, annotation in _inputs(structure).items():
        slot, inner_path = known.get(name), f"{path}.{name}"
        if slot is None:
            yield inner_path
            continue
        kind, inner = kind_of(annotation)
        pairs = bool(pair(slot.shape))
        aws_list = isinstance(slot.shape, ListShape) and not pairs
        unlike = (kind == "list" and not slot.pulumi_list) != aws_list
        if unlike or (kind == "map" and not (pairs or isinstance(slot.shape, MapShape))):
            yield f"{inner_path} ({kind})"
        elif inner:
            yield from nested_mismatches(inner, slot.shape, rename, inner_path, depth + 1)


def test_the_table_follows_the_installed_pulumi_aws() -> None:
    assert version("pulumi-aws") == VERSION


def test_rows_are_sorted_and_stand_in_the_module_of_their_token() -> None:
    for module in MODULES:
        tokens = [row.token for row in module.ROWS]
        assert tokens == sorted(set(tokens))
        assert {module_of(token) for token in tokens} == {module.__name__.rpartition(".")[2]}
    assert len(ROWS) == sum(len(module.ROWS) for module in MODULES)


@every_row
def test_every_call_is_an_operation_and_every_argument_a_member(token: str) -> None:
    row = ROWS[token]
    table, operations = RowMapper(row), service_model(row.service).operation_names
    for call in each(calls(row)):
        assert call.operation in operations
        shape = table.operation(call).input_shape
        members = set(shape.members) if shape else set()
        key = row.key if call.key is None else call.key
        used = {*key, *call.fixed} if call is not row.create else {*(call.key or {}), *call.fixed}
        assert used <= members, f"{call.operation} has no member {sorted(used - members)}"


@every_row
def test_an_update_call_carries_what_it_says(token: str) -> None:
    row = ROWS[token]
    for call in (*row.then, *row.update, *([row.delete] if row.delete else [])):
        if call.build is None and tuple(call.takes) != ALL:
            carried = {*RowMapper(row).slots(call), *call.when}
            assert set(call.takes) <= carried, f"{call.operation} has no member for an input"


@every_row
def test_every_path_is_jmespath(token: str) -> None:
    row = ROWS[token]
    wait = [row.wait.status, row.wait.reason, *row.wait.equal.values()] if row.wait else []
    results = [TEMPLATE.sub("x", call.result) for call in (row.read, *row.also)]
    told = [path for path in (*row.outputs.values(), *row.reads.values())]
    for path in (*results, *wait, *(p for p in told if not TEMPLATE.search(p)), row.gone or "@"):
        jmespath.compile(path)


@every_row
def test_every_input_is_served_or_refused(token: str) -> None:
    row = ROWS[token]
    inputs = set(official(token)[1])
    served = set(RowMapper(row).accepted)
    refused = {name for name in row.refuses if "." not in name}
    assert served == inputs - refused
    assert refused <= inputs


@every_row
def test_every_nested_input_has_a_member(token: str) -> None:
    row = ROWS[token]
    table, found = RowMapper(row), set()
    for name, annotation in official(token)[1].items():
        place, (kind, structure) = table.accepted.get(name), kind_of(annotation)
        if place and structure and kind != "map":
            call, slot = place
            found |= set(nested_mismatches(structure, slot.shape, table.rename(call), name))
    assert found == {name for name in row.refuses if "." in name}


@every_row
def test_every_output_is_one_of_the_official_provider(token: str) -> None:
    cls, _ = official(token)
    assert set(ROWS[token].outputs) <= set(pulumi_types.resource_types(cls))


@every_row
def test_every_input_can_be_changed_or_replaces(token: str) -> None:
    row = ROWS[token]
    changeable = {name for call in (*row.then, *row.update) for name in call.takes}
    if ALL[0] in changeable or row.replace_on == EVERYTHING:
        return
    replacing = {path.partition(".")[0] for path in row.replace_on}
    steering = {*row.provider_only, *(row.delete.takes if row.delete else ())}
    stuck = set(RowMapper(row).accepted) - changeable - replacing - steering - {"region", "tags"}
    assert stuck <= {"bypassPolicyLockoutSafetyCheck"}, "a change of these would do nothing"


@pytest.mark.parametrize(
    ("token", "path"),
    [
        (token, path)
        for token, row in sorted(ROWS.items())
        if row.replace_on != EVERYTHING
        for path in row.replace_on
        if path.partition(".")[0] not in row.replace_if
    ],
)
def test_what_a_row_says_to_replace_replaces(token: str, path: str) -> None:
    """Also what no call carries, such as the VPC whose default group is meant."""
    old, new = (_nested(path.split("."), value) for value in ("1", "2"))
    replaced = {change.path for change in changes(ROWS[token], old, new, "aws") if change.replaces}
    assert replaced == {path}


def _nested(path: list[str], value: str) -> dict[str, Any]:
    inner = value if len(path) == 1 else _nested(path[1:], value)
    return {path[0]: inner}


@pytest.mark.parametrize("token", sorted(token for token, row in ROWS.items() if row.cfn))
def test_what_replaces_is_what_cloudformation_says(token: str) -> None:
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

    row = ROWS[token]
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", row.cfn).schema
    table = RowMapper(row)
    accepted = {name for name in table.accepted if name != "tags"}
    theirs = set()
    for pointer in schema.get("createOnlyProperties", ()):
        path = _pulumi_path(table, pointer.removeprefix("/properties/").split("/"))
        if path.partition(".")[0] in accepted:
            theirs.add(path)
    ours = accepted - {"region"} if row.replace_on == EVERYTHING else set(row.replace_on)
    excused = {name for other, name in DEVIATIONS if other == token}
    different = {path for path in theirs ^ ours if not _covered(path, theirs & ours)}
    assert different == excused


def _pulumi_path(table: RowMapper, members: list[str]) -> str:
    first, *rest = members
    by_member = {place[1].path[-1].lower(): name for name, place in table.accepted.items() if place}
    short = {name.lower(): name for name in table.accepted}
    name = (
        by_member.get(first.lower())
        or short.get(first.lower())
        or CLOUDFORMATION_NAMES.get(first, first)
    )
    nothing = table.operation(table.row.create).input_shape
    return ".".join([name, *(pulumi_name(member, nothing) for member in rest)])


def _covered(path: str, agreed: set[str]) -> bool:
    return any(path.startswith(f"{entry}.") for entry in agreed)
