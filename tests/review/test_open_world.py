"""The review, measured: changes of every type that matters, none of which may pass for harmless."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any

import pytest

from infra.errors import UserError
from policies.config import PolicyConfig
from policies.data import Resource
from policies.review.differences import Leaf
from policies.review.digest import read
from policies.review.meaning import meaning
from policies.review.parts.order import FIRST, THEN
from policies.review.report import RISKS, Context, Report, review
from stacks.commands.explain import explained
from stacks.stack_name import stacks_of
from stacks.synth import synth_of
from tests.kits import generated
from tests.kits.generated import Made
from tests.review.test_approval import SPENDING
from tests.review.test_fuzz import wire

CONTEXT = Context(config=PolicyConfig(production=True), today=date(2026, 1, 15))


@cache
def prod() -> tuple[Resource, ...]:
    """What prod's stacks register."""
    return tuple(item for stack in stacks_of("prod") for item in synth_of(stack))


@cache
def surroundings() -> tuple[Mapping[str, Any], ...]:
    """Steps that leave prod's foundation as it is: nothing of it may drown or excuse a change."""
    around = [item for item in prod() if item.urn.startswith("urn:pulumi:prod.foundation::")]
    states = [generated.state(item.urn, wire(item.inputs.value)) for item in around]
    return tuple(
        {"op": "same", "urn": state["urn"], "oldState": state, "newState": state}
        for state in states
    )


def report_of(made: Iterable[Made]) -> Report:
    digest = json.dumps({"steps": [*surroundings(), *(item.step for item in made)]})
    return review(read(digest, "prod.foundation"), CONTEXT, (*FIRST, *SPENDING, *THEN))


def test_every_type_of_prod_asks_for_a_person_when_it_goes_or_is_replaced() -> None:
    tokens = sorted({item.type for item in prod()})
    assert len(tokens) >= 60
    made = [item for token in tokens for item in generated.ends(token)]
    report = report_of(made)
    seen = loud(report)
    assert {item.token for item in made if item.urn not in seen} == set()
    for item in made:
        said = [reason.message for reason in report.reasons if reason.urn == item.urn]
        assert any(": " in message or "loses" in message for message in said), item


def loud(report: Report) -> set[str]:
    """URNs with a reason above low."""
    return {reason.urn for reason in report.reasons if RISKS.index(reason.risk) >= 1}


def matrix(made: Sequence[Made], wrong: Sequence[Made]) -> str:
    """Kind of change -> how many were tried, and how many of them were judged wrongly."""
    tried, missed = (Counter(item.kind for item in some) for some in (made, wrong))
    return "\n".join(f"{kind:24} {tried[kind]:6} {missed[kind]:6}" for kind in sorted(tried))


@cache
def dangerous() -> tuple[Made, ...]:
    return tuple(generated.dangerous())


def test_no_dangerous_change_of_any_type_passes_for_harmless() -> None:
    made = dangerous()
    assert len({item.token for item in made}) >= 300
    assert len(made) >= 5_000
    seen = loud(report_of(made))
    missed = [item for item in made if item.urn not in seen]
    print(matrix(made, missed))  # noqa: T201
    assert [f"{item.kind}: {item.urn}" for item in missed] == []


def test_next_to_no_harmless_change_raises_an_alarm() -> None:
    made = tuple(generated.harmless())
    assert len(made) >= 500
    seen = loud(report_of(made))
    alarms = [item for item in made if item.urn in seen]
    print(matrix(made, alarms))  # noqa: T201
    assert len(alarms) <= 0.03 * len(made), [f"{item.kind}: {item.urn}" for item in alarms]


def test_a_review_explains_what_it_knows_and_from_where() -> None:
    lines = explained("aws:dynamodb/table:Table").splitlines()
    assert "  may hold data: in cfn-lint's list of types that hold state" in lines
    assert lines[-1].endswith("CloudFormation's schema of AWS::DynamoDB::Table")
    assert explained("aws:new/thing:Thing").endswith("every change of it takes a person")
    property_ = explained("aws:dynamodb/table:Table.pointInTimeRecovery.enabled")
    assert " true -> false  weaker" in property_ and "false -> true   stronger" in property_
    with pytest.raises(UserError, match="must be TYPE"):
        explained("table")


@pytest.mark.parametrize(
    ("path", "old", "new", "sense"),
    [
        ("retentionInDays", 30, 7, "weaker"),
        ("retentionInDays", None, 7, "weaker"),
        ("retentionInDays", 7, None, "stronger"),
        ("backupRetentionPeriod", 7, 0, "weaker"),
        ("rules.expiration.days", None, 30, "weaker"),
        ("isEnabled", True, False, "weaker"),
        ("forceDelete", None, True, "weaker"),
        ("publiclyAccessible", True, False, "stronger"),
        ("blockPublicAcls", True, False, "weaker"),
        ("versioningConfiguration.status", "Enabled", "Suspended", "weaker"),
        ("rule.defaultRetention.mode", "COMPLIANCE", "GOVERNANCE", "weaker"),
        ("rule.defaultRetention.mode", "GOVERNANCE", "COMPLIANCE", "unclear"),
        ("rule.defaultRetention.mode", None, "COMPLIANCE", "unclear"),
        ("rule.defaultRetention.mode", None, "GOVERNANCE", "stronger"),
        ("permissionsBoundary", "arn:aws:iam::1:policy/b", None, "weaker"),
        ("snapshotRetentionLimit", 7, 30, "stronger"),
        ("description", "a", "b", "harmless"),
        ("instanceType", "m5.large", "m5.xlarge", "sized"),
        ("replicas", 2, 0, "unclear"),
        ("maxCapacity", 4, 400, "unclear"),
        ("recoveryWindowInDays", 30, 0, "weaker"),
        ("initialSamplingPercentage", 10, 50, "stronger"),
        ("metadata.labels.team", "a", "b", "harmless"),
        ("metadata.labels.pod-security/enforce", "restricted", "privileged", "weaker"),
        ("throughputMode", "elastic", "provisioned", "unclassified"),
        ("spec.concurrencyPolicy", "Forbid", "Allow", "unclassified"),
        ("defaultVariation", "off", "on", "unclassified"),
        ("maxPasswordAge", 90, 0, "weaker"),
        ("rotationPeriodInDays", 90, 2560, "weaker"),
        ("sessionTimeoutHours", 8, 24, "weaker"),
        ("authorizerResultTtlInSeconds", 300, 3600, "weaker"),
        ("healthCheckGracePeriodSeconds", 60, 86400, "weaker"),
        ("idleTimeout", 60, 1, "unclear"),
        ("ttl", 300, 604800, "unclear"),
        ("period", 60, 86400, "unclear"),
        ("period", 60, 120, "stronger"),
        ("monitoringInterval", 0, 60, "stronger"),
        ("monitoringInterval", 60, 0, "weaker"),
        ("spec.ttlSecondsAfterFinished", 86400, 0, "unclear"),
        ("computeResources.minVcpus", 0, 64, "unclear"),
        ("instanceCount", 1, 8, "unclear"),
        ("resources.limits.memory", "4Gi", "128Mi", "unclear"),
        ("explicitAuthFlows.[]", None, "ALLOW_USER_PASSWORD_AUTH", "unclear"),
        ("enabledClusterLogTypes.[]", None, "audit", "stronger"),
        ("protectedResource.objectPrefixes", None, ["scan/"], "unclear"),
        ("settings.[containerInsights].value", "disabled", "enabled", "stronger"),
        ("settings.[containerInsights].value", "enabled", "disabled", "weaker"),
        ("closeOnDeletion", False, True, "weaker"),
        ("skipResourceInUseCheckOnDelete", False, True, "weaker"),
        ("loggingConfiguration.includeExecutionData", False, True, "weaker"),
        ("artifacts.encryptionDisabled", False, True, "weaker"),
        ("debugLogging", False, True, "unclear"),
        ("instanceClass", "db.r5.4xlarge", "db.t3.micro", "unclear"),
        ("instanceClass", "db.t3.medium", "db.t3.large", "sized"),
        ("instanceType", "t3.micro", "p5.48xlarge", "unclear"),
        ("throughput", 500, 200, "unclear"),
        ("rule.defaultRetention.days", 30, 36500, "unclear"),
        ("enabledCloudwatchLogsExports.[]", None, "postgresql", "stronger"),
        ("policyDetails.targetTags", {"a": "b"}, {"a": "c"}, "unclassified"),
        ("dataDeletionPolicy", None, "DELETE", "unclear"),
        ("spec.hard.pods", 100, 0, "unclear"),
        ("loggingConfig.shared", False, True, "unclear"),
        ("actionsSuppressorWaitPeriod", 60, 6000, "weaker"),
        ("dropInvalidHeaderFields", False, True, "stronger"),
        ("whatever", "a", "b", "unclassified"),
    ],
)
def test_a_difference_is_taken_by_its_name_and_direction(
    path: str, old: object, new: object, sense: str
) -> None:
    assert meaning(Leaf(tuple(path.split(".")), old, new)).sense == sense


def test_a_key_inside_of_what_the_engine_names_as_a_whole_is_seen() -> None:
    sides = [{"serverSideEncryptionConfiguration": {"kmsKeyId": key}} for key in ("one", "two")]
    made = _update("aws-native:voiceid:Domain", *sides)
    assert [reason.rule for reason in report_of([made]).reasons] == ["RV-005"]


def test_a_statement_that_grants_nothing_is_read_like_any_other_value() -> None:
    masks = {"Name": "p", "Statement": [{"Operation": {"Deidentify": {}}}]}
    sides = [{"dataProtectionPolicy": item} for item in (masks, {"Name": "p", "Statement": []})]
    assert "RV-002" in {
        reason.rule for reason in report_of([_update("aws-native:logs:LogGroup", *sides)]).reasons
    }


def _update(token: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Made:
    urn = f"{generated.PREFIX}{token}::one"
    states = {"oldState": generated.state(urn, old), "newState": generated.state(urn, new)}
    detailed = {key: {"kind": "update", "inputDiff": True} for key in new}
    return Made("one", token, {"op": "update", "urn": urn, **states, "detailedDiff": detailed})
