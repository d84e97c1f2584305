"""One pipeline definition, of whatever origin, judged by the rules that read definitions."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from policies.config import PolicyConfig
from policies.data import Data, Resource
from policies.offline import RuleFinding, evaluate
from policies.reading.definition import parse
from policies.reading.jobs import PIPELINE
from policies.rule import Rule
from policies.rules import RULES

_PATH = re.compile(r"(?:Steps|Parameters)\[\d+\][^\s,():;']*")
_KEY = re.compile(r"[^.\[\]]+")


class NoDefinition(ValueError):
    """The text is no pipeline definition; says where, what must hold and what it got."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One sentence of a finding, and where in the definition it points."""

    finding: RuleFinding
    message: str
    path: str
    """Empty where it is about the definition as a whole."""


def rules() -> tuple[Rule, ...]:
    """The rules that need nothing but a definition."""
    return tuple(rule for rule in RULES if rule.kind == "pipeline" and PIPELINE in rule.applies_to)


def lint(text: str, name: str, config: PolicyConfig) -> list[RuleFinding]:
    """Every rule about definitions on this one; NoDefinition where it is none."""
    check(text)
    resource = Resource(
        type=PIPELINE, name=name, urn=name, inputs=Data({"pipelineDefinition": text})
    )
    return evaluate([resource], config, rules=rules())


def check(text: str) -> None:
    """Whether a text is a definition at all."""
    try:
        definition = parse(text)
    except json.JSONDecodeError as error:
        raise NoDefinition(
            f"line {error.lineno}, column {error.colno} must be JSON: {error.msg}"
        ) from None
    except RecursionError:
        raise NoDefinition("must be nested less deeply") from None
    except ValueError as error:
        raise NoDefinition(str(error)) from None
    if "Steps" not in definition.document:
        raise NoDefinition("Steps must be a list, got none")


def problems(findings: Sequence[RuleFinding]) -> list[Problem]:
    """The findings that say something is wrong, taken apart."""
    return [
        Problem(finding, message, path_of(message))
        for finding in findings
        if finding.status in ("fail", "error")
        for message in finding.message.split("; ")
    ]


def path_of(message: str) -> str:
    """The place in a definition that a sentence names first; empty where it names none."""
    found = _PATH.search(message)
    return found[0].rstrip(".") if found else ""


def line_of(text: str, path: str) -> int:
    """The line on which a path of the definition stands, or the nearest above it."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        node: Any = YAML(typ="rt").load(text)  # JSON is YAML, and its reader keeps lines
    except YAMLError:
        return 1
    line = 0
    for key in _KEY.findall(path):
        try:
            if key.isdecimal():
                line = node.lc.item(int(key))[0]
                node = node[int(key)]
            else:
                line = node.lc.key(key)[0]
                node = node[key]
        except (AttributeError, LookupError, TypeError):
            break
    return line + 1
