"""Two spellings that the cloud takes for one name."""

from __future__ import annotations

import re

from policies.review.differences import Leaf
from policies.review.people import word

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


def is_folded(leaf: Leaf, token: str) -> bool:
    """Whether both sides are one name to the service that keeps it."""
    sides = leaf.old, leaf.new
    if not all(isinstance(side, str) for side in sides) or token[:3] != "aws":
        return False
    old, new = (str(side).lower() for side in sides)
    module = token.partition(":")[2].partition("/")[0].partition(":")[0]
    last = word(leaf.name)
    if last in HOSTS.get(module, ()):
        return old.removesuffix(".") == new.removesuffix(".")
    return old == new and module in FOLDING and len(leaf.path) == 1 and bool(NAME.search(last))
