"""Inputs of processing jobs that a query makes (AthenaDatasetDefinition, API reference)."""

import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from stacks.local.runtime.acting import Acting
from stacks.local.runtime.s3_files import TransferFailed

POLL_SECONDS = 0.2
UNDER_WAY = ("QUEUED", "RUNNING")

Request = Mapping[str, Any]


def as_s3_input(entry: Request, acting: Acting, job: str) -> Request:
    """An input as one of S3: the query is unloaded once, whatever the number of containers."""
    if "DatasetDefinition" not in entry:
        return entry
    dataset = entry["DatasetDefinition"]
    asked = dataset["AthenaDatasetDefinition"]
    base = f"{asked['OutputS3Uri'].rstrip('/')}/{job}/{entry['InputName']}"
    options = [f"format = '{asked['OutputFormat']}'"]
    if "OutputCompression" in asked:
        options.append(f"compression = '{asked['OutputCompression']}'")
    sql = f"UNLOAD ({asked['QueryString'].rstrip().removesuffix(';')}) TO '{base}/data/'"
    try:
        _query(acting.client("athena"), asked, f"{sql} WITH ({', '.join(options)})", base)
    except ClientError as error:
        raise TransferFailed(f"ClientError: Athena: {error}") from error
    place = {
        "S3Uri": f"{base}/data/",
        "LocalPath": dataset["LocalPath"],
        "S3DataType": "S3Prefix",
        "S3DataDistributionType": dataset.get("DataDistributionType", "ShardedByS3Key"),
    }
    return {"InputName": entry["InputName"], "S3Input": place}


def _query(athena: Any, asked: Request, sql: str, base: str) -> None:
    """Run a statement to its end; TransferFailed where that is not a good one."""
    group = {"WorkGroup": asked["WorkGroup"]} if "WorkGroup" in asked else {}
    identifier = athena.start_query_execution(
        QueryString=sql,
        QueryExecutionContext={"Catalog": asked["Catalog"], "Database": asked["Database"]},
        ResultConfiguration={"OutputLocation": f"{base}/"},
        **group,
    )["QueryExecutionId"]
    while True:
        told = athena.get_query_execution(QueryExecutionId=identifier)["QueryExecution"]["Status"]
        if told["State"] not in UNDER_WAY:
            break
        time.sleep(POLL_SECONDS)
    if told["State"] != "SUCCEEDED":
        reason = told.get("StateChangeReason", told["State"])
        raise TransferFailed(f"ClientError: Athena query {identifier} failed: {reason}")
