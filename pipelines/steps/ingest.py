"""Bring the months of raw data that a run needs, and say exactly what was brought."""

import argparse
import hashlib

import boto3

from pipelines.steps import job, landing, window

MANIFEST = "manifest.json"


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-bucket", required=True)
    window.add_arguments(parser)
    arguments = parser.parse_args(argv)
    months = window.window(arguments).months()
    print(f"ingesting {months[0]} to {months[-1]}")

    objects = landing.fetch(boto3.client("s3"), arguments.data_bucket, months)
    files = {}
    for key, content in objects.items():
        name = key.removeprefix("landing/")
        path = job.result("raw") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        files[name] = hashlib.sha256(content).hexdigest()
        print(f"{name}: {len(content.splitlines()) - 1:,} rows")
    total = hashlib.sha256("".join(f"{name} {files[name]}\n" for name in sorted(files)).encode())
    manifest = {"data_hash": total.hexdigest(), "files": files, "months": months}
    job.write_json(job.result("raw") / MANIFEST, manifest)
    print(f"data hash {manifest['data_hash']}")


if __name__ == "__main__":
    job.run(main)
