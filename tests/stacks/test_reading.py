"""Files that a person writes or names: whatever is in them, one line says what is wrong."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.errors import UserError
from stacks import paths, reading
from stacks.adoption import load_adopted
from stacks.review import binding
from stacks.settings.load import load, load_environment
from stacks.stack_name import StackName
from tests.kits.stacks import copied

STACK = StackName("dev", "weather")
BOMB = "x0: &x0 [1, 1]\n" + "".join(
    f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
TEXTS: dict[str, tuple[bytes, str]] = {
    "NUL": (b"a: b\n\0", r":2 must be YAML, got a character that YAML has not: 0x0"),
    "a control character": (b"a: 'x\x1by'\n", r":1 must be YAML, got a character"),
    "other bytes": (b"a: \xe9\n", "must be text in UTF-8, got other bytes"),
    "UTF-16": ("a: b".encode("utf-16"), "must be text in UTF-8, got other bytes"),
    "brackets without end": (b"[" * 200_000, "must be nested less deeply"),
    "mappings without end": (b"{a: " * 90 + b"a" + b"}" * 91, "must be YAML, got"),
    "a block without end": (
        b"".join(b" " * n + b"a:\n" for n in range(1500)), "must be nested less deeply",
    ),
    "a list": (b"- a\n", "must map keys to values, got a commentedseq|got a list"),
    "a text": (b"abc\n", "must map keys to values, got 'abc'"),
    "a number": (b"7\n", "must map keys to values, got 7"),
    "keys that are no texts": (b"7: 8\nnull: 9\n", "must have texts as keys, got 7, None"),
    "a number without end": (b"a: " + b"9" * 5000, "must be YAML, got Exceeds the limit"),
    "no date": (b"a: 2020-99-99\n", "must be YAML, got month must be in 1..12"),
    "no number": (b"a: !!int b\n", "must be YAML, got invalid literal"),
    "aliases that multiply": (BOMB.encode(), "x11"),
    "a list that holds itself": (b"x: &x [*x]\n", "x"),
}  # fmt: skip
READERS: dict[str, Callable[[Path], object]] = {
    "dev.yaml": lambda folder: load_environment("dev", folder),
    "Pulumi.dev.weather.yaml": lambda folder: load(STACK, folder),
    "adopt.yaml": lambda folder: load_adopted(STACK, folder / "adopt.yaml"),
}


@pytest.mark.parametrize("file", READERS)
@pytest.mark.parametrize("what", TEXTS)
def test_a_file_that_is_no_settings_is_refused_with_one_short_line(
    what: str, file: str, tmp_path: Path
) -> None:
    folder, (content, told) = copied(tmp_path), TEXTS[what]
    prefix = b"config:\n  plinth:x: 1\n" if what.startswith(("aliases", "a list that")) else b""
    (folder / file).write_bytes(prefix + content)
    if prefix and file.startswith("Pulumi"):  # beside what is read: left alone
        told = "plinth:x is not a setting"
    with pytest.raises(UserError, match=told) as caught:
        READERS[file](folder)
    assert len(str(caught.value)) < 4000


@pytest.mark.parametrize("file", READERS)
def test_what_is_no_file_is_told_so(file: str, tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (folder / file).unlink(missing_ok=True)
    (folder / file).mkdir()
    with pytest.raises(UserError, match=f"{file} must be a file, got Is a directory"):
        READERS[file](folder)


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n')
    assert reading.json_of(path) == {"a": 1}


def test_json_without_end_is_a_value_error_and_a_file_without_end_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    path.write_text("[" * 100_000)
    with pytest.raises(ValueError, match="nested less deeply"):
        reading.json_of(path)
    with pytest.raises(UserError, match="must be the JSON report of a review"):
        binding.read(path)
    monkeypatch.setattr(reading, "LIMIT_CHARACTERS", 1000)
    with pytest.raises(UserError, match="at most 1000 characters"):
        reading.text_of(Path("/dev/zero"))


@pytest.mark.parametrize("variable", ["PLINTH_HOME", "PLINTH_CACHE"])
def test_a_folder_of_nobody_is_refused_and_a_circle_of_links_is_a_path(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = {"PLINTH_HOME": paths.home, "PLINTH_CACHE": paths.cache}[variable]
    monkeypatch.setenv(variable, "~nobody-of-this-name/x")
    with pytest.raises(UserError, match=f"{variable} must name a folder, got '~nobody"):
        folder()
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    monkeypatch.setenv(variable, str(circle))
    with pytest.raises(OSError, match="Too many levels"):
        os.stat(folder())  # noqa: PTH116 what a command does then is one line
