"""Prices: dated figures, three totals, and nothing without a price taken for free."""

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pulumi_aws as aws
import pytest

from policies.config import PolicyConfig
from policies.data import Data, Resource
from policies.review.compare import compare
from policies.review.report import Context
from stacks.checks import cost
from stacks.local.provider.aws.table import ROWS
from stacks.review.cost import parts
from stacks.settings.load import load
from stacks.settings.model import Settings
from stacks.sizing.prices.check import instances, lacking, stale
from stacks.sizing.prices.estimate import Estimate, estimate
from stacks.sizing.prices.table import price_table, regions
from stacks.stack_name import StackName, environments, stacks_of
from stacks.synth import recorded
from tests.kits.checks import ask, platform
from tests.kits.each import each

TABLE = price_table("us-east-1")
HOURS = 730


def priced(program) -> Estimate:  # type: ignore[no-untyped-def]
    return estimate(recorded(program), TABLE)


@pytest.mark.parametrize("region", regions())
def test_every_figure_says_where_and_when_it_comes_from(region: str) -> None:
    for price in each(price_table(region).prices.values()):
        assert price.usd >= 0
        assert price.source.startswith("https://aws.amazon.com/")
        assert date.fromisoformat(price.as_of) <= date.today()
        assert price.unit


def test_the_instance_figures_are_of_types_that_exist() -> None:
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    named = {figure for group, figure in TABLE.prices if group == "ec2"}
    hosted = {figure.removeprefix("ml.") for group, figure in TABLE.prices if group == "sagemaker"}
    assert (named | hosted) - set(INSTANCE_TYPES) == set()


def test_a_larger_size_of_a_family_never_costs_less() -> None:
    """A slip of a digit shows up here: prices grow with the vCPUs, by family and GPUs."""
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    ladders: dict[tuple[str, str, int], list[tuple[int, float]]] = {}
    for (group, figure), price in TABLE.prices.items():
        if group in ("ec2", "sagemaker"):
            facts = INSTANCE_TYPES[figure.removeprefix("ml.")]
            gpus = sum(g["Count"] for g in facts.get("GpuInfo", {}).get("Gpus", []))
            ladder = ladders.setdefault((group, figure.split(".")[-2], gpus), [])
            ladder.append((facts["VCpuInfo"]["DefaultVCpus"], price.usd))
    for steps in ladders.values():
        figures = [usd for _, usd in sorted(steps)]
        assert figures == sorted(figures)


def nodes(instance_type: str = "g5.xlarge", capacity_type: str = "ON_DEMAND") -> None:
    template = aws.ec2.LaunchTemplate(
        "template",
        block_device_mappings=[{"device_name": "/dev/xvda", "ebs": {"volume_size": 100}}],
    )
    aws.eks.NodeGroup(
        "pool",
        cluster_name="cluster",
        node_role_arn="arn:aws:iam::123456789012:role/node",
        subnet_ids=["subnet-1"],
        instance_types=[instance_type],
        capacity_type=capacity_type,
        launch_template={"id": template.id, "version": "1"},
        scaling_config={"min_size": 1, "desired_size": 2, "max_size": 5},
    )


def test_nodes_cost_their_instances_and_disks_at_each_size() -> None:
    made = priced(nodes)
    each = 1.006 * HOURS + 100 * 0.08
    assert made.low_usd == pytest.approx(each)
    assert made.expected_usd == pytest.approx(2 * each)
    assert made.high_usd == pytest.approx(5 * each)


def test_spot_is_a_share_of_on_demand_and_at_most_all_of_it() -> None:
    spot, on_demand = priced(lambda: nodes(capacity_type="SPOT")), priced(nodes)
    assert spot.high_usd == on_demand.high_usd
    assert spot.low_usd < on_demand.low_usd
    assert spot.expected_usd < on_demand.expected_usd


def test_a_type_without_a_price_is_counted_not_free() -> None:
    made = priced(lambda: nodes("g6f.large"))
    assert made.unpriced == {"ec2 g6f.large": 1}


def test_a_resource_type_that_nobody_classified_is_counted() -> None:
    made = priced(lambda: aws.redshift.Cluster("warehouse", cluster_identifier="w", node_type="x"))
    assert made.unpriced == {"aws:redshift/cluster:Cluster": 1}
    assert made.high_usd == 0


def test_a_capacity_block_has_no_monthly_price() -> None:
    made = priced(lambda: nodes("p5.48xlarge", "CAPACITY_BLOCK"))
    assert made.unpriced == {"capacity block p5.48xlarge": 1}


def test_interface_endpoints_are_paid_for_in_every_zone() -> None:
    def program() -> None:
        for name, kind in (("sts", "Interface"), ("s3", "Gateway")):
            aws.ec2.VpcEndpoint(
                name,
                vpc_id="vpc-1",
                service_name=f"com.amazonaws.us-east-1.{name}",
                vpc_endpoint_type=kind,
                subnet_ids=["a", "b", "c"] if kind == "Interface" else None,
            )

    assert priced(program).low_usd == pytest.approx(3 * 0.01 * HOURS)


def test_the_tracking_server_costs_what_the_app_does_not() -> None:
    def server() -> None:
        aws.sagemaker.MlflowTrackingServer(
            "tracking", tracking_server_name="t", role_arn="r", artifact_store_uri="s3://b/m",
            tracking_server_size="Small",
        )  # fmt: skip

    assert priced(server).low_usd == pytest.approx(469, abs=1)


def test_a_run_costs_at_most_every_job_to_its_limit() -> None:
    step = {
        "Name": "Train",
        "Type": "Training",
        "Arguments": {
            "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2},
            "StoppingCondition": {"MaxRuntimeInSeconds": 1800},
        },
    }

    def program() -> None:
        aws.sagemaker.Pipeline(
            "training",
            pipeline_name="training",
            pipeline_display_name="training",
            pipeline_definition=json.dumps({"Version": "2020-12-01", "Steps": [step]}),
        )

    made = priced(program)
    assert made.run_usd == pytest.approx(2 * 0.5 * 0.23)
    assert made.high_usd == 0


def test_preflight_shows_the_totals_their_date_and_what_has_no_price() -> None:
    found = ask(cost.check, platform(lambda: nodes("g6f.large")))
    assert [finding.status for finding in found] == ["pass", "unknown"]
    assert "1 x ec2 g6f.large" in found[1].message
    [only] = ask(cost.check, platform(nodes))
    assert "2025" in only.message


def test_a_region_without_a_table_has_no_price() -> None:
    abroad = in_region(load(StackName("dev", "cluster")), "eu-central-1")
    asked = platform(nodes, stack="dev.cluster", settings=abroad)
    [found] = ask(cost.check, asked)
    assert found.status == "unknown"
    assert "no list prices of eu-central-1 here, only of us-east-1: 2 things" in found.message


def test_a_review_in_a_region_without_a_table_counts_what_has_no_price() -> None:
    change = compare("prod", [], recorded(nodes))
    cost, *_ = parts(price_table("eu-central-1"), cost_usd_max=1, gpus_max=9, run_usd_max=1)
    section = cost(change, Context(config=PolicyConfig(), today=date(2026, 1, 1)))
    assert section is not None
    assert not section.rows, "not a total of nothing"
    assert section.data["unpriced"] == {"ebs gp3": 1, "ec2 g5.xlarge": 1}
    assert "no list prices of eu-central-1 here, only of us-east-1" in section.notes[0]


def test_a_figure_can_have_a_date_and_a_source_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stacks.sizing.prices.table.TABLES", tmp_path)
    price_table.cache_clear()
    (tmp_path / "eu-west-1.yaml").write_text(
        "eks: {source: https://a, as_of: 2025-01-01, unit: hour, figures: {one: 1,"
        " two: {usd: 2, as_of: 2026-01-01, source: https://b}}}"
    )
    found = price_table("eu-west-1").prices
    price_table.cache_clear()
    one, two = found["eks", "one"], found["eks", "two"]
    assert (one.usd, one.as_of, one.source, one.unit) == (1, "2025-01-01", "https://a", "hour")
    assert (two.usd, two.as_of, two.source, two.unit) == (2, "2026-01-01", "https://b", "hour")


def test_figures_are_stale_from_the_day_after_the_limit() -> None:
    day = date.fromisoformat(TABLE.prices["eks", "standard support"].as_of)
    assert stale(TABLE, day + timedelta(days=30), 30) == []
    found = {item.group: item for item in stale(TABLE, day + timedelta(days=31), 30)}
    assert (found["eks"].figures, found["eks"].age_days) == (2, 31)
    assert sum(item.figures for item in found.values()) == len(TABLE.prices)


def test_every_resource_type_that_a_platform_can_have_is_priced_free_or_billed_by_use() -> None:
    assert lacking([], ROWS) == []
    assert [item.name for item in lacking([], ["aws:new/thing:Thing"])] == ["aws:new/thing:Thing"]


def in_region(settings: Settings, region: str) -> Settings:
    account = settings.environment.account.model_copy(update={"region": region})
    environment = settings.environment.model_copy(update={"account": account})
    return settings.model_copy(update={"environment": environment})


def test_what_an_environment_names_or_allows_and_has_no_price_is_said() -> None:
    prod, dev = (load(StackName(env, "cluster")) for env in ("prod", "dev"))
    policies = replace(prod.environment.policies, endpoint_instance_types=("ml.inf2.*",))
    environment = prod.environment.model_copy(update={"policies": policies})
    found = lacking([prod.model_copy(update={"environment": environment})] * 2, ())
    named = {item.name for item in found}
    assert {item.used_by for item in found} == {("prod",)}
    assert {"ml.inf2.xlarge", "ml.inf2.48xlarge"} <= named
    assert "ml.inf2.*" not in named
    assert not named & {figure for _, figure in TABLE.prices}
    abroad = lacking([in_region(dev, "eu-central-1"), prod], ())
    assert ("region", "eu-central-1", ("dev",)) in {
        (item.kind, item.name, item.used_by) for item in abroad
    }


def test_every_instance_type_that_an_environment_names_has_a_price() -> None:
    """What it only allows may lack one: that is counted where it is used."""
    found: set[tuple[str, str]] = set()
    for stack in (stack for env in environments() for stack in stacks_of(env)):
        settings = load(stack)
        without = settings.environment.model_copy(update={"policies": None})
        found |= set(instances(settings.model_copy(update={"environment": without})))
    assert {("ec2", "p5.48xlarge"), ("sagemaker", "ml.m5.xlarge")} <= found
    assert found <= set(TABLE.prices)


def test_the_check_says_what_is_stale_and_lacking_and_fails() -> None:
    from infra.errors import CheckFailed
    from stacks.commands.output import CommandOutput
    from stacks.commands.prices import check

    day = date.fromisoformat(min(price.as_of for price in TABLE.prices.values()))
    with pytest.raises(CheckFailed, match="got 133 that are older") as failed:
        check(CommandOutput(as_json=True), max_age_days=1, today=day + timedelta(days=2))
    assert failed.value.data["ok"] is False
    assert failed.value.data["stale"][0]["source"].startswith("https://aws.amazon.com/")
    with pytest.raises(CheckFailed, match="got 0 that are older and 1 that are missing"):
        check(CommandOutput(as_json=True), max_age_days=1, region="eu-central-1", today=day)


def test_the_list_is_of_a_region_and_a_service(capsys: pytest.CaptureFixture[str]) -> None:
    from stacks.cli import main

    with pytest.raises(SystemExit) as done:
        main(["prices", "--service", "eks", "--region", "us-east-1"])
    assert done.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "$0.1 " in lines[0] and "2025-07-01" in lines[0] and "https://" in lines[0]
    for words in (["--region", "eu-central-1"], ["--service", "x"], ["--check", "--service", "x"]):
        with pytest.raises(SystemExit) as refused:
            main(["prices", *words])
        assert refused.value.code == 2


def test_volumes_of_brokers_are_paid_and_a_broker_without_a_price_is_named() -> None:
    nodes = {"instanceType": "kafka.m5.large",
             "storageInfo": {"ebsStorageInfo": {"volumeSize": 1000}}}  # fmt: skip
    made = of("aws:msk/cluster:Cluster", numberOfBrokerNodes=3, brokerNodeGroupInfo=nodes)
    assert {line.what: round(line.expected_usd) for line in made.lines} == {
        "msk kafka.m5.large": round(3 * HOURS * 0.21),
        "msk storage volume": 300,
    }
    assert of("aws:mq/broker:Broker", hostInstanceType="mq.m5.large").unpriced == {
        "aws:mq/broker:Broker": 1
    }


def test_a_cluster_that_stays_after_its_support_costs_more_and_says_so() -> None:
    stays = of("aws:eks/cluster:Cluster", upgradePolicy={"supportType": "EXTENDED"})
    leaves = of("aws:eks/cluster:Cluster", upgradePolicy={"supportType": "STANDARD"})
    high = [sum(line.high_usd for line in made.lines) for made in (stays, leaves)]
    assert high == [HOURS * 0.60, HOURS * 0.10]
    assert any(line.what == "eks extended support" for line in stays.lines)


def of(token: str, **inputs: object) -> Estimate:
    urn = f"urn:pulumi:p::p::{token}::one"
    given = Data(inputs)
    one = Resource(type=token, name="one", urn=urn, inputs=given, outputs=given)
    return estimate([one], TABLE)
