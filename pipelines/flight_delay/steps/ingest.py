"""Bring the months of raw flights that a run needs, and say exactly what was brought."""

import argparse

import boto3

from pipelines.toolkit import flights, job, landing, window


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-bucket", required=True)
    window.add_arguments(parser)
    arguments = parser.parse_args(argv)
    months = window.window(arguments).months()
    landing.bring(boto3.client("s3"), arguments.data_bucket, months, flights.WANTED)


if __name__ == "__main__":
    job.run(main)
