"""What a rule is, what it may look at, and the results it can have; standard library only.

A rule is a pure function `check(resource, scope)`. It returns None (the resource passes),
`Fail(message)` or `NotApplicable(reason)`. It reads properties through `Data`, which raises
`Unknown` where the engine does not know a value yet, so a rule never mistakes "not known" for "not
there": `judge` turns the exception into the result `unknown` of that one resource. The front-ends
(policies/__main__.py, policies/offline.py) only prepare resources and report results.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar

from policies.data import Resource, RuleError, Unknown

Kind = Literal["resource", "stack", "pipeline"]
Severity = Literal["low", "medium", "high", "critical"]
Level = Literal["mandatory", "advisory"]
Mandatory = Literal["everywhere", "production", "never"]
Status = Literal["pass", "fail", "exempt", "not_applicable", "unknown", "error"]

T = TypeVar("T")


MALFORMED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    RuleError,
    TypeError,
    ValueError,
)
"""What a rule may raise on data of a shape it does not expect; it becomes the result `error`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyConfig:
    """The thresholds of one environment; plain JSON on its way to the pack."""

    production: bool
    """Whether rules that are mandatory in production only are mandatory here."""
    capture_percent_min: int = 10
    """Least share of requests that a production endpoint captures. Default: 10 %."""
    capture_buckets: tuple[str, ...] = ("*",)
    """Patterns of the buckets that may hold captured requests. Default: any bucket."""
    approved_registries: tuple[str, ...] = ()
    """AWS accounts or host patterns that images may come from. Default: none is approved."""
    locked_buckets: tuple[str, ...] = ()
    """Patterns of the buckets that need object lock, such as audit logs. Default: none."""
    required_tags: tuple[str, ...] = ()
    """Tags that every taggable resource carries. Default: none."""
    tag_values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Tag -> the values it may have. Default: any value that is not empty."""
    gpu_labels: tuple[str, ...] = ("nvidia.com/gpu.product", "nvidia.com/gpu.count")
    """Labels that name a node's GPUs. Default: those of NVIDIA's GPU feature discovery."""

    undecided_max: int = 20
    """Most mandatory checks of a production update that may be unknown. Default: 20."""

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> PolicyConfig:
        """Reads plain JSON; a key that does not exist is an error and not silently a default."""
        if stray := sorted(set(raw) - {f.name for f in fields(cls)}):
            raise ValueError(f"policy configuration has no {', '.join(stray)}")
        values: dict[str, Any] = {key: _frozen(value) for key, value in raw.items()}
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON that `from_dict` reads back."""
        return {f.name: _thawed(getattr(self, f.name)) for f in fields(self)}


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _frozen(item) for key, item in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _thawed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _thawed(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


class Scope:
    """What a rule may consult beside its resource: configuration and, to stack rules, the stack."""

    def __init__(self, config: PolicyConfig, resources: Iterable[Resource] | None = None) -> None:
        self.config = config
        self._by_type: dict[str, list[Resource]] | None = None
        self._references: dict[tuple[str, str], _References] = {}
        if resources is not None:
            self._by_type = defaultdict(list)
            for resource in resources:
                self._by_type[resource.type].append(resource)

    def of_type(self, *types: str) -> list[Resource]:
        """All resources of these types in the stack."""
        if self._by_type is None:
            raise RuleError("a rule about one resource cannot see the stack")
        return [resource for token in types for resource in self._by_type.get(token, ())]

    def pointing_at(self, target: Resource, token: str, key: str) -> list[Resource]:
        """The resources of one type whose property `key` names the target.

        Compared by value where the value is known, else by the dependency that the engine recorded.
        One that could name anything makes the answer unknown, unless another names the target.
        """
        if (references := self._references.get((token, key))) is None:
            references = self._references[token, key] = _references(self.of_type(token), key)
        found = references.by_urn.get(target.urn, [])
        for identity in identities(target):
            found = found + references.by_value.get(identity, [])
        if not found and references.stray:
            raise Unknown(*(f"{resource.name}.{key}" for resource in references.stray))
        return found


@dataclass(slots=True)
class _References:
    """An index of one property over all resources of one type."""

    by_value: dict[str, list[Resource]]
    by_urn: dict[str, list[Resource]]
    stray: list[Resource]


def _references(resources: Iterable[Resource], key: str) -> _References:
    by_value: dict[str, list[Resource]] = defaultdict(list)
    by_urn: dict[str, list[Resource]] = defaultdict(list)
    stray: list[Resource] = []
    for resource in resources:
        try:
            value = resource.outputs.get(key)
        except Unknown:
            urns = resource.dependencies.get(key, ())
            for urn in urns:
                by_urn[urn].append(resource)
            if not urns:
                stray.append(resource)
        else:
            by_value[str(value)].append(resource)
    return _References(by_value, by_urn, stray)


def identities(resource: Resource) -> set[str]:
    """The names under which other resources can refer to this one, as far as they are known."""
    known = set()
    for key in ("id", "arn", "name", "bucket"):
        try:
            known.add(resource.outputs.get(key))
        except Unknown:
            continue
    return {value for value in known if isinstance(value, str)}


@dataclass(frozen=True, slots=True)
class Fail:
    """The resource breaks the rule."""

    message: str


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """The rule has nothing to say about this resource."""

    reason: str


Result = Fail | NotApplicable | None
Check = Callable[[Resource, Scope], Result]


def every(items: Iterable[T], check: Callable[[T], Result]) -> Fail | None:
    """Fails with every item that fails; unknown only where none fails and one cannot be decided.

    So one unknown item never hides the failure of its neighbour.
    """
    failures: list[str] = []
    unknown: list[str] = []
    for item in items:
        try:
            result = check(item)
        except Unknown as error:
            unknown.extend(error.paths)
        else:
            if isinstance(result, Fail):
                failures.append(result.message)
    if failures:
        return Fail("; ".join(failures))
    if unknown:
        raise Unknown(*dict.fromkeys(unknown))
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One rule: its metadata, stated once, and its check."""

    id: str
    name: str
    kind: Kind
    severity: Severity
    mandatory: Mandatory
    applies_to: tuple[str, ...]
    fix: str
    url: str
    themes: str
    """Letters of the framework crosswalk, such as "EN" for encryption and network."""
    documentation: str
    check: Check

    @property
    def description(self) -> str:
        """The assertion in one line."""
        return self.documentation.partition("\n")[0]

    def level(self, config: PolicyConfig) -> Level:
        """How strictly the rule holds in an environment."""
        production = self.mandatory == "production" and config.production
        return "mandatory" if self.mandatory == "everywhere" or production else "advisory"


def rule(
    rule_id: str,
    *,
    applies_to: str | tuple[str, ...],
    severity: Severity,
    fix: str,
    url: str,
    themes: str,
    kind: Kind = "resource",
    mandatory: Mandatory = "production",
) -> Callable[[Check], Rule]:
    """Makes a rule of a function: its name is the function's, its documentation the docstring."""

    def decorate(check: Check) -> Rule:
        return Rule(
            id=rule_id,
            name=check.__name__.replace("_", "-"),
            kind=kind,
            severity=severity,
            mandatory=mandatory,
            applies_to=(applies_to,) if isinstance(applies_to, str) else applies_to,
            fix=fix,
            url=url,
            themes=themes,
            documentation=re.sub(r"\n[ \t]+", "\n", check.__doc__ or "").strip(),
            check=check,
        )

    return decorate


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule says about one resource, before exemptions."""

    status: Status
    message: str = ""
    paths: tuple[str, ...] = ()
    """For `unknown`: the properties that have to be known."""


PASS = Verdict("pass")


def judge(subject: Rule, resource: Resource, scope: Scope) -> Verdict:
    """Runs one rule on one resource; nothing that a rule meets there escapes as an exception."""
    try:
        result = subject.check(resource, scope)
    except Unknown as unknown:
        return Verdict("unknown", f"not known before the update: {unknown}", unknown.paths)
    except MALFORMED as error:
        return Verdict("error", f"{type(error).__name__}: {error}")
    if result is None:
        return PASS
    if isinstance(result, Fail):
        return Verdict("fail", result.message)
    return Verdict("not_applicable", result.reason)
