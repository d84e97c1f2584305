"""Prices: dated figures, three totals, and nothing without a price taken for free."""

import json
from datetime import date

import pulumi_aws as aws
import pytest

from stacks.checks import cost
from stacks.prices import Estimate, estimate, price_table, regions
from stacks.synth import recorded
from tests.checks_kit import ask, platform

TABLE = price_table("us-east-1")
HOURS = 730


def priced(program) -> Estimate:  # type: ignore[no-untyped-def]
    return estimate(recorded(program), TABLE)


@pytest.mark.parametrize("region", regions())
def test_every_figure_says_where_and_when_it_comes_from(region: str) -> None:
    for price in price_table(region).prices.values():
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
    from stacks.settings import load

    settings = load("dev")
    account = settings.account.model_copy(update={"region": "eu-central-1"})
    asked = platform(nodes, settings=settings.model_copy(update={"account": account}))
    [found] = ask(cost.check, asked)
    assert found.status == "unknown"
    assert "eu-central-1" in found.message
