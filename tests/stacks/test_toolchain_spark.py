"""PySpark in the cache: whole or not there, every jar as its hash says, and Java named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra.errors import UserError
from stacks.toolchain import spark


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder of programs, and an empty cache."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(spark, "cache", lambda: tmp_path / "cache")
    monkeypatch.setattr(spark, "_run", lambda command, more: None)
    return tmp_path / "bin"


@pytest.mark.parametrize(
    ("said", "fits"),
    [
        ("openjdk 17.0.15 2025-04-15", True),
        ("openjdk 11 2018-09-25", True),
        ("openjdk 21.0.7 2025-04-15", True),
        ("openjdk 10.0.2 2018-07-17", False),
        ("openjdk 25 2025-09-16", False),
        ("", False),
    ],
)
def test_java_is_taken_from_eleven_to_twenty_one(path: Path, said: str, fits: bool) -> None:
    program(path, "java", f"echo '{said}'")
    assert spark.java_home() == (path.parent if fits else None)


def test_without_java_the_package_is_named(path: Path) -> None:
    program(path, "java", "exit 1")
    with pytest.raises(UserError) as caught:
        spark.ensure(print)
    assert "apt-get install openjdk-17-jre-headless" in caught.value.fix
    assert spark.find() is None


def test_a_jar_of_another_hash_leaves_nothing(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(path, "java", "echo openjdk 17.0.15 2025-04-15")
    said: list[str] = []

    def bring(command: list[str], _: object) -> None:
        conf = next((one for one in command if one.startswith("spark.jars.ivy=")), "")
        if conf:
            jars = Path(conf.partition("=")[2]) / "jars"
            jars.mkdir()
            for name in spark.JARS:
                (jars / name).write_bytes(b"another")

    monkeypatch.setattr(spark, "_run", bring)
    with pytest.raises(UserError, match="must have the SHA-256"):
        spark.ensure(said.append)
    assert said == [f"installing PySpark {spark.SPARK_VERSION} (430 MB, once)"]
    assert [*(tmp_path / "cache").iterdir()] == []


def test_the_versions_of_the_jars_are_those_that_are_asked_for() -> None:
    asked = {one.split(":")[1]: one.split(":")[2] for one in spark.PACKAGES}
    got = {
        name: version
        for jar in spark.JARS
        for name, version in re.findall(r"_([a-z0-9-]+?)-(\d[\w.]*)\.jar$", jar)
    }
    assert asked.items() <= got.items()
    lock = (spark.LOCKS / "requirements.lock").read_text()
    assert f"pyspark=={spark.SPARK_VERSION} " in lock
