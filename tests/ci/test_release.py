"""A release is a tag of what the changelog and pyproject.toml say, and of nothing else."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / ".ci"))  # its scripts import each other by name, as they do in CI

import release  # noqa: E402

CHANGELOG = """# Changelog

## Unreleased
{unreleased}
## 0.2.0 - 2026-11-28

### Added
- A thing

## 0.1.0 - 2026-01-01
- The first
"""


def test_the_newest_dated_version_of_the_changelog_is_that_of_the_package() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    found = release.sections((ROOT / "CHANGELOG.md").read_text())
    assert next(iter(found)) == "Unreleased"
    assert next(name for name, (date, _) in found.items() if date) == version


@pytest.mark.parametrize(
    ("version", "unreleased", "says"),
    [
        ("0.2.0", "\n- Another thing\n", "nothing under Unreleased"),
        ("0.3.0", "", r"what changed in 0\.3\.0"),
    ],
)
def test_a_version_that_the_changelog_does_not_describe_is_not_tagged(
    version: str, unreleased: str, says: str
) -> None:
    with pytest.raises(SystemExit, match=says):
        release.message(version, CHANGELOG.format(unreleased=unreleased))


def test_the_tag_says_what_changed(tmp_path: Path) -> None:
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG.format(unreleased=""))
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.2.0"\n')
    author = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    for command in (["init", "-q"], ["add", "-A"], [*author, "commit", "-qm", "All"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    release.git("config", "user.name", "A", root=tmp_path)
    release.git("config", "user.email", "a@example.com", root=tmp_path)
    assert release.main(tmp_path).endswith("git push origin v0.2.0")
    said = release.git("tag", "--list", "--format=%(contents)", root=tmp_path)
    assert said == "Plinth 0.2.0 (2026-11-28)\n\n### Added\n- A thing"
    with pytest.raises(SystemExit, match="already exists"):
        release.main(tmp_path)
    (tmp_path / "new").touch()
    with pytest.raises(SystemExit, match="must have no changes"):
        release.main(tmp_path)
