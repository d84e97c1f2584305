"""Where the stacks' state lies, and the key that encrypts its secrets: neither is of any stack."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from stacks.checks.check import CheckResult, Platform, failed, passed, unknown
from stacks.paths import ENVIRONMENTS

ID = "state"
BACKEND = "PULUMI_BACKEND_URL"
KEY = re.compile(r"^secretsprovider: awskms://(?P<alias>alias/[^?\s]+)", re.M)
GONE = ("404", "NoSuchBucket", "NotFoundException")


def check(platform: Platform) -> Iterator[CheckResult]:
    """The alias of the key for secrets is there, and the bucket of the state is versioned.

    Without the alias `pulumi stack init` ends in NotFoundException.
    """
    found = KEY.search(platform.stack.file_in(ENVIRONMENTS).read_text())
    if found is None:
        return  # its secrets are under no key of AWS, as those of `local`
    yield _key(platform, found["alias"])
    yield _bucket(platform)


def _key(platform: Platform, alias: str) -> CheckResult:
    region = platform.settings.environment.account.region
    try:
        platform.clients("kms").describe_key(KeyId=alias)
    except ClientError as error:
        if error.response["Error"]["Code"] not in GONE:
            raise
        return failed(
            ID,
            alias,
            f"must be an alias of a key in {region}, is not: no stack can be made without it",
            f"plinth bootstrap {platform.env}",
        )
    return passed(ID, alias, f"is there in {region}")


def _bucket(platform: Platform) -> CheckResult:
    url = platform.settings.environment.account.backend_url or os.environ.get(BACKEND, "")
    if urlsplit(url).scheme != "s3":
        return unknown(ID, BACKEND, f"the place of the state is no bucket here: {url or 'not set'}")
    bucket = urlsplit(url).netloc
    try:
        answer = platform.clients("s3").get_bucket_versioning(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in GONE:
            raise
        return failed(ID, bucket, "must be there, is not", f"plinth bootstrap {platform.env}")
    if answer.get("Status") == "Enabled":
        return passed(ID, bucket, "is there, with versions")
    return failed(
        ID,
        bucket,
        "must keep old versions of the state, does not: what an update broke would be lost",
        f"plinth bootstrap {platform.env}, or turn its versioning on if it is another one",
    )
