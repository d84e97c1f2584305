"""What a replaced resource, and a provider that moves, take along."""

from __future__ import annotations

import json
from dataclasses import replace

from policies.data import UNKNOWN, Data, Resource
from policies.review.compare import compare
from policies.review.digest import read
from policies.review.parts import preconditions
from policies.review.report import review
from stacks.review.replacements import differ
from tests.review.test_judge import NOW, PROD, edited, judged
from tests.review.test_previews import state, step
from tests.review.test_who_gets_in import CONTEXT

VPC, SUBNET = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet"
MOUNT = "aws:efs/mountTarget:MountTarget"


def resource(token: str, name: str, urns: dict[str, str], **inputs: object) -> Resource:
    data = Data({**inputs, **dict.fromkeys(urns, UNKNOWN)})
    return Resource(
        type=token, name=name, urn=f"urn:pulumi:prod::plinth::{token}::{name}", inputs=data,
        outputs=data, dependencies={key: (urn,) for key, urn in urns.items()},
    )  # fmt: skip


def network(cidr: str) -> list[Resource]:
    vpc = resource(VPC, "vpc", {}, cidrBlock=cidr)
    subnet = resource(SUBNET, "subnet", {"vpcId": vpc.urn}, cidrBlock="10.0.0.0/24")
    mount = resource(MOUNT, "mount", {"subnetId": subnet.urn}, fileSystemId="fs-1")
    other = resource(SUBNET, "other", {}, vpcId="vpc-2", cidrBlock="10.9.0.0/24")
    return [vpc, subnet, mount, other]


def test_a_replacement_is_followed_through_the_ids_that_it_gives_away() -> None:
    change = compare("prod", network("10.0.0.0/16"), network("10.1.0.0/16"), differ=differ("x"))
    found = {item.name: item.operation for item in change.changes}
    assert found == {"vpc": "replace", "subnet": "replace", "mount": "replace", "other": "same"}
    [forced] = change.by_urn[network("")[2].urn].forced_by
    assert (forced.path, forced.new) == ("subnetId", "the id of the new subnet")


def test_nothing_follows_where_nothing_is_replaced() -> None:
    before, after = network("10.0.0.0/16"), network("10.0.0.0/16")
    after[0] = replace(after[0], inputs=Data({**after[0].inputs.value, "enableDnsSupport": True}))
    found = compare("prod", before, after, differ=differ("x")).of("replace")
    assert found == []


def test_a_provider_that_reaches_another_place_moves_everything_behind_it() -> None:
    token = "pulumi:providers:aws"
    old, new = (state(token, "main", {"region": r}) for r in ("us-east-1", "eu-west-1"))
    urn = old["urn"]
    queue = state("aws:sqs/queue:Queue", "jobs", {}, provider=f"{urn}::id")
    steps = [
        step("update", token, "main", oldState=old, newState=new),
        step("same", queue["type"], "jobs", oldState=queue, newState=queue),
    ]
    change = read(json.dumps({"steps": steps}), "prod.foundation")
    report = review(change, CONTEXT, (preconditions.part,))
    assert (report.decision, report.risk) == ("blocked", "critical")
    assert report.reasons[0].message == "provider main changes region; behind it: jobs"


def test_another_region_or_account_of_an_environment_is_told() -> None:
    assert list(judged(NOW).moved) == []
    elsewhere = edited(PROD, "region: us-east-1", "region: eu-west-1")
    zones = {PROD: elsewhere[PROD].replace("use1-", "euw1-")}
    [told] = judged({**elsewhere, **zones}).moved
    assert "region changes from eu-west-1 to us-east-1" in told
