"""What a change can grow to, against the quotas that an account was granted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from infra.errors import UserError
from policies.config import PolicyConfig
from policies.data import UNKNOWN, Data
from policies.review.model import Change, StackChange
from policies.review.report import Context, Section
from stacks.checks.check import Unanswered
from stacks.checks.quota_review import Ask, listed, part
from stacks.checks.quotas import Demand
from tests.kits.review import QUOTAS, SCENARIOS, changed, platform

GPUS = "Running On-Demand G and VT instances"


def said(change: StackChange, ask: Ask | None, *, production: bool = True) -> Section | None:
    context = Context(config=PolicyConfig(production=production), today=date(2026, 1, 15))
    return part(platform, ask)(change, context)


@pytest.fixture(scope="module")
def growth() -> StackChange:
    return changed(SCENARIOS["gpu-growth"])


@pytest.mark.parametrize(("value", "rules"), [(479, ["RV-015"]), (480, [])])
def test_growth_beyond_a_quota_is_warned_of(
    growth: StackChange, value: float, rules: list[str]
) -> None:
    quota = {**QUOTAS["Quotas"][0], "Value": value}
    section = said(growth, listed(json.dumps({"Quotas": [quota]})))
    assert section
    assert [reason.rule for reason in section.reasons] == rules
    assert section.rows[0].cells == (GPUS, "480 vCPUs", "96", str(value))
    assert section.folded == (not rules)


def test_a_warning_names_the_need_and_how_to_ask_for_it(growth: StackChange) -> None:
    section = said(growth, listed(json.dumps(QUOTAS)))
    assert section
    [reason] = section.reasons
    assert (reason.risk, reason.blocks) == ("high", False)
    assert reason.message == f"{GPUS} is 96, needed are up to 480"
    assert "--quota-code L-DB2E81BA --desired-value 480" in reason.fix
    outside = said(growth, listed(json.dumps(QUOTAS)), production=False)
    assert outside and outside.reasons[0].risk == "medium"


def test_what_does_not_grow_is_not_warned_of_again(growth: StackChange) -> None:
    back = [replace(c, old=c.new, new=c.old) for c in growth.changes]
    none = listed(json.dumps({"Quotas": [{**QUOTAS["Quotas"][0], "Value": 1}]}))
    assert said(replace(growth, changes=back), none) is None
    assert said(changed(SCENARIOS["no-change"]), none) is None


def test_without_quotas_it_says_that_nobody_compared(growth: StackChange) -> None:
    section = said(growth, None)
    assert section and section.reasons == []
    assert section.notes == ["not compared with the account's quotas: give them with --quotas FILE"]
    assert section.rows[0].cells[3] == "not known"


def test_a_quota_that_the_file_does_not_have_is_named(growth: StackChange) -> None:
    section = said(growth, listed('{"Quotas": []}'))
    assert section and section.notes == [f"not compared: {GPUS}: the file does not have it"]


def test_a_demand_that_is_not_known_yet_is_no_demand_of_nothing(growth: StackChange) -> None:
    def later(item: Change) -> Change:
        if item.new is None or "nodeGroup" not in item.type:
            return item
        inputs = {**item.new.inputs.value, "scalingConfig": UNKNOWN}
        return replace(item, new=replace(item.new, inputs=Data(inputs)))

    section = said(replace(growth, changes=[later(c) for c in growth.changes]), None)
    assert section and section.notes == [
        "cannot be told before the update: it depends on scalingConfig"
    ]


def test_lists_of_several_services_stand_one_after_another() -> None:
    lists = [json.dumps({"Quotas": [quota]}, indent=2) for quota in QUOTAS["Quotas"]]
    ask = listed("\n".join(lists))
    assert ask(Demand(GPUS, "ec2", "L-DB2E81BA", "vCPUs")) == ("L-DB2E81BA", 96)
    name = "ml.m5.large for endpoint usage"
    assert ask(Demand(name, "sagemaker", None, "instances")) == ("L-1928E07B", 8)
    assert isinstance(ask(Demand(name, "ec2", None, "instances")), Unanswered)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "quotas must be JSON, got nothing"),
        ("[]", "must be an object with a list Quotas"),
        ('{"Quotas": 3}', "must be an object with a list Quotas"),
        ('{"Quotas": [{"QuotaCode": "L-1"}]}', "quota 1 must have ServiceCode"),
        ("{", "Expecting"),
    ],
)
def test_what_lists_no_quotas_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        listed(text)


def reviewed_by_command(folder: Path, quotas: Path, steps: list[Mapping[str, Any]]) -> Any:
    from stacks.commands.output import CommandOutput
    from stacks.commands.review import review

    (folder / "digest.json").write_text(json.dumps({"steps": steps}))
    return review(
        "dev.cluster", CommandOutput(as_json=True),
        digest=folder / "digest.json",
        quotas=quotas, form="json", output=[folder / "report.json"],
    )  # fmt: skip


def test_the_command_compares_with_a_file(tmp_path: Path) -> None:
    urn = "urn:pulumi:dev.cluster::plinth::aws:eks/nodeGroup:NodeGroup::gpu"
    inputs = {"instanceTypes": ["g6.12xlarge"], "scalingConfig": {"minSize": 0, "maxSize": 3}}
    step = {"op": "create", "urn": urn, "newState": {"inputs": inputs}}
    path = tmp_path / "quotas.json"
    path.write_text(json.dumps(QUOTAS))
    from infra.errors import CheckFailed

    try:
        found = reviewed_by_command(tmp_path, path, [step])
    except CheckFailed as blocked:
        found = blocked.data
    assert found["sections"]["quotas"]["quotas"][0]["value"] == 96
    assert "RV-015" in {reason["rule"] for reason in found["reasons"]}
    path.write_text("[]")
    with pytest.raises(UserError, match="quotas must be an object"):
        reviewed_by_command(tmp_path, path, [step])
