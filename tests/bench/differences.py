"""Where Checkov and our rules part: the same resources through both, and a table of what each said.

    .venv/bin/python tests/bench/differences.py --checkov V/bin/checkov [--write]

Checkov is not ours to install: `python -m venv V`, `V/bin/pip install checkov==3.3.30`. `--write`
puts the table into policies/README.md; without it, exit code 1 tells that the table there is old.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from policies.config import PolicyConfig  # noqa: E402
from policies.data import Data, Options, Resource  # noqa: E402
from policies.offline import evaluate  # noqa: E402
from tests.bench import checkov  # noqa: E402

OURS = "123456789012"
CONFIG = PolicyConfig(production=True, approved_registries=(OURS,))
README = ROOT / "policies" / "README.md"
HEADING = "## Where Checkov"
"""Of the section whose table this makes."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One resource that a control of both is about."""

    control: str
    what: str
    """The resource, in a few words."""
    rule: str
    checks: tuple[str, ...]
    token: str
    inputs: Mapping[str, Any]
    why: str

    @property
    def resource(self) -> Resource:
        """It, as the rules see it."""
        urn = f"urn:pulumi:p::p::{self.token}::one"
        inputs = Data(dict(self.inputs))
        return Resource(type=self.token, name="one", urn=urn, inputs=inputs, outputs=inputs,
                        options=Options(protect=True))  # fmt: skip


def policy(name: str = "policy", **statement: Any) -> dict[str, str]:
    one = {"Effect": "Allow", "Action": "sts:AssumeRole", **statement}
    return {name: json.dumps({"Version": "2012-10-17", "Statement": [one]})}


def key(condition: Mapping[str, Any]) -> dict[str, Any]:
    document = policy(Action="kms:*", Resource="*", Principal={"AWS": "*"}, Condition=condition)
    return {"enableKeyRotation": True, "deletionWindowInDays": 30, **document}


def topic(condition: Mapping[str, Any]) -> dict[str, Any]:
    made = policy(Action="sns:Publish", Resource="arn:a", Principal="*", Condition=condition)
    return {"arn": "arn:a", **made}


def pod(kind: str, version: str, **spec: Any) -> dict[str, Any]:
    inner = {"containers": [{"name": "a", "image": "a"}], **spec}
    body = {"template": {"spec": inner}} if kind != "Pod" else inner
    meta = {"name": "one", "namespace": "ml"}
    return {"apiVersion": version, "kind": kind, "metadata": meta, "spec": body}


SERVICE = "a named service without an account is the confused deputy's way in"
BY_VALUE = "a condition narrows by its operator and its value, never by the presence of its key"
WHOLE = "an operator's own kind starts pods too, and a pod is restricted or it is not"
OPERATOR, SOURCE = "StringEqualsIfExists", "aws:SourceAccount"
TRUST, POLICY = "aws:iam/role:Role", "aws:iam/policy:Policy"
PRIVILEGED = {"containers": [{"name": "a", "image": "a", "securityContext": {"privileged": True}}]}
SOCKET = {"volumes": [{"name": "s", "hostPath": {"path": "/var/run/docker.sock"}}]}

CASES = (
    Case(control="Who may assume a role", what="`\"AWS\": \"*\"`", rule="PF-IAM-002",
         checks=("CKV_AWS_60", "CKV_AWS_61"), token=TRUST, why="both",
         inputs=policy("assumeRolePolicy", Principal={"AWS": "*"})),
    Case(control="Who may assume a role", what="`\"Principal\": \"*\"`", rule="PF-IAM-002",
         checks=("CKV_AWS_60", "CKV_AWS_61"), token=TRUST, why="the same, written otherwise",
         inputs=policy("assumeRolePolicy", Principal="*")),
    Case(control="Who may assume a role", what="a service, for whichever account",
         rule="PF-IAM-002", checks=("CKV_AWS_60",), token=TRUST, why=SERVICE,
         inputs=policy("assumeRolePolicy", Principal={"Service": "glue.amazonaws.com"})),
    Case(control="A key for everybody", what="with `kms:CallerAccount` of one account",
         rule="PF-KMS-001", checks=("CKV_AWS_33",), token="aws:kms/key:Key",
         why="both: AWS's own key policies for services are written so",
         inputs=key({"StringEquals": {"kms:CallerAccount": OURS}})),
    Case(control="A key for everybody", what=f"with `{OPERATOR}`", rule="PF-KMS-001",
         checks=("CKV_AWS_33",), token="aws:kms/key:Key", why=BY_VALUE,
         inputs=key({OPERATOR: {"kms:CallerAccount": OURS}})),
    Case(control="A topic for everybody", what=f"with `{OPERATOR}`", rule="PF-MSG-001",
         checks=("CKV_AWS_169",), token="aws:sns/topicPolicy:TopicPolicy", why=BY_VALUE,
         inputs=topic({OPERATOR: {SOURCE: OURS}})),
    Case(control="A topic for everybody", what="with `aws:SourceArn` like `*`", rule="PF-MSG-001",
         checks=("CKV_AWS_169",), token="aws:sns/topicPolicy:TopicPolicy", why="both",
         inputs=topic({"ArnLike": {"aws:SourceArn": "*"}})),
    Case(control="Data of the whole account", what="`s3:GetObject` on `*`", rule="PF-IAM-001",
         checks=("CKV_AWS_288", "CKV_AWS_355"), token=POLICY, why="both",
         inputs=policy(Action="s3:GetObject", Resource="*")),
    Case(control="Data of the whole account", what="`ecr:GetAuthorizationToken` on `*`",
         rule="PF-IAM-001", checks=("CKV_AWS_287", "CKV_AWS_355"), token=POLICY,
         why="ECR's login knows no resource",
         inputs=policy(Action="ecr:GetAuthorizationToken", Resource="*")),
    Case(control="Restricted pods", what="a Deployment, privileged", rule="ML-K8-012",
         checks=("CKV_K8S_16",), token="kubernetes:apps/v1:Deployment", why="both",
         inputs=pod("Deployment", "apps/v1", **PRIVILEGED)),
    Case(control="Restricted pods", what="a PyTorchJob, privileged", rule="ML-K8-012",
         checks=("CKV_K8S_16",), token="kubernetes:kubeflow.org/v1:PyTorchJob", why=WHOLE,
         inputs=pod("PyTorchJob", "kubeflow.org/v1", **PRIVILEGED)),
    Case(control="Restricted pods", what="a Deployment with the socket of Docker",
         rule="ML-K8-012", checks=("CKV_K8S_27",), token="kubernetes:apps/v1:Deployment",
         why="both", inputs=pod("Deployment", "apps/v1", **SOCKET)),
    Case(control="The cluster's public endpoint", what="`0.0.0.0/0`", rule="ML-K8-001",
         checks=("CKV_AWS_38",), token="aws:eks/cluster:Cluster", why="both",
         inputs={"vpcConfig": {"endpointPublicAccess": True, "publicAccessCidrs": ["0.0.0.0/0"]}}),
    Case(control="The cluster's public endpoint", what="`0.0.0.0/1` and `128.0.0.0/1`",
         rule="ML-K8-001", checks=("CKV_AWS_38",), token="aws:eks/cluster:Cluster",
         why="two halves of the internet are the internet",
         inputs={"vpcConfig": {"endpointPublicAccess": True,
                               "publicAccessCidrs": ["0.0.0.0/1", "128.0.0.0/1"]}}),
)  # fmt: skip
"""What both are asked; only differences are worth a row, and cases of both show that both look."""


def ours(case: Case) -> str:
    """What our rule says of it."""
    found = [f for f in evaluate([case.resource], CONFIG) if f.rule_id == case.rule and f.urn]
    return str(found[0].status) if found else "not looked at"


def theirs(command: Path, case: Case) -> str:
    """What Checkov's checks say of it, one by one."""
    kubernetes = case.token.startswith("kubernetes:")
    text = json.dumps(dict(case.inputs) if kubernetes else checkov.plan([case.resource]))
    found: dict[str, str] = {}
    for result in _reports(command, "kubernetes" if kubernetes else "terraform_plan", text):
        for name in ("passed_checks", "failed_checks"):
            for check in result.get("results", {}).get(name, ()):
                found[check["check_id"]] = name.removesuffix("ed_checks")
    said = {check: found[check] for check in case.checks if check in found}
    short = {"pass": "pass", "fail": "fail"}
    return ", ".join(f"{check} {short[word]}" for check, word in said.items()) or "not looked at"


def _reports(command: Path, framework: str, text: str) -> Iterator[Mapping[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.json"
        path.write_text(text)
        options = ("--framework", framework, "--skip-download", "--compact", "-o", "json")
        done = subprocess.run(
            [command, "-f", path, *options],
            env={**os.environ, "CHECKOV_RUN_SCA_PACKAGE_SCAN": "false", "LOG_LEVEL": "ERROR"},
            capture_output=True,
            check=False,
        )
    assert done.returncode in (0, 1), done.stderr.decode()
    parsed = json.loads(done.stdout)
    yield from parsed if isinstance(parsed, list) else [parsed]


def table(rows: Sequence[tuple[Case, str, str]]) -> str:
    """The rows as Markdown."""
    lines = ["| Control | Resource | Checkov | Here | Why |", "|---|---|---|---|---|"]
    for case, they, we in rows:
        cells = (case.control, case.what, they, f"{case.rule} {we}", case.why)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--checkov", type=Path, required=True, help="its command")
    parser.add_argument("--write", action="store_true", help="put the table into the README")
    asked = parser.parse_args()
    made = table([(case, theirs(asked.checkov, case), ours(case)) for case in CASES])
    text = README.read_text()
    begin = text.index("\n|", text.index(HEADING)) + 1
    end = text.index("\n\n", begin)
    new = f"{text[:begin]}{made}{text[end:]}"
    sys.stdout.write(f"{made}\n")
    if asked.write:
        README.write_text(new)
    elif new != text:
        sys.stderr.write("the table in policies/README.md is another: run with --write\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
