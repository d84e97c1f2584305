"""Takes every grant of the environment `local` away, one by one, and asks who would notice.

One journey through everything runs with the decisions of IAM written down; each is then decided
again without each grant that could have allowed it (tests/kits/grants.py). What no request misses
must be explained in tests/data/grants.yaml, with a source.

Exits with 1 where a grant is neither noticed nor explained, where an explanation explains nothing,
or where a removal that is really made is not denied as it was computed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from stacks.local.aws.iam.trace import Decided, read
from stacks.local.daemon.deciding import IAM_TRACE
from tests.conftest import Clone, copy_checkout
from tests.kits import grants as kit
from tests.kits.grants import Grants, Noticed, Report
from tests.kits.journey import TAKES_DOWN, Journey, destroyed

PREFIX = "plinth-local-"
SAMPLE = 3


def run(arguments: Sequence[str]) -> int:
    """Run the journey, or read what one left, and report."""
    asked = _parser().parse_args(arguments)
    temporary = tempfile.TemporaryDirectory(prefix="plinth-grants-")
    with nullcontext(asked.folder) if asked.folder else temporary as place:
        folder = Path(place).absolute()
        if not (folder / "grants.json").exists():
            _journey(folder)
        report = _report(folder)
    if asked.json:
        sys.stdout.write(json.dumps(report.as_json()) + "\n")
    else:
        sys.stdout.write(report.text(everything=asked.all))
    return int(not report.holds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.drills grants", description=__doc__)
    parser.add_argument(
        "--folder", type=Path, help="keep the journey's record here, and read it if it is there"
    )
    parser.add_argument("--all", action="store_true", help="list what is noticed, too")
    parser.add_argument("--json", action="store_true")
    return parser


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _journey(folder: Path) -> None:
    """A clone, its environment, every step; what is left: trace, grants, steps, the sample."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trace.jsonl").unlink(missing_ok=True)
    os.environ[IAM_TRACE] = str(folder / "trace.jsonl")
    with tempfile.TemporaryDirectory(prefix="plinth-drill-") as place:
        root = Path(place)
        copy_checkout(root)
        with destroyed(Clone(root, root / ".plinth")) as clone:
            journey = Journey(clone, _tell)
            journey.run()
            grants = kit.grants_of(clone.client("iam"), PREFIX)
            found = kit.noticed(read(folder / "trace.jsonl"))
            sample = [_really(clone, grants, found, one) for one in _chosen(found)]
            journey.run(TAKES_DOWN)
    held = [[role, policy, text] for (role, policy), text in grants.documents.items()]
    (folder / "grants.json").write_text(
        json.dumps(
            {
                "grants": held,
                "began": journey.began,
                "sample": sample,
                "failed": journey.failed,
            }
        )
    )


def _chosen(found: Noticed) -> list[kit.Removal]:
    """Removals that a job's or a person's own request meets, spread over roles."""
    several = [
        removal
        for removal, decided in sorted(found.by.items(), key=str)
        if removal.action and decided.request.action in PROBES
    ]
    by_role = {removal.role: removal for removal in reversed(several)}
    return [by_role[role] for role in sorted(by_role)][:SAMPLE]


PROBES = ("s3:ListBucket", "s3:GetObject", "sagemaker:DescribeFeatureGroup")
"""Actions of which a removal is really made and asked: they change nothing."""


def _really(clone: Clone, grants: Grants, found: Noticed, removal: kit.Removal) -> dict[str, Any]:
    """Take a grant away for a moment: the same request, allowed before and after, denied then."""
    iam, decided = clone.client("iam"), found.by[removal]
    key = {"RoleName": removal.role, "PolicyName": removal.policy}
    document = grants.documents[removal.role, removal.policy]
    answers = []
    for held in (document, kit.less_document(document, removal), document):
        iam.put_role_policy(**key, PolicyDocument=json.dumps(held))
        answers.append(_answer(clone, decided))
    return {"removal": str(removal), "request": decided.request.action, "allowed": answers}


def _answer(clone: Clone, decided: Decided) -> bool:
    """Whether the gate lets the role do what it did, asked as the role."""
    from botocore.exceptions import ClientError

    iam, request = clone.client("iam"), decided.request
    role = request.principal.entity.rpartition("/")[2]
    trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    me = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{request.account}:root"},
        "Action": "sts:AssumeRole",
    }
    wider = {**trust, "Statement": [*kit.listed(trust["Statement"]), me]}
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(wider))
    try:
        return not _denied(clone, request.principal.entity, decided)
    except ClientError as error:
        raise AssertionError(f"{role} could not be asked: {error}") from error
    finally:
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))


def _denied(clone: Clone, role_arn: str, decided: Decided) -> bool:
    from botocore.exceptions import ClientError

    from tests.kits.people import clients

    sts = clone.client("sts")
    taken = sts.assume_role(RoleArn=role_arn, RoleSessionName="drill")["Credentials"]
    client = clients(sts.meta.endpoint_url, taken)
    where = str(decided.request.resource)
    bucket, _, key = where.removeprefix("arn:aws:s3:::").partition("/")
    prefix = dict(decided.request.context).get("s3:prefix", ("",))[0]
    try:
        match decided.request.action:
            case "s3:ListBucket":
                client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
            case "s3:GetObject":
                client("s3").get_object(Bucket=bucket, Key=key)
            case _:
                client("sagemaker").describe_feature_group(FeatureGroupName=where)
    except ClientError as error:
        if "AccessDenied" not in error.response["Error"]["Code"]:
            raise
        return True
    return False


def _report(folder: Path) -> Report:
    kept = json.loads((folder / "grants.json").read_text())
    grants = Grants(documents={(role, policy): text for role, policy, text in kept["grants"]})
    journey = Journey(Clone(folder, folder), _tell, began=[tuple(one) for one in kept["began"]])
    return kit.report(
        grants,
        kit.noticed(read(folder / "trace.jsonl")),
        kit.explanations(),
        step_at=journey.step_at,
        sample=kept["sample"],
        failed=kept["failed"],
    )
