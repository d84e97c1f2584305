"""What the provider's documentation says that a number or a flag of AWS is about.

A name says little of `attempts` or `size`; its documentation says that it is a number of retries,
or mebibytes of a disk. More of what is tried, waited for or given is a size like others; less of it
is left to who reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from policies.review.amounts import amount
from policies.review.differences import Leaf
from policies.review.knowledge import counterpart
from policies.review.scales import Meaning, which
from policies.review.vocabulary import LEAP

TABLE = Path(__file__).parent.parent / "tables" / "measures.json"

SAYS: Mapping[str, str] = {
    "long": "how long something takes or waits",
    "tried": "how often it is tried",
    "large": "how large it is",
    "many": "how many there are",
}
"""What a number is about (policies/tables/measures.py) -> how to say it."""


def measured(leaf: Leaf, token: str) -> Meaning | None:
    """What this difference means by the documentation of its input; None: that does not say."""
    place = ".".join(name for name in leaf.path if name[:1] != "[")
    about = _table().get(counterpart(token) or token, {}).get(place, "")
    if about == "watches":
        return which(leaf.new is True, "it says what happens while it is on")
    if about == "people" and isinstance(leaf.old, str) and isinstance(leaf.new, str):
        return Meaning("harmless", "its documentation says that people read it")
    old, new = amount(leaf.old), amount(leaf.new)
    if about not in SAYS or old is None or new is None or not old < new:
        return None
    return Meaning("sized", SAYS[about]) if new < (old or 1) * LEAP else None


@cache
def _table() -> Mapping[str, Mapping[str, str]]:
    table: Mapping[str, Mapping[str, str]] = json.loads(TABLE.read_text())
    return {key: value for key, value in table.items() if key != "_"}
