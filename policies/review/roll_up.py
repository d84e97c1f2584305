"""Several reviews in one table: of a change in several environments, of an environment's stacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from policies.review.parts.changes import short
from policies.review.report import DECISIONS, RISKS, SCHEMA_VERSION, Risk, Row, Section

ID, TITLE = "roll-up", "The same change across environments"
Report = Mapping[str, Any]
"""A review's JSON report."""


def rolled(reports: Sequence[Report]) -> Section:
    """A column per environment, in the order given; what differs between them comes first.

    ValueError says which report is none.
    """
    for number, report in enumerate(reports, 1):
        if "stacks" in report:
            raise ValueError(f"report {number} must be of one stack, got all of {report['name']}")
        if report.get("schema_version") != SCHEMA_VERSION or "sections" not in report:
            raise ValueError(f"report {number} must be of schema_version {SCHEMA_VERSION}")
    envs = [str(report["env"]) for report in reports]
    if len(set(envs)) < len(envs):
        raise ValueError(f"reports must be of different environments, got {', '.join(envs)}")
    facts = [_fact(title, [tell(report) for report in reports]) for title, tell in FACTS.items()]
    changes = _by_key(reports, _changes)
    return Section(
        id=ID,
        title=TITLE,
        columns=("", *envs),
        rows=[*facts, *_by_key(reports, _served), *changes],
        notes=[_sentence(changes, envs)],
        data={
            "envs": envs,
            "changes": {r.cells[0]: dict(zip(envs, r.cells[1:], strict=True)) for r in changes},
        },
    )


def together(reports: Sequence[Report]) -> dict[str, Any]:
    """What the reviews of an environment's stacks amount to: the worst of each, and their sum."""
    tally: Counter[str] = Counter()
    for report in reports:
        tally.update(report["tally"])
    return {
        "decision": max((report["decision"] for report in reports), key=DECISIONS.index),
        "risk": max((report["risk"] for report in reports), key=RISKS.index),
        "tally": dict(tally),
    }


def by_stack(name: str, reports: Sequence[Report]) -> Section:
    """A line for each stack of an environment, and who has to look at which."""
    said = together(reports)
    whole = {**said, "env": name, "sections": _costs(reports)}
    lines = [Row(cells=_line(report), risk=_weight(report)) for report in (*reports, whole)]
    asked = [(str(report["env"]), _who(report)) for report in reports if _asks(report)]
    return Section(
        id="stacks",
        title=f"{len(reports)} stacks of {name}",
        columns=("stack", "decision", "risk", "changes", "expected cost"),
        rows=lines,
        notes=[f"approvals of {stack}: {who}" for stack, who in asked],
        data={**said, "stacks": [str(report["env"]) for report in reports]},
    )


def _line(report: Report) -> tuple[str, ...]:
    counts = [f"{n} {what}" for what, n in report["tally"].items() if n and what != "same"]
    told = (str(report[key]) for key in ("env", "decision", "risk"))
    return (*told, ", ".join(counts) or "none", _added(report) if counts else "")


def _weight(report: Report) -> Risk:
    risk: Risk = report["risk"]
    return risk if report["decision"] in ("blocked", "needs review") else "low"


def _costs(reports: Sequence[Report]) -> Mapping[str, Any]:
    """What all of them add a month; not known where one of those that change is not."""
    added = [
        report["sections"].get("cost", {}).get("added_expected")
        for report in reports
        if report["decision"] != "no change"
    ]
    return {} if None in added else {"cost": {"added_expected": sum(added)}}


def _asks(report: Report) -> bool:
    return bool((report.get("approval") or {}).get("approvals"))


def _who(report: Report) -> str:
    if not _asks(report):
        return "none wanted"
    found = report["approval"]
    return f"{found['approvals']} of {', '.join(found.get('reviewers', ()))}"


def _added(report: Report) -> str:
    usd = report["sections"].get("cost", {}).get("added_expected")
    return "not known" if usd is None else f"{'-' if usd < 0 else '+'}${abs(usd):,.2f} a month"


FACTS: Mapping[str, Callable[[Report], str]] = {
    "decision": lambda report: str(report["decision"]),
    "risk": lambda report: str(report["risk"]),
    "approvals": _who,
    "expected cost": _added,
}


def _fact(title: str, cells: Sequence[str]) -> Row:
    blocked = title == "decision" and "blocked" in cells
    return Row(cells=(title, *cells), risk="high" if blocked else "low")


def _changes(report: Report) -> Mapping[str, str]:
    """Type and name of what changes -> how."""
    resources = report["sections"].get("changes", {}).get("resources", ())
    return {f"{short(item['type'])} {item['name']}": _how(item) for item in resources}


def _how(item: Mapping[str, Any]) -> str:
    paths = dict.fromkeys(p["path"].partition(".")[0].partition("[")[0] for p in item["properties"])
    return " ".join([item["operation"], ", ".join(paths)]).strip()


def _served(report: Report) -> Mapping[str, str]:
    """Model -> the version that it serves instead of another."""
    found = report["sections"].get("promotion", {}).get("artefacts", ())
    pairs = ((item["urn"].rpartition("::")[2], item["from"], item["to"]) for item in found)
    return {f"serves, by {name}": f"{_last(old)} to {_last(new)}" for name, old, new in pairs}


def _last(artefact: str) -> str:
    return artefact.rpartition("model-package/")[2]


def _by_key(reports: Sequence[Report], look: Callable[[Report], Mapping[str, str]]) -> list[Row]:
    """A row per key of any report, those that differ first."""
    found = [look(report) for report in reports]
    rows = [
        Row(
            cells=(key, *(side.get(key, "") for side in found)),
            risk="medium" if len({side.get(key) for side in found}) > 1 else "low",
        )
        for key in sorted({key for side in found for key in side})
    ]
    return sorted(rows, key=lambda row: row.risk == "low")


def _sentence(rows: Sequence[Row], envs: Sequence[str]) -> str:
    differ = sum(row.risk != "low" for row in rows)
    alike = len(rows) - differ
    return f"{alike} changes are alike in {', '.join(envs)}; {differ} are not in all or differ"
