"""Frameworks: controls find their rules by themes, and a result is what the findings amount to."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from infra.errors import UserError
from policies.config import PolicyConfig
from policies.frameworks.controls import PRIMARY, controls_of, frameworks
from policies.frameworks.crosswalk import joined, written
from policies.frameworks.results import by_rule, results, tally
from policies.offline import RuleFinding
from policies.pack import Pack
from policies.review.deltas import DELTAS
from policies.review.model import StackChange
from policies.review.pack import pack
from policies.review.parts import coverage
from policies.review.render import sarif
from policies.review.report import Context
from policies.review.report import Report as Reviewed
from policies.rule import Status
from policies.rules import RULES
from stacks.cli import main
from stacks.commands.frameworks import framework, judged
from stacks.commands.output import CommandOutput
from tests.kits.each import each

CROSSWALK = written()
SHAPES = {
    "nist-800-53-r5": r"[A-Z]{2}-\d{1,2}(\(\d{1,2}\))?",
    "hipaa": r"164\.3(08|10|12|14|16)(\([a-z]+\)|\([A-Z]\)|\(\d\))+",
    "soc-2": r"(CC|A|C|PI|P)\d\.\d",
    "gdpr": r"\d{1,2}(\(\d\)\([a-f]\))?",
    "cis-aws-7.0": r"[2-6]\.\d{1,2}(\.\d)?",
    "ai-rmf": r"(GOVERN|MAP|MEASURE|MANAGE) [1-6]\.\d{1,2}",
    "iso-42001": r"A\.([2-9]|10)(\.\d)+",
    "eu-ai-act": r"\d{1,2}",
}


def test_eight_frameworks_are_listed_in_the_order_of_the_crosswalk() -> None:
    assert list(frameworks()) == list(CROSSWALK) == list(SHAPES)


@pytest.mark.parametrize("name", SHAPES)
def test_an_id_looks_like_one_of_its_framework(name: str) -> None:
    ids = [control.id for control in frameworks()[name].controls]
    assert [one for one in each(ids) if not re.fullmatch(SHAPES[name], one)] == []


@pytest.mark.parametrize(
    ("name", "families"),
    [
        ("iso-42001", {"A.2": 3, "A.3": 2, "A.4": 5, "A.5": 4, "A.6": 9, "A.7": 5, "A.8": 4,
                       "A.9": 3, "A.10": 3}),
        ("ai-rmf", {"GOVERN": 19, "MAP": 18, "MEASURE": 22, "MANAGE": 13}),
        ("soc-2", {"CC": 33, "A": 3, "C": 2, "PI": 5, "P": 18}),
        ("cis-aws-7.0", {"2": 26, "3": 9, "4": 10, "5": 16, "6": 9}),
    ],
)  # fmt: skip
def test_a_framework_that_is_listed_whole_has_all_of_every_family(
    name: str, families: Mapping[str, int]
) -> None:
    ids = [control.id for control in frameworks()[name].controls]
    family = {
        "iso-42001": r"A\.\d+", "ai-rmf": r"[A-Z]+", "soc-2": r"[A-Z]+", "cis-aws-7.0": r"\d",
    }[name]  # fmt: skip
    found = [re.match(family, each) for each in ids]
    counted = [match[0] for match in found if match]
    assert {each: counted.count(each) for each in counted} == families
    assert CROSSWALK[name]["total"] == len(ids)


def test_what_no_rule_decides_says_why_and_what_is_partial_says_what_is_left() -> None:
    for subject in each(frameworks().values()):
        assert subject.uncovered
        for control in subject.controls:
            assert control.asks
            assert bool(control.leaves) == (control.decided != "automated")
            assert bool(control.rules) == (control.decided != "none")


def test_every_rule_is_about_a_control_of_the_primary_framework() -> None:
    ids = [rule.id for rule in RULES] + [delta.id for delta in DELTAS]
    assert [each for each in ids if PRIMARY not in controls_of(each)] == []


def test_what_is_our_own_reading_is_marked() -> None:
    """Wholly for the frameworks about AI and SOC 2; for security, where nobody publishes it."""
    judged_all = {
        name
        for name, subject in frameworks().items()
        if all(control.judgement for control in subject.covered)
    }
    assert judged_all == {"soc-2", "ai-rmf", "iso-42001", "eu-ai-act"}
    nist = {control.id: control.judgement for control in frameworks()[PRIMARY].covered}
    assert not nist["SC-28(1)"]
    assert not nist["AU-12"]  # of audit logs, published, and of monitoring of models, our own
    assert nist["RA-3"]


def test_a_rule_about_a_change_is_named_and_counts_in_no_result() -> None:
    found = {control.id: control for control in frameworks()["cis-aws-7.0"].covered}
    assert (found["6.3"].rules, found["6.3"].deltas) == (("ML-K8-009",), ("RV-004",))
    counts = by_rule([finding("RV-004", "fail")])
    [result] = [
        each for each in results(frameworks()["cis-aws-7.0"], counts) if each.control.id == "6.3"
    ]
    assert result.state == "no resource"


BROKEN: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "a word that is no theme": ({"themes": ["limit"]}, "a theme must be one of .*, got 'limit'"),
    "themes that no rule has together": (
        {"themes": ["fairness + retention"]},
        "must have a rule of fairness [+] retention",
    ),
    "a rule about changes alone": (
        {"themes": ["encryption-at-rest"], "only": ["RV-005"]},
        "must have a rule of",
    ),
    "a rule of another theme": (
        {"themes": ["encryption-in-transit"], "only": ["PF-KMS-001"]},
        "must be rules of",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_control_that_no_rule_is_about_cannot_be_listed_as_covered(name: str) -> None:
    about, says = BROKEN[name]
    raw = CROSSWALK["gdpr"] | {"controls": {"32": {"asks": "security", **about}}}
    with pytest.raises(ValueError, match=says):
        joined({"gdpr": raw}, RULES, DELTAS)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"total": 39}, "must list all 39 controls, lists 38"),
        ({"beyond": [{"controls": ["A.3.2"], "asks": "a", "why": "b"}]}, "lists A.3.2 twice"),
    ],
)
def test_a_framework_that_lacks_a_control_or_has_it_twice_is_refused(
    change: Mapping[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        joined({"iso-42001": CROSSWALK["iso-42001"] | change}, RULES, DELTAS)


def finding(rule: str, status: Status) -> RuleFinding:
    return RuleFinding(rule_id=rule, severity="high", level="mandatory", status=status, urn="u")


@pytest.mark.parametrize(
    ("statuses", "state", "told"),
    [
        (["pass", "unknown", "fail"], "failed", ("PF-RDS-001",)),
        (["pass", "unknown", "error"], "failed", ("PF-RDS-001",)),
        (["pass", "unknown", "exempt"], "undecided", ("PF-EC-001",)),
        (["pass", "pass", "exempt"], "passed", ("PF-DDB-001", "PF-EC-001")),
        (["not_applicable", "exempt", "exempt"], "exempt", ("PF-EC-001", "PF-RDS-001")),
        (["not_applicable"] * 3, "no resource", ()),
        ([], "no resource", ()),
    ],
)
def test_the_worst_finding_decides_about_a_control(
    statuses: Sequence[Status], state: str, told: tuple[str, ...]
) -> None:
    """CP-9(8) is about the three stores with backups; a rule of another control says nothing."""
    rules = ("PF-DDB-001", "PF-EC-001", "PF-RDS-001")
    findings = [finding(*pair) for pair in zip(rules, statuses, strict=False)]
    counts = by_rule([*findings, finding("ML-K8-002", "fail")])
    found = results(frameworks()[PRIMARY], counts)
    [result] = [each for each in found if each.control.id == "CP-9(8)"]
    assert result.control.rules == rules
    assert (result.state, result.told) == (state, told)


def test_a_tally_has_every_state_and_counts_every_control_with_a_rule() -> None:
    subject = frameworks()["hipaa"]
    counted = tally(results(subject, by_rule([finding("PF-KMS-001", "fail")])))
    assert counted == {
        "failed": 1, "undecided": 0, "passed": 0, "exempt": 0, "no resource": 12,
    }  # fmt: skip


def test_an_unknown_framework_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UserError, match="got 'SOC2'; the nearest is soc-2"):
        framework("SOC2")


@pytest.mark.parametrize("columns", [60, 80, 140])
def test_the_controls_fit_a_terminal_and_say_what_is_not_covered(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    subject = frameworks()["ai-rmf"]
    result = judged(subject, [finding("PF-RDS-001", "fail")], CommandOutput(as_json=False))
    shown = capsys.readouterr().out
    table = shown[: shown.rindex("ai-rmf: ")].splitlines()[2:]
    assert max(map(len, table)) <= max(columns, 72)
    assert "…" not in shown
    words = " ".join(shown.split())
    assert re.search(r"MEASURE 2\.7 \* +failed", shown)
    assert "* our reading of the framework" in words
    assert "GOVERN 3.1" in words
    assert "25 of 72 listed controls have a rule" in words
    assert len(result["controls"]) + len(result["not_covered"]) == 72


def test_with_json_a_control_has_its_rules_and_its_counts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    findings = [finding("PF-RDS-001", "fail"), finding("PF-EFS-001", "pass")]
    result = judged(frameworks()["cis-aws-7.0"], findings, CommandOutput(as_json=True))
    assert capsys.readouterr().out == ""
    json.dumps(result)
    by_id = {each["control"]: each for each in result["controls"]}
    assert by_id["3.2.1"]["rules"] == ["PF-RDS-001"]
    assert by_id["3.2.1"]["state"] == "failed"
    assert by_id["3.3.1"]["counts"] == {"fail": 0, "unknown": 0, "pass": 1, "exempt": 0}
    assert {each["control"] for each in result["not_covered"]} >= {"2.5", "5.16"}


def test_the_command_ends_with_the_controls_of_the_framework(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    state = tmp_path / "state.json"
    state.write_text(json.dumps({"deployment": {"resources": []}}))
    with pytest.raises(SystemExit) as done:
        main(["policy", "dev.weather", "--state", str(state), "--framework", "gdpr", "--json"])
    assert done.value.code == 0
    result = json.loads(capsys.readouterr().out)["framework"]
    assert (result["id"], result["covered"], result["listed"]) == ("gdpr", 8, 34)
    assert {each["state"] for each in result["controls"]} == {"no resource"}
    with pytest.raises(SystemExit) as refused:
        main(["policy", "dev", "--framework", "gdrp"])
    assert refused.value.code == 2
    assert "the nearest is gdpr" in capsys.readouterr().err


def test_what_a_framework_says_is_no_part_of_what_judges() -> None:
    """A reworded control must not look like changed rules."""
    judging = {"policies/rules/x.py": '@rule("A-1")'}
    wording = {
        "policies/frameworks/crosswalk.py": "1",
        "policies/frameworks/crosswalk.yaml": "a: b",
    }
    one, other = pack(judging), pack(judging | wording)
    assert one is not None
    assert one == other


def context(before: Sequence[RuleFinding], after: Sequence[RuleFinding]) -> Context:
    return Context(
        config=PolicyConfig(production=True),
        today=date(2026, 1, 15),
        findings_before=before,
        findings_after=after,
    )


NOTHING = StackChange(env="prod", origin="mocked synth", changes=())


def test_a_review_says_which_controls_fail_now_and_which_no_longer_do() -> None:
    before = [finding("PF-KMS-001", "pass"), finding("PF-EFS-001", "fail")]
    after = [finding("PF-KMS-001", "fail"), finding("PF-EFS-001", "pass")]
    section = coverage.part(NOTHING, context(before, after))
    assert section is not None
    rows = {row.cells[0]: row for row in section.rows}
    assert rows["cis-aws-7.0"].cells[1:] == (
        "1/3", "2/3", "fails now: 2.21, 4.6; fails no longer: 3.3.1",
    )  # fmt: skip
    assert (rows["cis-aws-7.0"].risk, section.folded, section.reasons) == ("medium", False, ())
    assert "cis-aws-7.0 1/3" in section.notes[0]
    assert "cis-aws-7.0 21 of 70" in section.notes[1]
    assert section.data["frameworks"]["cis-aws-7.0"]["newly_failed"] == ["2.21", "4.6"]


def test_frameworks_in_which_nothing_changes_are_left_out() -> None:
    same = [finding("PF-KMS-001", "fail")]
    other = [finding("PF-KMS-001", "pass")]
    assert coverage.part(NOTHING, context(same, same)) is None
    assert coverage.part(NOTHING, context([], [])) is None
    assert coverage.part(NOTHING, context(other, same)) is not None


def test_a_policy_of_the_pack_names_the_primary_framework_and_is_tagged_with_all() -> None:
    policies = Pack(RULES, PolicyConfig(production=True), ()).policies()
    [databases] = [policy for policy in policies if policy.name.startswith("PF-RDS-001-")]
    assert databases.framework.name == "NIST SP 800-53"
    assert databases.framework.version == frameworks()[PRIMARY].version
    assert "SC-28(1)" in databases.framework.reference.split(", ")
    assert {"theme:encryption-at-rest", f"{PRIMARY}:SC-28(1)", "cis-aws-7.0:3.2.1", "gdpr:32"} <= {
        *databases.tags
    }


def test_a_rule_in_sarif_has_all_its_controls_and_no_more_tags_than_github_shows() -> None:
    report = Reviewed(env="prod", origin="", commit="", base="", decision="safe", risk="low",
                      reasons=(), tally={}, sections=())  # fmt: skip
    rules = json.loads(sarif.render(report, RULES))["runs"][0]["tool"]["driver"]["rules"]
    assert len(rules) == len(RULES)
    by_id = {rule["id"]: rule["properties"] for rule in rules}
    assert max(len(each["tags"]) for each in by_id.values()) == 10
    assert f"{PRIMARY}/CM-8" in by_id["FO-001"]["tags"]
    assert by_id["PF-EFS-001"]["controls"]["cis-aws-7.0"] == ["3.3.1"]
