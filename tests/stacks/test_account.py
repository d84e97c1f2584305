"""What a first deployment to an account meets: each fault put back, and what refuses it.

Those that the local cloud refuses are in `tests/stacks/local/test_refusals.py`.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.errors import UserError
from stacks.checks import (
    image_layers,
    one_per_account,
    service_roles,
    state,
)
from stacks.checks.account import check_placeholders
from stacks.commands.deploy import _is_filled_in
from stacks.service_linked_roles import on_spot
from stacks.settings.load import load, load_environment, load_foundation
from stacks.stack_name import StackName
from tests.kits.checks import Script
from tests.kits.faults import asked, roles_there, told, with_inputs
from tests.kits.stacks import changed, copied, synth

# -- F4: layers of images through the S3 endpoint --------------------------------------------------

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


# -- F5, F19, and what an account has one of -------------------------------------------------------


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


# -- F7: placeholders ------------------------------------------------------------------------------


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


# -- F13, F17: service-linked roles ----------------------------------------------------------------


def test_spots_role_must_be_there_where_a_pool_runs_on_spot() -> None:
    """Karpenter would take on-demand, at two to three times the price, and say nothing."""
    found = asked(service_roles.check, "dev.cluster", roles_there(False, False, False))
    assert [(one.subject, one.status) for one in found] == [
        ("AWSServiceRoleForAmazonEKS", "pass"),
        ("AWSServiceRoleForAmazonEKSNodegroup", "pass"),
        ("AWSServiceRoleForEC2Spot", "fail"),
    ]
    assert found[-1].fix == "plinth bootstrap dev"
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


# -- F6: the state's own key and bucket -----------------------------------------------------------


def state_of(key: Any, versioning: Any) -> Script:
    return {
        "kms": [("describe_key", key)],
        "s3": [("get_bucket_versioning", versioning)],
    }


KEY = {"KeyMetadata": {"KeyId": "k"}}


@pytest.mark.parametrize(
    ("script", "statuses"),
    [
        (state_of(KEY, {"Status": "Enabled"}), ["pass", "pass"]),
        (state_of("!NotFoundException", {"Status": "Enabled"}), ["fail", "pass"]),
        (state_of(KEY, {}), ["pass", "fail"]),
        (state_of(KEY, "!NoSuchBucket"), ["pass", "fail"]),
        (state_of("!AccessDenied", {}), ["unknown"]),
    ],
    ids=["there", "no alias", "no versions", "no bucket", "nobody says"],
)
def test_key_and_bucket_of_the_state_must_be_there(
    script: Script, statuses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(state.BACKEND, "s3://plinth-dev-state")
    found = asked(state.check, script=script)
    assert [one.status for one in found] == statuses
    assert "alias/plinth-dev-pulumi" in found[0].subject or statuses == ["unknown"]


def test_the_place_that_the_file_names_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(state.BACKEND, raising=False)
    chosen = load_foundation("dev")
    account = chosen.environment.account.model_copy(update={"backend_url": "s3://named?region=r"})
    environment = chosen.environment.model_copy(update={"account": account})
    found = asked(
        state.check,
        script=state_of(KEY, {"Status": "Enabled"}),
        settings=chosen.model_copy(update={"environment": environment}),
    )
    assert [(one.subject, one.status) for one in found][1:] == [("named", "pass")]


def test_a_state_that_is_in_no_bucket_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(state.BACKEND, "file:///somewhere")
    found = asked(state.check, script=state_of(KEY, {}))
    assert [one.status for one in found] == ["pass", "unknown"]
