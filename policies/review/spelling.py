"""Two spellings that the cloud takes for one name, and lists whose order it takes for none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from policies.review.differences import Leaf
from policies.review.hidden import Hidden
from policies.review.people import word
from policies.review.vocabulary import ID, OBJECTS, ORDERED, PATTERNS, SETS

FOLDING = ("rds", "docdb", "neptune", "elasticache", "redshift", "dms", "dax", "memorydb")
"""Services whose API references say of names of what they make "is stored as a lowercase string"
(CreateDBInstance, CreateReplicationGroup, CreateClusterSubnetGroup and others)."""

NAME = re.compile(
    r"^(name|\w*(identifier|clusterid|clustername|userid|instanceid|group(name|id)))$"
)

HOSTS: dict[str, tuple[str, ...]] = {
    "route53": ("name", "fqdn"),
    "acm": ("domainname", "subjectalternativenames"),
}
"""Service -> inputs that are names of DNS, which knows no case (RFC 4343) and may end in a dot."""


HEADERS = re.compile(
    r"headername$|(allow|allowed|expose|exposed)headers?(\.items)?$|headers\.items$"
)
"""Places of names of headers, which know no case (RFC 9110, section 5.1)."""


def is_folded(leaf: Leaf, token: str) -> bool:
    """Whether both sides are one name to the service that keeps it."""
    sides = leaf.old, leaf.new
    if not all(isinstance(side, str) and not isinstance(side, Hidden) for side in sides):
        return False
    old, new = (str(side).lower() for side in sides)
    if old == new and HEADERS.search(".".join(word(part) for part in leaf.path if part[:1] != "[")):
        return True
    if token[:3] != "aws":
        return False
    module = token.partition(":")[2].partition("/")[0].partition(":")[0]
    last = word(leaf.name)
    if last in HOSTS.get(module, ()):
        return old.removesuffix(".") == new.removesuffix(".")
    return old == new and module in FOLDING and len(leaf.path) == 1 and bool(NAME.search(last))


KEPT = ("data", "stringData")
"""Inputs of ConfigMaps and Secrets: of a list in them, the program that reads it knows more."""


def is_a_set(path: Sequence[str], items: Sequence[Any]) -> bool:
    """Whether the order of this list says nothing: by its name, or by what stands in it."""
    name = word(next((part for part in reversed(path) if part[:1] != "["), ""))
    if any(word(part) in PATTERNS for part in path[:-1]):
        return True
    if path[0] in KEPT:
        return False
    if name == "env" and _are_read_in_turn(items):
        return False
    if any(isinstance(item, Mapping) and _is_tried_in_turn(item) for item in items):
        return False
    plain = [item for item in items if isinstance(item, str)]
    if len(plain) < len(items) or ORDERED.search(name):
        ranked = bool(items) and all(isinstance(i, Mapping) and "priority" in i for i in items)
        return name in OBJECTS or tuple(path) == ("routes",) or ranked
    return bool(SETS.search(name)) or all(map(ID.match, plain))


def _are_read_in_turn(items: Sequence[Any]) -> bool:
    """Whether a variable reads one before it, or the last of one name holds (API reference of
    EnvVar)."""
    names = [item.get("name") for item in items if isinstance(item, Mapping)]
    return "$(" in str(items) or any(names.count(name) > 1 for name in names)


def _is_tried_in_turn(item: Mapping[str, Any]) -> bool:
    """Whether the first rule that fits says what becomes of a packet (API references of Calico's
    NetworkPolicy and of AdminNetworkPolicy); one of EC2 says its place by its number."""
    names = {word(str(name)) for name in item}
    return "action" in names and not names & {"ruleno", "rulenumber", "ruleid", "priority"}
