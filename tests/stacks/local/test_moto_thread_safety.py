"""Requests of several threads to moto, which walks through what it keeps."""

import sys
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from moto.core.base_backend import BaseBackend
from moto.iam.models import IAMBackend

from stacks.local.aws import moto_thread_safety

ACCOUNT = "123456789012"


@pytest.fixture
def impatient() -> Iterator[None]:
    """Threads take turns after every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def faults() -> list[str]:
    """What eight threads run into that create roles at once."""
    backend = IAMBackend("global", ACCOUNT)

    def create(number: int) -> str:
        try:
            backend.create_role(f"role-{number}", "{}", "/", "", "", [], "3600")
        except RuntimeError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(8) as pool:
        return [text for text in pool.map(create, range(600)) if text]


@pytest.mark.usefixtures("impatient")
def test_roles_are_created_at_once_without_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    assert any(faults() for _ in range(5)), "moto walks safely by itself: this is not needed"
    monkeypatch.setattr(BaseBackend, "__setattr__", object.__setattr__, raising=False)
    moto_thread_safety.install()
    assert faults() == []


@pytest.mark.parametrize(
    "plain", [{"a": 1}, OrderedDict(a=1), defaultdict(list, {"a": [1]})], ids=type
)
def test_a_steady_dictionary_is_as_the_plain_one(plain: Any) -> None:
    class Backend:
        __setattr__ = moto_thread_safety._set

    backend: Any = Backend()
    backend.kept = plain
    assert backend.kept == plain
    assert isinstance(backend.kept, type(plain))
    for key in backend.kept:
        backend.kept[f"{key}2"] = 1  # would end a walk through the plain one
    for view in (backend.kept.keys(), backend.kept.values(), backend.kept.items()):
        for _ in view:
            backend.kept[str(len(backend.kept))] = 1
    assert list(backend.kept)[:2] == ["a", "a2"]
    if isinstance(plain, defaultdict):
        assert backend.kept["new"] == []
