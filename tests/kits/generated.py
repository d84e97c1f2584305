"""Changes whose consequence is known by data that the review does not read: schemas and the SDKs.

For each type that a schema shows to hold state, grant access, open a network or keep a record: its
deletion, its replacement, the weakening of each guard among its inputs, and harmless counterparts.
What a schema shows is decided here by words of its own, on purpose: the review must not be measured
by its own tables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PREFIX = "urn:pulumi:prod.foundation::plinth::"


@dataclass(frozen=True, slots=True)
class Made:
    """One change of one resource."""

    kind: str
    """What is tried, such as `delete` or `retention shrinks`."""
    token: str
    step: Mapping[str, Any]

    @property
    def urn(self) -> str:
        """Of the resource."""
        return str(self.step["urn"])


@dataclass(frozen=True, slots=True)
class Shape:
    """A type with the inputs that matter here: name in the program -> JSON type."""

    token: str
    inputs: Mapping[str, str]
    sets: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    """Inputs that are JSON text."""


MATTERS = re.compile(
    r"retention|backup|snapshot|protect|destroy|versioning|recovery|encrypt|kms|policy|principal"
    r"|permission|grant|cidr|public|ingress|authoriz|logging|audit|log_?config|access|secret"
    r"|security_?group|account",
    re.I,
)
"""Words in the names of inputs that only a type has that keeps, grants, opens or records."""

KEPT = re.compile(
    r"(deletion|termination|delete)_?protection|versioning|point_?in_?time|encrypt|logging"
    r"|log_?file_?valid|backup|key_?rotation|mfa|copy_?tags_?to_?snap|monitoring$|block_?public"
    r"|acceptance_?required|(preserve|retain)_?on_?delete|disable_?imds_?v1|exclude_?verbose"
    r"|restrict_?public|iam_?(database_?)?auth|multi_?az|transit",
    re.I,
)
"""Flags that keep something while they are up."""

RISKY = re.compile(
    r"force_?(destroy|delete)|skip_?(final|destroy)|publicly_?access|delete_?automated"
    r"|map_?public_?ip|allow_?(overwrite|external|any|all|unencrypted)|auto_?accept"
    r"|bypass|disable_?(api|execute|password)?$|privileged|(encryption|logging|signing)_?disabled$"
    r"|delete_?(directory|lambda|model|storage|identity)|ignore_?deletion_?error|extend_?deletion"
    r"|skip_?zonal|no_?restrictions|retain_?sharing|bearer_?token|auto_?confirms|without_?reboot"
    r"|get_?password|no_?log$|disable_?email|complete_?lock|retention_?locked|remove_?self"
    r"|debug_?logging|close_?on_?deletion|enforce_?consumer_?deletion|check_?on_?delete$",
    re.I,
)
"""Flags that let something go, or somebody in, while they are up."""

DAYS = re.compile(r"retention|backup_?period|recovery_?window|deletion_?window|keep_?days", re.I)
"""Numbers of which less is kept."""


STAYS = re.compile(
    r"session_?(timeout|duration)|max_?password_?age|disconnect_?timeout|reuse_?period"
    r"|(access|id|refresh)_?token_?validity|authorizer_?result_?ttl|rotation_?period",
    re.I,
)
"""Numbers of which more lets somebody stay in, or a key stay the same, for longer."""

FEWEST = re.compile(r"^min_?(imum_?)?(capacity|v_?cpus|size|units|pollers|worker_?count)$", re.I)
"""Numbers of what runs and is paid for at least."""

MODES = re.compile(r"(throughput|concurrency|execution|billing)_?(mode|policy)$", re.I)
"""Words, not sizes, though their names have one of a size."""

WAYS_IN = re.compile(r"auth_?flows$|callback_?urls$|allowed_?(origins|pattern|columns)$", re.I)
"""Lists of which more lets more in."""

KEY = re.compile(r"kms_?key_?(id|arn)$", re.I)
"""Names of the key that encrypts something."""

MORE: tuple[tuple[re.Pattern[str], tuple[str, ...], str, Any, Any], ...] = (
    (STAYS, ("integer", "number"), "it lasts longer", 10, 1000),
    (FEWEST, ("integer", "number"), "it costs while nobody uses it", 0, 64),
    (MODES, ("string",), "another mode", "one", "another"),
    (WAYS_IN, ("array",), "one more way in", ["one"], ["one", "another"]),
    (KEY, ("string",), "another key", "one", "another"),
)
"""Names, JSON types, what is tried, and the value before and after."""


@cache
def formation() -> tuple[Shape, ...]:
    """The types of aws-native that matter, from CloudFormation's schemas."""
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER as SCHEMAS

    found = []
    for name in SCHEMAS.get_resource_types("us-east-1"):
        schema = SCHEMAS.get_resource_schema("us-east-1", name).schema
        fixed = {path.rpartition("/")[2] for path in schema.get("readOnlyProperties", ())}
        inputs = {key: value for key, value in schema["properties"].items() if key not in fixed}
        if not name.startswith("AWS::") or not any(map(MATTERS.search, inputs)):
            continue
        _, service, kind = name.split("::")
        found.append(
            Shape(
                token=f"aws-native:{service.lower()}:{kind}",
                inputs=dict(_typed(schema, inputs)),
                sets=tuple(
                    _camel(key)
                    for key, value in inputs.items()
                    if value.get("type") == "array"
                    and value.get("insertionOrder") is False
                    and value.get("items", {}).get("type") == "string"
                    and key != "Tags"
                ),
                documents=tuple(_camel(key) for key in inputs if key.endswith("PolicyDocument")),
            )
        )
    return tuple(found)


def _typed(schema: Mapping[str, Any], inputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Inputs, and those one and two levels inside them, as `outer.inner` -> JSON type."""
    todo: list[tuple[tuple[str, ...], Any]]
    todo = [((_camel(key),), value) for key, value in inputs.items()]
    while todo:
        path, value = todo.pop()
        reference = value.get("$ref") or value.get("items", {}).get("$ref")
        if reference:
            value = schema.get("definitions", {}).get(reference.rpartition("/")[2], {})
        yield ".".join(path), _json_type(value)
        if len(path) < 3:
            inner = value.get("properties", {})
            todo += [((*path, _camel(key)), each) for key, each in inner.items()]


def _camel(name: str) -> str:
    return name[0].lower() + name[1:]


def _json_type(value: Mapping[str, Any]) -> str:
    kind = value.get("type", "")
    return str(kind[0] if isinstance(kind, list) else kind)


@cache
def provider() -> tuple[Shape, ...]:
    """The types of pulumi-aws that matter, from the constructors in its source."""
    spec = find_spec("pulumi_aws")
    assert spec and spec.origin
    kinds = {"bool": "boolean", "int": "integer", "str": "string"}
    found = []
    for source in sorted(Path(spec.origin).parent.glob("*/[a-z]*.py")):
        text = source.read_text()
        token = re.search(r"super\(\w+, __self__\)\.__init__\(\s*'(aws:[^']+)'", text)
        body = text.partition("def __init__(__self__, *,")[2].partition('"""')[0]
        typed = re.findall(
            r"(\w+): pulumi\.Input\[(?:Optional\[)?_builtins\.(bool|int|str)\]", body
        )
        if token and any(MATTERS.search(name) for name, _ in typed):
            inputs = {_from_snake(name): kinds[kind] for name, kind in typed}
            found.append(Shape(token=token[1], inputs=inputs))
    return tuple(found)


def _from_snake(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


KUBERNETES = tuple(
    f"kubernetes:{name}"
    for name in (
        "core/v1:Secret", "core/v1:ConfigMap", "core/v1:Namespace", "core/v1:PersistentVolume",
        "core/v1:PersistentVolumeClaim", "core/v1:Service", "core/v1:ServiceAccount",
        "core/v1:ResourceQuota", "core/v1:LimitRange", "apps/v1:Deployment", "apps/v1:StatefulSet",
        "apps/v1:DaemonSet", "apps/v1:ReplicaSet", "batch/v1:Job", "batch/v1:CronJob",
        "networking.k8s.io/v1:NetworkPolicy", "networking.k8s.io/v1:Ingress",
        "rbac.authorization.k8s.io/v1:ClusterRole", "rbac.authorization.k8s.io/v1:Role",
        "rbac.authorization.k8s.io/v1:RoleBinding", "storage.k8s.io/v1:StorageClass",
        "rbac.authorization.k8s.io/v1:ClusterRoleBinding", "policy/v1:PodDisruptionBudget",
        "apiextensions.k8s.io/v1:CustomResourceDefinition", "helm.sh/v3:Release",
        "admissionregistration.k8s.io/v1:ValidatingWebhookConfiguration",
        "admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy",
        "admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding",
        "scheduling.k8s.io/v1:PriorityClass", "snapshot.storage.k8s.io/v1:VolumeSnapshot",
        "kueue.x-k8s.io/v1beta1:ClusterQueue", "karpenter.sh/v1:NodePool", "ray.io/v1:RayCluster",
        "serving.kserve.io/v1beta1:InferenceService", "kubeflow.org/v1:PyTorchJob",
        "cilium.io/v2:CiliumNetworkPolicy", "gateway.networking.k8s.io/v1:Gateway",
    )
)  # fmt: skip
"""Kinds that hold state, grant, open, guard or run: each by its page in the API's reference."""


def state(urn: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """One state of a digest."""
    return {
        "urn": urn,
        "custom": True,
        "type": urn.split("::")[2].rpartition("$")[2],
        "id": "one-0a1b",
        "inputs": dict(inputs),
        "outputs": dict(inputs),
    }


def step(token: str, what: str, op: str, old: Any, new: Any) -> dict[str, Any]:
    urn = f"{PREFIX}{token}::{re.sub('[^a-zA-Z0-9]+', '-', f'{token}-{what}')}"
    changed = sorted(
        k for k in {*(old or {}), *(new or {})} if (old or {}).get(k) != (new or {}).get(k)
    )
    made: dict[str, Any] = {"op": op, "urn": urn}
    if old is not None:
        made["oldState"] = state(urn, old)
    if new is not None:
        made["newState"] = state(urn, new)
    if op in ("update", "replace"):
        made["diffReasons"] = changed
        made["detailedDiff"] = {key: {"kind": "update", "inputDiff": True} for key in changed}
    if op == "replace":
        made["replaceReasons"] = changed or ["name"]
    return made


def dangerous() -> Iterator[Made]:
    """Every change that a person has to see."""
    for shape in (*formation(), *provider(), *(Shape(token, {}) for token in KUBERNETES)):
        token = shape.token
        yield from ends(token)
        for option in ("protect", "retainOnDelete"):
            lifted = step(token, option, "same", {"name": "a"}, {"name": "a"})
            lifted["oldState"][option] = True
            yield Made(f"{option} is lifted", token, lifted)
        for path, kind in shape.inputs.items():
            for what, old, new in _weakened(path.rpartition(".")[2], kind):
                sides = inside(path, old), inside(path, new)
                yield Made(what, token, step(token, f"{path}-{what}", "update", *sides))


BRINGS = re.compile(
    r"Association|Attachment|Permission|Authorization|Accepter|Peering|Grant$|Share$|Subscription"
    r"|Member$|Delegated|Invitation|AccessKey|LoginProfile|Credential|Replication|Assignment"
    r"|Binding$|Webhook"
)
"""Words in the names of types whose creation brings somebody or something in."""


def joined() -> Iterator[Made]:
    """Something new that acts on what is there: by the name that AWS and Kubernetes gave it."""
    tokens = {shape.token for shape in (*formation(), *provider())}
    bindings = ("RoleBinding", "ClusterRoleBinding")
    tokens |= {f"kubernetes:rbac.authorization.k8s.io/v1:{kind}" for kind in bindings}
    for token in sorted(tokens):
        if BRINGS.search(token.rpartition(":")[2]):
            inputs = {"name": "a", "resourceArn": "arn:aws:sqs:us-east-1:123456789012:q"}
            yield Made("something that joins", token, step(token, "new", "create", None, inputs))


def inside(path: str, value: Any) -> dict[str, Any]:
    """The value under its path."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return dict(value)


def ends(token: str) -> Iterator[Made]:
    """A resource of this type goes, or another takes its place."""
    yield Made("delete", token, step(token, "delete", "delete", {"name": "a"}, None))
    replaced = step(token, "replace", "replace", {"name": "a"}, {"name": "b"})
    yield Made("replacement", token, replaced)


def _weakened(name: str, kind: str) -> Iterator[tuple[str, Any, Any]]:
    if kind == "boolean" and RISKY.search(name):
        yield "a risk rises", False, True
    elif kind == "boolean" and KEPT.search(name):
        yield "a guard falls", True, False
        yield "a guard goes", True, None
    elif kind in ("integer", "number") and DAYS.search(name):
        yield "less is kept", 30, 1
    for names, kinds, what, old, new in MORE:
        if kind in kinds and names.search(name):
            yield what, old, new
    if kind == "object" and KEPT.search(name) and not name.endswith("Tags"):
        yield "a block's guard falls", {"enabled": True}, {"enabled": False}
        yield "a guard's block goes", {"enabled": True}, None


def harmless() -> Iterator[Made]:
    """Every change that means nothing."""
    for shape in formation():
        token = shape.token
        for name in ("description", "displayName"):
            if name in shape.inputs:
                made = step(token, name, "update", {name: "one"}, {name: "another"})
                yield Made("a description", token, made)
        for name in shape.sets[:1]:
            old, new = ["first-one", "second-one"], ["second-one", "first-one"]
            yield Made("an order", token, step(token, name, "update", {name: old}, {name: new}))
        for name in shape.documents[:1]:
            yield from _documents(token, name)
        if shape.inputs.get("tags"):
            tags = [{"tags": {"team": team}} for team in ("a", "b")]
            yield Made("tags", token, step(token, "tags", "update", *tags))
        for name, kind in shape.inputs.items():
            last = name.rpartition(".")[2]
            if kind == "boolean" and KEPT.search(last) and not RISKY.search(last):
                sides = inside(name, False), inside(name, True)
                yield Made("a guard rises", token, step(token, f"{name}-on", "update", *sides))
            elif kind == "integer" and DAYS.search(name.rpartition(".")[2]):
                sides = inside(name, 7), inside(name, 30)
                yield Made("more is kept", token, step(token, f"{name}-more", "update", *sides))


def _documents(token: str, name: str) -> Iterator[Made]:
    role = "arn:aws:iam::123456789012:role/a"
    one = {"Sid": "One", "Effect": "Allow", "Action": ["s3:GetObject"],
           "Resource": ["arn:aws:s3:::a/*"], "Principal": {"AWS": [role]}}  # fmt: skip
    two = {**one, "Sid": "Two", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::a"}
    old = {"Version": "2012-10-17", "Statement": [one, two]}
    spelled = [
        {**two, "Action": ["S3:listBucket"]},
        {**one, "Sid": "First", "Action": "s3:GetObject",
         "Principal": {"AWS": role}},
    ]  # fmt: skip
    text, blanks = json.dumps(old), json.dumps(old, indent=2)
    yield Made("equal JSON", token, step(token, "json", "update", {name: text}, {name: blanks}))
    other = json.dumps({**old, "Statement": spelled})
    yield Made("spelling", token, step(token, "spelling", "update", {name: text}, {name: other}))


def digest(made: Iterable[Made]) -> str:
    """A preview of these changes and of nothing else."""
    return json.dumps({"steps": [item.step for item in made]})
