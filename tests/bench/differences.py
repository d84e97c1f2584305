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

CONFIGURATION = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
NVME = "SageMaker refuses a volume key on instances with local NVMe, which they encrypt themselves"


def endpoint(instance_type: str) -> dict[str, Any]:
    variant = {"modelName": "m", "variantName": "v", "initialInstanceCount": 2}
    return {"name": "e", "productionVariants": [{**variant, "instanceType": instance_type}]}


def group(*ranges: str, port: int = 22) -> dict[str, Any]:
    let = {"protocol": "tcp", "fromPort": port, "toPort": port, "cidrBlocks": [*ranges]}
    return {"vpcId": "v", "description": "d", "ingress": [let]}


KEY = f"arn:aws:kms:us-east-1:{OURS}:key/0a1b2c3d-0000-1111-2222-333344445555"
DATABASE, KAFKA = "aws:rds/instance:Instance", "aws:msk/cluster:Cluster"
REPOSITORY, NOTEBOOK = (
    "aws:ecr/repository:Repository",
    "aws:sagemaker/notebookInstance:NotebookInstance",
)
LOGS, FUNCTION = "aws:cloudwatch/logGroup:LogGroup", "aws:lambda/function:Function"
OWN = "a key of AWS's own has no policy of ours, and nobody here can take it away"
SILENT = "AWS leaves it open where a program says nothing"


def database(**more: Any) -> dict[str, Any]:
    return {"engine": "postgres", "instanceClass": "db.m7g.large", "storageEncrypted": True,
            "kmsKeyId": KEY, "backupRetentionPeriod": 7, "iamDatabaseAuthenticationEnabled": True,
            "multiAz": True, "deletionProtection": True, **more}  # fmt: skip


def brokers(transit: str = "TLS", **more: Any) -> dict[str, Any]:
    encrypted = {"encryptionAtRestKmsKeyArn": KEY,
                 "encryptionInTransit": {"clientBroker": transit, "inCluster": True}}  # fmt: skip
    logs = {"brokerLogs": {"cloudwatchLogs": {"enabled": True, "logGroup": "g"}}}
    return {"clusterName": "c", "clientAuthentication": {"sasl": {"iam": True}},
            "encryptionInfo": encrypted, "loggingInfo": logs, **more}  # fmt: skip


def repository(tags: str) -> dict[str, Any]:
    return {"name": "r", "imageTagMutability": tags,
            "imageScanningConfiguration": {"scanOnPush": True},
            "encryptionConfigurations": [{"encryptionType": "KMS", "kmsKey": KEY}]}  # fmt: skip


def function(**variables: str) -> dict[str, Any]:
    return {"name": "f", "runtime": "python3.13", "handler": "a.b", "kmsKeyArn": KEY,
            "role": "arn:a", "environment": {"variables": variables}}  # fmt: skip


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
    Case(control="Secrets of the cluster", what="encrypted with no key of the account",
         rule="ML-K8-003", checks=("CKV_AWS_58",), token="aws:eks/cluster:Cluster", why="both",
         inputs={"name": "c", "vpcConfig": {"subnetIds": ["s"]}}),
    Case(control="Logs of the cluster", what="two of five", rule="ML-K8-002",
         checks=("CKV_AWS_37",), token="aws:eks/cluster:Cluster", why="both",
         inputs={"name": "c", "vpcConfig": {"subnetIds": ["s"]},
                 "enabledClusterLogTypes": ["api", "audit"]}),
    Case(control="The volume of an endpoint", what="no key, on `ml.g5.xlarge`", rule="ML-EP-001",
         checks=("CKV_AWS_98",), token=CONFIGURATION, why=NVME, inputs=endpoint("ml.g5.xlarge")),
    Case(control="The volume of an endpoint", what="no key, on `ml.m5.xlarge`", rule="ML-EP-001",
         checks=("CKV_AWS_98",), token=CONFIGURATION, why="both", inputs=endpoint("ml.m5.xlarge")),
    Case(control="A port of a group", what="22 from `0.0.0.0/0`", rule="PF-VPC-002",
         checks=("CKV_AWS_24",), token=GROUP, why="both", inputs=group("0.0.0.0/0")),
    Case(control="A port of a group", what="22 from `0.0.0.0/1` and `128.0.0.0/1`",
         rule="PF-VPC-002", checks=("CKV_AWS_24",), token=GROUP,
         why="two halves of the internet are the internet",
         inputs=group("0.0.0.0/1", "128.0.0.0/1")),
    Case(control="A port of a group", what="8888 from `0.0.0.0/0`", rule="PF-VPC-002",
         checks=("CKV_AWS_24", "CKV_AWS_25", "CKV_AWS_260"), token=GROUP,
         why="a notebook's port is no less a way in than those of SSH and RDP",
         inputs=group("0.0.0.0/0", port=8888)),
    Case(control="Rights to become more", what="`iam:PassRole` on `*`, to one service",
         rule="PF-IAM-001", checks=("CKV_AWS_286", "CKV_AWS_289", "CKV_AWS_355"), token=POLICY,
         why="whoever may start a job with any role has the rights of the strongest one",
         inputs=policy(Action="iam:PassRole", Resource="*", Condition={
             "StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}})),
    Case(control="Rights to become more", what="all but `iam:*`, by `NotAction`",
         rule="PF-IAM-001", checks=("CKV_AWS_62", "CKV_AWS_63", "CKV_AWS_289"),
         token="aws:iam/policy:Policy", why="what is not named is allowed, and grows with AWS",
         inputs={"policy": json.dumps({"Version": "2012-10-17", "Statement": [
             {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}]})}),
    Case(control="Images of pods", what="a tag, of any registry", rule="ML-K8-013",
         checks=("CKV_K8S_43",), token="kubernetes:apps/v1:Deployment", why="both",
         inputs=pod("Deployment", "apps/v1")),
    Case(control="Images of pods", what="a digest, of a registry that nobody approved",
         rule="ML-K8-013", checks=("CKV_K8S_43",), token="kubernetes:apps/v1:Deployment",
         why="a digest says which image it is, not whose",
         inputs=pod("Deployment", "apps/v1", containers=[
             {"name": "a", "image": f"evil.example/a@sha256:{'0' * 64}"}])),
    Case(control="A database", what="encrypted with RDS's own key", rule="PF-RDS-001",
         checks=("CKV_AWS_16",), token=DATABASE, why=OWN, inputs=database(kmsKeyId=None)),
    Case(control="A database", what="a backup of one day", rule="PF-RDS-001",
         checks=("CKV_AWS_133",), token=DATABASE,
         why="what goes wrong before a weekend is found after it",
         inputs=database(backupRetentionPeriod=1)),
    Case(control="A database", what="with a public address", rule="PF-RDS-001",
         checks=("CKV_AWS_17",), token=DATABASE, why="both",
         inputs=database(publiclyAccessible=True)),
    Case(control="A Kafka cluster", what="in plain text too", rule="PF-MSK-001",
         checks=("CKV_AWS_81",), token=KAFKA, why="both", inputs=brokers("TLS_PLAINTEXT")),
    Case(control="A Kafka cluster", what="that asks nobody who they are", rule="PF-MSK-001",
         checks=("CKV_AWS_80", "CKV_AWS_81", "CKV_AWS_291"), token=KAFKA,
         why="MSK lets everybody in its network write where a program says nothing",
         inputs=brokers(clientAuthentication=None)),
    Case(control="A repository of images", what="whose tags move", rule="PF-ECR-001",
         checks=("CKV_AWS_51",), token=REPOSITORY, why="both", inputs=repository("MUTABLE")),
    Case(control="A repository of images", what="that nobody tidies up", rule="PF-ECR-001",
         checks=("CKV_AWS_51", "CKV_AWS_163"), token=REPOSITORY,
         why="an old image stays to be pulled, with every hole that was found in it since",
         inputs=repository("IMMUTABLE")),
    Case(control="A notebook", what="nothing said of the internet", rule="ML-NB-001",
         checks=("CKV_AWS_122",), token=NOTEBOOK, why=SILENT,
         inputs={"instanceType": "ml.t3.medium", "roleArn": "arn:a"}),
    Case(control="A notebook", what="nothing said of root", rule="ML-NB-003",
         checks=("CKV_AWS_307",), token=NOTEBOOK, why="both",
         inputs={"instanceType": "ml.t3.medium", "roleArn": "arn:a"}),
    Case(control="A notebook", what="its volume under `alias/aws/sagemaker`", rule="ML-NB-004",
         checks=("CKV_AWS_22",), token=NOTEBOOK, why=OWN,
         inputs={"instanceType": "ml.t3.medium", "kmsKeyId": "alias/aws/sagemaker"}),
    Case(control="Logs", what="kept for 90 days, under a key", rule="PF-LOG-001",
         checks=("CKV_AWS_66", "CKV_AWS_158", "CKV_AWS_338"), token=LOGS,
         why="half a year is for logs of endpoints; how long another is worth its price, its "
         "owner says",
         inputs={"name": "/app/a", "retentionInDays": 90, "kmsKeyId": KEY}),
    Case(control="Logs", what="of an endpoint, kept for 90 days", rule="PF-LOG-001",
         checks=("CKV_AWS_66", "CKV_AWS_158"), token=LOGS,
         why="providers of high-risk systems keep theirs for six months (EU AI Act, article 19)",
         inputs={"name": "/aws/sagemaker/Endpoints/a", "retentionInDays": 90, "kmsKeyId": KEY}),
    Case(control="A function", what="a password among its variables", rule="PF-LMB-001",
         checks=("CKV_AWS_45", "CKV_AWS_173"), token=FUNCTION,
         why="every secret counts, not AWS's keys alone: whoever reads the configuration has it",
         inputs=function(DB_PASSWORD="hunter2-hunter2")),
    Case(control="A function", what="called by a service, `sourceArn` is `*`", rule="PF-LMB-001",
         checks=("CKV_AWS_364",), token="aws:lambda/permission:Permission", why=BY_VALUE,
         inputs={"action": "lambda:InvokeFunction", "function": "f",
                 "principal": "s3.amazonaws.com", "sourceArn": "*"}),
    Case(control="A function", what="a URL for everybody", rule="PF-LMB-001",
         checks=("CKV_AWS_258",), token="aws:lambda/functionUrl:FunctionUrl", why="both",
         inputs={"functionName": "f", "authorizationType": "NONE"}),
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
