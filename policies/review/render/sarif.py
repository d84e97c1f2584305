"""The report as SARIF 2.1.0 for code scanning, with fingerprints that survive moved lines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

from policies.frameworks.controls import PRIMARY, controls_of
from policies.review.deltas import DELTAS, Delta
from policies.review.report import Reason, Report
from policies.rule import Rule

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {"low": "note", "medium": "warning", "high": "error", "critical": "error"}
SEVERITIES = {"low": "3.0", "medium": "5.5", "high": "8.0", "critical": "9.5"}
"""GitHub's `security-severity` bands (code scanning, SARIF support)."""

RESULTS = 5_000
"""GitHub keeps no more results of one run (code scanning, SARIF limits)."""

TAGS = 10
"""GitHub keeps no more tags of one rule, and refuses a file with more than 20."""


def render(report: Report, rules: Sequence[Rule] = (), *, stack_file: str = "Pulumi.yaml") -> str:
    """Every reason as a result; one without a source line is told of the stack's file."""
    reasons = report.reasons[:RESULTS]
    places = zip(reasons, _fingerprints(reasons, report.env), strict=True)
    results = [_result(reason, mark, report.env, stack_file) for reason, mark in places]
    raised = {reason.rule for reason in report.reasons}
    deltas = {delta.id: _rule(delta) for delta in DELTAS if delta.id in raised}
    known = deltas | {rule.id: _rule(rule) for rule in rules}
    used = sorted(raised | known.keys())
    document = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "plinth review",
                        "rules": [known.get(name, {"id": name}) for name in used],
                    }
                },
                "automationDetails": {"id": f"plinth/{report.env}/"},
                "columnKind": "utf16CodeUnits",
                "results": results,
            }
        ],
    }
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _fingerprints(reasons: Sequence[Reason], env: str) -> Iterator[str]:
    """Of rule and resource; the second of one rule about one resource has its number too."""
    seen: Counter[str] = Counter()
    for reason in reasons:
        identity = f"{env}/{reason.rule}/{reason.urn}"
        seen[identity] += 1
        again = f"/{seen[identity]}" if seen[identity] > 1 else ""
        yield sha256(f"{identity}{again}".encode()).hexdigest()[:32]


def _result(reason: Reason, fingerprint: str, env: str, stack_file: str) -> dict[str, Any]:
    source = reason.source
    location = {
        "artifactLocation": {"uri": source.path if source else stack_file},
        "region": {"startLine": max(1, source.line) if source else 1},
    }
    return {
        "ruleId": reason.rule,
        "level": LEVELS[reason.risk],
        "message": {"text": reason.message + (f"\nFix: {reason.fix}" if reason.fix else "")},
        "locations": [
            {
                "physicalLocation": location,
                "logicalLocations": [{"fullyQualifiedName": reason.urn or env, "kind": "resource"}],
            }
        ],
        "partialFingerprints": {"plinth/v1": fingerprint},
    }


def _rule(rule: Rule | Delta) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": rule.name,
        "shortDescription": {"text": rule.description},
        "fullDescription": {"text": rule.documentation},
        "help": {"text": rule.fix},
        "helpUri": rule.url,
        "properties": {
            "security-severity": SEVERITIES[rule.severity],
            "tags": _tags(rule),
            "controls": {
                name: [control.id for control in controls]
                for name, controls in controls_of(rule.id).items()
            },
        },
    }


def _tags(rule: Rule | Delta) -> list[str]:
    """The themes, then as many controls of the primary framework as GitHub shows."""
    controls = controls_of(rule.id).get(PRIMARY, ())
    themes = [f"theme-{theme}" for theme in rule.themes.names]
    return [*themes, *(f"{PRIMARY}/{control.id}" for control in controls)][:TAGS]
