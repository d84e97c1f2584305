"""What a first deployment to an account would meet: each fault put back, and what refuses it.

Those that the local cloud refuses are in `tests/stacks/local/test_refusals.py`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from infra.errors import UserError
from policies.data import Data, Resource
from stacks.checks import cluster_access, image_layers, one_per_account, service_roles, support
from stacks.checks.account import check_machine, check_permissions, check_placeholders
from stacks.checks.check import CheckResult
from stacks.cli import cli
from stacks.commands.deploy import _is_filled_in
from stacks.commands.output import CommandOutput
from stacks.pins.table import pins
from stacks.service_linked_roles import ROLES, needed, on_spot
from stacks.settings.load import load, load_environment
from stacks.stack_name import StackName
from stacks.targets.account import AccountTarget
from stacks.targets.machine import of_account
from tests.kits.checks import Script, ask, platform, stubbed
from tests.kits.iam import decide
from tests.kits.stacks import ALL, changed, copied, synth

Change = Callable[[dict[str, Any]], None]


def asked(
    check: Callable[..., Any],
    stack: str = "dev.foundation",
    script: Script | None = None,
    *,
    resources: Sequence[Resource] | None = None,
    also: Mapping[str, Sequence[Resource]] | None = None,
    **more: Any,
) -> list[CheckResult]:
    """A check of a real stack's synth, and of others of its environment."""
    found = synth(stack) if resources is None else list(resources)
    others = {StackName.parse(name): list(given) for name, given in (also or {}).items()}
    given = platform(script=script, stack=stack, resources=found, environment=others, **more)
    return ask(check, given)


def with_inputs(resources: Sequence[Resource], type_: str, change: Change) -> list[Resource]:
    """Resources, those of a type with other inputs."""
    made = []
    for one in resources:
        if one.type == type_:
            inputs = json.loads(json.dumps(one.inputs.value))
            change(inputs)
            made.append(Resource(**{**vars_of(one), "inputs": Data(inputs, one.inputs.path)}))
        else:
            made.append(one)
    return made


def vars_of(resource: Resource) -> dict[str, Any]:
    return {name: getattr(resource, name) for name in Resource.__dataclass_fields__}


def edited(folder: Path, file: str, old: str, new: str) -> Path:
    """The environments' files, one of them with another text."""
    made = copied(folder)
    text = (made / file).read_text()
    assert old in text, f"{file} no longer has {old!r}"
    (made / file).write_text(text.replace(old, new, 1))
    return made


def told(found: Sequence[CheckResult], status: str = "fail") -> list[str]:
    return [f"{one.subject}: {one.message}" for one in found if one.status == status]


# -- F4: layers of images through the S3 endpoint ------------------------------------------------

ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"


def ecr_alone(inputs: dict[str, Any]) -> None:
    """The policy as it was: of what is not ours, ECR's layers."""
    policy = json.loads(inputs["policy"])
    for statement in policy["Statement"]:
        if statement["Sid"] == "ImageLayers":
            statement["Resource"] = [one for one in statement["Resource"] if "starport" in one]
    inputs["policy"] = json.dumps(policy)


def test_layers_of_the_kubernetes_registry_pass_the_s3_endpoint() -> None:
    cluster = {"dev.cluster": synth("dev.cluster")}
    assert told(asked(image_layers.check, also=cluster), "pass") == [
        "kueue: the S3 endpoint lets nodes read the layers of registry.k8s.io"
    ]
    faulty = with_inputs(synth("dev.foundation"), ENDPOINT, ecr_alone)
    [message] = told(asked(image_layers.check, resources=faulty, also=cluster))
    assert message.startswith(
        "kueue: the policy of the S3 endpoint must let everybody read prod-registry-k8s-io-us-east"
    )


def test_every_chart_of_every_environment_has_a_known_registry() -> None:
    for env in ("dev", "staging", "prod"):
        cluster = {f"{env}.cluster": synth(f"{env}.cluster")}
        found = asked(image_layers.check, f"{env}.foundation", also=cluster)
        assert found and told(found, "unknown") == []


# -- F5, F19, and what an account has one of -----------------------------------------------------


def test_the_monitor_is_of_all_services_and_of_an_account_but_one() -> None:
    [monitor] = [one for one in synth("dev.foundation") if "AnomalyMonitor" in one.type]
    assert monitor.inputs.get("monitorDimension") == "SERVICE"
    assert monitor.inputs.get("monitorSpecification") is None  # which was replaced by every `up`


THERE = {"MonitorArn": "arn:aws:ce::1:anomalymonitor/x", "MonitorType": "DIMENSIONAL",
         "MonitorDimension": "SERVICE", "MonitorName": "Default-Services-Monitor"}  # fmt: skip
NONE_THERE: Script = {
    "ce": [("get_anomaly_monitors", {"AnomalyMonitors": []})],
    "config": [("describe_configuration_recorders", {"ConfigurationRecorders": []})],
}


@pytest.mark.parametrize(
    ("script", "stack", "message"),
    [
        (
            {"ce": [("get_anomaly_monitors", {"AnomalyMonitors": [THERE]})]},
            "dev.foundation",
            "monitor of all services: an account has one, and this one has it: "
            "arn:aws:ce::1:anomalymonitor/x",
        ),
        (
            {
                **NONE_THERE,
                "config": [
                    (
                        "describe_configuration_recorders",
                        {"ConfigurationRecorders": [{"name": "default"}]},
                    )
                ],
            },
            "staging.foundation",
            "recorder of AWS Config in this region: an account has one, and this one has it: "
            "default",
        ),
    ],
)
def test_what_somebody_else_has_of_an_account_is_told(
    script: Script, stack: str, message: str
) -> None:
    assert told(asked(one_per_account.check, stack, script)) == [message]
    assert told(asked(one_per_account.check, stack, NONE_THERE)) == []


def test_a_monitor_that_is_there_is_taken_and_anomalies_may_be_off() -> None:
    settings: Any = load(StackName.parse("dev.foundation"))
    arn = "arn:aws:ce::111111111111:anomalymonitor/x"
    taken = settings.cost.model_copy(update={"anomaly_monitor_arn": arn})
    types = {one.type: one for one in synth("dev.foundation", changed(settings, cost=taken))}
    assert "aws:costexplorer/anomalyMonitor:AnomalyMonitor" not in types
    subscription = types["aws:costexplorer/anomalySubscription:AnomalySubscription"]
    assert subscription.inputs.get("monitorArnLists") == [arn]
    off = settings.cost.model_copy(update={"anomaly_threshold_usd": None})
    left = {one.type for one in synth("dev.foundation", changed(settings, cost=off))}
    assert [one for one in left if "costexplorer" in one] == []


def shared_account(folder: Path, owner_of_staging: str) -> Path:
    """Files in which staging lives in the account of dev."""
    made = copied(folder)
    for env, owner in (("dev", ""), ("staging", owner_of_staging)):
        path = made / f"{env}.yaml"
        text = path.read_text()
        mine = load_environment(env).account.account_id
        account = load_environment("dev").account.account_id
        text = text.replace(f'"{mine}"', f'"{account}"')
        if owner_of_staging:
            text = text.replace("  region:", f"  owner: {owner or 'dev'}\n  region:", 1)
        path.write_text(text)
    return made


def test_environments_of_one_account_name_its_owner(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"account\.owner must be the same of all environments"):
        load_environment("staging", shared_account(tmp_path / "a", ""))
    with pytest.raises(UserError, match="dev: dev, staging: staging"):
        load_environment("staging", shared_account(tmp_path / "b", "staging"))
    with pytest.raises(UserError, match=r"must be of this account's environments .*got 'nobody'"):
        load_environment("staging", shared_account(tmp_path / "c", "nobody"))
    named = shared_account(tmp_path / "d", "dev")
    assert load_environment("dev", named).owns_account
    assert not load_environment("staging", named).owns_account
    with pytest.raises(UserError, match=r"audit\.create_config_recorder must be false"):
        load(StackName.parse("staging.foundation"), named)


# -- F7: placeholders ----------------------------------------------------------------------------


def test_an_account_of_nobody_is_trusted_by_no_policy(tmp_path: Path) -> None:
    """As somebody with one account would leave the file: the others' ids as they came."""
    folder = copied(tmp_path)
    path = folder / "dev.yaml"
    path.write_text(path.read_text().replace('"111111111111"', '"210987654321"'))
    with pytest.raises(UserError, match=r"accounts\.environments\.staging must be an account of"):
        load_environment("dev", folder)


def test_placeholders_are_told_before_a_deployment_and_refused_by_it() -> None:
    found = asked(check_placeholders, "dev.weather")
    assert [one.subject for one in found if one.status == "fail"] == [
        "account.account_id",
        *(f"accounts.environments.{env}" for env in ("dev", "staging", "prod")),
        "plinth:image.digest",
    ]
    assert found[0].fix == "fill it in, in stacks/environments/dev.yaml"
    assert found[-1].fix.endswith("stacks/environments/Pulumi.dev.weather.yaml")
    [email] = [
        one for one in asked(check_placeholders, "prod.foundation") if "emails" in one.subject
    ]
    assert email.message == "must be filled in, is the placeholder ml-platform@example.com"
    with pytest.raises(UserError, match=r"dev\.weather must have no placeholders"):
        _is_filled_in(StackName.parse("dev.weather"))
    for stack in ("local.foundation", "local.weather"):
        assert told(asked(check_placeholders, stack)) == []
        _is_filled_in(StackName.parse(stack))


# -- F13, F17: service-linked roles --------------------------------------------------------------


def roles_there(*there: bool) -> Script:
    """Answers of IAM to questions for one role after another."""
    role = {
        "Path": "/", "RoleName": "r", "RoleId": "A" * 20, "Arn": "arn:aws:iam::1:role/r",
        "CreateDate": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    return {"iam": [("get_role", {"Role": role} if one else "!NoSuchEntity") for one in there]}


def test_spots_role_must_be_there_where_a_pool_runs_on_spot() -> None:
    """Karpenter would take on-demand, at two to three times the price, and say nothing."""
    found = asked(service_roles.check, "dev.cluster", roles_there(False, False, False))
    assert [(one.subject, one.status) for one in found] == [
        ("AWSServiceRoleForAmazonEKS", "pass"),
        ("AWSServiceRoleForAmazonEKSNodegroup", "pass"),
        ("AWSServiceRoleForEC2Spot", "fail"),
    ]
    assert found[-1].fix == (
        "aws iam create-service-linked-role --aws-service-name spot.amazonaws.com"
    )
    there = asked(service_roles.check, "dev.cluster", roles_there(True, True, True))
    assert [one.status for one in there] == ["pass"] * 3
    pools = [one for one in synth("prod.cluster") if on_spot(one)]
    assert pools == []  # reserved and on-demand alone: nothing is asked for


def with_a_role_of_ours(inputs: dict[str, Any]) -> None:
    inputs["roleArn"] = "arn:aws:iam::222222222222:role/plinth-staging-config"


def test_aws_config_records_with_its_own_role() -> None:
    assert told(asked(service_roles.check, "staging.foundation", roles_there(True))) == []
    faulty = with_inputs(synth("staging.foundation"), service_roles.RECORDER, with_a_role_of_ours)
    [message] = told(
        asked(service_roles.check, "staging.foundation", roles_there(True), resources=faulty)
    )
    assert "AWS Config must record with AWSServiceRoleForConfig" in message
    [missing] = told(asked(service_roles.check, "staging.foundation", roles_there(False)))
    assert missing.startswith("AWSServiceRoleForConfig: must be there before")


# -- F1, F2: who reaches the cluster, and is let in ----------------------------------------------


def test_a_private_cluster_without_a_runner_is_refused_by_its_settings(tmp_path: Path) -> None:
    """As the files were: no address, and nothing in the VPC that deploys."""
    staging, told_of = "Pulumi.staging.foundation.yaml", "got neither public_access_cidrs nor a"
    line = "  plinth:runner: {} # deploys the cluster from inside the VPC\n"
    with pytest.raises(UserError, match=told_of):
        load(StackName.parse("staging.cluster"), edited(tmp_path / "a", staging, line, ""))
    cidrs = "    public_access_cidrs: [203.0.113.7/32] # addresses that you deploy from\n"
    folder = edited(tmp_path / "b", "Pulumi.dev.cluster.yaml", cidrs, "")
    with pytest.raises(UserError, match=told_of):
        load(StackName.parse("dev.cluster"), folder)


def test_a_runner_needs_a_way_out(tmp_path: Path) -> None:
    file = "Pulumi.staging.foundation.yaml"
    folder = edited(tmp_path, file, "nat_gateways: one-per-az", "nat_gateways: none")
    with pytest.raises(UserError, match="runner must have a way to package registries"):
        load(StackName.parse("staging.foundation"), folder)


def from_address(address: str) -> Callable[..., Any]:
    return lambda *_: (200, {}, f"{address}\n".encode())


@pytest.mark.parametrize(
    ("stack", "address", "status", "message"),
    [
        ("dev.cluster", "203.0.113.7", "pass", "lets 203.0.113.7 in"),
        ("dev.cluster", "198.51.100.1", "fail", "lets 203.0.113.7/32 in"),
        ("prod.cluster", "203.0.113.7", "fail", "must be reached from here, is private"),
    ],
)
def test_the_api_is_reached_from_where_one_deploys(
    stack: str, address: str, status: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    [found] = asked(cluster_access.check_reach, stack, fetch=from_address(address))
    assert found.status == status and message in found.message
    monkeypatch.setenv(cluster_access.IN_A_RUNNER, "arn:aws:codebuild:us-east-1:1:build/b")
    [inside] = asked(cluster_access.check_reach, stack, fetch=from_address(address))
    assert inside.status == "pass"


def test_an_unknown_address_is_unknown() -> None:
    assert [one.status for one in asked(cluster_access.check_reach, "dev.cluster")] == ["unknown"]


SSO = "aws-reserved/sso.amazonaws.com/eu-west-1"
SSO_ROLE = "AWSReservedSSO_Admin_0123456789abcdef"


def calls_as(role: str, path: str = "/", times: int = 1) -> Script:
    """STS names a session without the path of its role, which IAM alone knows."""
    session = f"arn:aws:sts::111111111111:assumed-role/{role}/ada"
    known = {
        "Path": path, "RoleName": role, "RoleId": "A" * 20,
        "Arn": f"arn:aws:iam::111111111111:role{path}{role}",
        "CreateDate": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    identity = {"Account": "111111111111", "Arn": session, "UserId": "u"}
    return {
        "sts": [("get_caller_identity", identity)] * times,
        "iam": [("get_role", {"Role": known})] * times,
    }


def test_whoever_deploys_has_an_access_entry() -> None:
    def found(script: Script, settings: Any = None) -> CheckResult:
        resources = synth("dev.cluster", settings)
        more = {"settings": settings} if settings else {}
        [one] = asked(
            cluster_access.check_access, "dev.cluster", script, resources=resources, **more
        )
        return one

    deployer = found(calls_as("plinth-dev-deployer"))
    assert (deployer.status, deployer.message) == ("pass", "has an access entry")
    first = found(calls_as(SSO_ROLE, f"/{SSO}/", times=2))
    assert first.subject == f"arn:aws:iam::111111111111:role/{SSO}/{SSO_ROLE}"
    assert first.message == "gets an access entry by `plinth up dev.cluster`"
    settings: Any = load(StackName.parse("dev.cluster"))
    theirs = {"ci": "arn:aws:iam::111111111111:role/ci"}
    named = changed(
        settings, cluster=settings.cluster.model_copy(update={"admin_role_arns": theirs})
    )
    stranger = found(calls_as(SSO_ROLE, f"/{SSO}/", times=2), named)
    assert stranger.status == "fail" and "answers 401" in stranger.message
    assert found(calls_as("ci"), named).status == "pass"


def test_up_lets_the_caller_in_by_the_full_name_of_the_role(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = AccountTarget("dev")
    script = calls_as(SSO_ROLE, f"/{SSO}/")
    monkeypatch.setattr(target, "clients", lambda region: stubbed(script))
    made: Any = target.deployable(load(StackName.parse("dev.cluster")), CommandOutput(as_json=True))
    arn = f"arn:aws:iam::111111111111:role/{SSO}/{SSO_ROLE}"
    assert made.cluster.admin_role_arns == {"caller": arn}
    entries = [one.inputs.get("principalArn") for one in synth("dev.cluster", made)
               if one.type == cluster_access.ENTRY]  # fmt: skip
    assert arn in entries


def test_the_tools_of_this_machine_are_asked_for() -> None:
    needs = [("AWS CLI on PATH", False, "none", "install it"), ("Pulumi", True, "3.2", "")]
    found = asked(check_machine, machine=lambda: needs)
    assert [(one.subject, one.status) for one in found] == [
        ("AWS CLI on PATH", "fail"),
        ("Pulumi", "pass"),
    ]
    assert "AWS CLI on PATH" in [need.what for need in of_account("dev", True, {})]


# -- F20, F21: pins ------------------------------------------------------------------------------

CLUSTER = "aws:eks/cluster:Cluster"


def of_version(version: str, policy: str | None) -> list[Resource]:
    """A cluster of another version of Kubernetes; None: nobody says what EKS does at its end."""

    def change(inputs: dict[str, Any]) -> None:
        inputs["version"] = version
        del inputs["upgradePolicy"]
        if policy:
            inputs["upgradePolicy"] = {"supportType": policy}

    return with_inputs(synth("dev.cluster"), CLUSTER, change)


@pytest.mark.parametrize(
    ("version", "policy", "status", "message"),
    [
        ("1.35", "STANDARD", "pass", "is in standard support until 2027-03-27, 118 days more"),
        ("1.34", None, "fail", "has 3 (until 2026-12-02), and costs $365 a month more"),
        ("1.34", "STANDARD", "fail", "and is upgraded by EKS then, whatever the file says"),
        ("1.31", "STANDARD", "fail", "must be a version that EKS offers, is none any more"),
        ("1.99", "STANDARD", "unknown", "does not say until when it is"),
    ],
)
def test_a_cluster_has_weeks_of_standard_support(
    version: str, policy: str | None, status: str, message: str
) -> None:
    check = partial(support.check_support, today=date(2026, 11, 29))
    [found] = asked(check, "dev.cluster", resources=of_version(version, policy))
    assert found.status == status and message in found.message


def test_a_pin_that_nobody_looked_at_for_a_year_is_told() -> None:
    assert told(asked(partial(support.check_ages, today=date(2026, 11, 29)), "dev.cluster")) == []
    old = asked(partial(support.check_ages, today=date(2027, 8, 30)), "dev.cluster")
    assert [one.subject for one in old if one.status == "fail"] == ["kubernetes", "ami/al2023"]
    assert "is 377 (released 2026-08-18)" in told(old)[-1]


def test_every_environment_takes_its_pins_from_the_table() -> None:
    table = pins()
    for env in ("dev", "staging", "prod", "local"):
        settings: Any = load(StackName.parse(f"{env}.cluster"))
        assert settings.cluster.addons == table.all_of("addon")
        assert settings.cluster.system_release_version == table.version("ami/al2023")
        assert settings.cluster.upgrade_policy == "STANDARD"
    assert all(pin.source for pin in table.pins.values())


def test_the_pins_can_be_listed_and_checked() -> None:
    shown = CliRunner().invoke(cli, ["pins", "dev", "--json"])
    assert shown.exit_code == 0, shown.output
    [ami] = [one for one in json.loads(shown.stdout)["pins"] if one["name"] == "ami/al2023"]
    assert ami["taken"] == ami["version"] == pins().version("ami/al2023")


# -- F14, F18: what the deployer may, and what IAM is asked of whoever deploys -------------------

REAL = [stack for stack in ALL if stack.env != "local"]


@cache
def deployer(env: str) -> list[dict[str, Any]]:
    """The policies of an environment's deployer, and its boundary."""
    names = load_environment(env).names
    return [
        json.loads(one.inputs.get("policy"))
        for one in synth(f"{env}.foundation")
        if one.type == "aws:iam/rolePolicy:RolePolicy"
        and one.inputs.get("role") == names.of("deployer")
    ]


@dataclass
class Simulator:
    """IAM's SimulatePrincipalPolicy over policies: all resources where a question names none."""

    policies: list[dict[str, Any]]
    arn: str

    def get_caller_identity(self) -> dict[str, str]:
        return {"Arn": self.arn}

    def get_paginator(self, operation: str) -> "Simulator":
        assert operation == "simulate_principal_policy"
        return self

    def paginate(
        self, *, ActionNames: list[str], ResourceArns: Sequence[str] = ("*",),
        ContextEntries: Sequence[dict[str, Any]] = (), PolicySourceArn: str,
    ) -> list[dict[str, Any]]:  # fmt: skip
        assert PolicySourceArn == self.arn and len(ResourceArns) <= 1000
        context = {
            one["ContextKeyName"].replace(":", "__"): one["ContextKeyValues"][0]
            for one in ContextEntries
        }
        results = [
            {
                "EvalActionName": action,
                "EvalResourceName": arn,
                "EvalDecision": {"allow": "allowed", "deny": "explicitDeny"}.get(
                    decide(self.policies, action, arn, **context), "implicitDeny"
                ),
            }
            for action in ActionNames
            for arn in ResourceArns
        ]
        return [{"EvaluationResults": results}]


def simulated(stack: StackName, policies: list[dict[str, Any]]) -> list[CheckResult]:
    simulator = Simulator(policies, load_environment(stack.env).names.role_arn("deployer"))
    return asked(check_permissions, str(stack), clients=lambda service: simulator)


@pytest.mark.parametrize("stack", REAL, ids=str)
def test_the_deployer_may_deploy_every_stack(stack: StackName) -> None:
    found = simulated(stack, deployer(stack.env))
    assert told(found) == []
    assert any(one.status == "pass" for one in found)
    foundation = stack.layer == "foundation"  # its personas are an administrator's
    assert len(told(found, "unknown")) == foundation


MISSED: Mapping[str, tuple[str, str, str]] = {
    # fault -> stack, what the policy was without (its statement, and a part of one), what is told
    "PassRole to AWS Budgets": (
        "dev.flight_delay", "PassRoles budgets", "iam:PassRole on arn:aws:iam::111111111111:role/",
    ),
    "the app of MLflow": ("dev.foundation", "Named mlflow-app", "on arn:aws:sagemaker:us-east-1:"),
    "dashboards": (
        "dev.flight_delay", "Dashboards", "cloudwatch:PutDashboard on arn:aws:cloudwatch::1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", MISSED)
def test_what_the_deployer_could_not_do_is_told(fault: str) -> None:
    """Each part of the policy that was missing, taken out again."""
    stack, part, told_of = MISSED[fault]
    [found] = [
        one
        for one in simulated(StackName.parse(stack), without(deployer("dev"), *part.split()))
        if one.status == "fail"
    ]
    assert told_of in found.message


def without(policies: list[dict[str, Any]], sid: str, part: str = "") -> list[dict[str, Any]]:
    """Policies without a statement, or without the values of one that have a part in them."""
    made: list[dict[str, Any]] = json.loads(json.dumps(policies))
    for policy in made:
        for statement in list(policy["Statement"]):
            if statement.get("Sid") == sid and not part:
                policy["Statement"].remove(statement)
            elif statement.get("Sid") == sid:
                statement["Resource"] = [one for one in statement["Resource"] if part not in one]
                equals = statement.get("Condition", {}).get("StringEquals", {})
                for key, values in equals.items():
                    equals[key] = [one for one in values if part not in one]
    return made


def test_a_question_about_everything_would_be_denied_to_the_deployer() -> None:
    """As it was asked: no resource, and no region."""
    simulator = Simulator(deployer("dev"), "arn")
    for action in ("s3:CreateBucket", "kms:CreateKey"):
        [page] = simulator.paginate(ActionNames=[action], PolicySourceArn="arn")
        assert page["EvaluationResults"][0]["EvalDecision"] == "implicitDeny"


@pytest.mark.parametrize("env", ["dev", "staging", "prod"])
def test_the_deployer_makes_the_roles_of_services_that_the_stacks_need(env: str) -> None:
    resources = [one for stack in REAL if stack.env == env for one in synth(str(stack))]
    account_id = load_environment(env).account.account_id
    arn = f"arn:aws:iam::{account_id}:role/aws-service-role/x"
    assert needed(resources)
    for role in ROLES:
        asked_for = {"iam__AWSServiceName": role.service}
        assert decide(deployer(env), "iam:CreateServiceLinkedRole", arn, **asked_for) == "allow"
    other = {"iam__AWSServiceName": "trustedadvisor.amazonaws.com"}
    assert decide(deployer(env), "iam:CreateServiceLinkedRole", arn, **other) == "nothing"
    assert decide(deployer(env), "iam:SimulatePrincipalPolicy", arn) == "allow"
