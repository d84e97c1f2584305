"""What a job is to read is there when the job is made.

CreateTrainingJob and CreateTransformJob look, as the role, for one object under every S3 address of
their input, and refuse where they find none (the words: aws/amazon-sagemaker-examples, issues 2489
and 2270). A role that may not list the bucket is told the same. CreateProcessingJob does not look,
nor does a tuning job: both fail later, with the reason.
"""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.errors import invalid
from stacks.local.aws.sagemaker.resource_type import Request
from stacks.local.runtime.s3_files import split_uri


def check(emulator: Emulator, request: Request, role_arn: str, job_arn: str) -> None:
    """ValidationException where nothing is under an address of a job's input."""
    places = list(_places(request))
    s3 = emulator.act(role_arn, job_arn).s3 if places else None
    for uri in places:
        bucket, key = split_uri(uri)
        if not _holds(s3, bucket, key):
            raise invalid(
                f'No S3 objects found under S3 URL "{uri}" given in input data source. Please '
                f"ensure that the bucket exists in the selected region ({emulator.region}), that "
                f'objects exist under that S3 prefix, and that the role "{role_arn}" has '
                f'"s3:ListBucket" permissions on bucket "{bucket}".'
            )


def _places(request: Request) -> Iterator[str]:
    """The S3 addresses of channels, or of a transform job's input."""
    for data in (*request.get("InputDataConfig", ()), request.get("TransformInput", {})):
        place = data.get("DataSource", {}).get("S3DataSource", {})
        if place:
            yield place["S3Uri"]


def _holds(s3: Any, bucket: str, key: str) -> bool:
    try:
        return bool(s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("KeyCount"))
    except ClientError:
        return False
