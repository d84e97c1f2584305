"""The CrossGuard pack: the same verdicts as the offline evaluator, from what the SDK shows it."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import pulumi_policy as crossguard
import pytest
from pulumi_policy.policy import _NotApplicableError as SaidNotApplicable
from pulumi_policy.proxy import unknown_checking_proxy

from policies.config import PolicyConfig
from policies.data import Resource
from policies.exemptions import Exemption
from policies.offline import evaluate
from policies.pack import CONFIG_VARIABLE, Pack, Undecided, configuration
from policies.rule import Rule, Status
from policies.rules import RULES
from stacks.synth import recorded
from tests.kits.crossguard import TODAY, differences, wire
from tests.policies.cases.case import Case
from tests.policies.test_policies import BY_ID, CASES, named

Verdicts = dict[str, Status]


def proxy(value: Any) -> Any:
    return unknown_checking_proxy(wire(value))


def options(resource: Resource) -> crossguard.PolicyResourceOptions:
    nothing = crossguard.PolicyCustomTimeouts(0, 0, 0)
    protect, parent = resource.options.protect, resource.parent
    return crossguard.PolicyResourceOptions(protect, [], False, [], nothing, [], parent)


def provider(resource: Resource) -> crossguard.PolicyProviderResource:
    props = proxy(resource.provider.value)
    return crossguard.PolicyProviderResource("pulumi:providers:aws", props, "urn", "provider")


def by_resource(policy: crossguard.Policy, resource: Resource, said: list[str]) -> Status:
    args = crossguard.ResourceValidationArgs(
        resource.type,
        proxy(resource.inputs.value),
        resource.urn,
        resource.name,
        options(resource),
        provider(resource),
    )
    try:
        policy.validate(args, lambda message, urn=None: said.append(message))
    except Undecided as undecided:
        said.append(undecided.message)
        return "unknown"
    except SaidNotApplicable as reason:
        said.append(reason.message)
        return "not_applicable"
    return "fail" if said else "pass"


def by_stack(policy: crossguard.Policy, resources: list[Resource], rule: Rule) -> Verdicts:
    """What a stack policy reports; what it does not mention has passed, unless nothing applies."""
    shown = {
        resource.urn: crossguard.PolicyResource(
            resource.type,
            proxy(resource.outputs.value),
            resource.urn,
            resource.name,
            options(resource),
            provider(resource),
            None,
            [],
            {},
        )
        for resource in resources
    }
    for resource in resources:
        shown[resource.urn].property_dependencies.update(
            {
                key: [shown[urn] for urn in urns if urn in shown]
                for key, urns in resource.dependencies.items()
            }
        )
    subjects = [resource.urn for resource in resources if rule.looks_at(resource)]
    verdicts: Verdicts = dict.fromkeys(subjects, "pass")

    def report(message: str, urn: str | None = None) -> None:
        assert urn in verdicts, message
        verdicts[urn] = "fail"

    try:
        policy.validate(crossguard.StackValidationArgs(list(shown.values())), report)
    except Undecided as undecided:
        for urn in subjects:
            if f"{urn}: " in undecided.message:
                verdicts[urn] = "unknown"
    except SaidNotApplicable:
        return dict.fromkeys(subjects or [""], "not_applicable")
    return verdicts


def by_pack(rule: Rule, resources: list[Resource], config: PolicyConfig) -> Verdicts:
    policy, _ = Pack([rule], config, ()).policies()
    if rule.kind == "stack":
        return by_stack(policy, resources, rule)
    subjects = [resource for resource in resources if rule.looks_at(resource)]
    return {resource.urn: by_resource(policy, resource, []) for resource in subjects} or {
        "": "not_applicable"
    }


@pytest.mark.parametrize("case", CASES, ids=named)
def test_the_pack_and_the_offline_evaluator_agree(case: Case) -> None:
    config = PolicyConfig.from_dict({"production": True, **case.config})
    resources = recorded(case.program, preview=case.preview)
    rule = BY_ID[case.rule]
    offline = {
        finding.urn: "fail" if finding.status == "error" else finding.status
        for finding in evaluate(resources, config, rules=[rule])
    }
    assert by_pack(rule, resources, config) == offline


@pytest.mark.parametrize("seed", range(40))
def test_the_pack_and_the_offline_evaluator_agree_on_mutated_stacks(seed: int) -> None:
    random = Random(seed)
    case = random.choice([each for each in CASES if each.status in ("pass", "fail")])
    config = PolicyConfig.from_dict(
        {"production": random.random() < 0.7, "required_tags": ["owner"], **case.config}
    )
    excused = Exemption(rule=case.rule, urn="*", reason="trial", owner="ml", expires=TODAY)
    exemptions = [excused] if random.random() < 0.2 else []
    resources = recorded(case.program, preview=case.preview)
    assert not differences(resources, RULES, config, random, exemptions)


def test_a_policy_passes_over_resources_of_other_types() -> None:
    program = next(case.program for case in CASES if case.rule == "ML-EP-001")
    [resource, *_] = [r for r in recorded(program) if "Configuration" in r.type]
    policy, _ = Pack([BY_ID["ML-FS-001"]], PolicyConfig(production=True), ()).policies()
    said: list[str] = []
    assert by_resource(policy, resource, said) == "not_applicable"
    assert said == ["another type of resource"]


def test_each_rule_is_one_policy_at_its_level() -> None:
    for production in (True, False):
        config = PolicyConfig(production=production)
        *policies, about_exemptions = Pack(RULES, config, ()).policies()
        assert {(policy.name, policy.enforcement_level.name) for policy in policies} == {
            (f"{rule.id}-{rule.name}", rule.level(config).upper()) for rule in RULES
        }
        assert about_exemptions.name == "exemptions"


@pytest.mark.parametrize(
    ("urn", "expires", "status", "about"),
    [
        ("*::configuration", TODAY, "not_applicable", ""),
        ("*::configuration", date(2026, 1, 14), "fail", "expired"),
        ("*::another", TODAY, "fail", "is not needed"),
    ],
)
def test_the_pack_knows_exemptions(urn: str, expires: date, status: Status, about: str) -> None:
    case = next(c for c in CASES if c.rule == "ML-EP-001" and c.status == "fail")
    (resource,) = recorded(case.program)
    entry = Exemption(rule="ML-EP-001", urn=urn, reason="trial", owner="ml", expires=expires)
    pack = Pack([BY_ID["ML-EP-001"]], PolicyConfig(production=True), [entry], TODAY)
    policy, exemptions = pack.policies()
    assert by_resource(policy, resource, []) == status
    said: list[str] = []
    exemptions.validate(
        crossguard.StackValidationArgs([]), lambda text, urn=None: said.append(text)
    )
    assert len(said) == bool(about)
    assert about in "".join(said)


def test_without_configuration_the_pack_is_strict() -> None:
    assert configuration({}) == PolicyConfig(production=True)


def test_the_pack_reads_the_configuration_that_it_is_given(tmp_path: Path) -> None:
    given = PolicyConfig(production=False, required_tags=("owner",))
    path = tmp_path / "policies.json"
    path.write_text(json.dumps(given.to_dict()))
    assert configuration({CONFIG_VARIABLE: str(path)}) == given
