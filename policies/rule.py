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
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeVar

from policies.config import PolicyConfig
from policies.data import Resource, RuleError, Unknown
from policies.reading.attached import HOLDERS, holds_policy
from policies.reading.pods import OTHERS, describes_pods
from policies.theme import Theme

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


class Scope:
    """What a rule may consult beside its resource: configuration and, to stack rules, the stack."""

    def __init__(
        self,
        config: PolicyConfig,
        resources: Iterable[Resource] | None = None,
        today: date | None = None,
        *,
        inputs: bool | None = None,
    ) -> None:
        """With `inputs`, rules see only the inputs of the resources, or only the outputs (False).

        Default: what the resources are given with.
        """
        self.config = config
        self.today = today or date.today()
        self._inputs = inputs
        self._given: dict[str, list[Resource]] | None = None
        self._shown: dict[str, list[Resource]] = {}
        self._references: dict[tuple[str, ...], References] = {}
        self._named: dict[str, dict[str, list[Resource]]] = {}
        self._all = tuple(resources or ())
        if resources is not None:
            self._given = defaultdict(list)
            for resource in self._all:
                self._given[resource.type].append(resource)

    def of_type(self, *types: str) -> list[Resource]:
        """All resources of these types in the stack."""
        if self._given is None:
            raise RuleError("a rule about one resource cannot see the stack")
        for name in types:
            if name in GROUPS and name not in self._given:
                self._given[name] = [one for one in self._all if _may_be(one, GROUPS[name])]
        return [
            resource
            for token in types
            if token in self._given
            for resource in self._shown.get(token) or self._show(token)
        ]

    def _show(self, token: str) -> list[Resource]:
        """Made when a rule first asks: most types of a stack are of interest to few rules."""
        given = self._given[token] if self._given else []
        if self._inputs is not None:
            given = [resource.showing(inputs=self._inputs) for resource in given]
        self._shown[token] = given
        return given

    def pointing_at(self, target: Resource, token: str, key: str) -> list[Resource]:
        """The resources of one type whose property `key` names the target.

        Compared by value where the value is known, else by the dependency that the engine recorded.
        One that could name anything makes the answer unknown, unless another names the target.
        """
        references = self.references(token, key)
        found = references.by_urn.get(target.urn, [])
        for identity in identities(target):
            found = found + references.by_value.get(identity, [])
        if not found and references.stray:
            raise Unknown(*(f"{resource.name}.{key}" for resource in references.stray))
        return found

    def named_by(self, resource: Resource, token: str, *keys: str) -> list[Resource]:
        """The resources of one type that a property of this one names; `pointing_at` backwards."""
        try:
            value = resource.outputs.get(*keys)
        except Unknown:
            urns = resource.dependencies.get(keys[0], ())
            if found := [each for each in self.of_type(token) if each.urn in urns]:
                return found
            raise
        if (named := self._named.get(token)) is None:
            named = self._named[token] = _by_identity(self.of_type(token))
        return named.get(value, [])

    def references(self, token: str, *keys: str) -> References:
        """What a property of all resources of one type names; put together once."""
        if (found := self._references.get((token, *keys))) is None:
            found = self._references[token, *keys] = _references(self.of_type(token), keys)
        return found


GROUPS: Mapping[str, Callable[[Resource], bool]] = {
    OTHERS: describes_pods,
    HOLDERS: holds_policy,
}
"""What stands for types that nobody named -> whether a resource is one."""


def groups(resource: Resource) -> list[str]:
    """The groups that a resource is in, whatever its type."""
    return [name for name, holds in GROUPS.items() if _may_be(resource, holds)]


def _may_be(resource: Resource, holds: Callable[[Resource], bool]) -> bool:
    """What cannot be read is one, so that the rule says of it what is wrong."""
    try:
        return holds(resource)
    except MALFORMED:
        return True


@dataclass(slots=True)
class References:
    """An index of one property over all resources of one type."""

    by_value: dict[str, list[Resource]]
    by_urn: dict[str, list[Resource]]
    """Those whose value is not known, by what the engine recorded that it depends on."""
    unknown: list[Resource]
    """Those whose value is not known."""
    stray: list[Resource]
    """Those of them that depend on nothing."""


def _references(resources: Iterable[Resource], keys: tuple[str, ...]) -> References:
    index = References(defaultdict(list), defaultdict(list), [], [])
    for resource in resources:
        try:
            value = resource.outputs.get(*keys)
        except Unknown:
            urns = resource.dependencies.get(keys[0], ())
            for urn in urns:
                index.by_urn[urn].append(resource)
            index.unknown.append(resource)
            index.stray += [] if urns else [resource]
        else:
            index.by_value[str(value)].append(resource)
    return index


def _by_identity(resources: Iterable[Resource]) -> dict[str, list[Resource]]:
    found: dict[str, list[Resource]] = defaultdict(list)
    for resource in resources:
        for identity in identities(resource):
            found[identity].append(resource)
    return found


def identities(resource: Resource) -> set[str]:
    """The names under which other resources can refer to this one, as far as they are known."""
    outputs = resource.outputs.at().value
    named = (outputs.get(key) for key in ("id", "arn", "name", "bucket"))
    return {value for value in named if isinstance(value, str)}


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
    themes: Theme
    """What it is about: by these the controls of frameworks find it."""
    documentation: str
    check: Check

    @property
    def description(self) -> str:
        """The assertion in one line."""
        return self.documentation.partition("\n")[0]

    def looks_at(self, resource: Resource) -> bool:
        """Whether it applies to a resource, by its type or by a group that it is in."""
        applies = {*self.applies_to}
        return resource.type in applies or bool(applies & {*groups(resource)})

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
    themes: Theme,
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
        return Verdict("unknown", unknown.why, unknown.paths)
    except MALFORMED as error:
        return Verdict("error", f"{type(error).__name__}: {error}")
    if result is None:
        return PASS
    if isinstance(result, Fail):
        return Verdict("fail", result.message)
    return Verdict("not_applicable", result.reason)
