"""Programs for the rules about attached policies, networks, plain secrets and namespaces."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from tests.policies.cases.access import document
from tests.policies.cases.case import ACCOUNT, Case, Program, later
from tests.policies.cases.platform import tagged, tls_only
from tests.policies.cases.pods import container, idle_pod, made, pod, server

NOTHING = "no resource of this kind"
PUBLIC = json.dumps(document(Principal="*", Action="*", Resource="*"))
OURS = json.dumps(document(Principal={"AWS": ACCOUNT}, Action="*", Resource="*"))


def secret_policy(policy: Any) -> None:
    aws.secretsmanager.SecretPolicy("policy", secret_arn="secret", policy=policy)


def by_cloud_control(principal: Any) -> None:
    trust = document(Principal=principal, Action="sts:AssumeRole")
    aws.cloudcontrol.Resource(
        "role",
        type_name="AWS::IAM::Role",
        desired_state=json.dumps({"AssumeRolePolicyDocument": trust}),
    )


def on_a_domain(policy: Any) -> None:
    """A document beside much else, in a type that nobody listed."""
    aws.elasticsearch.Domain("search", domain_name="search", access_policies=policy)


def accessed(status: Any, program: Program, says: str = "", *, preview: bool = False) -> Case:
    return Case(rule="PF-ACC-001", status=status, program=program, says=says, preview=preview)


EVERYBODY = "must not be for everybody"
ATTACHED = [
    accessed("pass", partial(secret_policy, OURS)),
    accessed("pass", lambda: aws.s3.BucketPolicy("p", bucket="b", policy=tls_only("b"))),
    accessed("pass", partial(by_cloud_control, {"Service": "ec2.amazonaws.com"})),
    accessed("fail", partial(secret_policy, PUBLIC), f"policy.Statement[0] {EVERYBODY}"),
    accessed("fail", partial(on_a_domain, PUBLIC), f"accessPolicies.Statement[0] {EVERYBODY}"),
    accessed("fail", partial(by_cloud_control, "*"), f"Document.Statement[0] {EVERYBODY}"),
    accessed("fail", lambda: aws.kms.KeyPolicy("p", key_id="k", policy=PUBLIC), EVERYBODY),
    accessed(
        "fail",
        lambda: aws.ec2.AmiLaunchPermission("p", image_id="ami-1", group="all"),
        "group must not be all",
    ),
    accessed("unknown", lambda: secret_policy(later()), "policy", preview=True),
    accessed("not_applicable", tagged, NOTHING),
]

# Networks


def group(*entries: Mapping[str, Any]) -> None:
    shapes: Any = [{"protocol": "tcp", **entry} for entry in entries]
    aws.ec2.SecurityGroup("group", vpc_id="vpc", ingress=shapes)


def port(number: int, *cidrs: Any) -> dict[str, Any]:
    return {"from_port": number, "to_port": number, "cidr_blocks": list(cidrs)}


def acl(last: int, **changes: Any) -> None:
    shape: dict[str, Any] = {"rule_number": 1, "rule_action": "allow", "protocol": "tcp"}
    ports = {"from_port": 20, "to_port": last, "cidr_block": "0.0.0.0/0"}
    aws.ec2.NetworkAclRule("rule", network_acl_id="acl", **{**shape, **ports, **changes})


def prefixes(cidr: Any) -> None:
    aws.ec2.ManagedPrefixList(
        "list", name="list", address_family="IPv4", max_entries=1, entries=[{"cidr": cidr}]
    )


def networked(status: Any, program: Program, says: str = "", *, preview: bool = False) -> Case:
    return Case(rule="PF-VPC-002", status=status, program=program, says=says, preview=preview)


NETWORKS = [
    networked("pass", lambda: group(port(443, "0.0.0.0/0"), port(5432, "10.0.0.0/8"))),
    networked("pass", partial(acl, 21)),
    networked("pass", partial(acl, 65535, rule_action="deny")),
    networked("pass", partial(prefixes, "10.0.0.0/8")),
    networked("fail", lambda: group(port(22, "0.0.0.0/0")), "ingress must name networks"),
    networked("fail", lambda: group(port(1, "0.0.0.0/1"), port(1, "128.0.0.0/1")), "0.0.0.0/0"),
    networked("fail", lambda: group({**port(0, "0.0.0.0/0"), "protocol": "-1"}), "0.0.0.0/0"),
    networked("fail", partial(acl, 22), "must name networks"),
    networked("fail", partial(prefixes, "0.0.0.0/0"), "the entries must name networks"),
    networked(
        "fail",
        lambda: aws.ec2.Subnet("s", vpc_id="vpc", map_public_ip_on_launch=True),
        "mapPublicIpOnLaunch must not be true",
    ),
    networked("unknown", lambda: group(port(22, later())), "cidrBlocks[0]", preview=True),
    networked("not_applicable", partial(acl, 65535, egress=True), "what goes out"),
]

# Secrets


def valued(**environment: Any) -> None:
    pairs = [{"name": name, "value": value} for name, value in environment.items()]
    server(pod(container(env=pairs)))


def parameter(kind: str, value: Any = "hunter2!") -> None:
    aws.ssm.Parameter("parameter", name="/ml/db/password", type=kind, value=value)


def task(**environment: str) -> None:
    pairs = [{"name": name, "value": value} for name, value in environment.items()]
    definitions = json.dumps([{"name": "a", "image": "a", "environment": pairs}])
    aws.ecs.TaskDefinition("task", family="task", container_definitions=definitions)


def template(script: str) -> None:
    aws.ec2.LaunchTemplate("template", user_data=script)


def hidden(status: Any, program: Program, says: str = "", *, preview: bool = False) -> Case:
    return Case(rule="PF-SEC-001", status=status, program=program, says=says, preview=preview)


SECRETS = [
    hidden("pass", partial(valued, TOKEN_LIMIT="512", PAD_TOKEN="[PAD]", DB_PASSWORD="$(FROM)")),
    hidden("pass", partial(parameter, "SecureString")),
    hidden("pass", partial(parameter, "String", "/ml/db/secret-name")),
    hidden("fail", partial(valued, DB_PASSWORD="hunter2!"), "env must hold no secret, got DB_PA"),
    hidden("fail", partial(valued, DB_PASSWORD="84751234"), "DB_PASSWORD"),
    hidden("fail", partial(valued, CONFIG='{"db": {"password": "hunter2!"}}'), "CONFIG"),
    hidden("fail", partial(valued, STORE="postgres://u:pa55@host/db"), "STORE"),
    hidden("fail", partial(task, API_KEY_2="abcdefgh"), "API_KEY_2"),
    hidden("fail", partial(template, "export DB_PASS=hunter2!\n"), "userData must hold no secret"),
    hidden("fail", partial(parameter, "String"), "type must be SecureString"),
    hidden("unknown", lambda: valued(DB_PASSWORD=later()), "env.DB_PASSWORD", preview=True),
    hidden("not_applicable", partial(server, idle_pod()), "has no values"),
]

# Namespaces


def labelled(level: Any = None, name: str = "ml", mode: str = "enforce") -> None:
    labels = {f"pod-security.kubernetes.io/{mode}": level} if level else None
    kubernetes.core.v1.Namespace(name, metadata={"name": name, "labels": labels})


def secured(status: Any, program: Program, says: str = "", *, preview: bool = False) -> Case:
    return Case(rule="ML-K8-020", status=status, program=program, says=says, preview=preview)


NAMESPACES = [
    secured("pass", partial(labelled, "restricted")),
    secured("fail", labelled, "must be restricted or baseline, got none"),
    secured("fail", partial(labelled, "privileged"), "got privileged"),
    secured("fail", partial(labelled, "restricted", mode="warn"), "got none"),
    secured("unknown", lambda: labelled(later()), "enforce", preview=True),
    secured("not_applicable", partial(labelled, name="kube-system"), "the cluster's own"),
]

# Kinds that nobody named


def operated(token: str, spec: Any) -> None:
    made(token, spec)


FLAWED = container(securityContext={"privileged": True})
OPERATORS = [
    Case(
        rule="ML-K8-012",
        status="fail",
        program=partial(operated, token, spec),
        says="privileged must not be true",
    )
    for token, spec in {
        "argoproj.io/v1alpha1:Workflow": {"templates": [{"container": FLAWED}]},
        "tekton.dev/v1:Task": {"steps": [FLAWED]},
        "example.io/v1:Runner": {"podTemplate": json.dumps({"spec": {"containers": [FLAWED]}})},
        "example.io/v1:Patched": {"template": {"spec": {"containers": [
            {"name": "a", "securityContext": {"privileged": True}}]}}},
    }.items()
]  # fmt: skip
LATER = [
    Case(
        rule="ML-K8-012",
        status="unknown",
        program=lambda: operated("apps/v1:ReplicaSet", {"template": later()}),
        preview=True,
        says="spec.template",
    )
]
