"""Condition keys of a request: what it says, what its resources have, and what nobody here knows.

Sources: IAM user guide, "AWS global condition context keys"; the Service Authorization Reference
for the keys of services. A key that AWS documents for an action and that is not derived here is
UNKNOWN, never absent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import jmespath

from policies.data import UNKNOWN
from policies.iam import reference
from policies.iam.request import Principal, keys
from stacks.local.aws.iam.asked import Asked
from stacks.local.aws.iam.resources import Place

TagsOf = Callable[[str], "Mapping[str, str] | None"]
"""ARN -> the tags of what exists there; None: nobody knows."""


def _tuned(path: str) -> Sequence[str]:
    """The same of the training jobs that a tuning job defines."""
    return (f"TrainingJobDefinition.{path}", f"TrainingJobDefinitions[].{path}")


PATHS: Mapping[str, Sequence[str]] = {
    "kms:encryptioncontextkeys": ("keys(EncryptionContext)",),
    "kms:grantoperations": ("Operations",),
    "kms:granteeprincipal": ("GranteePrincipal",),
    "s3:max-keys": ("MaxKeys",),
    "s3:x-amz-acl": ("ACL",),
    "s3:x-amz-copy-source": ("CopySource",),
    "s3:x-amz-server-side-encryption": ("ServerSideEncryption",),
    "s3:x-amz-server-side-encryption-aws-kms-key-id": ("SSEKMSKeyId",),
    "s3:x-amz-server-side-encryption-customer-algorithm": ("SSECustomerAlgorithm",),
    "s3:x-amz-storage-class": ("StorageClass",),
    "s3:if-match": ("IfMatch",),
    "s3:if-none-match": ("IfNoneMatch",),
    "sagemaker:instancetypes": (
        "ResourceConfig.InstanceType",
        "ResourceConfig.InstanceGroups[].InstanceType",
        "ProcessingResources.ClusterConfig.InstanceType",
        "TransformResources.InstanceType",
        "ProductionVariants[].InstanceType",
        *_tuned("ResourceConfig.InstanceType"),
        *_tuned("HyperParameterTuningResourceConfig.InstanceConfigs[].InstanceType"),
        "InstanceType",
    ),
    "sagemaker:intercontainertrafficencryption": (
        "EnableInterContainerTrafficEncryption",
        "NetworkConfig.EnableInterContainerTrafficEncryption",
        *_tuned("EnableInterContainerTrafficEncryption"),
    ),
    "sagemaker:maxruntimeinseconds": (
        "StoppingCondition.MaxRuntimeInSeconds",
        *_tuned("StoppingCondition.MaxRuntimeInSeconds"),
    ),
    "sagemaker:networkisolation": (
        "EnableNetworkIsolation",
        "NetworkConfig.EnableNetworkIsolation",
        *_tuned("EnableNetworkIsolation"),
    ),
    "sagemaker:outputkmskey": (
        "OutputDataConfig.KmsKeyId",
        "ProcessingOutputConfig.KmsKeyId",
        "TransformOutput.KmsKeyId",
        *_tuned("OutputDataConfig.KmsKeyId"),
    ),
    # developer guide, "Security with multi-container endpoints with direct invocation"; the Service
    # Authorization Reference lacks it
    "sagemaker:targetcontainerhostname": ("TargetContainerHostname",),
    "sagemaker:volumekmskey": (
        "ResourceConfig.VolumeKmsKeyId",
        "ProcessingResources.ClusterConfig.VolumeKmsKeyId",
        "TransformResources.VolumeKmsKeyId",
        *_tuned("ResourceConfig.VolumeKmsKeyId"),
        *_tuned("HyperParameterTuningResourceConfig.VolumeKmsKeyId"),
        "KmsKeyId",
    ),
    "sagemaker:vpcsecuritygroupids": (
        "VpcConfig.SecurityGroupIds",
        "NetworkConfig.VpcConfig.SecurityGroupIds",
        *_tuned("VpcConfig.SecurityGroupIds[]"),
    ),
    "sagemaker:vpcsubnets": (
        "VpcConfig.Subnets",
        "NetworkConfig.VpcConfig.Subnets",
        *_tuned("VpcConfig.Subnets[]"),
    ),
}
"""Condition key -> where the request says it; it says nothing: the key is not there. A key with the
name of a member is that member and stands not here."""

OWN_PATHS: Mapping[str, frozenset[str]] = {
    prefix: frozenset(key for key in PATHS if key.startswith(f"{prefix}:"))
    for prefix in {key.partition(":")[0] for key in PATHS}
}
"""Prefix of a service -> its keys among PATHS."""

SAME: Mapping[str, str] = {
    "sagemaker:outputkmskeyarn": "sagemaker:outputkmskey",
    "sagemaker:volumekmskeyarn": "sagemaker:volumekmskey",
}

OF_SERVICES = frozenset(
    ("kms:viaservice", "kms:grantisforawsresource",
     "iam:passedtoservice", "iam:associatedresourcearn",
     "lambda:eventsourcetoken", "lambda:invokedviafunctionurl", "sagemaker:directgatedmodelaccess",
     "sagemaker:taggingaction", "glue:federatedauthorizationsource")
)  # fmt: skip
"""Keys that a request has only where a service makes it for somebody, or where it is told so."""


class Context(Mapping[str, Any]):
    """Condition keys that are known, and those that may be there."""

    def __init__(
        self, known: Mapping[str, Any], open_: frozenset[str], prefixes: tuple[str, ...]
    ) -> None:
        self.known = known
        self.open = open_
        self.prefixes = prefixes

    def __getitem__(self, key: str) -> Any:
        if key in self.known:
            return self.known[key]
        if key in self.open or key.startswith(self.prefixes):
            return UNKNOWN
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self.known)

    def __len__(self) -> int:
        return len(self.known)


def of_principal(principal: Principal, tags: Mapping[str, str], userid: str) -> dict[str, Any]:
    """What a request says of who makes it."""
    kinds = {"session": "AssumedRole", "user": "User", "root": "Account"}
    known: dict[str, Any] = {
        "aws:PrincipalArn": principal.entity or principal.arn,
        "aws:PrincipalAccount": principal.account,
        "aws:PrincipalType": kinds.get(principal.kind, "Anonymous"),
        "aws:PrincipalIsAWSService": principal.kind == "service",
        "aws:userid": userid,
        "kms:CallerAccount": principal.account,
    }
    if principal.kind == "user":
        known["aws:username"] = principal.arn.rpartition("/")[2]
    if principal.kind == "session":
        known["aws:MultiFactorAuthPresent"] = False
        known["aws:TokenIssueTime"] = UNKNOWN
    known |= {f"aws:PrincipalTag/{name}": value for name, value in tags.items()}
    return known


def of_network(environ: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """What a request says of its way: loopback, which stands in for TLS."""
    now = time.time()
    return {
        "aws:CurrentTime": datetime.fromtimestamp(now, UTC).isoformat(),
        "aws:EpochTime": int(now),
        "aws:RequestedRegion": place.region,
        "aws:SecureTransport": True,
        "aws:SourceIp": environ.get("REMOTE_ADDR") or "127.0.0.1",
        "aws:UserAgent": environ.get("HTTP_USER_AGENT", ""),
        "aws:ViaAWSService": False,
    }


def context(
    action: str,
    asked: Asked,
    resource: Any,
    tags_of: TagsOf,
    general: Mapping[str, Any],
    *,
    tags: Mapping[str, str] | None = None,
) -> Context:
    """The condition keys of one action on one resource.

    `tags`: what the resource is to be tagged with. Default: what the request as a whole says.
    """
    known = dict(general)
    documented = reference.condition_keys(action)
    for key in documented | OWN_PATHS.get(action.partition(":")[0], frozenset()):
        if (paths := _paths(key, asked)) is not None:
            values = _values(paths, asked.parameters)
            known |= {key: values} if values else {}
    known |= _encryption_context(asked)
    known |= _request_tags(asked.parameters if tags is None else {"Tags": tags})
    open_ = {key for key in documented if _paths(key, asked) is None} - OF_SERVICES
    open_ -= {key.lower() for key in known}
    prefixes = {key.partition("${")[0] for key in open_ if "${" in key} - {"aws:requesttag/"}
    held = tags_of(resource) if isinstance(resource, str) else None
    if held is not None:
        prefixes -= {f"{owner}:resourcetag/" for owner in ("aws", asked.prefix)}
        for name, value in held.items():
            known |= {f"aws:ResourceTag/{name}": value, f"{asked.prefix}:ResourceTag/{name}": value}
    else:
        prefixes |= {"aws:resourcetag/", f"{asked.prefix}:resourcetag/"}
    exact = frozenset(key for key in open_ if "${" not in key) - {"aws:tagkeys"}
    return Context(keys(known), exact, tuple(sorted(prefixes)))


def _paths(key: str, asked: Asked) -> Sequence[str] | None:
    """Where a request says a key: as the table has it, or in the member of the same name."""
    if (paths := PATHS.get(SAME.get(key, key))) is not None:
        return paths
    prefix, _, name = key.partition(":")
    if prefix != asked.prefix or name not in asked.members:
        return None
    return [f'"{member}"' for member in asked.parameters if member.lower() == name]


def _values(paths: Sequence[str], parameters: Mapping[str, Any]) -> list[Any]:
    found: list[Any] = []
    for path in paths:
        first = path.partition(".")[0].partition("[")[0]
        if first.isidentifier() and first not in parameters:
            continue  # most paths lead nowhere, and a search takes longer than the decision
        try:
            value = jmespath.search(path, parameters)
        except jmespath.exceptions.JMESPathError:
            continue  # keys() of what is not there
        found += value if isinstance(value, list) else [] if value is None else [value]
    return found


def _encryption_context(asked: Asked) -> dict[str, Any]:
    held = asked.parameters.get("EncryptionContext") if asked.prefix == "kms" else None
    if not isinstance(held, Mapping):
        return {}
    return {f"kms:EncryptionContext:{name}": value for name, value in held.items()}


def _request_tags(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Tags that a request brings or takes, in any of the forms of services."""
    tags: dict[str, str] = {}
    for member, value in parameters.items():
        if member.lower() in ("tags", "taglist", "tagset", "tagstoadd"):
            tags |= _tags(value)
        if member.lower() == "tagspecifications" and isinstance(value, list):
            for item in value:
                tags |= _tags(item.get("Tags") or {})
    taken = parameters.get("TagKeys") or []
    named = [*tags, *(taken if isinstance(taken, list) else [])]
    known: dict[str, Any] = {f"aws:RequestTag/{name}": value for name, value in tags.items()}
    return known | ({"aws:TagKeys": named} if named else {})


def _tags(value: Any) -> dict[str, str]:
    if isinstance(value, Mapping):
        return {str(name): str(text) for name, text in value.items()}
    found = {}
    for item in value if isinstance(value, list) else ():
        held = {str(name).lower(): text for name, text in item.items()}
        name = held.get("key", held.get("tagkey"))
        if name is not None:
            found[str(name)] = str(held.get("value", held.get("tagvalue", "")))
    return found
