"""Destroy: guards that refuse, a sweep that touches nothing of others, a drain that finishes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from infra.errors import CheckFailed, UserError
from infra.naming import Names
from stacks.commands.destroy import check_confirmed, check_unused
from stacks.commands.output import CommandOutput
from stacks.settings.load import load
from stacks.settings.model import Settings
from stacks.stack_name import StackName, stacks_of
from stacks.stack_name import named as named_stacks
from stacks.targets import leftovers
from stacks.targets.account import check_account
from stacks.targets.drain import drain
from stacks.targets.target import Target, target_of
from tests.kits.checks import stubbed
from tests.kits.local_cloud import Cloud, running_cloud
from tests.kits.stacks import changed, named, serving, synth

pytest_plugins = ["tests.kits.kubernetes"]


def protected(name: str, protect: bool) -> Settings:
    stack = named(name) if "." in name else named(f"{name}.foundation")
    settings: Settings = changed(load(stack), environment={"protect": protect})
    return settings


@pytest.mark.parametrize(
    ("name", "protect", "confirmed", "data", "problem"),
    [
        ("dev", True, "dev", False, "protect: true"),
        ("dev", False, None, False, "must be confirmed"),
        ("dev", False, "", False, "followed by the name"),
        ("dev", False, "prod", False, "got 'prod'"),
        ("dev", True, None, True, "must be confirmed"),
        ("dev.flight_delay", True, "dev.flight_delay", False, "protect: true"),
        ("dev.flight_delay", False, "dev", False, "got 'dev'"),
        ("dev.flight_delay", False, "dev.block_time", False, "got 'dev.block_time'"),
        ("dev", False, "dev.flight_delay", False, "got 'dev.flight_delay'"),
        ("local", False, None, False, "must be confirmed"),
        ("local", False, "dev", False, "got 'dev'"),
        ("local.weather", False, "local", False, "got 'local'"),
    ],
)
def test_destroying_is_refused_unless_it_is_meant(
    name: str, protect: bool, confirmed: str | None, data: bool, problem: str
) -> None:
    target = target_of(name.partition(".")[0])
    with pytest.raises(UserError, match=problem):
        check_confirmed(name, protected(name, protect), target, confirmed, data)


@pytest.mark.parametrize(
    ("name", "protect", "confirmed", "data"),
    [
        ("dev", False, "dev", False),
        ("dev", True, "dev", True),
        ("dev.flight_delay", False, "dev.flight_delay", False),
        ("local", False, "", False),
        ("local.weather", False, "", False),
        ("local.weather", False, "local.weather", False),
    ],
)
def test_destroying_goes_on_when_it_is_meant(
    name: str, protect: bool, confirmed: str, data: bool
) -> None:
    target = target_of(name.partition(".")[0])
    check_confirmed(name, protected(name, protect), target, confirmed, data)


@dataclass(frozen=True)
class Standing:
    """A target in which these stacks stand."""

    names: Sequence[str]
    confirmation: str = "dev"

    def engine(self, stack: StackName, report: CommandOutput) -> "Standing":
        return self

    def standing(self) -> list[str]:
        return sorted(self.names)


DEV = [str(stack) for stack in stacks_of("dev")]


@pytest.mark.parametrize(
    ("name", "standing", "problem"),
    [
        ("dev.foundation", DEV, "got dev.block_time, dev.cluster, dev.flight_delay, dev.weather"),
        ("dev.foundation", ["dev.foundation", "dev.weather"], "got dev.weather"),
        ("dev.foundation", ["dev.foundation", "dev.without_file"], "got dev.without_file"),
        ("dev", [*DEV, "dev.without_file"], "got dev.without_file"),
    ],
)
def test_what_another_stack_stands_on_is_not_destroyed(
    name: str, standing: list[str], problem: str
) -> None:
    target, report = cast(Target, Standing(standing)), CommandOutput(as_json=True)
    with pytest.raises(UserError) as refused:
        check_unused(named_stacks(name), target, report)
    assert refused.value.problem.endswith(problem)
    last = problem.rpartition(" ")[2]
    assert f"`plinth destroy {last} --yes {last}`" in refused.value.fix
    assert ("Pulumi.dev.without_file.yaml" in refused.value.fix) == (last == "dev.without_file")


@pytest.mark.parametrize(
    ("name", "standing"),
    [
        ("dev", DEV),
        ("dev.foundation", ["dev.foundation", "prod.foundation", "prod.weather"]),
        ("dev.cluster", DEV),  # no workload of dev runs on it
        ("dev.weather", DEV),
    ],
)
def test_what_nothing_stands_on_may_be_destroyed(name: str, standing: list[str]) -> None:
    target, report = cast(Target, Standing(standing)), CommandOutput(as_json=True)
    check_unused(named_stacks(name), target, report)


def test_credentials_of_another_account_delete_nothing() -> None:
    identity = {"Account": "999999999999", "Arn": "arn:aws:iam::999999999999:root", "UserId": "x"}
    clients = stubbed({"sts": [("get_caller_identity", identity)]})
    with pytest.raises(UserError, match="of account 111111111111, where dev lives, got 9999999999"):
        check_account("dev", "111111111111", clients)


NAMES = Names(env="local", account_id="123456789012", region="us-east-1")
SIBLING = Names(env="local-2", account_id="123456789012", region="us-east-1")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(Path(tmp_path_factory.mktemp("destroy"))) as running:
        yield running


def tags(kind: str, **values: str) -> list[dict[str, Any]]:
    pairs = [{"Key": key, "Value": value} for key, value in values.items()]
    return [{"ResourceType": kind, "Tags": pairs}]


def network(ec2: Any, names: Names, block: str) -> dict[str, str]:
    """A VPC with the leftovers that hold one: a free interface, GuardDuty's endpoint, a node."""
    mine = {"Name": names.of("vpc"), "environment": names.env, "project": "plinth"}
    vpc = ec2.create_vpc(CidrBlock=block, TagSpecifications=tags("vpc", **mine))["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=block)["Subnet"]["SubnetId"]
    interface = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]
    endpoint = ec2.create_vpc_endpoint(
        VpcId=vpc,
        ServiceName="com.amazonaws.us-east-1.guardduty-data",
        VpcEndpointType="Interface",
        TagSpecifications=tags("vpc-endpoint", GuardDutyManaged="true"),
    )["VpcEndpoint"]
    cluster = {
        f"kubernetes.io/cluster/{names.of('cluster')}": "owned",
        "karpenter.sh/nodepool": "p",
    }
    instance = ec2.run_instances(
        ImageId="ami-12345678",
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet,
        TagSpecifications=tags("instance", **cluster),
    )["Instances"][0]
    return {
        "vpc": vpc,
        "subnet": subnet,
        "interface": interface["NetworkInterfaceId"],
        "endpoint": endpoint["VpcEndpointId"],
        "instance": instance["InstanceId"],
    }


def left(ec2: Any, vpc: str) -> set[str]:
    inside = [{"Name": "vpc-id", "Values": [vpc]}]
    endpoints = ec2.describe_vpc_endpoints(Filters=inside)["VpcEndpoints"]
    interfaces = ec2.describe_network_interfaces(Filters=inside)["NetworkInterfaces"]
    reservations = ec2.describe_instances(Filters=inside)["Reservations"]
    return {
        *(e["VpcEndpointId"] for e in endpoints if e["State"] != "deleted"),
        *(i["NetworkInterfaceId"] for i in interfaces if i["Status"] == "available"),
        *(i["InstanceId"] for r in reservations for i in r["Instances"]
          if i["State"]["Name"] == "running"),
    }  # fmt: skip


def test_what_holds_the_vpc_goes_and_that_of_a_sibling_stays(cloud: Cloud) -> None:
    """The sibling's name starts with ours: a sweep by prefix would take it (METR/hawk 424)."""
    ec2 = cloud.client("ec2")
    mine = network(ec2, NAMES, "10.61.0.0/24")
    theirs = network(ec2, SIBLING, "10.62.0.0/24")
    what = leftovers.owned(cloud.client, NAMES)
    assert what.vpc_ids == (mine["vpc"],)
    ec2.create_vpc_endpoint(
        VpcId=mine["vpc"],
        ServiceName="com.amazonaws.us-east-1.sts",
        VpcEndpointType="Interface",
        SubnetIds=[mine["subnet"]],
    )
    gone = leftovers.release_vpc(cloud.client, what)
    assert set(gone) == {mine["interface"], mine["endpoint"], mine["instance"]}
    [used] = ec2.describe_vpc_endpoints(
        Filters=[{"Name": "service-name", "Values": ["com.amazonaws.us-east-1.sts"]}]
    )["VpcEndpoints"]
    assert left(ec2, mine["vpc"]) == {used["VpcEndpointId"], *used["NetworkInterfaceIds"]}
    assert left(ec2, theirs["vpc"]) >= {
        theirs["interface"],
        theirs["endpoint"],
        theirs["instance"],
    }


def test_two_vpcs_with_the_same_tags_are_not_guessed_between(cloud: Cloud) -> None:
    names = Names(env="twice", account_id="123456789012", region="us-east-1")
    ec2 = cloud.client("ec2")
    blocks = ("10.63.0.0/24", "10.64.0.0/24")
    one, other = [network(ec2, names, block)["vpc"] for block in blocks]
    for known in ((), (one,)):
        with pytest.raises(UserError, match="one VPC must carry the tags of twice"):
            leftovers.owned(cloud.client, names, known)
    cut_off = leftovers.owned(cloud.client, names, (one, other))  # in mid-replacement
    assert set(cut_off.vpc_ids) == {one, other}


def test_only_log_groups_of_exactly_these_names_go(cloud: Cloud) -> None:
    logs = cloud.client("logs")
    settings = load(named("local.flight_delay"))
    mine = leftovers.log_groups(settings)
    assert len(mine) == 5
    kept = ["/aws/lambda/plinth-local-flight-delay-stream-2", "/aws/lambda/plinth-local-stream"]
    for name in (*mine, *kept):
        logs.create_log_group(logGroupName=name)
    assert leftovers.delete_log_groups(cloud.client, settings) == mine
    there = {group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]}
    assert set(kept) <= there
    assert there & set(mine) == set()
    assert leftovers.delete_log_groups(cloud.client, settings) == []


def test_log_groups_that_services_write_into_are_looked_for() -> None:
    """Those that the programs make for functions and clusters, and those of all endpoints."""
    served = serving("prod.flight_delay")
    found = synth("prod.flight_delay", served)
    groups = [r.inputs.get("name") for r in found if r.type.endswith(":LogGroup")]
    endpoints = [r.inputs.get("name") for r in found if r.type.endswith(":Endpoint")]
    assert len(groups) == 2
    assert len(endpoints) == 2
    wanted = {*groups, *(f"/aws/sagemaker/Endpoints/{name}" for name in endpoints)}
    assert wanted <= set(leftovers.log_groups(served))
    clusters = [r.inputs.get("name") for r in synth("prod.cluster") if r.type.endswith(":LogGroup")]
    assert clusters == leftovers.log_groups(load(named("prod.cluster")))
    assert leftovers.log_groups(load(named("prod.foundation"))) == []


@pytest.fixture
def lightkube(control_plane: Any) -> Any:
    """A client of a real API server."""
    from lightkube import Client, KubeConfig

    return Client(config=KubeConfig.from_file(control_plane.plane.kubeconfig), trust_env=False)


def namespace(client: Any, name: str, **labels: str) -> None:
    from lightkube.models.meta_v1 import ObjectMeta
    from lightkube.resources.core_v1 import Namespace

    client.create(Namespace(metadata=ObjectMeta(name=name, labels=labels)))


def deployment(client: Any, where: str) -> None:
    from lightkube.resources.apps_v1 import Deployment

    labels = {"app": "work"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod}
    client.create(
        Deployment.from_dict({"metadata": {"name": "work", "namespace": where}, "spec": spec})
    )


def test_workloads_of_teams_end_and_those_of_others_stay(lightkube: Any) -> None:
    from lightkube.resources.apps_v1 import Deployment
    from lightkube.resources.core_v1 import Service

    namespace(lightkube, "research", **{"plinth.dev/team": "research"})
    namespace(lightkube, "system")
    for where in ("research", "system"):
        deployment(lightkube, where)
    ports = {"type": "LoadBalancer", "ports": [{"port": 80}]}
    service = {"metadata": {"name": "front", "namespace": "system"}, "spec": ports}
    lightkube.create(Service.from_dict(service))
    ended = drain(lightkube, lambda text: None, patience_seconds=60)
    assert ended["Deployment"] == 1
    assert ended["Service"] == 1
    assert [d.metadata.namespace for d in lightkube.list(Deployment, namespace="*")] == ["system"]
    assert drain(lightkube, lambda text: None) == {}


def test_a_workload_that_does_not_end_is_named_with_what_holds_it(lightkube: Any) -> None:
    from lightkube.resources.core_v1 import Pod

    namespace(lightkube, "stuck", **{"plinth.dev/team": "stuck"})
    metadata = {"name": "held", "namespace": "stuck", "finalizers": ["example.com/hold"]}
    spec = {"containers": [{"name": "c", "image": "i"}]}
    lightkube.create(Pod.from_dict({"metadata": metadata, "spec": spec}))
    with pytest.raises(CheckFailed, match=r"held must end .* finalizers: example\.com/hold"):
        drain(lightkube, lambda text: None, patience_seconds=0.1)
