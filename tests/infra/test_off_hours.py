"""What shrinks when nobody works, and what of it comes back."""

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from infra.nodes import Scaling
from infra.off_hours import OffHours, OffHoursArgs, ScalableTarget
from policies.data import Resource
from policies.offline import evaluate
from stacks.policy_config import policy_config
from stacks.settings.load import load_cluster, load_workload
from stacks.settings.model import ClusterSettings, WorkloadSettings
from tests.infra.test_operations import NAMES, TAGS, built, of, role, statements
from tests.kits.each import each
from tests.kits.stacks import fields_of, named, serving, synth

EVENING = "cron(0 19 ? * MON-FRI *)"
MORNING = "cron(0 7 ? * MON-FRI *)"
OFF_HOURS = {"begin": EVENING, "end": MORNING, "timezone": "Europe/Berlin"}
VARIANT = ScalableTarget(
    resource_id="endpoint/plinth-test-delay/variant/champion",
    scalable_dimension="sagemaker:variant:DesiredInstanceCount",
    min_capacity=2,
    max_capacity=4,
)


def off_hours(**changes: Any) -> list[Resource]:
    def make() -> OffHours:
        args = OffHoursArgs(
            names=NAMES,
            tags=TAGS,
            **OFF_HOURS,
            node_groups={"gpu": Scaling(min_size=0, desired_size=3, max_size=8)},
            scalable_targets={"endpoint": VARIANT},
            role=role("off-hours"),
        )
        return OffHours("off-hours", replace(args, **changes))

    return built(make)


def cluster(env: str, **sections: Any) -> ClusterSettings:
    """The settings of an environment's cluster with other sections."""
    return ClusterSettings.model_validate({**fields_of(load_cluster(env)), **sections})


def test_a_node_group_shrinks_in_the_evening_and_is_as_before_in_the_morning() -> None:
    schedules = of(off_hours(), ":Schedule")
    asked = {item["scheduleExpression"]: json.loads(item["target"]["input"]) for item in schedules}
    group = {"ClusterName": "plinth-test-cluster", "NodegroupName": "plinth-test-gpu"}
    assert asked == {
        EVENING: {**group, "ScalingConfig": {"DesiredSize": 0}},
        MORNING: {**group, "ScalingConfig": {"DesiredSize": 3}},
    }
    assert {item["scheduleExpressionTimezone"] for item in schedules} == {"Europe/Berlin"}
    assert {item["target"]["arn"] for item in schedules} == {
        "arn:aws:scheduler:::aws-sdk:eks:updateNodegroupConfig"
    }


def test_only_what_the_program_ignores_of_a_node_group_moves() -> None:
    """So an update at night changes nothing back."""
    moved = {
        name
        for item in of(off_hours(), ":Schedule")
        for name in json.loads(item["target"]["input"])["ScalingConfig"]
    }
    assert moved == {"DesiredSize"}
    groups = [item for item in synth("dev.cluster") if item.type.endswith(":NodeGroup")]
    assert groups
    for group in groups:
        assert "scalingConfig.desiredSize" in (group.options.ignore_changes or ())


def test_an_evening_that_failed_does_not_arrive_in_the_morning() -> None:
    for item in each(of(off_hours(), ":Schedule")):
        assert item["target"]["retryPolicy"]["maximumEventAgeInSeconds"] <= 3600


def test_the_scheduler_may_resize_these_node_groups_and_nothing_else() -> None:
    [statement] = statements(off_hours(), "off-hours-resize")
    assert statement["Action"] == ["eks:UpdateNodegroupConfig"]
    assert statement["Resource"] == [
        "arn:aws:eks:us-east-1:123456789012:nodegroup/plinth-test-cluster/plinth-test-gpu/*"
    ]


def test_an_endpoint_has_one_instance_at_night_and_its_own_bounds_by_day() -> None:
    actions = of(off_hours(), ":ScheduledAction")
    bounds = {item["schedule"]: item["scalableTargetAction"] for item in actions}
    assert bounds == {
        EVENING: {"minCapacity": 1, "maxCapacity": 1},
        MORNING: {"minCapacity": 2, "maxCapacity": 4},
    }
    assert {item["timezone"] for item in actions} == {"Europe/Berlin"}
    assert {item["resourceId"] for item in actions} == {VARIANT.resource_id}


@pytest.mark.parametrize(
    ("day", "night"), [((0, 3), (0, 1)), ((1, 3), (1, 1)), ((0, 1), None), ((1, 1), None)]
)
def test_none_run_at_night_only_where_none_may_run_by_day(
    day: tuple[int, int], night: tuple[int, int] | None
) -> None:
    target = replace(VARIANT, min_capacity=day[0], max_capacity=day[1])
    actions = of(off_hours(scalable_targets={"queue": target}), ":ScheduledAction")
    found = {item["schedule"]: item["scalableTargetAction"] for item in actions}
    if night is None:
        assert found == {}
    else:
        assert found[EVENING] == {"minCapacity": night[0], "maxCapacity": night[1]}


def test_node_groups_without_somebody_to_resize_them_are_refused() -> None:
    with pytest.raises(ValueError, match="role must be given with node_groups"):
        off_hours(role=None)


# -- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"begin": "rate(1 day)"}, "match pattern"),
        ({"begin": "cron(0 19 ? * MON-FRI)"}, "match pattern"),
        ({"begin": "cron(0 19 * * MON-FRI *)"}, "must be ?"),
        ({"begin": "cron(0 19 ? * ? *)"}, "must be ?"),
        ({"begin": MORNING}, "begin and end must differ"),
        ({"timezone": "Berlin"}, "timezone must be an IANA name, such as Europe/Berlin"),
    ],
)
def test_hours_that_no_scheduler_understands_are_refused(given: dict[str, str], told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        cluster("dev", off_hours={**OFF_HOURS, **given})
    assert told in str(refused.value)


def test_hours_in_which_nothing_shrinks_are_refused_with_the_fix() -> None:
    chosen = load_cluster("dev").cluster.model_dump()
    chosen["system_scaling"] = {"min_size": 2, "desired_size": 2, "max_size": 4}
    with pytest.raises(ValidationError, match="give a managed node group a min_size below"):
        cluster("dev", cluster=chosen)
    workload = fields_of(load_workload(named("dev.flight_delay")))
    with pytest.raises(ValidationError, match="must have an endpoint with autoscaling to shrink"):
        WorkloadSettings.model_validate({**workload, "off_hours": OFF_HOURS})


def test_the_clusters_own_services_keep_a_node() -> None:
    chosen = load_cluster("dev").cluster.model_dump()
    chosen["system_scaling"] = {"min_size": 0, "desired_size": 2, "max_size": 4}
    with pytest.raises(ValidationError, match=r"system_scaling\.min_size must be 1 or more"):
        cluster("dev", cluster=chosen)


def test_a_pool_in_a_reservation_does_not_shrink() -> None:
    pools = load_cluster("local").gpu_pools["gpu-inference"].model_dump()
    pools["scaling"] = {"min_size": 0, "desired_size": 1, "max_size": 2}
    pools["capacity_types"] = ["on-demand"]
    chosen = load_cluster("local").cluster.model_dump()
    chosen["system_scaling"] = {"min_size": 1, "desired_size": 2, "max_size": 2}
    reserved = {
        **pools,
        "capacity_types": ["reserved"],
        "availability_zone_id": "use1-az1",
        "reservation": {"id": "cr-0123456789abcdef0", "availability_zone_id": "use1-az1"},
    }
    kept = load_cluster("local").gpu_pools["gpu-training"].model_dump()
    for pool, shrinks in ((pools, True), (reserved, False)):
        settings = cluster(
            "local",
            cluster=chosen,
            gpu_pools={"gpu-inference": pool, "gpu-training": kept},
            teams={},
            off_hours=OFF_HOURS,
        )
        assert ("gpu-inference" in settings.shrinking) == shrinks


# -- environments --------------------------------------------------------------------------------


def test_everything_of_a_workload_that_shrinks_passes_its_policies() -> None:
    given = {**fields_of(serving("staging.flight_delay")), "off_hours": OFF_HOURS}
    settings = WorkloadSettings.model_validate(given)
    found = synth("staging.flight_delay", settings)
    names = {item.name for item in found if "off-hours-endpoint" in item.name}
    queue = {f"off-hours-endpoint-async-{moment}" for moment in ("begin", "end")}
    assert names == {f"off-hours-endpoint-{moment}" for moment in ("begin", "end")} | queue
    findings = evaluate(found, policy_config(settings))
    bad = [f for f in findings if f.status in ("fail", "error", "unknown")]
    assert [f for f in bad if "off-hours" in f.urn] == []


def test_a_cluster_that_shrinks_has_somebody_to_resize_it() -> None:
    names = {item.name for item in synth("dev.cluster")}
    assert {"access-off-hours", "off-hours-system-begin", "off-hours-system-end"} <= names
    assert not [item.name for item in synth("staging.cluster") if "off-hours" in item.name]


def test_production_runs_around_the_clock() -> None:
    assert load_cluster("prod").off_hours is None
    assert load_cluster("dev").off_hours is not None
