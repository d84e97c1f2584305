"""The report as JSON: what other tools build on."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from policies.data import UNKNOWN
from policies.review.report import SCHEMA_VERSION, Report, Section


def to_dict(report: Report) -> dict[str, Any]:
    """The report as plain data; members are only ever added within a schema version."""
    return {
        "schema_version": SCHEMA_VERSION,
        "env": report.env,
        "origin": report.origin,
        "commit": report.commit,
        "base": report.base,
        "decision": report.decision,
        "risk": report.risk,
        "headline": report.headline,
        "tally": dict(report.tally),
        "reasons": [asdict(reason) for reason in report.reasons],
        "sections": {section.id: _section(section) for section in report.sections},
        "warnings": list(report.warnings),
        **({"approval": asdict(report.approval)} if report.approval else {}),
    }


def _section(section: Section) -> dict[str, Any]:
    return {
        "title": section.title,
        **dict(section.data),
        "notes": list(section.notes),
    }


def render(report: Report) -> str:
    """Sorted and indented, so that two reports can be compared line by line."""
    return json_text(to_dict(report))


def json_text(data: dict[str, Any]) -> str:
    """Plain data of a report, and what a command adds to it, as text."""
    return json.dumps(data, indent=2, sort_keys=True, default=_plain) + "\n"


def _plain(value: object) -> object:
    return "known after the update" if value is UNKNOWN else str(value)
