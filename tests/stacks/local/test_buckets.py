"""S3 as clients meet it: what a new bucket has, digests, parts, limits, and what it refuses."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from stacks.local.aws.moto_s3 import is_bucket_name
from tests.kits.local_cloud import BUCKET, Cloud

MIB = 1 << 20


@pytest.fixture(scope="module")
def s3(cloud: Cloud) -> Any:
    return cloud.client("s3")


def refused(ask: Callable[..., Any], **asks: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as error:
        ask(**{"Bucket": BUCKET, **asks})
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_a_new_bucket_is_private(s3: Any) -> None:
    s3.create_bucket(Bucket="new-bucket")
    block = s3.get_public_access_block(Bucket="new-bucket")["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    (rule,) = s3.get_bucket_ownership_controls(Bucket="new-bucket")["OwnershipControls"]["Rules"]
    assert rule == {"ObjectOwnership": "BucketOwnerEnforced"}
    for _ in range(2):
        encryption = s3.get_bucket_encryption(Bucket="new-bucket")
        (rule,) = encryption["ServerSideEncryptionConfiguration"]["Rules"]
        assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
        s3.delete_bucket_encryption(Bucket="new-bucket")


def statement(principal: Any, **more: Any) -> str:
    told = {
        "Effect": "Allow",
        "Principal": principal,
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::public-bucket/*",
        **more,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [told]})


def test_a_public_policy_waits_for_the_block_to_be_lifted(s3: Any) -> None:
    s3.create_bucket(Bucket="public-bucket")
    asks = {"Bucket": "public-bucket", "Policy": statement("*")}
    assert refused(s3.put_bucket_policy, **asks) == ("AccessDenied", 403)
    narrow = {"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}}}
    s3.put_bucket_policy(Bucket="public-bucket", Policy=statement("*", **narrow))
    s3.put_bucket_policy(Bucket="public-bucket", Policy=statement("*", Effect="Deny"))
    s3.delete_public_access_block(Bucket="public-bucket")
    s3.put_bucket_policy(**asks)


def test_acls_are_off_until_ownership_says_otherwise(s3: Any) -> None:
    put = {"Key": "acl", "Body": b"x"}
    none = ("AccessControlListNotSupported", 400)
    assert refused(s3.put_object, **put, ACL="public-read") == none
    s3.put_object(Bucket=BUCKET, **put, ACL="bucket-owner-full-control")
    assert refused(s3.put_object_acl, Key="acl", ACL="private") == none
    assert refused(s3.put_bucket_acl, ACL="private") == none
    code = "InvalidBucketAclWithObjectOwnership"
    asks = {"Bucket": "bucket-of-acls", "ACL": "public-read"}
    assert refused(s3.create_bucket, **asks) == (code, 400)
    s3.create_bucket(**asks, ObjectOwnership="ObjectWriter")
    s3.put_object(Bucket="bucket-of-acls", **put, ACL="public-read")


def test_a_wrong_digest_is_refused(s3: Any) -> None:
    wrong = {
        name: base64.b64encode(bytes(size)).decode() for name, size in (("16", 16), ("32", 32))
    }
    put = {"Key": "digest", "Body": b"abc"}
    assert refused(s3.put_object, **put, ContentMD5=wrong["16"]) == ("BadDigest", 400)
    assert refused(s3.put_object, **put, ContentMD5=wrong["32"]) == ("InvalidDigest", 400)
    assert refused(s3.put_object, **put, ChecksumSHA256=wrong["32"]) == ("BadDigest", 400)
    assert refused(s3.put_object, **put, ChecksumSHA256=wrong["16"]) == ("InvalidRequest", 400)
    assert refused(s3.get_object, Key="digest") == ("NoSuchKey", 404)
    for algorithm in ("SHA1", "SHA256", "CRC32"):
        s3.put_object(Bucket=BUCKET, **put, ChecksumAlgorithm=algorithm)
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="digest")["UploadId"]
    part = {"Key": "digest", "UploadId": upload, "PartNumber": 1, "Body": b"abc"}
    assert refused(s3.upload_part, **part, ContentMD5=wrong["16"]) == ("BadDigest", 400)


def test_parts_are_what_s3_takes(s3: Any) -> None:
    gone = {"Key": "parts", "UploadId": "none"}
    of = {"MultipartUpload": {"Parts": [{"ETag": '"x"', "PartNumber": 1}]}}
    assert refused(s3.upload_part, **gone, PartNumber=1, Body=b"x") == ("NoSuchUpload", 404)
    assert refused(s3.complete_multipart_upload, **gone, **of) == ("NoSuchUpload", 404)
    source = {"CopySource": {"Bucket": BUCKET, "Key": "parts"}}
    s3.put_object(Bucket=BUCKET, Key="parts", Body=b"x")
    assert refused(s3.upload_part_copy, **gone, PartNumber=1, **source) == ("NoSuchUpload", 404)

    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
    to = {"Bucket": BUCKET, "Key": "parts", "UploadId": upload}
    for number in (0, 10_001):
        asks = {**to, "PartNumber": number, "Body": b"x"}
        assert refused(s3.upload_part, **asks) == ("InvalidArgument", 400)
    bodies = {1: b"a" * 5 * MIB, 2: b"b" * 7}
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**to, PartNumber=number, Body=body)["ETag"]}
        for number, body in bodies.items()
    ]
    swapped = {**to, "MultipartUpload": {"Parts": parts[::-1]}}
    assert refused(s3.complete_multipart_upload, **swapped) == ("InvalidPartOrder", 400)
    s3.complete_multipart_upload(**to, MultipartUpload={"Parts": parts})

    whole = {"Bucket": BUCKET, "Key": "parts"}
    told = s3.get_object(**whole, PartNumber=2)
    assert (told["Body"].read(), told["PartsCount"]) == (bodies[2], 2)
    assert told["ContentRange"] == f"bytes {5 * MIB}-{5 * MIB + 6}/{5 * MIB + 7}"
    head = s3.head_object(**whole, PartNumber=1)
    assert (head["ContentLength"], head["PartsCount"]) == (5 * MIB, 2)
    assert refused(s3.get_object, **whole, PartNumber=3) == ("InvalidPartNumber", 416)


def test_an_object_that_came_whole_is_its_own_first_part(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="whole", Body=b"abc")
    assert s3.get_object(Bucket=BUCKET, Key="whole", PartNumber=1)["Body"].read() == b"abc"
    assert refused(s3.get_object, Key="whole", PartNumber=2) == ("InvalidPartNumber", 416)
    assert refused(s3.head_object, Key="whole", PartNumber=2)[1] == 416


def test_limits_of_keys_and_metadata(s3: Any) -> None:
    assert refused(s3.put_object, Key="k" * 1025, Body=b"") == ("KeyTooLongError", 400)
    s3.put_object(Bucket=BUCKET, Key="k" * 1024, Body=b"")
    large = {"Key": "k", "Body": b"", "Metadata": {"name": "v" * 2045}}
    assert refused(s3.put_object, **large) == ("MetadataTooLarge", 400)
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"", Metadata={"name": "v" * 2044})


@pytest.mark.parametrize(
    ("rule", "is_refused"),
    [
        ({"Transitions": [{"Days": 29, "StorageClass": "STANDARD_IA"}]}, True),
        ({"Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}]}, False),
        ({"Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]}, False),
        (
            {"Transitions": [{"Days": 40, "StorageClass": "GLACIER"}], "Expiration": {"Days": 40}},
            True,
        ),
        (
            {"Transitions": [{"Days": 40, "StorageClass": "GLACIER"}], "Expiration": {"Days": 41}},
            False,
        ),
        (
            {"NoncurrentVersionTransitions": [{"NoncurrentDays": 7, "StorageClass": "ONEZONE_IA"}]},
            True,
        ),
    ],
)
def test_a_lifecycle_that_s3_takes(s3: Any, rule: Any, is_refused: bool) -> None:
    rules = [{"ID": "one", "Status": "Enabled", "Filter": {"Prefix": ""}, **rule}]
    asks = {"LifecycleConfiguration": {"Rules": rules}}
    if is_refused:
        told = refused(s3.put_bucket_lifecycle_configuration, **asks)
        assert told == ("InvalidArgument", 400)
    else:
        s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, **asks)


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("a-bucket.of-9", True),
        ("abc", True),
        ("ab", False),
        ("A_b", False),
        ("a..b", False),
        ("-abc", False),
        ("abc-", False),
        ("192.168.5.4", False),
        ("xn--bucket", False),
        ("bucket-s3alias", False),
        ("b" * 63, True),
        ("b" * 64, False),
    ],
)
def test_a_bucket_has_a_name_that_dns_has(name: str, fits: bool) -> None:
    assert is_bucket_name(name) == fits


def test_a_name_that_no_bucket_may_have_is_refused(s3: Any) -> None:
    assert refused(s3.create_bucket, Bucket="A_b") == ("InvalidBucketName", 400)
