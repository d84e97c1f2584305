"""ARNs of what an operation is about, from its parameters and AWS's forms of ARNs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policies.data import UNKNOWN
from policies.iam import reference
from stacks.local.aws.iam.asked import Asked

VARIABLE = re.compile(r"\$\{(\w+)\}")

OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    "alarmname": ("alarmnames",),
    "bucketname": ("bucket",),
    "certificatenamewithpath": ("servercertificatename",),
    "dataqualityjobdefinitionname": ("jobdefinitionname",),
    "groupnamewithpath": ("groupname",),
    "instanceprofilenamewithpath": ("instanceprofilename",),
    "mlflowtrackingservername": ("trackingservername",),
    "modelbiasjobdefinitionname": ("jobdefinitionname",),
    "modelexplainabilityjobdefinitionname": ("jobdefinitionname",),
    "modelpackagename": ("modelpackagearn",),
    "modelqualityjobdefinitionname": ("jobdefinitionname",),
    "objectname": ("key",),
    "policynamewithpath": ("policyname",),
    "rolenamewithpath": ("rolename",),
    "rulename": ("rule",),
    "usernamewithpath": ("username",),
    "userprofilename": ("spacename",),
}
"""Variable of an ARN in lower case -> other members that hold it; its own name comes first, and
the last variable of an ARN may be called just `name` where the operation says what it is."""

DEFAULTS: Mapping[str, str] = {
    "scheduler:groupname": "default",
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the account's resources are."""

    partition: str
    region: str
    account: str


Find = Callable[[Asked, Place], "Sequence[Any] | None"]
"""Special ways to the resources of an action; None: the general way."""


def resources(action: str, asked: Asked, place: Place, special: Find) -> Sequence[Any]:
    """ARNs that an action is asked on: `*` where it has none, UNKNOWN where they cannot be told."""
    if (found := special(asked, place)) is not None:
        return found
    known = reference.action(action)
    if known is None:
        return [UNKNOWN]
    if not known["resourceTypes"]:
        return ["*"]
    prefix = action.partition(":")[0]
    told: list[str] = []
    lacking = False
    for used in known["resourceTypes"]:
        form = reference.arn_format(prefix, used["name"])
        arn = _filled(form, prefix, asked, place) if form else None
        if arn is not None:
            told.append(arn)
        elif used["required"]:
            lacking = True
    told = _most_exact(told)
    if lacking and not _has_own_arn(asked, told):
        return [*told, UNKNOWN]
    return told or [UNKNOWN if _names_something(asked) else "*"]


def _names_something(asked: Asked) -> bool:
    """Whether a request names what it is about, in a way that no form of an ARN takes up."""
    return any(name.lower().endswith(("name", "id", "arn")) for name in asked.parameters)


def _most_exact(arns: Sequence[str]) -> list[str]:
    """Without the ARNs that another one continues: an index stands for its table."""
    return [
        arn
        for arn in dict.fromkeys(arns)
        if not any(other.startswith((f"{arn}/", f"{arn}:")) for other in arns)
    ]


def _has_own_arn(asked: Asked, told: Sequence[str]) -> bool:
    """Whether the request names a resource by its whole ARN."""
    return any(arn in told for arn in _arns(asked.parameters))


def _arns(parameters: Mapping[str, Any]) -> Iterator[str]:
    for value in parameters.values():
        if isinstance(value, str) and value.startswith("arn:"):
            yield value


def _filled(form: str, prefix: str, asked: Asked, place: Place) -> str | None:
    """The ARN of one form; None where the parameters do not tell it."""
    pattern, parameters = _pattern(form), asked.parameters
    for arn in _arns(parameters):
        if pattern.fullmatch(arn):
            return arn
    values = {name.lower(): value for name, value in parameters.items()}
    fixed = {"partition": place.partition, "region": place.region, "account": place.account}
    missing = False
    last = VARIABLE.findall(form)[-1].lower()
    is_said = last.removesuffix("name") in asked.operation.lower()

    def fill(match: re.Match[str]) -> str:
        nonlocal missing
        name = match[1].lower()
        value = fixed.get(name) or _value(name, prefix, values, by_name=is_said and name == last)
        missing = missing or value is None
        return value or ""

    found = VARIABLE.sub(fill, form)
    return None if missing else found


def _value(name: str, prefix: str, values: Mapping[str, Any], *, by_name: bool) -> str | None:
    for candidate in (name, *OTHER_NAMES.get(name, ()), *(("name",) if by_name else ())):
        value = values.get(candidate)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, str) and value and not value.startswith("arn:"):
            return value
    return DEFAULTS.get(f"{prefix}:{name}")


def _pattern(form: str) -> re.Pattern[str]:
    """A form of an ARN as a pattern; the last name of it may hold slashes."""
    parts = VARIABLE.split(form)
    text = "".join(
        re.escape(part) if index % 2 == 0 else r"[^:/]*" for index, part in enumerate(parts)
    )
    return re.compile(text.removesuffix(r"[^:/]*") + r"[^:]+" if len(parts) % 2 else text)


ROLE_MEMBER = re.compile(r"role(arn)?$", re.IGNORECASE)
ROLE_ARN = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/.+")
READS = ("Describe", "List", "Get", "Delete", "Batch", "Search")


def passed_roles(asked: Asked) -> list[tuple[str, str]]:
    """Members of the request that give a role to a service, and the roles."""
    if asked.prefix in ("iam", "sts") or asked.operation.startswith(READS):
        return []
    if asked.operation == "AddJobFlowSteps":  # the cluster's own role assumes the step's
        return []
    return [*_roles("", asked.parameters)]


def _roles(member: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _roles(str(name), inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _roles(member, inner)
    elif isinstance(value, str) and ROLE_MEMBER.search(member) and ROLE_ARN.fullmatch(value):
        yield member, value
