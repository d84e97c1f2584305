"""Network, keys, buckets and file systems: what they let through, and what never."""

import ipaddress
import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from infra.component import Role
from infra.filesystem import FileSystem, FileSystemArgs
from infra.keys import SERVICES, KeysArgs, key_policy
from infra.naming import Names
from infra.network import Network, NetworkArgs, subnet_cidr_blocks
from infra.storage import Storage, StorageArgs
from infra.vpc_endpoints import VpcEndpoints, VpcEndpointsArgs
from policies.data import Resource
from stacks.settings import foundation
from stacks.settings.environment import Accounts, Environment
from stacks.settings.load import load_environment
from stacks.stack_name import environments
from stacks.synth import recorded
from tests.kits.iam import decide, listed

NAMES = Names(env="test", account_id="123456789012", region="us-east-1")
TAGS = {"owner": "me"}
ZONES = ("use1-az1", "use1-az2", "use1-az4")
OTHER, THIRD = "222222222222", "333333333333"


def by_type(found: list[Resource], suffix: str) -> dict[str, dict[str, Any]]:
    """Inputs by name of the cloud resources of a type."""
    cloud = [item for item in found if item.type.startswith("aws:")]
    return {item.name: item.inputs.value for item in cloud if item.type.endswith(f":{suffix}")}


def network(**changes: Any) -> list[Resource]:
    args = NetworkArgs(
        names=NAMES,
        tags=TAGS,
        cidr_block="10.0.0.0/20",
        pod_cidr_block="100.64.0.0/16",
        availability_zone_ids=ZONES,
        cluster_name="plinth-test-cluster",
    )

    def program() -> None:
        role: Any = changes.get("flow_log_role")
        changes["flow_log_role"] = role() if role else None
        Network("network", replace(args, **changes))

    return recorded(program)


@given(st.integers(16, 24), st.integers(2, 6))
def test_public_and_private_subnets_are_disjoint_parts(prefix: int, zones: int) -> None:
    vpc = ipaddress.IPv4Network(f"10.32.0.0/{prefix}")
    parts = [
        ipaddress.IPv4Network(block)
        for public in (False, True)
        for block in subnet_cidr_blocks(str(vpc), zones, public=public)
    ]
    assert len(parts) == 2 * zones
    assert all(part.subnet_of(vpc) for part in parts)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(parts, 2))


@given(st.integers(16, 24), st.integers(2, 5), st.booleans())
def test_a_zone_more_moves_no_subnet(prefix: int, zones: int, public: bool) -> None:
    """A subnet whose range changes is replaced, with everything that stands in it."""
    block = f"10.32.0.0/{prefix}"
    today = subnet_cidr_blocks(block, zones, public=public)
    assert subnet_cidr_blocks(block, zones + 1, public=public)[:zones] == today
    pods = subnet_cidr_blocks(block, zones, mixed=False)
    assert subnet_cidr_blocks(block, zones + 1, mixed=False)[:zones] == pods
    assert len(pods) == len(set(pods)) == zones


def test_a_network_with_a_zone_more_keeps_every_subnet_that_it_had() -> None:
    def subnets(zones: tuple[str, ...]) -> dict[str, Any]:
        return by_type(network(availability_zone_ids=zones, nat_gateways="one-per-az"), "Subnet")

    for count in (2, 4):
        zones = tuple(f"use1-az{number}" for number in range(1, count + 1))
        before = subnets(zones)
        after = subnets((*zones, f"use1-az{count + 1}"))
        assert len(before) == 3 * count
        assert {name: after[name] for name in before} == before
        assert len(after) == len(before) + 3


def test_a_network_is_closed_unless_it_says_otherwise() -> None:
    found = network()
    for kind in ("InternetGateway", "NatGateway", "Eip", "Route"):
        assert by_type(found, kind) == {}
    assert all("public" not in name for name in by_type(found, "Subnet"))


@pytest.mark.parametrize(("nat", "gateways"), [("single", 1), ("one-per-az", 3)])
def test_every_private_route_table_leads_to_a_nat_gateway(nat: str, gateways: int) -> None:
    found = network(nat_gateways=nat)
    nats, routes = by_type(found, "NatGateway"), by_type(found, "Route")
    assert len(nats) == gateways
    out = {r["routeTableId"]: r["natGatewayId"] for r in routes.values() if "natGatewayId" in r}
    associations = by_type(found, "RouteTableAssociation")
    for zone, role in itertools.product(ZONES, ("private", "pods")):
        gateway = out[associations[f"network-{role}-{zone}"]["routeTableId"]]
        assert gateway == f"network-nat-{ZONES[0] if nat == 'single' else zone}"
    for zone in ZONES:
        table = associations[f"network-public-{zone}"]["routeTableId"]
        assert routes[table]["gatewayId"] == "network-internet"


def test_nothing_gets_a_public_address_by_itself() -> None:
    subnets = by_type(network(nat_gateways="single"), "Subnet")
    assert len(subnets) == 9
    assert not any(subnet.get("mapPublicIpOnLaunch") for subnet in subnets.values())


def test_subnets_are_in_zones_by_id_and_found_by_their_tags() -> None:
    subnets = by_type(network(nat_gateways="single"), "Subnet")
    for name, subnet in subnets.items():
        assert name.endswith(subnet["availabilityZoneId"]) and "availabilityZone" not in subnet
    tags = {
        role: subnets[f"network-{role}-{ZONES[0]}"]["tags"]
        for role in ("private", "pods", "public")
    }
    assert tags["private"]["karpenter.sh/discovery"] == "plinth-test-cluster"
    assert tags["private"]["kubernetes.io/role/internal-elb"] == "1"
    assert tags["pods"]["kubernetes.io/role/cni"] == "1"
    assert "karpenter.sh/discovery" not in {**tags["pods"], **tags["public"]}, "nodes go elsewhere"


def test_pods_have_a_range_of_their_own() -> None:
    found = network()
    pods = [s for name, s in by_type(found, "Subnet").items() if "-pods-" in name]
    assert all(ipaddress.IPv4Network(s["cidrBlock"]).subnet_of(POD_RANGE) for s in pods)
    assert by_type(network(pod_cidr_block=None), "VpcIpv4CidrBlockAssociation") == {}


POD_RANGE = ipaddress.IPv4Network("100.64.0.0/16")


def test_efa_traffic_is_let_in_and_out_between_members_of_its_group() -> None:
    """Pitfall: EFA needs the group itself in both directions; an IP range does not do."""
    found = network()
    for kind in ("SecurityGroupIngressRule", "SecurityGroupEgressRule"):
        rules = [r for r in by_type(found, kind).values() if r["securityGroupId"] == "network-efa"]
        assert [(r["referencedSecurityGroupId"], r["ipProtocol"]) for r in rules] == [
            ("network-efa", "-1")
        ]


def test_the_default_security_group_lets_nothing_through() -> None:
    [group] = by_type(network(), "DefaultSecurityGroup").values()
    assert not group.keys() & {"ingress", "egress"}


def test_flow_logs_are_encrypted_and_kept_for_a_time() -> None:
    def role() -> Role:
        import pulumi

        return Role("flow-logs", pulumi.Output.from_input("r"), pulumi.Output.from_input("arn:r"))

    found = network(flow_log_role=role, flow_log_kms_key_arn="arn:k", flow_log_retention_days=30)
    [logs] = by_type(found, "LogGroup").values()
    assert (logs["retentionInDays"], logs["kmsKeyId"]) == (30, "arn:k")
    [flow] = by_type(found, "FlowLog").values()
    assert flow["trafficType"] == "ALL"
    assert by_type(network(), "FlowLog") == {}


def endpoints() -> None:
    VpcEndpoints(
        "endpoints",
        VpcEndpointsArgs(
            names=NAMES,
            tags=TAGS,
            vpc_id="vpc",
            subnet_ids=["subnet"],
            route_table_ids=["table"],
            cidr_blocks={"nodes": "10.0.0.0/20", "pods": "100.64.0.0/16"},
            interface_endpoints=["sagemaker.api", "sts"],
        ),
    )


def test_a_vpc_endpoint_lets_this_account_through_and_no_other() -> None:
    found = by_type(recorded(endpoints), "VpcEndpoint")
    assert set(found) == {f"endpoints-{s}" for s in ("dynamodb", "s3", "sagemaker-api", "sts")}
    for name, endpoint in found.items():
        policy = [json.loads(endpoint["policy"])]
        for account, answer in ((NAMES.account_id, "allow"), (OTHER, "nothing")):
            asked = decide(
                policy, "s3:PutObject", "arn:aws:s3:::b/k", aws__PrincipalAccount=account
            )
            assert asked == answer, name
    layers = "arn:aws:s3:::prod-us-east-1-starport-layer-bucket/layer"
    assert decide([json.loads(found["endpoints-s3"]["policy"])], "s3:GetObject", layers) == "allow"


def test_pods_reach_the_endpoints_too() -> None:
    rules = by_type(recorded(endpoints), "SecurityGroupIngressRule").values()
    assert {rule["cidrIpv4"] for rule in rules} == {"10.0.0.0/20", "100.64.0.0/16"}


def keys(**changes: Any) -> KeysArgs:
    args = KeysArgs(
        names=NAMES, tags=TAGS, purposes={"storage": ("logs",), "ebs": ("ebs",), "bare": ()}
    )
    return replace(args, **changes)


READ = {"kms__ViaService": "s3.us-east-1.amazonaws.com"}


def test_a_key_serves_the_services_of_its_purpose_in_this_account_alone() -> None:
    policy = [key_policy("ebs", keys())]
    ours = {
        "kms__CallerAccount": NAMES.account_id,
        "kms__ViaService": "ec2.us-east-1.amazonaws.com",
    }
    only = [{**policy[0], "Statement": _but(policy[0], "Account")}]
    assert decide(only, "kms:CreateGrant", **ours) == "allow"
    assert decide(only, "kms:CreateGrant", **{**ours, "kms__CallerAccount": OTHER}) == "nothing"
    assert decide(only, "kms:Decrypt", **{**ours, **READ}) == "nothing"
    assert _but(key_policy("bare", keys()), "Account") == []


def _but(policy: Any, sid: str) -> list[dict[str, Any]]:
    return [statement for statement in policy["Statement"] if statement["Sid"] != sid]


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_service_uses_a_key_for_this_account_alone(service: str) -> None:
    statements = SERVICES[service](NAMES)
    assert statements
    for statement in statements:
        assert NAMES.account_id in json.dumps(statement["Condition"])
        assert not set(listed(statement["Action"])) & {"kms:*", "*"}


def accounts(**environments: str) -> Accounts:
    return Accounts(registry="test", environments=environments)


def test_environments_that_share_an_account_are_one_reader() -> None:
    """Pitfall: a principal that is named twice, or that is the registry itself."""
    shared = accounts(test=NAMES.account_id, dev=NAMES.account_id, staging=OTHER, prod=OTHER)
    assert shared.readers(NAMES) == {OTHER: ["prod", "staging"]}
    statement = _but(
        key_policy("storage", keys(readers=shared.readers(NAMES), readable=("storage",))), "Account"
    )[-1]
    assert statement["Principal"] == {"AWS": [f"arn:aws:iam::{OTHER}:root"]}
    roles = [f"arn:aws:iam::{OTHER}:role/plinth-{env}-*" for env in ("prod", "staging")]
    assert statement["Condition"]["ArnLike"] == {"aws:PrincipalArn": roles}


def test_readers_decrypt_through_s3_and_do_nothing_else() -> None:
    args = keys(readers={OTHER: ["prod"]}, readable=("storage",))
    policy = [{"Statement": _but(key_policy("storage", args), "Account")}]
    theirs = {**READ, "aws__PrincipalArn": f"arn:aws:iam::{OTHER}:role/plinth-prod-serving"}
    assert decide(policy, "kms:Decrypt", **theirs) == "allow"
    assert decide(policy, "kms:GenerateDataKey", **theirs) == "nothing"
    stranger = {**READ, "aws__PrincipalArn": f"arn:aws:iam::{OTHER}:role/other"}
    assert decide(policy, "kms:Decrypt", **stranger) == "nothing"
    assert _but(key_policy("ebs", args), "Account") == _but(key_policy("ebs", keys()), "Account")


def test_everyone_but_the_registry_reads_from_it() -> None:
    shared = accounts(test=NAMES.account_id, prod=OTHER)
    prod = Names(env="prod", account_id=OTHER, region="us-east-1")
    assert shared.registry_names(NAMES) is None
    assert shared.registry_names(prod) == NAMES
    assert shared.readers(prod) == {}
    with pytest.raises(ValidationError, match=r"registry must be one of environments \(prod\)"):
        Accounts(registry="test", environments={"prod": OTHER})


def storage(**changes: Any) -> list[Resource]:
    args = StorageArgs(
        names=NAMES,
        tags=TAGS,
        buckets=("artifacts", "data"),
        kms_key_arn="arn:k",
        expire_days={"data": {"capture/": 30}},
        vpc_endpoint_ids=["vpce-ours"],
        exempt_role_arns=[NAMES.role_arn("deployer")],
        readers={OTHER: ["prod"]},
        readable=("artifacts",),
    )
    return recorded(lambda: Storage("storage", replace(args, **changes)) and None)


def bucket_policy(role: str, **changes: Any) -> list[dict[str, Any]]:
    return [json.loads(by_type(storage(**changes), "BucketPolicy")[f"storage-{role}"]["policy"])]


OBJECT = f"arn:aws:s3:::{NAMES.bucket('data')}/k"
PERSON = {"aws__PrincipalArn": NAMES.role_arn("data-scientist"), "aws__SecureTransport": "true"}


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ({}, "deny"),
        ({"aws__SourceVpce": "vpce-other"}, "deny"),
        ({"aws__SourceVpce": "vpce-ours"}, "nothing"),
        ({"aws__PrincipalArn": NAMES.role_arn("deployer")}, "nothing"),
        ({"aws__PrincipalIsAWSService": "true"}, "nothing"),
        ({"aws__ViaAWSService": "true"}, "nothing"),
        ({"aws__SourceVpce": "vpce-ours", "aws__SecureTransport": "false"}, "deny"),
    ],
)
def test_objects_are_reached_through_the_vpc_endpoint(request_: Any, answer: str) -> None:
    policy = bucket_policy("data")
    for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObjectVersion", "s3:ListBucket"):
        assert decide(policy, action, OBJECT, **{**PERSON, **request_}) == answer


@pytest.mark.parametrize(
    "action", ["s3:DeleteBucketPolicy", "s3:GetBucketPolicy", "s3:PutBucketPolicy"]
)
def test_no_bucket_policy_locks_out_those_who_can_mend_it(action: str) -> None:
    assert (
        decide(bucket_policy("data"), action, f"arn:aws:s3:::{NAMES.bucket('data')}", **PERSON)
        == "nothing"
    )


def test_other_environments_read_what_is_meant_for_them_and_write_nothing() -> None:
    theirs = {**PERSON, "aws__PrincipalArn": f"arn:aws:iam::{OTHER}:role/plinth-prod-serving"}
    artefact = f"arn:aws:s3:::{NAMES.bucket('artifacts')}/model.tar.gz"
    policy = bucket_policy("artifacts")
    assert decide(policy, "s3:GetObject", artefact, **theirs) == "allow"
    assert decide(policy, "s3:PutObject", artefact, **theirs) == "nothing"
    assert decide(bucket_policy("data"), "s3:GetObject", OBJECT, **theirs) == "deny"
    [_, readers, _] = policy[0]["Statement"]
    assert readers["Principal"] == {"AWS": [f"arn:aws:iam::{OTHER}:root"]}


def test_captured_requests_expire_and_everything_else_is_tiered() -> None:
    found = by_type(storage(tiering_days=7), "BucketLifecycleConfiguration")
    everything, capture = found["storage-data"]["rules"]
    assert everything["transitions"] == [{"days": 7, "storageClass": "INTELLIGENT_TIERING"}]
    assert (capture["filter"], capture["expiration"]) == ({"prefix": "capture/"}, {"days": 30})
    [logs] = found["storage-logs"]["rules"]
    assert logs["expiration"] == {"days": 365}


def test_a_bucket_is_emptied_by_force_only_where_nothing_is_protected() -> None:
    for protect in (True, False):
        buckets = by_type(storage(protect=protect), "Bucket").values()
        assert {bucket["forceDestroy"] for bucket in buckets} == {not protect}


def test_a_file_system_stands_near_its_clients_and_talks_on_lustre_ports_alone() -> None:
    def program() -> None:
        FileSystem(
            "filesystem",
            FileSystemArgs(
                names=NAMES,
                tags=TAGS,
                vpc_id="vpc",
                subnet_id="subnet",
                client_security_group_ids={"workload": "sg-w"},
                bucket_name="bucket",
                kms_key_arn="arn:k",
            ),
        )

    found = recorded(program)
    [system] = by_type(found, "LustreFileSystem").values()
    assert (system["deploymentType"], system["dataCompressionType"]) == ("PERSISTENT_2", "LZ4")
    [kept] = [item for item in found if item.type.endswith(":LustreFileSystem")]
    assert kept.options.protect and kept.options.retain_on_delete
    [data] = by_type(found, "DataRepositoryAssociation").values()
    assert "DELETED" not in data["s3"]["autoExportPolicy"]["events"], "objects outlive files"
    for kind, own, peer in (
        ("Ingress", "filesystem-lustre", "sg-w"),
        ("Egress", "sg-w", "filesystem-lustre"),
    ):
        rules = by_type(found, f"SecurityGroup{kind}Rule").values()
        between = [
            (rule["fromPort"], rule["toPort"])
            for rule in rules
            if (rule["securityGroupId"], rule["referencedSecurityGroupId"]) == (own, peer)
        ]
        assert sorted(between) == [(988, 988), (1018, 1023)]


def test_the_environments_agree_on_who_registers_models() -> None:
    shared = {env: load_environment(env).accounts for env in environments()}
    tables = [found for found in shared.values() if found.registry]
    assert tables and all(table == tables[0] for table in tables)
    assert set(tables[0].environments) == {env for env, found in shared.items() if found.registry}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"cidr_block": "10.0.0.0/8"}, "cidr_block must be a /16 to /24"),
        ({"pod_cidr_block": "10.1.0.0/16"}, r"pod_cidr_block must be a /16 to /20 in 100\.64"),
        ({"nat_gateways": "two"}, "'none', 'single' or 'one-per-az'"),
    ],
)
def test_a_network_that_cannot_be_is_refused(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        foundation.Network.model_validate({"cidr_block": "10.0.0.0/20", **change})


@pytest.mark.parametrize(
    ("zones", "problem"),
    [
        (["use1-az1", "use1-az1"], "availability_zone_ids must differ"),
        (["us-east-1a", "us-east-1b"], "should match pattern"),
        (["use1-az1"], "at least 2 items"),
    ],
)
def test_zones_that_cannot_be_are_refused(zones: list[str], problem: str) -> None:
    given = load_environment("dev").model_dump() | {"availability_zone_ids": zones}
    with pytest.raises(ValidationError, match=problem):
        Environment.model_validate(given)


def test_a_file_system_in_none_of_the_zones_is_refused() -> None:
    system = foundation.FileSystem(availability_zone_id="use1-az9")
    with pytest.raises(ValueError, match="one of the environment's"):
        foundation.check_file_system(system, ["use1-az1", "use1-az2"])


def test_a_file_system_of_a_size_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError, match="must be 1200 or a multiple of 2400, got 3600"):
        foundation.FileSystem(availability_zone_id="use1-az1", storage_gib=3600)
