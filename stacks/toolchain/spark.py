"""Spark for what runs on EMR: PySpark in an environment of its own, with S3 as a file system.

PySpark is large, so it is no requirement of this checkout: it is installed into the cache, by hash,
when the first Spark job runs. Spark is 3.5, as in EMR 7 (EMR release guide, "Application versions
in Amazon EMR 7.x releases"). Its jars for S3 come the way Spark fetches packages, by Ivy, and are
compared with the hashes below; all are under the Apache License 2.0.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.errors import UserError
from stacks.paths import cache
from stacks.toolchain.build import Say, at_least, one_at_a_time, run

SPARK_VERSION = "3.5.8"
HADOOP_VERSION = "3.3.4"
"""Of the Hadoop that PySpark brings; `hadoop-aws` must be the same."""

SDK_VERSION = "1.12.262"
"""Of AWS's SDK for Java that this `hadoop-aws` was built with."""

OLDEST_JAVA, TOO_NEW_JAVA = "11", "22"
"""Spark 3.5 is made for Java 8, 11 and 17, and runs on 21; this Hadoop fails on 24."""

JAVA_PACKAGE = "openjdk-17-jre-headless"
"""Debian 12's; Debian 13 has `openjdk-21-jre-headless`."""

PACKAGES = (
    f"org.apache.hadoop:hadoop-aws:{HADOOP_VERSION}",
    *(f"com.amazonaws:aws-java-sdk-{part}:{SDK_VERSION}" for part in ("dynamodb", "s3", "sts")),
)
LEFT_OUT = "com.amazonaws:aws-java-sdk-bundle"
"""All of AWS in one jar of 280 MB; the parts above are what S3A calls."""

JARS: Mapping[str, str] = {
    "com.amazonaws_aws-java-sdk-core-1.12.262.jar": (
        "06fed99f929c389e168278c1b111aaf1afb270d07202fbbce92e73d1e4279678"
    ),
    "com.amazonaws_aws-java-sdk-dynamodb-1.12.262.jar": (
        "7af4ba06d0d9b3c2ab435089caecd0567810d203aa285f7aa72861f1964d442e"
    ),
    "com.amazonaws_aws-java-sdk-kms-1.12.262.jar": (
        "c00f5ae7b334255f661d85512e7203af9523a04fb65d0c431c2eea2003ed8ae2"
    ),
    "com.amazonaws_aws-java-sdk-s3-1.12.262.jar": (
        "a0cb7580178bc0d4d3558295a5bb890008478da8a6b3241989c71238b0ed3be5"
    ),
    "com.amazonaws_aws-java-sdk-sts-1.12.262.jar": (
        "659f48d8ebc02025c5042cc4b925f62610e81f334498f1b9e7a271ce20ecbcae"
    ),
    "com.amazonaws_jmespath-java-1.12.262.jar": (
        "9001ea993a45d82a2d3086edcbda8a40b4e012d049a70fbf071fd329c0fbd777"
    ),
    "com.fasterxml.jackson.dataformat_jackson-dataformat-cbor-2.12.6.jar": (
        "cfa008d15f052e69221e8c3193056ff95c3c594271321ccac8d72dc1a770619c"
    ),
    "org.apache.hadoop_hadoop-aws-3.3.4.jar": (
        "53f9ae03c681a30a50aa17524bd9790ab596b28481858e54efd989a826ed3a4a"
    ),
    "org.wildfly.openssl_wildfly-openssl-1.0.7.Final.jar": (
        "9f7058778978ec2ad90c7224401a4b0013d93e0dd3fa0f72b25244ffa3507ca8"
    ),
    "software.amazon.ion_ion-java-1.0.2.jar": (
        "0d127b205a1fce0abc2a3757a041748651bc66c15cf4c059bac5833b27d471a5"
    ),
}
"""Jar as Ivy names it -> its SHA-256. What PySpark has itself is not among them."""

LOCKS = Path(__file__).parent / "pyspark"


@dataclass(frozen=True)
class Spark:
    """An installed PySpark and the Java that runs it."""

    packages: Path
    """Folder with PySpark and what a script finds beside it."""

    java_home: Path

    @property
    def home(self) -> Path:
        return self.packages / "pyspark"

    @property
    def environment(self) -> Mapping[str, str]:
        """What Spark's own programs read."""
        return {
            "JAVA_HOME": str(self.java_home),
            "PYSPARK_PYTHON": str(Path(getattr(sys, "_base_executable", sys.executable)).resolve()),
            "PYTHONPATH": str(self.packages),
            "SPARK_HOME": str(self.home),
            "SPARK_LOCAL_IP": "127.0.0.1",
        }


def find() -> Spark | None:
    """The one in the cache; None where it is not built, or Java is missing."""
    home = java_home()
    packages = _root() / "packages"
    return Spark(packages, home) if home and packages.is_dir() else None


def ensure(say: Say) -> Spark:
    """The one in the cache, or built into it; UserError when that is not possible."""
    home = java_home()
    if home is None:
        raise UserError(
            f"Spark needs Java from {OLDEST_JAVA} on and before {TOO_NEW_JAVA} on PATH, got none",
            fix=f"apt-get install {JAVA_PACKAGE}, or give PATH another Java, and try again",
        )
    with one_at_a_time():
        packages = _root() / "packages"
        if not packages.is_dir():
            say(f"installing PySpark {SPARK_VERSION} (430 MB, once)")
            _build(home)
    return Spark(packages, home)


def java_home() -> Path | None:
    """Where the Java on PATH is installed; None where there is none that Spark takes."""
    found = shutil.which("java")
    if found is None:
        return None
    version = re.search(r"^\S+ (\d+(?:\.\d+)*)", run([found, "--version"]))
    if version is None or not at_least(version[1], OLDEST_JAVA):
        return None
    if at_least(version[1], TOO_NEW_JAVA):
        return None
    return Path(found).resolve().parents[1]


def _root() -> Path:
    return cache() / f"pyspark-{SPARK_VERSION}"


def _build(java: Path) -> None:
    """Install it beside its place, then move it there: it is complete or not there at all."""
    draft = _root().with_name(f"{_root().name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    spark = Spark(draft / "packages", java)
    try:
        uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
        _run(
            [
                uv, "pip", "install", "--quiet", "--python", sys.executable,
                "--target", str(spark.packages), "--require-hashes",
                "--build-constraint", str(LOCKS / "build.lock"),
                "-r", str(LOCKS / "requirements.lock"),
            ],
            {},
        )  # fmt: skip
        _bring_jars(spark, draft / "ivy")
        draft.replace(_root())
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _bring_jars(spark: Spark, ivy: Path) -> None:
    """Spark runs an empty program, for which it fetches the packages; each jar is checked."""
    ivy.mkdir(parents=True)
    empty = ivy / "empty.py"
    empty.touch()
    _run(
        [
            str(spark.home / "bin" / "spark-submit"), "--conf", f"spark.jars.ivy={ivy}",
            "--packages", ",".join(PACKAGES), "--exclude-packages", LEFT_OUT, str(empty),
        ],
        spark.environment,
    )  # fmt: skip
    for name, digest in JARS.items():
        jar = ivy / "jars" / name
        got = hashlib.sha256(jar.read_bytes()).hexdigest() if jar.is_file() else "no such file"
        if got != digest:
            raise UserError(
                f"{name} must have the SHA-256 {digest}, got {got}",
                fix="try again; if it stays so, ask who serves packages to this machine",
            )
        jar.replace(spark.home / "jars" / name)
    shutil.rmtree(ivy)


def _run(command: Sequence[str], more: Mapping[str, str]) -> None:
    done = subprocess.run(
        command,
        env={**os.environ, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-10:])
        raise UserError(
            f"{Path(command[0]).name} must succeed, got exit code {done.returncode}\n{tail}",
            fix="give pip and Ivy a way to their packages and type the command again",
        )
