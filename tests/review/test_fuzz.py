"""The review of what no engine would print: mutated digests, byte limits, hostile names.

`PLINTH_FUZZ_EXAMPLES=10000` looks further than the usual run.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from policies.data import UNKNOWN
from policies.review.digest import read
from policies.review.model import Change, StackChange
from policies.review.render import data, html, markdown, sarif
from policies.review.render.graph import graph
from policies.review.report import Report, Row, Section
from policies.review.shape import Malformed
from policies.review.steps import MEANING
from tests.kits.review import SCENARIOS, Facts, Scenario, changed, reviewed

EXAMPLES = int(os.environ.get("PLINTH_FUZZ_EXAMPLES", "500"))
fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),  # shrinking takes minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
UNKNOWN_ON_THE_WIRE = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
LOSES = ("delete", "remove-pending-replace")


def wire(value: Any) -> Any:
    if value is UNKNOWN:
        return UNKNOWN_ON_THE_WIRE
    if isinstance(value, Mapping):
        return {key: wire(item) for key, item in value.items()}
    return [wire(item) for item in value] if isinstance(value, list) else value


def step(item: Change) -> dict[str, Any]:
    """A change as the engine's digest has it."""
    states = {
        name: {
            "inputs": wire(side.inputs.value),
            "outputs": wire(side.outputs.value),
            "protect": side.options.protect,
            "parent": side.parent,
            "propertyDependencies": {key: list(urns) for key, urns in side.dependencies.items()},
        }
        for name, side in (("oldState", item.old), ("newState", item.new))
        if side is not None
    }
    detailed = {p.path: {"kind": p.kind + "-replace" * p.replaces} for p in item.properties}
    return {"op": item.operation, "urn": item.urn, **states, "detailedDiff": detailed}


def digest_of(change: StackChange) -> dict[str, Any]:
    return {"steps": [step(item) for item in change.changes]}


BASES = [
    digest_of(changed(SCENARIOS["feature-group-replacement"])),
    digest_of(changed(SCENARIOS["gpu-growth"])),
    digest_of(changed(Scenario(before=Facts(), after=None, decision="blocked"))),
]
"""A replacement, an update and the deletion of everything."""

junk = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=20),
        st.sampled_from(
            ["", "*", UNKNOWN_ON_THE_WIRE, "a::b::c$d::e", "9" * 5_000, "[0].a[", *MEANING]
        ),
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
mutations = st.lists(
    st.tuples(
        st.integers(0, 100_000), st.sampled_from(["put", "drop", "twin", "move", "deep"]), junk
    ),
    min_size=1,
    max_size=6,
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container and key in nested data."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


def mutate(digest: Any, changes: list[tuple[int, str, Any]]) -> Any:
    for where, how, value in changes:
        found = list(places(digest))
        if not found:
            break
        holder, key = found[where % len(found)]
        if how == "drop":
            del holder[key]
        elif how == "twin" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        elif how == "move":
            other, name = found[(where * 31 + 7) % len(found)]
            holder[key] = copy.deepcopy(other[name]) if name in keys_of(other) else value
        elif how == "deep":
            holder[key] = reduce(lambda inner, _: [inner], range(where % 300), value)
        else:
            holder[key] = value
    return digest


def keys_of(holder: Any) -> Any:
    return holder if isinstance(holder, dict) else range(len(holder))


def lost(digest: Any) -> set[str]:
    """URNs that the digest says are deleted, by no code of the reader."""
    steps = digest.get("steps") if isinstance(digest, dict) else None
    return {
        one["urn"]
        for one in (steps if isinstance(steps, list) else ())
        if isinstance(one, dict) and one.get("op") in LOSES and isinstance(one.get("urn"), str)
        and "pulumi:providers:" not in one["urn"] and "pulumi:pulumi:Stack" not in one["urn"]
    }  # fmt: skip


@fuzzed
@given(st.integers(0, len(BASES) - 1), mutations)
def test_a_mutated_digest_is_reviewed_or_refused_and_its_deletions_stay(
    base: int, changes: list[tuple[int, str, Any]]
) -> None:
    digest = mutate(copy.deepcopy(BASES[base]), changes)
    try:
        change = read(json.dumps(digest), "prod")
    except Malformed:
        return
    report = reviewed(SCENARIOS["no-change"], change)
    markdown.render(report)
    html.render(report, graph(change))
    sarif.render(report)
    data.render(report)
    deleted = lost(digest)
    assert deleted <= {item.urn for item in change.of("delete", "replace")}
    if deleted:
        assert report.decision != "no change"


texts = st.text(max_size=300)


@fuzzed
@given(st.lists(st.lists(texts, min_size=2, max_size=2), max_size=60), st.integers(700, 65_536))
def test_a_comment_never_has_more_bytes_than_allowed(cells: list[list[str]], limit: int) -> None:
    rows = [Row(cells=tuple(one), detail=one[0]) for one in cells]
    section = Section(id="x", title="x", columns=("a", "b"), rows=rows)
    text = markdown.render(report_of(section, section), limit_bytes=limit)
    assert len(text.encode()) <= limit


def report_of(*sections: Section) -> Report:
    return Report(
        env="prod", origin="preview digest", commit="", base="", decision="safe", risk="low",
        reasons=[], tally={"create": 1}, sections=sections,
    )  # fmt: skip


def test_a_step_about_nothing_is_refused() -> None:
    one = {"op": "create", "urn": "urn:pulumi:prod::plinth::aws:s3/bucket:Bucket::data"}
    with pytest.raises(Malformed, match="must have the state"):
        read(json.dumps({"steps": [one]}))


@pytest.mark.parametrize("escape", ['"\\ud800"', '"\\udfff"'])
def test_half_a_character_is_refused(escape: str) -> None:
    with pytest.raises(Malformed, match="Unicode"):
        read('{"steps": [], "x": ' + escape + "}")
