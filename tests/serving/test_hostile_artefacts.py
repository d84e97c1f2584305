"""Hostile models and archives are refused before they cost or do anything; the drill has more."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pipelines.toolkit import archives
from tests.drills.artefacts import cases, tried
from tests.kits.hostile_archives import TARS, entry, tar
from tests.kits.serving import trained

LARGE = re.compile(r"GB|MB|many|millions")
CASES = list(cases())
QUICK = [case for case in CASES if not LARGE.search(case.name) or "shape" in case.name]


def test_there_are_at_least_eighty_hostile_artefacts() -> None:
    assert len(CASES) >= 80
    assert len(QUICK) >= 80


@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.name)
def test_a_hostile_artefact_is_refused_with_a_reason(case: Any) -> None:
    import skops.io  # noqa: F401 - before the process is forked

    assert tried(case).harm == ""


def test_a_model_that_is_none_of_these_is_taken(tmp_path: Path) -> None:
    from serving.model import load

    packed, folder = tmp_path / "model.tar.gz", tmp_path / "model"
    held = trained(tmp_path / "made")
    tar(*(entry(path.name, path.read_bytes()) for path in held.iterdir()))(packed)
    archives.unpack(packed, folder)
    assert load(folder).predict([[1.0, 500.0, 3.5]])


def old_extract(
    self: tarfile.TarFile, member: Any, path: Any = "", set_attrs: bool = True, **no: Any
) -> None:
    """Of Python 3.11.3 and older, which know no filter."""
    if no:
        raise TypeError(f"TarFile.extract() got an unexpected keyword argument {next(iter(no))!r}")
    self._extract_one(member, path, set_attrs, numeric_owner=False)  # type: ignore[attr-defined]


def forget_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this Python be an older one, where it is not."""
    if hasattr(tarfile, "data_filter"):
        monkeypatch.delattr(tarfile, "data_filter")
        monkeypatch.setattr(tarfile.TarFile, "extract", old_extract)


SMALL = [name for name in TARS if "1.5 GB" not in name]


@pytest.mark.parametrize("name", SMALL)
def test_a_python_without_the_filter_refuses_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = []
    TARS[name](tmp_path / "hostile")
    for old in (False, True):
        if old:
            forget_filters(monkeypatch)
            assert archives.filtering() == {}
        with pytest.raises(archives.Refused) as refused:
            archives.unpack(tmp_path / "hostile", tmp_path / "into")
        said.append(str(refused.value))
        assert not (tmp_path / "into").exists()
    assert said[0] == said[1]
    assert [path.name for path in tmp_path.iterdir()] == ["hostile"]


def test_a_python_without_the_filter_unpacks_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tar(entry("a/b", b"x", mode=0o6777), entry("c", b"y"))(tmp_path / "good")

    def unpacked(name: str) -> dict[str, tuple[str, int]]:
        archives.unpack(tmp_path / "good", tmp_path / name)
        files = [path for path in (tmp_path / name).rglob("*") if path.is_file()]
        return {
            str(path.relative_to(tmp_path / name)): (path.read_text(), path.stat().st_mode)
            for path in files
        }

    new = unpacked("new")
    forget_filters(monkeypatch)
    assert unpacked("old") == new
    assert {name: text for name, (text, _) in new.items()} == {"a/b": "x", "c": "y"}
    assert all(not mode & 0o7000 for _, mode in new.values())


LIMITS: dict[str, tuple[archives.Limits, str]] = {
    "bytes": (archives.Limits(unpacked_bytes=4096), "more than 4096 bytes"),
    "members": (archives.Limits(members=2), "more than 2 members"),
    "time": (archives.Limits(seconds=0), "more than 0 s"),
}


@pytest.mark.parametrize("case", LIMITS)
def test_an_archive_ends_at_its_limits(tmp_path: Path, case: str) -> None:
    limits, reason = LIMITS[case]
    tar(*(entry(str(number), b"x" * 2000) for number in range(4)))(tmp_path / "good")
    with pytest.raises(archives.Refused, match=f"good .*{reason}"):
        archives.unpack(tmp_path / "good", tmp_path / "into", limits)


def test_nothing_unpacks_but_the_one_helper() -> None:
    """What else calls `extractall` would have to check by hand what old Pythons do not."""
    root = Path(__file__).parents[2]
    rooms = ("infra", "stacks", "pipelines", "serving", "policies", ".ci")
    users = [
        path.relative_to(root).as_posix()
        for room in rooms
        for path in sorted((root / room).rglob("*.py"))
        if re.search(r"\.extractall\(|\.extract\(|unpack_archive|filter=.data", path.read_text())
    ]
    assert users == ["pipelines/toolkit/archives.py"]
