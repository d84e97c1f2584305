"""Every result of every rule, on what real constructors register; and the core around them."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from policies.config import PolicyConfig
from policies.data import UNKNOWN, Data, Resource, Unknown, plain
from policies.docs import table
from policies.exemptions import EXEMPTION, Exemption, load
from policies.offline import RuleFinding, evaluate
from policies.rule import Fail, Result, Rule, Scope, Status, every, rule
from policies.rules import RULES
from policies.tables.__main__ import HERE, TABLES
from policies.theme import Theme
from stacks.synth import recorded
from tests.kits.each import each
from tests.kits.rule_cases import every_case
from tests.policies.cases.case import SERVING, Case, later
from tests.policies.cases.platform import bucket

CASES = every_case()
BY_ID = {rule.id: rule for rule in RULES}
CORE = (
    "config",
    "data",
    "iam.patterns",
    "reading.attached",
    "reading.definition",
    "reading.documents",
    "reading.networks",
    "reading.principals",
    "reading.endpoints",
    "reading.images",
    "reading.jobs",
    "reading.pods",
    "reading.predicates",
    "reading.secrets",
    "reading.texts",
    "rule",
    "theme",
    "secret_names",
)
NEVER_UNKNOWN = {"ML-FS-003": "protection is an option of the program, which is always known"}
PRODUCTION = PolicyConfig(production=True)
TODAY = date(2026, 1, 15)


def findings(case: Case, subject: Rule | None = None) -> list[RuleFinding]:
    config = PolicyConfig.from_dict({"production": True, **case.config})
    resources = recorded(case.program, preview=case.preview)
    return evaluate(resources, config, rules=[subject or BY_ID[case.rule]])


def statuses(found: Iterable[RuleFinding]) -> set[Status]:
    return {finding.status for finding in found}


def named(case: Case) -> str:
    return f"{case.rule}-{case.status}"


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_rule_says_what_its_case_expects(case: Case) -> None:
    found = findings(case)
    assert statuses(found) == {case.status}, found
    assert case.says in "; ".join(finding.message for finding in found)


@pytest.mark.parametrize("subject", RULES, ids=lambda subject: subject.id)
def test_every_rule_has_a_case_of_every_result(subject: Rule) -> None:
    results = {case.status for case in CASES if case.rule == subject.id}
    wanted = {"pass", "fail", "unknown", "not_applicable"}
    assert wanted - results == ({"unknown"} if subject.id in NEVER_UNKNOWN else set())


@pytest.mark.parametrize("subject", RULES, ids=lambda subject: subject.id)
def test_a_rule_without_its_body_fails_its_cases(subject: Rule) -> None:
    gutted = replace(subject, check=lambda resource, scope: None)
    survivors = [
        case
        for case in CASES
        if case.rule == subject.id
        and case.status not in ("pass", "not_applicable")
        and statuses(findings(case, gutted)) != {"pass"}
    ]
    assert not survivors


def test_every_case_belongs_to_a_rule() -> None:
    assert {case.rule for case in CASES} == set(BY_ID)


def test_rule_ids_and_names_are_unique_and_sorted() -> None:
    assert [rule.id for rule in RULES] == sorted({rule.id for rule in RULES})
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("subject", RULES, ids=lambda subject: subject.id)
def test_a_rule_documents_itself(subject: Rule) -> None:
    assert subject.name.split("-")[0] in ("require", "forbid", "limit")
    assert subject.description.endswith(".")
    assert 1 <= len(subject.fix.splitlines()) <= 2
    assert subject.url.startswith("https://")
    assert len(subject.themes) >= 1


def test_the_twelve_first_rules_exist() -> None:
    first = "FO-001 ML-EP-001 ML-EP-006 ML-EP-008 ML-FS-001 ML-FS-003 ML-K8-005 ML-MD-003"
    assert set(f"{first} ML-PL-001 ML-PL-003 PF-IAM-001 PF-S3-001".split()) <= set(BY_ID)


def test_rules_import_only_the_core_and_tables() -> None:
    allowed = {f"policies.{name}" for name in CORE}
    for source in each(Path("policies/rules").glob("[a-z]*.py")):
        for module in each(imported(source)):
            assert (
                module in allowed
                or module.startswith("policies.tables.")
                or module.partition(".")[0] in sys.stdlib_module_names
            ), f"{source} imports {module}"


def test_the_core_imports_only_the_standard_library() -> None:
    for name in CORE:
        for module in each(imported(Path("policies", *name.split(".")).with_suffix(".py"))):
            root = module.partition(".")[0]
            known = root in sys.stdlib_module_names or module.removeprefix("policies.") in CORE
            known = known or module.startswith("policies.tables.")
            assert known, module


def imported(source: Path) -> set[str]:
    tree = ast.parse(source.read_text())
    plain_imports = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    return plain_imports | {
        n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module
    }


def test_the_pack_loads_nothing_heavy() -> None:
    heavy = ["pulumi_aws", "sagemaker", "mlflow", "great_expectations", "moto", "pydantic", "boto3"]
    program = (
        "import json, sys, policies.pack, policies.rules, policies.exemptions\n"
        "policies.exemptions.load()\n"
        f"print(json.dumps([name for name in {heavy!r} if name in sys.modules]))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(answer.stdout) == []


@pytest.mark.parametrize("name", TABLES)
def test_a_table_says_what_its_source_says(name: str) -> None:
    assert (HERE / name).read_text() == TABLES[name]()


# Results


def test_an_unknown_resource_hides_no_other() -> None:
    def program() -> None:
        bucket(name="undecided", policy=later())
        bucket(name="bad", without=("versions",))
        bucket(name="good")

    found = evaluate(recorded(program, preview=True), PRODUCTION, rules=[BY_ID["PF-S3-001"]])
    assert {f.urn.rpartition("::")[2]: f.status for f in found} == {
        "undecided": "unknown",
        "bad": "fail",
        "good": "pass",
    }


def test_every_resource_gets_one_finding_per_rule() -> None:
    def program() -> None:
        for name in "abc":
            aws.sns.Topic(name)

    found = evaluate(recorded(program), PRODUCTION)
    per_rule = defaultdict(list)
    for finding in found:
        per_rule[finding.rule_id].append(finding.urn)
    assert {rule_id: len(urns) for rule_id, urns in per_rule.items()} == {
        rule.id: 3 if "aws:sns/topic:Topic" in rule.applies_to else 1 for rule in RULES
    }


def test_a_satellite_of_another_bucket_does_not_count() -> None:
    def program() -> None:
        bucket(name="mine", without=("versions",), by_id=True)
        bucket(name="yours", by_id=True)

    for preview in (False, True):
        found = evaluate(recorded(program, preview=preview), PRODUCTION, rules=[BY_ID["PF-S3-001"]])
        assert [finding.status for finding in found] == ["fail", "pass"]


def test_a_rule_that_looks_past_its_kind_is_an_error() -> None:
    def peek(resource: Resource, scope: Scope) -> Result:
        """Looks at outputs."""
        return Fail(resource.outputs.get("arn"))

    def roam(resource: Resource, scope: Scope) -> Result:
        """Looks at the stack."""
        return None if scope.of_type(resource.type) else Fail("")

    topic = "aws:sns/topic:Topic"
    decorate = rule("X", applies_to=topic, severity="low", fix="", url="", themes=Theme(0))
    resources = recorded(lambda: aws.sns.Topic("topic"))
    for check in (peek, roam):
        (found,) = evaluate(resources, PRODUCTION, rules=[decorate(check)])
        assert (found.status, found.message.partition(":")[0]) == ("error", "RuleError")


def test_mandatory_rules_are_advisory_outside_production() -> None:
    levels = {
        production: {r.level(PolicyConfig(production=production)) for r in RULES}
        for production in (True, False)
    }
    assert levels == {True: {"mandatory", "advisory"}, False: {"mandatory", "advisory"}}
    assert {r.id for r in RULES if r.level(PolicyConfig(production=False)) == "mandatory"} == {
        "ML-K8-001",
        "ML-K8-005",
        "ML-K8-006",
        "ML-K8-019",
        "ML-MD-007",
        "ML-PL-001",
        "PF-IAM-001",
        "PF-IAM-003",
        "PF-SEC-001",
    }


def test_only_mandatory_failures_block() -> None:
    (case,) = [c for c in SERVING if c.rule == "ML-EP-006" and "got none" in c.says]
    resources = recorded(case.program)
    for production in (True, False):
        (found,) = evaluate(
            resources, PolicyConfig(production=production), rules=[BY_ID["ML-EP-006"]]
        )
        assert (found.status, found.blocks) == ("fail", production)


# Exemptions


def exemption(**changes: Any) -> Exemption:
    shape = {
        "rule": "ML-EP-006",
        "urn": "*::configuration",
        "reason": "load test",
        "owner": "ml",
        "expires": TODAY,
    }
    return Exemption(**{**shape, **changes})


def with_exemption(entry: Exemption, today: date = TODAY) -> list[RuleFinding]:
    case = next(c for c in SERVING if c.rule == "ML-EP-006" and c.status == "fail")
    return evaluate(
        recorded(case.program),
        PRODUCTION,
        rules=[BY_ID["ML-EP-006"]],
        exemptions=[entry],
        today=today,
    )


def test_an_exemption_holds_to_its_last_day() -> None:
    (found,) = with_exemption(exemption())
    assert (found.status, found.blocks) == ("exempt", False)
    assert found.message.startswith("load test (ml, until 2026-01-15); ")


def test_an_expired_exemption_exempts_nothing_and_is_a_finding() -> None:
    refused, about = with_exemption(exemption(), today=date(2026, 1, 16))
    assert refused.status == "fail"
    assert (about.rule_id, about.status) == (EXEMPTION, "fail")
    assert "expired" in about.message


@pytest.mark.parametrize("change", [{"urn": "*::another"}, {"rule": "ML-EP-001"}])
def test_an_unused_exemption_is_a_finding(change: dict[str, str]) -> None:
    refused, about = with_exemption(exemption(**change))
    assert refused.status == "fail"
    assert "is not needed" in about.message


def test_the_shipped_exemptions_are_readable() -> None:
    assert {entry.rule for entry in load()} <= BY_ID.keys()


def test_an_exemption_is_read_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "exemptions.yaml"
    path.write_text("- {rule: R, urn: '*::topic', reason: r, owner: o, expires: 2026-01-15}\n")
    (entry,) = load(path)
    assert entry == exemption(rule="R", urn="*::topic", reason="r", owner="o")


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("{rule: R}", "must have expires, owner, reason, rule, urn, got rule"),
        ("text", "got text"),
        ("{rule: R, urn: u, reason: r, owner: o, expires: soon}", "must be a date"),
    ],
)
def test_an_incomplete_exemption_is_refused(tmp_path: Path, entry: str, problem: str) -> None:
    path = tmp_path / "exemptions.yaml"
    path.write_text(f"- {entry}\n")
    with pytest.raises(ValueError, match=problem):
        load(path)


# Data and configuration


def test_reading_an_unknown_names_its_path() -> None:
    data = Data({"a": {"b": [UNKNOWN, 1]}, "c": UNKNOWN, "d": 1})
    assert data.get("d") == 1
    assert data.get("e", "f") is None
    for keys, path in ((("a", "b"), "a.b[0]"), (("a",), "a.b[0]"), (("c", "x"), "c")):
        with pytest.raises(Unknown) as caught:
            data.get(*keys)
        assert caught.value.paths == (path,)
    first, second = data.each("a", "b")
    assert second.get() == 1
    with pytest.raises(Unknown, match=r"a\.b\[0\]"):
        first.get()


def test_a_failure_outweighs_an_unknown() -> None:
    def check(item: Any) -> Result:
        if item is UNKNOWN:
            raise Unknown("here")
        return None if item else Fail("bad")

    assert every([UNKNOWN, False], check) == Fail("bad")
    assert every([True], check) is None
    with pytest.raises(Unknown):
        every([UNKNOWN, True], check)


def test_the_wire_form_becomes_plain_data() -> None:
    signature, secret = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
    output = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
    wire = {
        "text": "x",
        "later": "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "secret": {signature: secret, "value": ["s"]},
        "output": {signature: output, "secret": False},
    }
    assert plain(wire) == {"text": "x", "later": UNKNOWN, "secret": ["s"], "output": UNKNOWN}


def test_policy_configuration_survives_json() -> None:
    config = PolicyConfig(
        production=True,
        approved_registries=("123456789012",),
        required_tags=("stage",),
        tag_values={"stage": ("dev", "prod")},
    )
    assert PolicyConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_policy_configuration_with_a_stray_key_is_refused() -> None:
    with pytest.raises(ValueError, match="has no captur_percent_min"):
        PolicyConfig.from_dict({"production": True, "captur_percent_min": 5})


def test_the_recorder_sees_options_parents_and_dependencies() -> None:
    def program() -> None:
        parent = pulumi.ComponentResource("plinth:infra:Thing", "thing")
        options = pulumi.ResourceOptions(parent=parent, protect=True, retain_on_delete=True)
        made = aws.s3.Bucket("b", opts=options)
        aws.s3.BucketVersioning("v", bucket=made.id, versioning_configuration={"status": "x"})

    versioning, made, thing = recorded(program, preview=True)
    assert made.urn == "urn:pulumi:test::plinth::plinth:infra:Thing$aws:s3/bucket:Bucket::b"
    assert (made.parent, made.options.protect, made.options.retain_on_delete) == (
        thing.urn,
        True,
        True,
    )
    assert versioning.dependencies["bucket"] == (made.urn,)
    assert versioning.inputs.value["bucket"] is UNKNOWN


def test_the_table_of_rules_has_a_row_per_rule() -> None:
    header, ruler, *rows = table().splitlines()
    assert header.count("|") == ruler.count("|")
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == [r.id for r in RULES]


def test_ten_thousand_resources_are_judged_in_seconds() -> None:
    one = recorded(partial(bucket, by_id=True), preview=True)
    many = [
        replace(
            resource,
            urn=f"{resource.urn}-{index}",
            dependencies={
                key: tuple(f"{urn}-{index}" for urn in urns)
                for key, urns in resource.dependencies.items()
            },
        )
        for index in range(1000)
        for resource in one
    ]
    found = evaluate(many, PRODUCTION, rules=[BY_ID["PF-S3-001"]])
    assert statuses(found) == {"pass"}
    assert len(found) == 1000
