"""What of a Spark job is run here: spark-submit with a script or a jar, in one process.

A cluster of one machine has no YARN, so what says where and how large a job runs is dropped, and
what would act otherwise than on AWS is refused by name. Sources: EMR release guide, "Add a Spark
step" and "command-runner.jar"; EMR Serverless user guide, "Spark jobs"; Spark 3.5's spark-submit.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

RUNNER = "command-runner.jar"
SUBMIT = ("spark-submit", "/usr/bin/spark-submit")

DROPPED = frozenset(
    {"--deploy-mode", "--driver-cores", "--executor-cores", "--executor-memory", "--master",
     "--num-executors", "--queue", "--total-executor-cores"}
)  # fmt: skip
"""Options that say where and how large: here it is this machine."""

PASSED = frozenset(
    {"--class", "--driver-class-path", "--driver-java-options", "--driver-library-path",
     "--driver-memory", "--exclude-packages", "--files", "--jars", "--name", "--packages",
     "--properties-file", "--py-files", "--repositories"}
)  # fmt: skip

CONF = frozenset({"--conf", "-c"})
FLAGS = frozenset({"--supervise", "--verbose", "-v"})

REFUSED: Mapping[str, str] = {
    "--archives": "no packed Python environment is unpacked",
    "--keytab": "there is no Kerberos",
    "--kill": "no other job is reached",
    "--principal": "there is no Kerberos",
    "--proxy-user": "there are no other users",
    "--status": "no other job is reached",
    "spark.archives": "no packed Python environment is unpacked",
    "spark.hadoop.hive.metastore.client.factory.class": "no Glue catalog is read by Spark",
    "spark.sql.catalog.glue_catalog": "no Glue catalog is read by Spark",
    "spark.yarn.dist.archives": "no packed Python environment is unpacked",
}
"""Option or property -> why it is not played."""

ELSEWHERE = ("spark.master", "spark.submit.deployMode")
"""Properties that say where a job runs."""

OF_DRIVER = (
    "spark.emr-serverless.driverEnv.", "spark.executorEnv.", "spark.yarn.appMasterEnv.",
)  # fmt: skip
"""How properties begin that are variables of the one process."""

PYTHONS = ("PYSPARK_DRIVER_PYTHON", "PYSPARK_PYTHON")

NO_EFFECT = frozenset(
    {"capacity-scheduler", "emrfs-site", "hdfs-site", "mapred-site", "spark", "spark-log4j",
     "spark-log4j2", "spark-metrics", "yarn-env", "yarn-site"}
)  # fmt: skip
"""Classifications of a configuration that are about a cluster's machines, or about its logs."""


class NotSubmittable(Exception):
    """What a job asks for is not played here; the text says what and why."""


@dataclass(frozen=True, kw_only=True)
class Submission:
    """Arguments of spark-submit, less what says where it runs, and variables of the process."""

    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)

    def under(self, defaults: Mapping[str, str]) -> Submission:
        """The same with properties that the job itself may say otherwise."""
        kept, variables = _properties(defaults.items())
        return Submission(
            arguments=[*_confs(kept), *self.arguments],
            environment={**variables, **self.environment},
        )


def of_step(config: Mapping[str, Any]) -> Submission:
    """Of a HadoopJarStep, by the names of EMR's API."""
    jar, given = config.get("Jar"), [str(one) for one in config.get("Args") or ()]
    if jar != RUNNER:
        raise NotSubmittable(f"Jar: only {RUNNER} runs here, got {jar!r}")
    if config.get("MainClass") or config.get("Properties"):
        raise NotSubmittable(f"MainClass and Properties: {RUNNER} takes neither")
    if not given or given[0] not in SUBMIT:
        got = repr(given[0]) if given else "none"
        raise NotSubmittable(f"Args: {RUNNER} runs spark-submit and no other program, got {got}")
    return of_arguments(given[1:])


def of_driver(driver: Mapping[str, Any]) -> Submission:
    """Of the jobDriver of a job run, by the names of EMR Serverless' API."""
    submit = driver.get("sparkSubmit")
    if not submit:
        raise NotSubmittable(f"jobDriver: only sparkSubmit runs here, got {', '.join(driver)}")
    try:
        parameters = shlex.split(submit.get("sparkSubmitParameters") or "")
    except ValueError as error:
        raise NotSubmittable(f"sparkSubmitParameters: {error}") from error
    own = [submit["entryPoint"], *submit.get("entryPointArguments", ())]
    return of_arguments([*parameters, *map(str, own)])


def of_arguments(arguments: Sequence[str]) -> Submission:
    """Of the arguments of spark-submit."""
    kept, properties, rest = list[str](), list[tuple[str, str]](), [*arguments]
    while rest and rest[0].startswith("-"):
        option, value = _option(rest)
        if option in CONF:
            name, _, content = value.partition("=")
            properties.append((name.strip(), content))
        elif option in PASSED:
            kept += [option, value]
    if not rest:
        raise NotSubmittable("spark-submit: a script or a jar must be named, got none")
    if posixpath.splitext(rest[0])[1] not in (".py", ".jar"):
        raise NotSubmittable(f"spark-submit: only .py and .jar run here, got {rest[0]!r}")
    confs, variables = _properties(properties)
    return Submission(arguments=[*_confs(confs), *kept, *rest], environment=variables)


def _option(rest: list[str]) -> tuple[str, str]:
    """Take the first option with its value, if it has one."""
    option, equals, value = rest.pop(0).partition("=")
    if option in REFUSED:
        raise NotSubmittable(f"{option}: {REFUSED[option]}")
    if option in FLAGS:
        return option, ""
    if option not in DROPPED | PASSED | CONF:
        raise NotSubmittable(f"{option}: not an option of spark-submit that is known here")
    if not equals and not rest:
        raise NotSubmittable(f"{option}: its value is missing")
    return option, value if equals else rest.pop(0)


def defaults_of(configurations: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Spark's properties in the Configurations of a cluster or the overrides of a job run.

    Members are named in either way: `Classification` as EMR does, `classification` as Serverless.
    """
    found: dict[str, str] = {}
    for entry in configurations:
        told = {name.lower(): value for name, value in entry.items()}
        kind = told.get("classification")
        if kind == "spark-defaults":
            found |= {str(name): str(value) for name, value in told.get("properties", {}).items()}
        elif kind not in NO_EFFECT:
            raise NotSubmittable(f"configuration {kind!r}: only spark-defaults acts here")
    _properties(found.items())
    return found


def _properties(
    items: Iterator[tuple[str, str]] | Sequence[tuple[str, str]] | Any,
) -> tuple[dict[str, str], dict[str, str]]:
    """Properties that Spark is to have, and variables that others of them say."""
    kept: dict[str, str] = {}
    variables: dict[str, str] = {}
    for name, value in items:
        if name in REFUSED:
            raise NotSubmittable(f"{name}: {REFUSED[name]}")
        prefix = next((one for one in OF_DRIVER if name.startswith(one)), None)
        if prefix is not None:
            variables[name.removeprefix(prefix)] = value
        elif name not in ELSEWHERE:
            kept[name] = value
    for name in PYTHONS:
        python = variables.pop(name, "python3")
        if posixpath.basename(python) not in ("python", "python3") or python.startswith("."):
            raise NotSubmittable(f"{name}: only this machine's python3 runs, got {python!r}")
    return kept, variables


def _confs(properties: Mapping[str, str]) -> list[str]:
    return [word for pair in properties.items() for word in ("--conf", "=".join(pair))]
