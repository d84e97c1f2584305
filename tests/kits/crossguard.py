"""The pack as the engine drives it, in process: the SDK's analyzer service and its messages.

And what makes its stacks strange: seeded mutations of resources that real programs registered.
"""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from random import Random
from typing import Any

import pulumi_policy as crossguard
from google.protobuf import json_format, struct_pb2
from pulumi_policy.policy import _PolicyAnalyzerServicer as Analyzer
from pulumi_policy.policy import proto
from pulumi_policy.proxy import (
    UNKNOWN_ARRAY_VALUE,
    UNKNOWN_BOOLEAN_VALUE,
    UNKNOWN_NUMBER_VALUE,
    UNKNOWN_OBJECT_VALUE,
    UNKNOWN_STRING_VALUE,
)

from policies.config import PolicyConfig
from policies.data import UNKNOWN, Data, Resource, plain
from policies.exemptions import Exemption
from policies.offline import evaluate
from policies.pack import Pack
from policies.rule import Rule

TODAY = date(2026, 1, 15)
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
UNKNOWNS = (
    UNKNOWN_ARRAY_VALUE,
    UNKNOWN_BOOLEAN_VALUE,
    UNKNOWN_NUMBER_VALUE,
    UNKNOWN_OBJECT_VALUE,
    UNKNOWN_STRING_VALUE,
)
CANNOT_RUN = "during preview: "
"""Ends what the SDK says before the reason why a policy could not decide."""

Said = tuple[str, str, str]
"""Status, message, and the level of what is wrong."""
Verdicts = dict[tuple[str, str], Said]
"""Rule and URN -> what is said; no URN where it is about the stack."""


def wire(value: Any, sentinel: str = UNKNOWN_STRING_VALUE) -> Any:
    """Plain data as the engine writes it."""
    if value is UNKNOWN:
        return sentinel
    if isinstance(value, Mapping):
        return {key: wire(item, sentinel) for key, item in value.items()}
    return [wire(item, sentinel) for item in value] if isinstance(value, list) else value


def sent(resources: Sequence[Resource], random: Random) -> list[Resource]:
    """The resources with their properties as the engine sends them, a few of them as secrets."""

    def properties(value: Mapping[str, Any]) -> Data:
        written: dict[str, Any] = wire(value, random.choice(UNKNOWNS))
        secret = {key: {SIGNATURE: SECRET, "value": item} for key, item in written.items()}
        return Data(written | {k: v for k, v in secret.items() if random.random() < 0.05})

    return [
        replace(each, inputs=properties(each.inputs.value), outputs=properties(each.outputs.value))
        for each in resources
    ]


def offline(
    written: Sequence[Resource],
    rules: Sequence[Rule],
    config: PolicyConfig,
    exemptions: Sequence[Exemption] = (),
) -> Verdicts:
    """What the evaluator says of resources as they were sent."""
    read = [
        replace(
            each, inputs=Data(plain(each.inputs.value)), outputs=Data(plain(each.outputs.value))
        )
        for each in written
    ]
    found: Verdicts = {}
    for finding in evaluate(read, config, rules=rules, exemptions=exemptions, today=TODAY):
        wrong = finding.status in ("fail", "error")
        status = "not_applicable" if finding.status == "exempt" else finding.status
        level = finding.level if wrong else ""
        message = "" if status in ("pass", "not_applicable") else finding.message
        found[finding.rule_id, finding.urn] = (status, message, level)
    return _as_crossguard_tells(found, rules)


def _as_crossguard_tells(found: Verdicts, rules: Sequence[Rule]) -> Verdicts:
    """Without what its protocol has no words for.

    A policy that judges the stack is not applicable to all of it or to none of it.
    """
    told: Verdicts = {}
    for rule in rules:
        about = {urn: said for (rule_id, urn), said in found.items() if rule_id == rule.id}
        if rule.kind == "stack" and {said[0] for said in about.values()} != {"not_applicable"}:
            about = {
                urn: ("pass", "", "") if said[0] == "not_applicable" else said
                for urn, said in about.items()
            }
        told |= {(rule.id, urn): said for urn, said in about.items() if urn}
    return told


class Driver:
    """One analyzer of one run, asked about each resource and then about the stack."""

    def __init__(
        self, rules: Sequence[Rule], config: PolicyConfig, exemptions: Sequence[Exemption] = ()
    ) -> None:
        pack = Pack(rules, config, exemptions, TODAY)
        advisory = crossguard.EnforcementLevel.ADVISORY
        self._service = Analyzer("plinth", "1.0.0", pack.policies(), advisory)
        self._rules = {f"{rule.id}-{rule.name}": rule for rule in rules}

    def verdicts(self, written: Sequence[Resource]) -> Verdicts:
        """What the pack says of resources as they were sent."""
        found: Verdicts = {}
        for resource in written:
            request = proto.AnalyzeRequest(**_shown(resource, resource.inputs))
            answer = self._service.Analyze(request, None)
            found |= self._about(answer, [resource], stack=False)
        shown = [proto.AnalyzerResource(**_shown(each, each.outputs)) for each in written]
        for message, resource in zip(shown, written, strict=True):
            message.parent = resource.parent or ""
            for key, urns in resource.dependencies.items():
                message.propertyDependencies[key].urns.extend(urns)
        answer = self._service.AnalyzeStack(proto.AnalyzeStackRequest(resources=shown), None)
        return found | self._about(answer, written, stack=True)

    def _about(self, answer: Any, resources: Sequence[Resource], *, stack: bool) -> Verdicts:
        said: dict[str, list[Any]] = defaultdict(list)
        for diagnostic in answer.diagnostics:
            said[diagnostic.policyName].append(diagnostic)
        nothing = {entry.policy_name for entry in answer.not_applicable}
        found: Verdicts = {}
        for name, rule in self._rules.items():
            if (rule.kind == "stack") != stack:
                continue
            subjects = [each.urn for each in resources if rule.looks_at(each)]
            silent = ("not_applicable" if name in nothing else "pass", "", "")
            about = dict.fromkeys(subjects, silent)
            for diagnostic in said[name]:
                about |= _told(diagnostic, rule, subjects)
            found |= {(rule.id, urn): each for urn, each in about.items()}
        return found


def _told(diagnostic: Any, rule: Rule, subjects: Sequence[str]) -> dict[str, Said]:
    if CANNOT_RUN in diagnostic.message:
        reason = diagnostic.message.partition(CANNOT_RUN)[2]
        if rule.kind != "stack":
            return {urn: ("unknown", reason, "") for urn in subjects}
        return dict(_undecided(reason, subjects))
    message = diagnostic.message.removeprefix(f"{rule.description}\n").partition("\n  fix: ")[0]
    failed = "the rule failed: "
    status = "error" if message.startswith(failed) else "fail"
    level = "mandatory" if diagnostic.enforcementLevel == proto.MANDATORY else "advisory"
    where = [diagnostic.urn] if rule.kind == "stack" else subjects
    return {urn: (status, message.removeprefix(failed), level) for urn in where}


def _undecided(reason: str, subjects: Sequence[str]) -> Iterator[tuple[str, Said]]:
    """One line of a policy about the stack names all that it could not decide."""
    found = sorted((at, urn) for urn in subjects if (at := f"; {reason}".find(f"; {urn}: ")) >= 0)
    for (at, urn), (end, _) in zip(found, [*found[1:], (len(reason) + 2, "")], strict=True):
        yield urn, ("unknown", f"; {reason}"[at + len(urn) + 4 : end], "")


def _shown(resource: Resource, properties: Data) -> dict[str, Any]:
    options = resource.options
    provider = proto.AnalyzerProviderResource(
        type="pulumi:providers:aws",
        properties=_struct(wire(resource.provider.value)),
        urn="urn",
        name="provider",
    )
    return {
        "type": resource.type,
        "properties": _struct(properties.value),
        "urn": resource.urn,
        "name": resource.name,
        "options": proto.AnalyzerResourceOptions(
            protect=options.protect,
            ignoreChanges=options.ignore_changes,
            deleteBeforeReplace=options.delete_before_replace,
            deleteBeforeReplaceDefined=True,
            parent=resource.parent or "",
        ),
        "provider": provider,
    }


def _struct(value: Mapping[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    json_format.ParseDict(value, made)
    return made


# Mutations

TEXTS = (
    *("", "*", "false", "Disabled", "0", "AES256", "aws:kms", "sagemaker:*", "iam:PassRole"),
    *("ml.p3.16xlarge", "ml.g5.48xlarge", "ml.trn1.2xlarge", "p5.48xlarge", "ml.t3.medium"),
    *("arn:aws:iam::123456789012:role/other", "0.0.0.0/0", "s3://elsewhere/x", "plinth-prod-x"),
)
WRONG: tuple[Any, ...] = (None, [], {}, "text", 7, True, 1.5, ["a"], {"a": 1}, UNKNOWN)


def mutated(resources: Sequence[Resource], random: Random) -> list[Resource]:
    """The stack with up to five changes; dependencies on what is gone go with it."""
    changed = list(resources)
    for _ in range(random.randint(1, 5)):
        index = random.randrange(len(changed))
        if len(changed) > 1 and random.random() < 0.05:
            del changed[index]
            continue
        changed[index] = _mutated(changed[index], random)
    there = {each.urn for each in changed}
    return [
        replace(
            each,
            dependencies={
                key: tuple(urn for urn in urns if urn in there)
                for key, urns in each.dependencies.items()
            },
        )
        for each in changed
    ]


def _mutated(resource: Resource, random: Random) -> Resource:
    chance = random.random()
    if chance < 0.05:
        options = replace(resource.options, protect=not resource.options.protect)
        return replace(resource, options=options)
    if chance < 0.1:
        made = {**resource.outputs.value, random.choice(("id", "arn")): UNKNOWN}
        return replace(resource, outputs=Data(made))
    if chance < 0.15:
        tags = json.dumps({"tags": {"owner": "somebody"}})
        return replace(resource, provider=Data({"defaultTags": tags}, "provider"))
    inputs = _changed(resource.inputs.value, random)
    same = {k: v for k, v in resource.outputs.value.items() if k not in resource.inputs.value}
    return replace(resource, inputs=Data(inputs), outputs=Data({**same, **inputs}))


def _changed(value: Mapping[str, Any], random: Random) -> dict[str, Any]:
    """A copy in which one value somewhere, also inside JSON text, is another or gone."""
    made = copy.deepcopy(dict(value))
    places = list(_places(made))
    if not places:
        return {random.choice(("tags", "policy", "spec")): random.choice(WRONG)}
    node, key = random.choice(places)
    old = node[key]
    if (document := _document(old)) and random.random() < 0.8:
        node[key] = json.dumps(wire(_changed(document, random), "*"))
    elif random.random() < 0.25:
        del node[key]
    else:
        node[key] = _other(old, random)
    return made


def _document(value: Any) -> dict[str, Any]:
    """The object that a text is in JSON; empty where it is none."""
    try:
        found = json.loads(value) if isinstance(value, str) else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    items: Any = ()
    if isinstance(node, dict):
        items = node.items()
    elif isinstance(node, list):
        items = enumerate(node)
    for key, item in items:
        yield node, key
        yield from _places(item)


def _other(old: Any, random: Random) -> Any:
    if random.random() < 0.4:
        return copy.deepcopy(random.choice(WRONG))
    if isinstance(old, bool):
        return not old
    if isinstance(old, int | float):
        return random.choice((0, -1, old + 1, old * 1000, 0.5, 10**9))
    if isinstance(old, str):
        return random.choice((*TEXTS, f"{old}x", old.upper(), old[: len(old) // 2]))
    if isinstance(old, list):
        return random.choice((old[1:], old[:-1], old + old, [*old, UNKNOWN]))
    return UNKNOWN


def part(resources: Sequence[Resource], random: Random, size: int) -> list[Resource]:
    """Some resources of a stack, and all that they depend on."""
    by_urn = {each.urn: each for each in resources}
    wanted = random.sample(sorted(by_urn), min(size, len(by_urn)))
    for urn in wanted:  # grows as it is read
        named = (urn for urns in by_urn[urn].dependencies.values() for urn in urns)
        wanted += [urn for urn in dict.fromkeys(named) if urn in by_urn and urn not in wanted]
    kept = set(wanted)
    return [each for each in resources if each.urn in kept]


def differences(
    resources: Sequence[Resource],
    rules: Sequence[Rule],
    config: PolicyConfig,
    random: Random,
    exemptions: Sequence[Exemption] = (),
) -> list[str]:
    """Where the pack and the evaluator disagree about a mutation of these resources."""
    written = sent(mutated(resources, random), random)
    one = offline(written, rules, config, exemptions)
    other = Driver(rules, config, exemptions).verdicts(written)
    return [
        f"{rule} {urn}: offline {one.get((rule, urn))}, pack {other.get((rule, urn))}"
        for rule, urn in sorted({*one, *other})
        if one.get((rule, urn)) != other.get((rule, urn))
    ]
