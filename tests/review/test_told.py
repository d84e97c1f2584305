"""What one part leaves to another, because it looks there: the other one says it, of every type."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from types import ModuleType
from typing import Any

import pytest

from policies.review.differences import Leaf
from policies.review.digest import read
from policies.review.elsewhere import ENDPOINTS, STEPS
from policies.review.knowledge import known
from policies.review.model import Change
from policies.review.parts import access, data_loss, exposure, keys, promotion
from policies.review.parts.order import FIRST, THEN
from policies.review.report import Part, review
from tests.kits import generated
from tests.kits.generated import Made, Shape
from tests.review.test_approval import SPENDING
from tests.review.test_open_world import CONTEXT, loud
from tests.review.test_unsaid import risk

ROLE = "arn:aws:iam::333333333333:role/"
INSIDE, STRANGE, ALL = "10.0.0.0/24", "203.0.113.0/24", "0.0.0.0/0"
RANGED = re.compile(r"cidr|^ips?$|address|range|network|(allow|white)_?list|source_?ip", re.I)
"""Words in the names of inputs that may hold a range of addresses."""

WORDS: Sequence[tuple[Any, Any]] = (
    ("one", "other"), (None, "other"), ("one", None), ("a/b:1", "c/d:2"),
    (f"{ROLE}a", f"{ROLE}b"), ("ml.m5.large", "ml.p4d.24xlarge"),
)  # fmt: skip
RANGES: Sequence[tuple[Any, Any]] = ((INSIDE, ALL), (INSIDE, STRANGE), (None, ALL), (INSIDE, None))
NUMBERS: Sequence[tuple[Any, Any]] = ((1, 1000), (1000, 1), (1, None))
SIDES = {
    "string": WORDS,
    "boolean": ((True, False), (False, True), (True, None), (None, True)),
    "integer": NUMBERS,
    "number": NUMBERS,
    "array": ((["one"], ["one", "other"]), (["one"], ["other"]), (["one"], []), (None, ["one"])),
    "object": (({"a": "one"}, {"a": "other"}), ({"a": "one"}, None), (None, {"a": "one"})),
}


def pairs(name: str, kind: str) -> Iterator[tuple[Any, Any]]:
    """What an input of this name and type may be before and after."""
    yield from SIDES.get(kind, SIDES["object"])
    if kind in ("string", "array") and RANGED.search(name):
        for sides in RANGES:
            old, new = (None if side is None else [side] for side in sides)
            yield sides if kind == "string" else (old, new)


def is_quiet(name: str, old: Any, new: Any) -> bool:
    """Whether it is so on purpose: one whole policy less, a first key, a variant without a name."""
    less = new in (None, []) and bool(GIVEN.fullmatch(name))
    nothing = (name == "keyArn" and old is None) or (name == "variantName" and None in (old, new))
    return less or nothing


GIVEN = re.compile(r"(managedP|p)olic(yArns?|ies)|permission(SetArn|Arns)")


def left(shape: Shape) -> Iterator[Made]:
    """Changes of this type of which the difference is left to another part."""
    for path, kind in shape.inputs.items():
        for at, (old, new) in enumerate(pairs(path.rpartition(".")[2], kind)):
            if not is_quiet(path.rpartition(".")[2], old, new) and data_loss.told(
                _leaf(path, old, new), shape.token
            ):
                sides = generated.inside(path, old), generated.inside(path, new)
                yield Made(
                    path, shape.token, generated.step(shape.token, f"{path}-{at}", "update", *sides)
                )


def _leaf(path: str, old: Any, new: Any) -> Leaf:
    """The difference as the review finds it: of a list, the last of its elements."""
    names = path.split(".") + ["[]"] * (isinstance(old, list) or isinstance(new, list))
    before, after = (
        side[-1] if isinstance(side, list) and side else side or None for side in (old, new)
    )
    return Leaf((*names,), before, after)


def asks(item: Change) -> bool:
    """Whether a person would be asked, if nobody looked at what differs but its words."""
    return any(found.sense not in QUIET for _, found in item.differences)


QUIET = ("harmless", "stronger", "sized")


@cache
def found() -> tuple[Made, ...]:
    """Changes of every type that matters that are left to another part and are not fine."""
    shapes = {shape.token: shape for shape in (*generated.formation(), *generated.provider())}
    matter = [shape for token, shape in shapes.items() if known(token).is_sensitive]
    made = [item for shape in matter for item in left(shape)]
    read_again = read(generated.digest(made), "prod.foundation").changed()
    asked = {item.urn for item in read_again if asks(item)}
    return tuple(item for item in made if item.urn in asked)


def test_what_is_left_to_another_part_is_told_by_it() -> None:
    made = found()
    assert len(made) >= 1_500
    assert len({item.token for item in made}) >= 300
    assert _missed(FIRST, SPENDING, THEN) == set()


@pytest.mark.parametrize(
    ("part", "input_"),
    [(access, "roleArn"), (keys, "kmsKeyId"), (promotion, "imageUri"), (exposure, "cidrBlock")],
)
def test_without_the_part_that_tells_it_nobody_does(part: ModuleType, input_: str) -> None:
    others = [each for each in (*FIRST, *SPENDING, *THEN) if each is not part.part]
    assert len(others) == len((*FIRST, *SPENDING, *THEN)) - 1
    assert input_ in {path.rpartition(".")[2] for _, path in _missed(others)}


def _missed(*parts: Sequence[Part]) -> set[tuple[str, str]]:
    """Type and input of what no part says."""
    change = read(generated.digest(found()), "prod.foundation")
    seen = loud(review(change, CONTEXT, [part for some in parts for part in some]))
    return {(item.token, item.kind) for item in found() if item.urn not in seen}


def test_the_kinds_of_what_is_left_are_all_among_them() -> None:
    """Keys, images, roles, whole policies, ranges and variants."""
    kinds = {item.kind.rpartition(".")[2] for item in found()}
    wanted = {"kmsKeyId", "imageUri", "roleArn", "managedPolicyArns", "cidrBlock"}
    assert wanted <= kinds
    assert "instanceType" in kinds


@pytest.mark.parametrize("token", [*ENDPOINTS, "x:y/z:W", "kubernetes:x.example.com/v1:Thing"])
@pytest.mark.parametrize("name", STEPS)
def test_a_share_of_another_type_is_nobody_elses_to_tell(token: str, name: str) -> None:
    leaf = Leaf(("deploymentConfig", name, "value"), 1, 40)
    assert data_loss.told(leaf, token) == (token in ENDPOINTS)
    sides = [generated.inside(f"deploymentConfig.{name}.value", side) for side in (1, 40)]
    assert (risk(token, *sides) == "low") == (token in ENDPOINTS)
