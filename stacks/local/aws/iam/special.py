"""Resources that a request names in a way of its service's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from policies.data import UNKNOWN
from stacks.local.aws.iam import ec2, mlflow
from stacks.local.aws.iam.asked import Asked
from stacks.local.aws.iam.resources import Place

Find = Callable[[Asked, Place], "Sequence[Any] | None"]


def find(asked: Asked, place: Place) -> Sequence[Any] | None:
    """What the service's own way finds; None where it has none for this request."""
    own = FINDS.get(asked.prefix)
    return own(asked, place) if own else None


NAMED_ROLES: Mapping[str, tuple[str, ...]] = {
    "elasticmapreduce:RunJobFlow": ("AutoScalingRole", "JobFlowRole", "ServiceRole"),
}
"""Operation -> members that name a role, or the instance profile that holds it, without an ARN."""


def named_roles(asked: Asked, place: Place) -> list[str]:
    """ARNs of roles that a request gives a service by their names; those that exist."""
    from moto.iam.models import iam_backends

    members = NAMED_ROLES.get(f"{asked.prefix}:{asked.operation}", ())
    names = {str(asked.parameters[one]) for one in members if asked.parameters.get(one)}
    if not names:
        return []
    backend = iam_backends[place.account][place.partition]
    held = {one.name: one.roles for one in backend.instance_profiles.values()}
    roles = {role.name: role for role in backend.roles.values()}
    found = [
        role
        for name in sorted(names)
        for role in held.get(name, [roles[name]] if name in roles else [])
    ]
    return list(dict.fromkeys(str(role.arn) for role in found))


def _s3(asked: Asked, place: Place) -> Sequence[Any] | None:
    bucket, key = asked.parameters.get("Bucket"), asked.parameters.get("Key")
    if not isinstance(bucket, str):
        return ["*"] if asked.operation == "ListBuckets" else None
    if asked.service != "s3":
        return None
    arn = bucket if bucket.startswith("arn:") else f"arn:{place.partition}:s3:::{bucket}"
    if asked.operation == "DeleteObjects":
        listed = asked.parameters.get("Delete", {}).get("Objects", [])
        return [f"{arn}/{item['Key']}" for item in listed] or [UNKNOWN]
    return [f"{arn}/{key}" if isinstance(key, str) else arn]


def _dynamodb(asked: Asked, place: Place) -> Sequence[Any] | None:
    def table(name: str) -> str:
        if name.startswith("arn:"):
            return name
        return f"arn:{place.partition}:dynamodb:{place.region}:{place.account}:table/{name}"

    given = asked.parameters
    if "RequestItems" in given:
        return [table(name) for name in given["RequestItems"]]
    if "TransactItems" in given:
        inner = [part for item in given["TransactItems"] for part in item.values()]
        return list(dict.fromkeys(table(part["TableName"]) for part in inner))
    return None


def _kms(asked: Asked, place: Place) -> Sequence[Any] | None:
    name = asked.parameters.get("KeyId")
    if asked.operation == "ReEncrypt":
        name = asked.parameters.get("DestinationKeyId")
    if asked.operation == "Decrypt" and name is None:
        return [_key_of_a_ciphertext(asked, place)]
    if not isinstance(name, str) or asked.operation.endswith("Alias"):
        return None
    return [key_arn(name, place) or UNKNOWN]


def key_arn(name: str, place: Place) -> str | None:
    """The ARN of a key given by id, ARN or alias; None: there is none."""
    from moto.kms.models import kms_backends

    backend = kms_backends[place.account][place.region]
    name = name.rpartition(":key/")[2] if ":key/" in name else name
    name = name.rpartition(":")[2] if ":alias/" in name else name
    if name.startswith("alias/"):
        name = str(backend.get_key_id_from_alias(name) or "")
    key = backend.keys.get(backend.get_key_id(name))
    return None if key is None else str(key.arn)


def _key_of_a_ciphertext(asked: Asked, place: Place) -> Any:
    """moto writes the key's id in front of what it encrypts (moto/kms/utils.py)."""
    blob = asked.parameters.get("CiphertextBlob")
    if isinstance(blob, bytes):
        return key_arn(blob[:36].decode(errors="replace"), place) or UNKNOWN
    return UNKNOWN


def _sqs(asked: Asked, place: Place) -> Sequence[Any] | None:
    url = asked.parameters.get("QueueUrl")
    if not isinstance(url, str):
        return None
    account, name = url.rstrip("/").split("/")[-2:]
    return [f"arn:{place.partition}:sqs:{place.region}:{account}:{name}"]


def _iam(asked: Asked, place: Place) -> Sequence[Any] | None:
    """Roles and users by their name: their ARNs hold their path too."""
    from moto.iam.models import iam_backends

    backend = iam_backends[place.account][place.partition]
    for member, held in (("RoleName", backend.roles), ("UserName", backend.users)):
        name = asked.parameters.get(member)
        if not isinstance(name, str) or asked.operation.startswith("Create"):
            continue
        for item in list(held.values()):
            if item.name == name:
                return [str(item.arn)]
    if asked.operation == "CreateOpenIDConnectProvider":
        issuer = str(asked.parameters.get("Url", "")).partition("://")[2]
        return [f"arn:{place.partition}:iam::{place.account}:oidc-provider/{issuer}"]
    path = str(asked.parameters.get("Path") or "/").strip("/")
    kind = {"CreateRole": "role", "CreateUser": "user", "CreatePolicy": "policy"}
    if (made := kind.get(asked.operation)) is not None:
        own = str(asked.parameters.get(f"{made.title()}Name", ""))
        named = f"{path}/{own}" if path else own
        return [f"arn:{place.partition}:iam::{place.account}:{made}/{named}"]
    return None


def _events(asked: Asked, place: Place) -> Sequence[Any] | None:
    """Rules, which stand at a bus or at the default one."""
    name = asked.parameters.get("Rule", asked.parameters.get("Name"))
    if not isinstance(name, str) or not asked.operation.endswith(("Rule", "Targets", "ByRule")):
        return None
    bus = str(asked.parameters.get("EventBusName") or "default").rpartition("/")[2]
    held = name if bus == "default" else f"{bus}/{name}"
    return [f"arn:{place.partition}:events:{place.region}:{place.account}:rule/{held}"]


def _logs(asked: Asked, place: Place) -> Sequence[Any] | None:
    """CloudWatch Logs decides on groups as on `...:log-stream:`, as its denials show."""
    group = asked.parameters.get("logGroupName")
    if not isinstance(group, str) or asked.operation.startswith(("Tag", "Untag", "List")):
        return None
    stream = asked.parameters.get("logStreamName") or ""
    head = f"arn:{place.partition}:logs:{place.region}:{place.account}:log-group"
    return [f"{head}:{group}:log-stream:{stream}"]


def _secrets(asked: Asked, place: Place) -> Sequence[Any] | None:
    from moto.secretsmanager.models import secretsmanager_backends

    name = asked.parameters.get("SecretId")
    if not isinstance(name, str):
        return None
    backend = secretsmanager_backends[place.account][place.region]
    secret = backend.secrets.get(name)
    return [str(secret.arn) if secret is not None else UNKNOWN]


def _ssm(asked: Asked, place: Place) -> Sequence[Any] | None:
    """Parameters by name, whose ARNs have no second slash; those of AWS are of no account."""
    given = asked.parameters.get("Names") or [asked.parameters.get("Name")]
    if not asked.operation.endswith(("Parameter", "Parameters")) or not all(given):
        return None
    names = [str(one).partition(":")[0] for one in given if not str(one).startswith("arn:")]
    head = f"arn:{place.partition}:ssm:{place.region}"
    own = [
        f"{head}:{'' if one.startswith('/aws/') else place.account}:parameter/{one.lstrip('/')}"
        for one in names
    ]
    return [*own, *(str(one) for one in given if str(one).startswith("arn:"))]


def _lambda(asked: Asked, place: Place) -> Sequence[Any] | None:
    name = asked.parameters.get("FunctionName")
    if not isinstance(name, str) or asked.operation.startswith(("CreateEventSource", "ListEvent")):
        return None
    arn = f"arn:{place.partition}:lambda:{place.region}:{place.account}:function:{name}"
    arn = name if name.startswith("arn:") else arn
    qualifier = asked.parameters.get("Qualifier")
    return [f"{arn}:{qualifier}" if isinstance(qualifier, str) else arn]


def _mlflow(asked: Asked, place: Place) -> Sequence[Any] | None:
    return [asked.parameters["Arn"]]


def _sagemaker(asked: Asked, place: Place) -> Sequence[Any] | None:
    """A model package is made in its group; SageMaker chooses its number, and a domain's id."""
    head = f"arn:{place.partition}:sagemaker:{place.region}:{place.account}"
    if asked.operation == mlflow.OF_AN_APP:
        return _mlflow(asked, place)
    if asked.operation == "CreateDomain":
        return [f"{head}:domain/*"]
    if asked.operation in OF_VERSIONS and isinstance(asked.parameters.get("ImageName"), str):
        version = asked.parameters.get("Version", "*")  # by an alias, or the newest
        return [f"{head}:image-version/{asked.parameters['ImageName']}/{version}"]
    group = asked.parameters.get("ModelPackageGroupName")
    if asked.operation != "CreateModelPackage" or not isinstance(group, str):
        return _batch_of_records(asked, place)
    return [f"{head}:model-package/{group.rpartition('/')[2]}/*"]


OF_VERSIONS = ("DeleteImageVersion", "DescribeImageVersion", "UpdateImageVersion")
"""Operations that name a version of an image by its number, if at all."""


BATCHES = {"BatchGetRecord": "Identifiers", "BatchWriteRecord": "Entries"}
"""Operation -> member with the records, each with its group."""


def _batch_of_records(asked: Asked, place: Place) -> Sequence[Any] | None:
    if asked.operation in BATCHES:
        items = asked.parameters[BATCHES[asked.operation]]
        names = [item.get("FeatureGroupName", "") for item in items]
    elif asked.operation == "BatchGetMetrics":
        return [query["ResourceArn"] for query in asked.parameters["MetricQueries"]]
    elif "FeatureGroupName" in asked.parameters:
        names = [str(asked.parameters["FeatureGroupName"])]
    else:
        return None
    head = f"arn:{place.partition}:sagemaker:{place.region}:{place.account}:feature-group/"
    return [name if name.startswith("arn:") else f"{head}{name}" for name in dict.fromkeys(names)]


FINDS: Mapping[str, Find] = {
    "dynamodb": _dynamodb,
    "ec2": ec2.find,
    "events": _events,
    "iam": _iam,
    "kms": _kms,
    "lambda": _lambda,
    "logs": _logs,
    "s3": _s3,
    "sagemaker": _sagemaker,
    "sagemaker-mlflow": _mlflow,
    "secretsmanager": _secrets,
    "sqs": _sqs,
    "ssm": _ssm,
}
