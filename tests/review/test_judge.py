"""A change is judged by its base, and what it loosens about its judge is told by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import pytest

from policies.config import PolicyConfig
from policies.exemptions import Exemption, exempt, parse, stale
from policies.offline import RuleFinding
from policies.review import judge as compared
from policies.review.model import StackChange
from policies.review.parts import findings, preconditions
from policies.review.report import Context, review
from policies.rule import Verdict
from stacks.review.git import judging
from stacks.review.judge import Judge, judge
from stacks.settings.load import load
from stacks.stack_name import StackName

STACK = StackName("prod", "foundation")
NOW = judging(None)
PROD = "stacks/environments/prod.yaml"
REVIEWERS = "policies/reviewers.yaml"
EXEMPTIONS = "policies/exemptions.yaml"
TODAY = date(2026, 1, 15)
ENTRY = "- {rule: ML-K8-001, urn: '*Cluster::a', reason: r, owner: o, expires: 2026-03-01}\n"


def judged(before: Mapping[str, str], after: Mapping[str, str] | None = None) -> Judge:
    after = after or NOW
    return judge(STACK, load(STACK), parse(after.get(EXEMPTIONS, "")), before, after)


def edited(path: str, old: str, new: str) -> dict[str, str]:
    assert old in NOW[path]
    return {**NOW, path: NOW[path].replace(old, new)}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("gpus_max: 40", "gpus_max: 4", "gpus_max is looser: 4 -> 40"),
        ("run_usd_max: 2000", "run_usd_max: 20", "run_usd_max is looser"),
        ("[plinth-prod-audit-*]", "[plinth-prod-audit-*, more-*]", "locked_buckets is looser"),
        ("capture_buckets: [plinth-prod-*]", "capture_buckets: [a]", "capture_buckets is looser"),
        ("tracking_server_size_max: Medium", "tracking_server_size_max: Small", "size_max is loos"),
        ("[production] }", "[production], owner: [ml-platform] }", "tag_values is looser"),
    ],
)
def test_a_threshold_that_the_change_loosens_is_told_and_does_not_count(
    old: str, new: str, says: str
) -> None:
    found = judged(edited(PROD, old, new))
    [(risk, message)] = found.loosened
    assert risk == "high" and says in message
    context = Context(config=found.config, today=TODAY, loosened=found.loosened)
    change = StackChange(env="prod", origin="mocked synth", changes=[])
    report = review(change, context, (preconditions.part,))
    assert (report.decision, report.reasons[0].rule) == ("needs review", "RV-011")


def test_the_base_decides_by_its_own_numbers() -> None:
    assert judged(edited(PROD, "gpus_max: 40", "gpus_max: 4")).config.gpus_max == 4
    assert judged(NOW).loosened == () or judged(NOW).loosened == []
    assert judged(NOW).config.gpus_max == 40


def test_what_gets_stricter_needs_nobody() -> None:
    [(risk, message)] = judged(edited(PROD, "gpus_max: 40", "gpus_max: 400")).loosened
    assert (risk, "is stricter" in message) == ("low", True)


def test_production_is_no_longer_production() -> None:
    old = PolicyConfig(production=True)
    [(risk, message)] = compared.thresholds(old, replace(old, production=False))
    assert risk == "high" and "production is looser" in message


def test_an_exemption_of_the_change_does_not_excuse_it() -> None:
    with_entry = {**NOW, EXEMPTIONS: ENTRY}
    assert judged(NOW, with_entry).exemptions == []
    assert len(judged(with_entry, with_entry).exemptions) == 1


def test_fewer_approvals_and_other_people_are_told_and_do_not_count() -> None:
    before = edited(REVIEWERS, "approvals: 2}", "approvals: 3}")
    found = judged(before)
    assert found.reviewers.by_risk["critical"].approvals == 3
    assert any("critical risk is approved by fewer" in message for _, message in found.loosened)
    asked = judged(edited(REVIEWERS, 'loss: ["@example/ml-leads"]', 'loss: ["@example/x"]'))
    assert any("@example/x are not asked about loss" in message for _, message in asked.loosened)
    machine = judged(edited(REVIEWERS, "[create, update]", "[create]"))
    assert any("a machine may approve update" in message for _, message in machine.loosened)


@pytest.mark.parametrize(
    "path", [".github/workflows/deploy.yml", ".ci/gate.py", ".github/CODEOWNERS"]
)
def test_a_file_of_ci_that_changes_is_named(path: str) -> None:
    found = judged({**NOW, path: "another"})
    assert [message.partition(":")[0] for _, message in found.loosened] == [f"{path} changes"]
    gone = judged(NOW, {name: text for name, text in NOW.items() if name != path})
    assert [message.partition(":")[0] for _, message in gone.loosened] == [f"{path} goes"]


def test_a_base_that_cannot_be_read_is_told() -> None:
    found = judged({**NOW, PROD: "policies: 3"})
    assert any("thresholds cannot be read" in message for _, message in found.loosened)


def test_an_exemption_names_resources_and_ends() -> None:
    with pytest.raises(ValueError, match="must name resources"):
        parse(ENTRY.replace("*Cluster::a", "*"))
    long = Exemption(rule="R", urn="*a", reason="r", owner="o", expires=date(2030, 1, 1))
    assert exempt(Verdict("fail", "m"), "R", "x::a", [long], TODAY).verdict.status == "fail"
    [(_, why)] = stale([long], [long], TODAY)
    assert "must last at most 366 days" in why


def finding(message: str) -> RuleFinding:
    return RuleFinding(
        rule_id="ML-K8-012", severity="high", level="mandatory", status="fail", urn="urn:a::x",
        message=message,
    )  # fmt: skip


def test_an_old_failure_hides_no_new_one_of_the_same_rule_and_resource() -> None:
    context = Context(
        config=PolicyConfig(production=True),
        today=TODAY,
        findings_before=[finding("hostNetwork must not be true; hostPath must not be set")],
        findings_after=[finding("hostNetwork must not be true; privileged must not be true")],
    )
    change = StackChange(env="prod", origin="preview digest", changes=[])
    report = review(change, context, (findings.part,))
    section = report.section("policies")
    assert section is not None
    assert [(row.cells[0], row.cells[3]) for row in section.rows] == [
        ("new", "privileged must not be true"),
        ("existing", "hostNetwork must not be true"),
        ("fixed", "hostPath must not be set"),
    ]
    assert report.decision == "blocked"
    assert [reason.message for reason in report.reasons] == ["x: privileged must not be true"]
