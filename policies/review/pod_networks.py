"""What a policy lets pods reach, and who may reach them, compared as sets.

Rules that go, peers or ports that are fewer, ranges that are inside of others, let less through
(Kubernetes' API reference, NetworkPolicySpec: no peers are all peers, no ports are all ports, and a
policy without rules of a way lets nobody through).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from policies.data import UNKNOWN
from policies.reading.networks import added, networks
from policies.review.differences import leaves, same

WAYS: Mapping[str, str] = {"ingress": "from", "egress": "to"}
"""Way -> the member of its rules that names the other side."""


def narrowed(token: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a policy lets nothing through now that it held back before."""
    if not token.startswith("kubernetes:networking.k8s.io/") or not token.endswith("NetworkPolicy"):
        return False
    old, new = before.get("spec"), after.get("spec")
    if not isinstance(old, Mapping) or not isinstance(new, Mapping) or _is_unknown(new):
        return False
    chosen = same(old.get("podSelector"), new.get("podSelector"))
    was, now = _held(old), _held(new)
    return chosen and was <= now and all(_less(way, old, new) for way in was)


def _is_unknown(spec: Mapping[str, Any]) -> bool:
    found = leaves(None, dict(spec), ("spec",), lambda path, items: False)
    return any(leaf.new is UNKNOWN for leaf in found)


def _held(spec: Mapping[str, Any]) -> set[str]:
    """The ways in which it holds back what no rule lets through."""
    said = spec.get("policyTypes")
    types = said if isinstance(said, list) and said else ["Ingress"]
    egress = {"egress"} if spec.get("egress") and not said else set()
    return {str(each).lower() for each in types} | egress


def _less(way: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    before, after = (_rules(spec.get(way)) for spec in (old, new))
    return all(any(_covers(way, each, rule) for each in before) for rule in after)


def _rules(value: Any) -> list[Mapping[str, Any]]:
    return [rule for rule in value if isinstance(rule, Mapping)] if isinstance(value, list) else []


def _covers(way: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    side = WAYS.get(way, "")
    return _within(before.get(side), after.get(side)) and _within(
        before.get("ports"), after.get("ports")
    )


def _within(before: Any, after: Any) -> bool:
    """Whether one list is within another, where an empty one is everything."""
    if not before:
        return True
    return bool(after) and all(any(_is_in(item, each) for each in before) for item in after)


def _is_in(item: Any, other: Any) -> bool:
    if same(item, other):
        return True
    blocks = [side.get("ipBlock") for side in (item, other) if isinstance(side, Mapping)]
    mine, theirs = blocks if len(blocks) == len(WAYS) else (None, None)
    if not isinstance(mine, Mapping) or not isinstance(theirs, Mapping):
        return False
    spared: Sequence[Any] = theirs.get("except") or ()
    kept = not added(networks(mine.get("except") or ()), networks(spared))
    return kept and not added(networks([theirs.get("cidr")]), networks([mine.get("cidr")]))
