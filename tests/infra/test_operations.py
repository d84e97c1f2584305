"""What watches the platform: who is told, what starts by itself, what stops, what is kept."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from infra.alerts import Alerts, AlertsArgs
from infra.audit import MANAGED_RULES, Audit, AuditArgs
from infra.budget import STOPPED, Budget, BudgetArgs
from infra.component import Role
from infra.dashboard import Graph, dashboard_body
from infra.drift import Drift, DriftArgs
from infra.gpu_monitoring import ALERTS, XIDS, GpuMonitoring, GpuMonitoringArgs, dashboard
from infra.naming import Names
from infra.retraining import Retraining, RetrainingArgs
from policies.data import Resource
from stacks.synth import recorded

NAMES = Names(env="test", account_id="123456789012", region="us-east-1")
TAGS = {"owner": "me"}
TOPIC = "arn:aws:sns:us-east-1:123456789012:plinth-test-alerts"
PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/delay/7"


def role(purpose: str) -> Role:
    arn = f"arn:aws:iam::123456789012:role/plinth-test-{purpose}"
    return Role(purpose, pulumi.Output.from_input(purpose), pulumi.Output.from_input(arn))


def of(found: list[Resource], suffix: str) -> list[Any]:
    return [item.inputs.value for item in found if item.type.endswith(suffix)]


def statements(found: list[Resource], name: str) -> list[dict[str, Any]]:
    """Of the inline policy with this name."""
    [policy] = [item for item in of(found, ":RolePolicy") if item["name"] == name]
    listed: list[dict[str, Any]] = json.loads(policy["policy"])["Statement"]
    return listed


def built(make: Callable[[], Any]) -> list[Resource]:
    def program() -> None:
        make()

    return recorded(program)


# -- retraining ----------------------------------------------------------------------------------


def retraining(**changes: Any) -> list[Resource]:
    def make() -> Retraining:
        args = RetrainingArgs(
            names=NAMES,
            tags=TAGS,
            pipeline_name="plinth-test-training",
            pipeline_arn="arn:p",
            code=pulumi.AssetArchive({"a.py": pulumi.StringAsset("a")}),
            handler="a.handler",
            role=role("retraining"),
            kms_key_arn="arn:k",
            alarm_names=("drift",),
        )
        return Retraining("retraining", replace(args, **changes))

    return built(make)


def test_only_the_named_alarms_start_a_run_and_only_when_they_go_off() -> None:
    [rule] = of(retraining(), ":EventRule")
    detail = json.loads(rule["eventPattern"])["detail"]
    assert detail == {"alarmName": ["drift"], "state": {"value": ["ALARM"]}}
    assert of(retraining(alarm_names=()), ":EventRule") == []


def test_what_starts_runs_neither_approves_nor_deploys() -> None:
    actions = {
        action
        for statement in statements(retraining(), "retraining-start")
        for action in statement["Action"]
    }
    assert {action for action in actions if action.startswith("sagemaker:")} == {
        "sagemaker:DescribePipelineExecution",
        "sagemaker:StartPipelineExecution",
    }


def test_a_trigger_that_is_given_up_waits_in_a_queue_and_an_alarm_says_so() -> None:
    found = retraining()
    [queue], [alarm], [target] = (
        of(found, f":{kind}") for kind in ("Queue", "MetricAlarm", "EventTarget")
    )
    assert alarm["dimensions"] == {"QueueName": queue["name"]}
    assert target["deadLetterConfig"]["arn"] == "arn:aws:mock:::retraining-dead-letters"


def test_two_firings_of_a_schedule_are_two_events() -> None:
    schedules = {"weekly": "cron(0 3 ? * SUN *)"}
    found = retraining(schedules=schedules, schedule_role=role("schedule"))
    [schedule] = of(found, ":Schedule")
    assert json.loads(schedule["target"]["input"])["id"] == "<aws.scheduler.execution-id>"
    with pytest.raises(ValueError, match="schedules need a schedule_role, got weekly"):
        retraining(schedules=schedules)


# -- drift ---------------------------------------------------------------------------------------


def drift(**changes: Any) -> list[Resource]:
    def make() -> Drift:
        args = DriftArgs(
            names=NAMES,
            tags=TAGS,
            endpoint_name="plinth-test-delay",
            model_package_arn=PACKAGE,
            image_uri="image@sha256:0",
            entrypoint=["python3", "-m", "drift"],
            capture_uri="s3://data/capture/plinth-test-delay",
            report_uri="s3://data/monitoring",
            role=role("drift"),
            schedule_role=role("drift-schedule"),
            kms_key_arn="arn:k",
            subnet_ids=["subnet-1"],
            security_group_ids=["sg-1"],
        )
        return Drift("drift", replace(args, **changes))

    return built(make)


def job(found: list[Resource]) -> Any:
    [schedule] = of(found, ":Schedule")
    return json.loads(schedule["target"]["input"])


def test_a_baseline_and_its_reports_follow_the_model_package() -> None:
    request = job(drift())
    assert PACKAGE in request["AppSpecification"]["ContainerArguments"]
    [output] = request["ProcessingOutputConfig"]["Outputs"]
    assert output["S3Output"]["S3Uri"] == "s3://data/monitoring/7"


def test_a_job_on_local_nvme_has_no_volume_key() -> None:
    for kind, encrypted in (("ml.m5.large", True), ("ml.g5.xlarge", False)):
        cluster = job(drift(instance_type=kind))["ProcessingResources"]["ClusterConfig"]
        assert ("VolumeKmsKeyId" in cluster) == encrypted


def test_the_drift_job_runs_in_the_vpc() -> None:
    vpc = job(drift())["NetworkConfig"]["VpcConfig"]
    assert vpc == {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}


def test_the_schedule_may_start_the_drift_job_alone_and_pass_its_role_alone() -> None:
    start, hand_over = statements(drift(), "drift-start")
    name = job(drift())["ProcessingJobName"]
    [resource] = start["Resource"]
    assert resource.endswith("processing-job/plinth-test-drift-*")
    assert name == "plinth-test-drift-<aws.scheduler.execution-id>"
    assert hand_over["Resource"] == ["arn:aws:iam::123456789012:role/plinth-test-drift"]


def test_the_jobs_of_two_workloads_with_long_names_are_told_apart() -> None:
    """A job's name has 63 characters, of which the scheduler's id takes 36."""
    names = [NAMES.of_workload(f"fraud-score-{end}") for end in ("cards", "cheques")]
    prefixes = [job(drift(names=one))["ProcessingJobName"].partition("-<")[0] for one in names]
    assert len(set(prefixes)) == 2
    assert [len(prefix) <= 26 for prefix in prefixes] == [True, True]
    [start, _] = statements(drift(names=names[0]), "drift-start")
    assert start["Resource"][0].endswith(f"processing-job/{prefixes[0]}-*")


# -- cost ----------------------------------------------------------------------------------------


def cost(**changes: Any) -> list[Resource]:
    def make() -> Budget:
        args = BudgetArgs(
            names=NAMES,
            tags=TAGS,
            monthly_limit_usd=100,
            tag=("environment", "test"),
            alerts_topic_arn=TOPIC,
        )
        return Budget("cost", replace(args, **changes))

    return built(make)


def test_a_budget_tells_what_is_spent_and_what_will_be() -> None:
    [budget] = of(cost(), "budget:Budget")
    told = [(item["notificationType"], item["threshold"]) for item in budget["notifications"]]
    assert told == [("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100)]
    assert budget["costFilters"] == [{"name": "TagKeyValue", "values": ["user:environment$test"]}]


def test_a_spent_budget_stops_new_work_and_nothing_else() -> None:
    found = cost(stop_role=role("stop"), stopped_roles=[role("job"), role("pipeline")])
    [policy] = of(found, ":Policy")
    [statement] = json.loads(policy["policy"])["Statement"]
    assert statement["Effect"] == "Deny" and statement["Action"] == list(STOPPED)
    verbs = {action.removeprefix("sagemaker:")[:5] for action in STOPPED}
    assert verbs == {"Creat", "Start", "Updat"}
    [action] = of(found, ":BudgetAction")
    assert action["definition"]["iamActionDefinition"]["roles"] == ["job", "pipeline"]
    [allowed] = statements(found, "cost-stop")
    assert allowed["Condition"]["ArnEquals"]["iam:PolicyARN"]


def test_an_endpoint_that_nobody_asks_for_a_day_is_told() -> None:
    [alarm] = of(cost(idle_variants={"plinth-test-delay": "champion"}), ":MetricAlarm")
    assert (alarm["metricName"], alarm["comparisonOperator"]) == (
        "Invocations",
        "LessThanThreshold",
    )
    assert (alarm["period"], alarm["treatMissingData"]) == (86_400, "breaching")


def test_a_brake_without_anybody_to_stop_is_refused() -> None:
    with pytest.raises(ValueError, match="stopped_roles must name a role"):
        cost(stop_role=role("stop"))


# -- audit ---------------------------------------------------------------------------------------


def audit(**changes: Any) -> list[Resource]:
    def make() -> Audit:
        args = AuditArgs(
            names=NAMES,
            tags=TAGS,
            kms_key_arn="arn:k",
            access_log_bucket_name="logs",
            data_bucket_arns=["arn:aws:s3:::data"],
        )
        return Audit("audit", replace(args, **changes))

    return built(make)


def test_a_trail_covers_all_regions_validates_encrypts_and_sees_data() -> None:
    [trail] = of(audit(), ":Trail")
    wanted = ("isMultiRegionTrail", "enableLogFileValidation", "includeGlobalServiceEvents")
    assert all(trail[name] for name in wanted) and trail["kmsKeyId"] == "arn:k"
    seen = {item["name"] for item in trail["advancedEventSelectors"]}
    assert seen == {"management", "objects", "sagemaker-features", "sagemaker-endpoints"}


def test_a_trail_is_locked_as_long_as_it_is_kept() -> None:
    [lock] = of(audit(retention_days=400, lock="COMPLIANCE"), ":BucketObjectLockConfiguration")
    assert lock["rule"]["defaultRetention"] == {"mode": "COMPLIANCE", "days": 400}
    [rules] = [item["rules"] for item in of(audit(), ":BucketLifecycleConfiguration")]
    assert rules[0]["expiration"] == {"days": 365}
    assert of(audit(lock=None), ":BucketObjectLockConfiguration") == []


def test_aws_config_delivers_to_a_bucket_without_a_lock() -> None:
    found = audit(record_configurations=True)
    [channel] = of(found, ":DeliveryChannel")
    locked = {item["bucket"] for item in of(found, ":Bucket") if item.get("objectLockEnabled")}
    assert (
        channel["s3BucketName"] == NAMES.bucket("config") and channel["s3BucketName"] not in locked
    )
    assert len(of(found, ":Rule")) == len(MANAGED_RULES)
    with pytest.raises(ValueError, match="must be in MANAGED_RULES, got none-such"):
        audit(config_rules=("none-such",))


def test_the_audit_bucket_takes_deliveries_for_this_account_and_trail_alone() -> None:
    [policy] = of(audit(), ":BucketPolicy")
    deny, *allowed = json.loads(policy["policy"])["Statement"]
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    for statement in allowed:
        condition = statement["Condition"]
        assert condition["StringEquals"] == {"aws:SourceAccount": "123456789012"}
        assert condition["ArnEquals"]["aws:SourceArn"].endswith("trail/plinth-test-trail")


# -- what people see -----------------------------------------------------------------------------


def test_a_dashboard_is_the_same_text_for_the_same_panels() -> None:
    graphs = {"a": Graph("N", ("m", "n"), {"D": "v"})}
    assert dashboard_body(graphs, "us-east-1") == dashboard_body(graphs, "us-east-1")
    [widget] = json.loads(dashboard_body(graphs, "us-east-1"))["widgets"]
    assert widget["properties"]["metrics"] == [["N", "m", "D", "v"], ["N", "n", "D", "v"]]
    assert dashboard() == dashboard()
    assert json.loads(dashboard())["uid"] == "plinth-gpu-nodes"


def test_every_xid_calls_for_one_thing() -> None:
    listed = [xid for xids in XIDS.values() for xid in xids]
    assert len(listed) == len(set(listed))
    assert {79, 48} <= set(XIDS["isolate"]) and 31 in XIDS["monitor"]
    assert ALERTS["GpuXidIsolate"].severity == "critical"


@pytest.mark.parametrize(("operator", "kind"), [(True, "PrometheusRule"), (False, "ConfigMap")])
def test_alerts_come_in_the_form_that_the_clusters_prometheus_takes(
    operator: bool, kind: str
) -> None:
    args = GpuMonitoringArgs(names=NAMES, tags=TAGS, prometheus_operator=operator)
    found = built(lambda: GpuMonitoring("gpu", args))
    [rules] = [item for item in found if item.name == "gpu-rules"]
    assert rules.type.endswith(f":{kind}")
    spec = rules.inputs.value.get("spec") or json.loads(rules.inputs.value["data"]["gpu.yaml"])
    assert {rule["alert"] for rule in spec["groups"][0]["rules"]} == set(ALERTS)


def test_a_topic_takes_messages_of_this_account_and_its_own_rules_alone() -> None:
    args = AlertsArgs(names=NAMES, tags=TAGS, kms_key_arn="arn:k", emails=("a@example.com",))
    found = built(lambda: Alerts("alerts", args))
    [policy] = of(found, ":TopicPolicy")
    services, rules, plaintext = json.loads(policy["policy"])["Statement"]
    assert services["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    source = rules["Condition"]["ArnLike"]["aws:SourceArn"]
    assert source == "arn:aws:events:us-east-1:123456789012:rule/plinth-test-*"
    assert plaintext["Effect"] == "Deny"
    assert plaintext["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert [item["endpoint"] for item in of(found, ":TopicSubscription")] == ["a@example.com"]
