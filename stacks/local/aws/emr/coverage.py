"""What of EMR and EMR Serverless acts here, for `plinth coverage`."""

from collections.abc import Mapping

from stacks.local.aws.emr.submission import NO_EFFECT, REFUSED
from stacks.local.aws.recorded.engines import JOB_RUN
from stacks.toolchain.spark import SPARK_VERSION

ACTS = (JOB_RUN,)
"""Kinds of the recorder whose things do something."""

COVERED: Mapping[str, str] = {
    "runs": (
        f"spark-submit of Spark {SPARK_VERSION}, whatever the release, in one process: scripts and "
        "jars, s3:// and s3a://, arguments, variables and spark-defaults; as a step of a cluster "
        "(command-runner.jar) or a job run, as its role, with its logs in S3"
    ),
    "without effect": (
        f"sizes of machines and executors, YARN, the classifications {', '.join(sorted(NO_EFFECT))}"
    ),
    "refused": (
        "other jars and programs, bootstrap actions, Hive, streaming, images, policies of a run, "
        f"its retries, logs and metrics elsewhere than in S3, {', '.join(sorted(REFUSED))}"
    ),
    "otherwise than on AWS": (
        "clusters and applications are ready at once; an application stays STARTED until it is "
        "stopped; nobody can log in to a machine"
    ),
}
"""Part -> what of it."""
