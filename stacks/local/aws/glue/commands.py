"""What a job of Glue runs: a Python shell, or a Spark program; what is not played is refused.

Sources: Glue developer guide, "Using job parameters in AWS Glue jobs" (what Glue itself reads),
"Configuring job properties for Python shell jobs"; API reference, JobCommand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stacks.local.aws.signatures import Refused

SHELL, ETL = "pythonshell", "glueetl"

NOT_PLAYED: Mapping[str, str] = {
    "--additional-python-modules": "nothing is installed",
    "--customer-driver-env-vars": "no variables are set",
    "--customer-executor-env-vars": "no variables are set",
    "--datalake-formats": "no library of a data lake is there",
    "--enable-glue-datacatalog": "Spark reads no Glue catalog",
    "--enable-s3-parquet-optimized-committer": "Glue's own committer is not there",
    "--extra-files": "no further files are brought",
    "--extra-jars": "no further files are brought",
    "--extra-py-files": "no further files are brought",
    "--python-modules-installer-option": "nothing is installed",
    "--scriptLocation": "the command names the script",
}
"""Parameter that Glue reads -> why it is not played."""

WITHOUT_EFFECT = frozenset(
    {"--TempDir", "--class", "--disable-proxy", "--disable-proxy-v2", "--enable-auto-scaling",
     "--enable-continuous-cloudwatch-log", "--enable-continuous-log-filter",
     "--enable-job-insights", "--enable-metrics", "--enable-observability-metrics",
     "--enable-rename-algorithm-v2",
     "--enable-spark-ui", "--job-language", "--library-set", "--spark-event-logs-path"}
)  # fmt: skip
"""Parameters that Glue reads and that say nothing here; the script sees them too."""

OFF = {
    "--job-bookmark-option": ("job-bookmark-disable",),
    "--job-language": ("python",),
    "--enable-glue-datacatalog": ("false",),
}
"""Parameter -> the values with which it changes nothing."""


def check(job: Any, arguments: Mapping[str, str]) -> None:
    """NotEmulated where a job is nothing that runs here."""
    name = str((job.command or {}).get("Name"))
    if name not in (SHELL, ETL):
        raise not_emulated(f"the command {name} of a Glue job", f"only {SHELL} and {ETL} run")
    if not str(job.command.get("ScriptLocation") or "").startswith("s3://"):
        raise _invalid("Script location must be an S3 path.")
    for parameter, value in arguments.items():
        if parameter in OFF and str(value).lower() in OFF[parameter]:
            continue
        if parameter in NOT_PLAYED:
            raise not_emulated(f"{parameter} of a Glue job", NOT_PLAYED[parameter])
        if parameter in OFF:
            raise not_emulated(f"{parameter} {value} of a Glue job", "nobody has built it")
    if (job.connections or {}).get("Connections"):
        raise not_emulated("Connections of a Glue job", "it reaches no network of a connection")


def words(job: Any, run_id: str, arguments: Mapping[str, str]) -> list[str]:
    """The arguments of the script; of its job's name a Spark program alone is told."""
    own = [word for pair in arguments.items() for word in map(str, pair)]
    if job.command["Name"] == SHELL:
        return own
    told = {"--JOB_ID": f"j_{run_id.removeprefix('jr_')}", "--JOB_RUN_ID": run_id}
    named = {**told, "--JOB_NAME": job.name}
    return [*own, *(word for pair in named.items() for word in pair)]


def not_emulated(what: str, why: str) -> Refused:
    told = f"{what} is not emulated by the local cloud: {why}"
    return Refused("NotEmulated", told, status=501)


def _invalid(message: str) -> Exception:
    from moto.glue.exceptions import GlueClientError

    error: Exception = GlueClientError("InvalidInputException", message)
    return error
