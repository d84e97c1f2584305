"""Every resource that changes, one line each, with its property diff folded away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from policies.data import UNKNOWN, Resource
from policies.review.model import Change, Operation, Property, StackChange, lifted
from policies.review.report import Context, Reason, Risk, Row, Section
from policies.secret_names import SECRET

RISK: dict[Operation, Risk] = {"delete": "medium", "replace": "medium"}
LONG = 200
"""Characters of a value that a diff shows."""

DOWNTIME = "RV-012"
OPTIONS = "RV-008"


def part(change: StackChange, context: Context) -> Section | None:
    """One row per change, most dangerous first."""
    del context
    found = list(change.changed())
    if not found:
        return None
    unknown = sum(not item.known for one in found for item in one.properties)
    notes = [f"{unknown} new values are known only during the update"] if unknown else []
    return Section(
        id="changes",
        title="Changes",
        columns=("operation", "type", "name", "what"),
        rows=list(_rows(found)),
        notes=notes,
        data={"resources": [_data(item) for item in found]},
        reasons=[reason for item in found for reason in (*_downtime(item), *_options(item))],
    )


ALIKE = 3
"""Resources with the same change that become one line."""


def _rows(found: Sequence[Change]) -> Iterator[Row]:
    """A row each, but for what changes alike on many: those share one."""
    alike: dict[tuple[object, ...], list[Change]] = {}
    keys = {item.urn: _alike(item) for item in found}
    for item in found:
        alike.setdefault(keys[item.urn], []).append(item)
    for item in found:
        same = alike[keys[item.urn]]
        if not keys[item.urn] or len(same) < ALIKE:
            yield _row(item)
        elif item is same[0] and not item.retags:
            names = ", ".join(one.name for one in same)
            row = _row(item)
            cells = (item.operation, short(item.type), f"{len(same)} resources", row.cells[3])
            urns = tuple(one.urn for one in same)
            detail = f"{row.detail}\nof {names}".lstrip("\n")
            yield replace(row, cells=cells, detail=detail, urns=urns)
        elif item is same[0]:
            yield Row(
                cells=(item.operation, "tags", f"{len(same)} resources", ", ".join(item.retags)),
                urns=tuple(one.urn for one in same),
                detail="\n".join(f"{short(one.type)} {one.name}" for one in same),
            )


def _alike(item: Change) -> tuple[object, ...]:
    """What two changes must share to be told as one; empty: it stands alone."""
    if item.retags:
        return item.retags
    if item.operation == "create":
        return ("create", item.type, item.imported, item.external, item.component)
    if item.operation != "update" or not item.properties:
        return ()
    options = lifted(item.old, item.new) if item.old and item.new else []
    return (item.type, *map(diff_line, item.properties), *options)


def _row(item: Change) -> Row:
    return Row(
        cells=(item.operation, short(item.type), item.name, _what(item)),
        risk=RISK.get(item.operation, "low"),
        urn=item.urn,
        source=item.source,
        detail="\n".join(map(diff_line, item.properties)),
    )


def _what(item: Change) -> str:
    if item.operation == "replace":
        forced = (
            ", ".join(p.path for p in item.forced_by) or "a reason that the engine does not tell"
        )
        upstream = sorted({name for p in item.forced_by for name in upstream_of(item.new, p)})
        return (
            ("may be replaced: " if item.may_stay else "")
            + forced
            + (f", through {', '.join(upstream)}" if upstream else "")
            + ("; deleted first" if item.delete_first else "")
        )
    options = lifted(item.old, item.new) if item.old and item.new else []
    roots = list(dict.fromkeys([*(p.root for p in item.properties), *options]))
    return ", ".join(roots[:6]) + (f" and {len(roots) - 6} more" if len(roots) > 6 else "")


def upstream_of(resource: Resource | None, item: Property) -> list[str]:
    """Names of the resources that a property is computed from."""
    urns = resource.dependencies.get(item.root, ()) if resource else ()
    return [urn.rpartition("::")[2] for urn in urns]


def diff_line(item: Property) -> str:
    """`~ path: old -> new`, with `!` where it forces a replacement."""
    sign = {"add": "+", "delete": "-", "update": "~"}[item.kind]
    forces = " !" if item.replaces else ""
    old = "" if item.kind == "add" else shown(item.old)
    new = "" if item.kind == "delete" else shown(item.new)
    arrow = " -> " if old and new else ""
    return f"{sign} {item.path}: {old}{arrow}{new}{forces}"


def shown(value: Any) -> str:
    """A value as text; never a secret."""
    if value is UNKNOWN:
        return "(known after the update)"
    if value == SECRET:
        return SECRET
    text = str(_known(value))
    return text if len(text) <= LONG else f"{text[:LONG]}… ({len(text)} characters)"


def _known(value: Any) -> Any:
    if value is UNKNOWN:
        return "(known after the update)"
    if isinstance(value, dict):
        return {key: _known(item) for key, item in value.items()}
    return [_known(item) for item in value] if isinstance(value, list) else value


def short(token: str) -> str:
    """`sagemaker.Endpoint` for `aws:sagemaker/endpoint:Endpoint`."""
    package, _, rest = token.partition(":")
    module, _, name = rest.rpartition(":")
    module = module.partition("/")[0]
    return f"{module}.{name}" if package == "aws" else f"{package}:{module}.{name}"


def _downtime(item: Change) -> list[Reason]:
    """Between the deletion of the old and the creation of the new there is nothing."""
    if not item.delete_first or item.operation != "replace":
        return []
    return [
        Reason(
            rule=DOWNTIME,
            risk="medium",
            message=f"{item.name} is deleted before its replacement exists",
            fix="change its name with it, so that both can exist for a while",
            urn=item.urn,
            source=item.source,
        )
    ]


def _options(item: Change) -> list[Reason]:
    """What the program tells the engine from now on: to ignore properties, to use another hand."""
    if item.old is None or item.new is None:
        return []
    before, after = item.old.options, item.new.options
    ignored = sorted({*after.ignore_changes} - {*before.ignore_changes})
    told = {
        "provider": (f"is managed by provider {after.provider.rpartition('::')[2]}",
                     "see that it reaches the same account and region"),
        "deletedWith": ("is deleted with something else, and not by itself",
                        "see that what it is deleted with takes it along"),
    }  # fmt: skip
    found = [told[name] for name in lifted(item.old, item.new) if name in told]
    if ignored:
        owner = "say in the pull request who owns these properties instead"
        found.append((f"ignores changes of {', '.join(ignored)}", owner))
    return [
        Reason(
            rule=OPTIONS,
            risk="medium",
            message=f"{item.name} {what} from now on",
            fix=fix,
            urn=item.urn,
            source=item.source,
        )
        for what, fix in found
    ]


def _data(item: Change) -> dict[str, Any]:
    return {
        "urn": item.urn,
        "type": item.type,
        "name": item.name,
        "operation": item.operation,
        "conditional": item.may_stay,
        "delete_first": item.delete_first,
        "source": f"{item.source.path}:{item.source.line}" if item.source else None,
        "properties": [
            {
                "path": p.path,
                "kind": p.kind,
                "replaces": p.replaces,
                "known": p.known,
                "old": shown(p.old),
                "new": shown(p.new),
                "upstream": upstream_of(item.new, p),
            }
            for p in item.properties
        ],
    }
