"""Bring the months of raw observations that a run is about, and say exactly what was brought."""

import argparse

import boto3

from pipelines.toolkit import job, landing, window
from pipelines.toolkit.landing import Wanted

WANTED = Wanted(monthly=("weather",))


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-bucket", required=True)
    parser.add_argument("--first-month", required=True)
    parser.add_argument("--last-month", required=True)
    parser.add_argument("--source-commit", default="unspecified")
    parser.add_argument("--reason", default="unspecified")
    arguments = parser.parse_args(argv)
    months = window.month_range(arguments.first_month, arguments.last_month)
    started = {"commit": arguments.source_commit, "reason": arguments.reason}
    landing.bring(boto3.client("s3"), arguments.data_bucket, months, WANTED, started=started)


if __name__ == "__main__":
    job.run(main)
