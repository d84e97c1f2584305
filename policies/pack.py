"""The rules as CrossGuard policies: converts what the SDK shows and reports what the rules say."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pulumi_policy as crossguard
from pulumi_policy.proxy import UnknownValueError

from policies.config import PolicyConfig
from policies.data import UNKNOWN, Data, Options, Resource
from policies.exemptions import EXEMPTION, Exemption, exempt, load, stale
from policies.frameworks.controls import PRIMARY, controls_of, frameworks
from policies.rule import GROUPS, Rule, Scope, Verdict, judge

CONFIG_VARIABLE = "PLINTH_POLICY_CONFIG"
"""Environment variable that names the JSON file with the environment's PolicyConfig."""


class Undecided(UnknownValueError):  # type: ignore[misc]  # the SDK is untyped here
    """Lets the SDK report one advisory line, whatever the level of the policy.

    That is what it does with a policy that touches an unknown value: never a pass, never a block.
    """

    def __init__(self, message: str) -> None:
        Exception.__init__(self, message)
        self.message = message


def configuration(environment: Mapping[str, str] = os.environ) -> PolicyConfig:
    """The configuration of this run; without one the strictest, because a guess must not be lax."""
    path = environment.get(CONFIG_VARIABLE)
    if not path:
        return PolicyConfig(production=True)
    return PolicyConfig.from_dict(json.loads(Path(path).read_text()))


class Pack:
    """The policies of one run and what they remember: which exemptions were needed."""

    def __init__(
        self,
        rules: Sequence[Rule],
        config: PolicyConfig,
        exemptions: Sequence[Exemption] | None = None,
        today: date | None = None,
    ) -> None:
        self._rules = rules
        self._config = config
        self._exemptions = load() if exemptions is None else exemptions
        self._today = today or date.today()
        self._alone = Scope(config, today=self._today)
        self._used: set[Exemption] = set()

    def policies(self) -> list[crossguard.Policy]:
        """One policy per rule, and one about the exemptions; that one comes last."""
        policies = [
            self._stack_policy(rule) if rule.kind == "stack" else self._resource_policy(rule)
            for rule in self._rules
        ]
        about_exemptions = crossguard.StackValidationPolicy(
            name="exemptions",
            description="Exemptions are needed and have not expired.",
            enforcement_level=crossguard.EnforcementLevel.ADVISORY,
            validate=self._check_exemptions,
        )
        return [*policies, about_exemptions]

    def _resource_policy(self, rule: Rule) -> crossguard.Policy:
        types = frozenset(rule.applies_to)

        def validate(args: Any, report: Any) -> None:
            if args.resource_type not in types and types.isdisjoint(GROUPS):
                args.not_applicable("another type of resource")
            resource = replace(_resource(args, args.resource_type), inputs=_data(args.props))
            if not rule.looks_at(resource):
                args.not_applicable("another type of resource")
            verdict = self._verdict(rule, resource, self._alone)
            if verdict.status in ("fail", "error"):
                report(_text(rule, verdict))
            elif verdict.status == "unknown":
                raise Undecided(verdict.message)
            elif verdict.status != "pass":
                args.not_applicable(verdict.message)

        return crossguard.ResourceValidationPolicy(validate=validate, **self._metadata(rule))

    def _stack_policy(self, rule: Rule) -> crossguard.Policy:
        def validate(args: Any, report: Any) -> None:
            resources = [
                replace(_resource(seen, seen.resource_type), outputs=_data(seen.props))
                for seen in args.resources
            ]
            scope = Scope(self._config, resources, self._today)
            verdicts = [
                (resource, self._verdict(rule, resource, scope))
                for resource in scope.of_type(*rule.applies_to)
            ]
            for resource, verdict in verdicts:
                if verdict.status in ("fail", "error"):
                    report(_text(rule, verdict), resource.urn)
            # After the failures: the SDK keeps what was reported before it adds this line
            if undecided := [pair for pair in verdicts if pair[1].status == "unknown"]:
                raise Undecided("; ".join(f"{r.urn}: {v.message}" for r, v in undecided))
            if not {"pass", "fail", "error"} & {verdict.status for _, verdict in verdicts}:
                args.not_applicable("; ".join(v.message for _, v in verdicts) or "no such resource")

        return crossguard.StackValidationPolicy(validate=validate, **self._metadata(rule))

    def _metadata(self, rule: Rule) -> dict[str, Any]:
        level = rule.level(self._config)
        return {
            "name": f"{rule.id}-{rule.name}",
            "description": rule.description,
            "enforcement_level": crossguard.EnforcementLevel[level.upper()],
            "severity": crossguard.Severity[rule.severity.upper()],
            "remediation_steps": rule.fix,
            "url": rule.url,
            "framework": _framework(rule),
            "tags": [*(f"theme:{theme}" for theme in rule.themes.names), *_controls(rule)],
        }

    def _verdict(self, rule: Rule, resource: Resource, scope: Scope) -> Verdict:
        verdict = judge(rule, resource, scope)
        exempted = exempt(verdict, rule.id, resource.urn, self._exemptions, self._today)
        if exempted.exemption:
            self._used.add(exempted.exemption)
        return exempted.verdict

    def _check_exemptions(self, args: Any, report: Any) -> None:
        del args
        for _, why in stale(self._exemptions, self._used, self._today):
            report(f"{EXEMPTION}: {why}")


def _framework(rule: Rule) -> crossguard.PolicyComplianceFramework | None:
    """The one framework that a policy can name; the tags have all of them."""
    controls = controls_of(rule.id).get(PRIMARY)
    if not controls:
        return None
    subject = frameworks()[PRIMARY]
    return crossguard.PolicyComplianceFramework(
        name=subject.title,
        version=subject.version,
        reference=", ".join(control.id for control in controls),
        specification=subject.source,
    )


def _controls(rule: Rule) -> list[str]:
    """Every control that the rule is about, as `framework:control`."""
    found = controls_of(rule.id).items()
    return [f"{name}:{control.id}" for name, controls in found for control in controls]


def _text(rule: Rule, verdict: Verdict) -> str:
    error = "the rule failed: " if verdict.status == "error" else ""
    fix = rule.fix.replace("\n", " ")
    return f"{error}{verdict.message}\n  fix: {fix}\n  see: {rule.url}"


def _resource(seen: Any, resource_type: str) -> Resource:
    """Everything but the properties, from what a resource or a stack policy is shown."""
    dependencies = getattr(seen, "property_dependencies", None) or {}
    parent = getattr(seen, "parent", None)
    return Resource(
        type=resource_type,
        name=seen.name,
        urn=seen.urn,
        options=Options(
            protect=seen.opts.protect,
            ignore_changes=tuple(seen.opts.ignore_changes),
            delete_before_replace=bool(seen.opts.delete_before_replace),
        ),
        provider=Data(_data(seen.provider.props).value if seen.provider else {}, "provider"),
        parent=parent.urn if parent else seen.opts.parent,
        dependencies={
            key: tuple(resource.urn for resource in resources)
            for key, resources in dependencies.items()
        },
    )


def _data(proxy: Any) -> Data:
    return Data(_plain(proxy))


def _plain(proxy: Any) -> Any:
    """Plain data from the SDK's proxy, which raises where a value is unknown."""
    if isinstance(proxy, str):
        return proxy
    if isinstance(proxy, float) and proxy.is_integer():
        return int(proxy)  # the wire knows no integers
    if isinstance(proxy, Mapping):
        return {key: _item(proxy, key) for key in proxy}
    if isinstance(proxy, Sequence):
        return [_item(proxy, index) for index in range(len(proxy))]
    return proxy


def _item(proxy: Any, key: Any) -> Any:
    try:
        return _plain(proxy[key])
    except UnknownValueError:
        return UNKNOWN
