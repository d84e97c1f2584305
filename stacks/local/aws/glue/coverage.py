"""What of Glue acts here, for `plinth coverage`."""

from collections.abc import Mapping

from stacks.local.aws.glue.commands import NOT_PLAYED, WITHOUT_EFFECT

COVERED: Mapping[str, str] = {
    "runs": (
        "jobs of the commands pythonshell and glueetl, as their role: the script from S3 with its "
        "arguments, MaxRetries, Timeout, MaxConcurrentRuns, BatchStopJobRun, logs in CloudWatch; "
        "crawlers over S3: CSV, JSON and Parquet become tables, folders like year=2026 partitions"
    ),
    "without effect": f"workers, capacities, {', '.join(sorted(WITHOUT_EFFECT))}",
    "refused": (
        "other commands, connections, job bookmarks, triggers that start, workflow runs, "
        "interactive sessions, development endpoints, crawlers of other places, exclusions, "
        f"classifiers, configurations, {', '.join(sorted(NOT_PLAYED))}"
    ),
    "otherwise than on AWS": (
        "awsglue (getResolvedOptions, GlueContext) is not there: a script that imports it fails; "
        "types of columns are DuckDB's (bigint where Glue has int); folders of one schema without "
        "names (partition_0) fail the crawl; schedules of crawlers do not come due"
    ),
}
"""Part -> what of it."""
