"""Components: what they register, which names they give, what they refuse."""

import ipaddress
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.naming import Names, content_hash
from infra.network import subnet_cidr_blocks
from infra.storage import Storage, StorageArgs
from policies.data import Resource
from stacks.synth import recorded
from tests.kits.each import each

NAMES = Names(env="test", account_id="123456789012", region="us-east-1")
TAGS = {"owner": "me"}


def by_type(found: list[Resource], suffix: str) -> list[dict[str, Any]]:
    cloud = (item for item in found if item.type.startswith("aws:"))
    return [item.inputs.value for item in cloud if item.type.endswith(suffix)]


@given(st.integers(16, 20), st.integers(2, 6))
def test_subnets_are_disjoint_parts_of_the_vpc(prefix: int, zones: int) -> None:
    vpc = ipaddress.IPv4Network(f"10.32.0.0/{prefix}")
    parts = [ipaddress.IPv4Network(block) for block in subnet_cidr_blocks(str(vpc), zones)]
    assert len(parts) == zones
    assert all(part.subnet_of(vpc) for part in parts)
    assert not any(a.overlaps(b) for a in parts for b in parts if a != b)


@given(st.integers(2, 5))
def test_a_further_zone_moves_no_subnet(zones: int) -> None:
    before = subnet_cidr_blocks("10.0.0.0/16", zones)
    room = 2 ** ((zones - 1).bit_length() + 1)
    if zones + 1 <= room // 2:
        assert subnet_cidr_blocks("10.0.0.0/16", zones + 1)[:zones] == before


def test_a_bucket_name_that_s3_refuses_is_refused_here() -> None:
    with pytest.raises(ValueError, match="at most 63"):
        replace(NAMES, env="x" * 60).bucket("data")


def test_a_name_follows_from_its_content_and_not_from_its_order() -> None:
    assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})
    assert content_hash({"a": 1}) != content_hash({"a": 2})


def storage() -> Storage:
    args = StorageArgs(
        names=NAMES, tags=TAGS, buckets=("data",), kms_key_arn="arn:aws:kms:::key/k", protect=True
    )
    return Storage("storage", args)


def test_a_bucket_is_never_public_and_always_versioned_encrypted_and_logged() -> None:
    found = recorded(storage)
    for block in each(by_type(found, "BucketPublicAccessBlock")):
        assert all(value is True for key, value in block.items() if key != "bucket")
    buckets = {item["bucket"] for item in by_type(found, ":Bucket")}
    assert buckets == {NAMES.bucket("data"), NAMES.bucket("logs")}
    for kind in ("BucketVersioning", "EncryptionConfiguration", "LifecycleConfiguration"):
        assert {item["bucket"] for item in by_type(found, kind)} == buckets
    assert [item["bucket"] for item in by_type(found, "BucketLogging")] == [NAMES.bucket("data")]


def test_a_bucket_refuses_plain_http() -> None:
    for policy in each(by_type(recorded(storage), "BucketPolicy")):
        deny = json.loads(policy["policy"])["Statement"][0]
        assert deny["Effect"] == "Deny"
        assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_what_holds_data_is_protected_and_retained_when_asked() -> None:
    buckets = [item for item in recorded(storage) if item.type.endswith(":Bucket")]
    assert buckets
    assert all(item.options.protect and item.options.retain_on_delete for item in buckets)
