"""What EC2 asks IAM: every resource of a launch for itself, with the tags that it will have.

Sources: EC2 user guide, "Grant permission to tag Amazon EC2 resources during creation" and "Example
policies to control access"; EC2 API reference, RunInstances, CreateFleet; EC2 Fleet prerequisites;
EBS user guide, "How Amazon EBS encryption works", "Requirements for Amazon EBS encryption".
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from policies.data import UNKNOWN
from policies.iam import reference
from stacks.local.aws.iam.asked import Asked, Check
from stacks.local.aws.iam.resources import Place

LAUNCHES = ("CreateFleet", "RunInstances")
LISTS = ("InstanceIds", "Resources", "VolumeIds", "ImageIds", "SnapshotIds")
"""Members with the ids of several resources, each of which is asked for."""

MADE = ("instance", "network-interface", "volume")
"""What comes into being with an instance."""

OF_AWS = ("image", "snapshot")
"""Kinds whose ARNs hold no account: they may be somebody else's."""

Tags = Mapping[str, Mapping[str, str]]
"""Type of resource -> the tags of what is made of it."""


def find(asked: Asked, place: Place) -> Sequence[Any] | None:
    """What a request names in lists, or by the name of a launch template."""
    if asked.operation in LAUNCHES or _made_alone(asked.operation):
        return ()  # `needed` says it
    for member in LISTS:
        ids = asked.parameters.get(member)
        if isinstance(ids, list) and not asked.operation.startswith("Describe"):
            return [_of_id(str(one), place) for one in ids] or [UNKNOWN]
    if "LaunchTemplateName" in asked.parameters and "Describe" not in asked.operation:
        template = _template(asked.parameters, place)
        return [_arn("launch-template", template.id, place) if template is not None else UNKNOWN]
    return None


def needed(asked: Asked, place: Place) -> Iterator[Check]:
    """Checks of what is launched, and of the tags that anything gets when it is made."""
    if asked.prefix != "ec2":
        return
    given = asked.parameters
    tags = _tags(given)
    for tagged, own in tags.items():
        yield Check(
            action="ec2:CreateTags",
            resource=_arn(tagged, "*", place),
            tags=own,
            known={"ec2:CreateAction": asked.operation},
        )
    if kind := _made_alone(asked.operation):
        yield _made(f"ec2:{asked.operation}", kind, tags, place)
    match asked.operation:
        case "RunInstances":
            yield from _run(_launch(given, tags, place), place)
        case "CreateFleet":
            yield from _fleet(given, tags, place)


def keys_of(asked: Asked, place: Place) -> Iterator[tuple[str, str]]:
    """Action and key of what EBS asks KMS in the caller's name.

    A volume takes a data key when it is made, and a grant when it is attached; a launch does both.
    """
    match asked.operation:
        case "CreateVolume":
            yield from _asked_of_key(asked.parameters.get("KmsKeyId"), ATTACHES[:1])
        case "AttachVolume":
            volume = _backend(place).volumes.get(str(asked.parameters.get("VolumeId")))
            yield from _asked_of_key(getattr(volume, "kms_key_id", None), ATTACHES[1:])
        case "RunInstances":
            launch = _launch(asked.parameters, {}, place)
            yield from _keys_of_launch(launch)
        case "CreateFleet":
            for launch in _launches_of_fleet(asked.parameters, {}, place):
                yield from _keys_of_launch(launch)


ATTACHES = ("kms:GenerateDataKeyWithoutPlaintext", "kms:CreateGrant")


def tags_of(arn: str, account: str, region: str) -> dict[str, str]:
    """The tags of what exists; none of what does not."""
    from moto.ec2.models import ec2_backends

    held = ec2_backends[account][region].tags.get(arn.rpartition("/")[2], {})
    return {str(name): str(value) for name, value in held.items()}


# -- launches ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What instances are started with, of a request and the template that it names."""

    data: Mapping[str, Any]
    tags: Tags
    template_id: str = ""
    """Default: none is used."""

    used: Sequence[tuple[str, str]] = field(default_factory=tuple)
    """Kinds and ids of what the instances use."""


def _launch(
    given: Mapping[str, Any], tags: Tags, place: Place, template: Mapping[str, Any] | None = None
) -> Launch:
    """What a request says goes before its template."""
    named = template if template is not None else given.get("LaunchTemplate") or {}
    found = _template(named, place) if named else None
    held = _data(found, str(named.get("Version", "$Default"))) if found else {}
    data = {**held, **given}
    return Launch(
        data=data,
        tags={**_tags(held), **tags},
        template_id=str(found.id) if found else "",
        used=[*_used(data)],
    )


def _data(template: Any, version: str) -> Mapping[str, Any]:
    """What a version says; nothing of one that is not there, which EC2 refuses after IAM."""
    by_name = {"$default": template.default_version_number, "$latest": len(template.versions)}
    number = str(by_name.get(version.lower(), version))
    held = {str(one.number): one.data for one in template.versions}
    found: Mapping[str, Any] = held.get(number, {})
    return found


def _used(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    interfaces = data.get("NetworkInterfaces") or ()
    yield "image", str(data.get("ImageId") or "")
    yield from (("subnet", one) for one in _all(data.get("SubnetId"), interfaces, "SubnetId"))
    groups = _all(data.get("SecurityGroupIds"), interfaces, "Groups")
    yield from (("security-group", one) for one in groups)
    if data.get("KeyName"):
        yield "key-pair", str(data["KeyName"])
    if name := (data.get("Placement") or {}).get("GroupName"):
        yield "placement-group", str(name)
    for mapping in data.get("BlockDeviceMappings") or ():
        if snapshot := (mapping.get("Ebs") or {}).get("SnapshotId"):
            yield "snapshot", str(snapshot)


def _all(own: Any, interfaces: Sequence[Mapping[str, Any]], member: str) -> list[str]:
    """Ids that stand in the request itself or at its network interfaces, each once."""
    found = [own, *(one.get(member) for one in interfaces)]
    flat = [inner for one in found if one for inner in (one if isinstance(one, list) else [one])]
    return list(dict.fromkeys(str(one) for one in flat))


def _run(launch: Launch, place: Place) -> Iterator[Check]:
    action = "ec2:RunInstances"
    for kind, name in launch.used:
        arn = _arn(kind, name, place) if name and not name.startswith("resolve:") else UNKNOWN
        yield Check(action=action, resource=arn, tags={})
    if launch.template_id:
        template = _arn("launch-template", launch.template_id, place)
        yield Check(action=action, resource=template, tags={})
    spot = (launch.data.get("InstanceMarketOptions") or {}).get("MarketType") == "spot"
    for kind in (*MADE, *(("spot-instances-request",) if spot else ())):
        yield _made(action, kind, launch.tags, place)
    for role in _roles(launch.data, place):
        known = {"iam:PassedToService": "ec2.amazonaws.com"}
        yield Check(action="iam:PassRole", resource=role, known=known)


def _fleet(given: Mapping[str, Any], tags: Tags, place: Place) -> Iterator[Check]:
    """A fleet of the type `instant` starts its instances with the rights of who asks."""
    action = "ec2:CreateFleet"
    for kind in ("fleet", "instance", *(kind for kind in ("volume",) if kind in tags)):
        yield _made(action, kind, tags, place)
    for launch in _launches_of_fleet(given, tags, place):
        if launch.template_id:
            template = _arn("launch-template", launch.template_id, place)
            yield Check(action=action, resource=template, tags={})
        if given.get("Type") == "instant":
            yield from _run(launch, place)


def _launches_of_fleet(given: Mapping[str, Any], tags: Tags, place: Place) -> Iterator[Launch]:
    for config in given.get("LaunchTemplateConfigs") or ():
        template = config.get("LaunchTemplateSpecification") or {}
        overrides: Sequence[Mapping[str, Any]] = config.get("Overrides") or ({},)
        for override in overrides:
            yield _launch(override, tags, place, template)


def _roles(data: Mapping[str, Any], place: Place) -> list[str]:
    """ARNs of the roles in the instance profile."""
    from moto.iam.models import iam_backends

    profile = data.get("IamInstanceProfile") or {}
    name = str(profile.get("Name") or profile.get("Arn") or "").rpartition("/")[2]
    held = iam_backends[place.account][place.partition].instance_profiles.values()
    return [str(role.arn) for one in list(held) if one.name == name for role in one.roles]


def _keys_of_launch(launch: Launch) -> Iterator[tuple[str, str]]:
    for mapping in launch.data.get("BlockDeviceMappings") or ():
        yield from _asked_of_key((mapping.get("Ebs") or {}).get("KmsKeyId"), ATTACHES)


def _asked_of_key(key: Any, actions: Sequence[str]) -> Iterator[tuple[str, str]]:
    """None where EBS's own key is used, whose policy lets everybody of the account."""
    yield from ((action, str(key)) for action in actions if key)


# -- names ---------------------------------------------------------------------------------------


def _made(action: str, kind: str, tags: Tags, place: Place) -> Check:
    return Check(action=action, resource=_arn(kind, "*", place), tags=tags.get(kind, {}))


@functools.cache
def _made_alone(operation: str) -> str:
    """The kind that an operation makes and that is all it is about; empty: there is none."""
    known = reference.action(f"ec2:{operation}") if operation.startswith("Create") else None
    needed = [one["name"] for one in known["resourceTypes"] if one["required"]] if known else []
    said = operation.removeprefix("Create").lower()
    alone = len(needed) == 1 and needed[0].replace("-", "") == said
    return str(needed[0]) if alone else ""


def _tags(given: Mapping[str, Any]) -> dict[str, Mapping[str, str]]:
    return {
        str(one.get("ResourceType")): {
            str(tag["Key"]): str(tag.get("Value", "")) for tag in one.get("Tags") or ()
        }
        for one in given.get("TagSpecifications") or ()
    }


def _arn(kind: str, name: str, place: Place) -> str:
    account = "" if kind in OF_AWS else place.account
    return f"arn:{place.partition}:ec2:{place.region}:{account}:{kind}/{name}"


def _of_id(name: str, place: Place) -> Any:
    """The ARN of a resource by the prefix of its id; UNKNOWN where no kind has that prefix."""
    from moto.ec2.utils import EC2_RESOURCE_TO_PREFIX

    kinds = {prefix: kind for kind, prefix in EC2_RESOURCE_TO_PREFIX.items()}
    kind = kinds.get(name.rpartition("-")[0])
    return _arn(kind, name, place) if kind else UNKNOWN


def _template(named: Mapping[str, Any], place: Place) -> Any:
    templates = _backend(place).launch_templates
    own = named.get("LaunchTemplateId")
    name = named.get("LaunchTemplateName")
    held = list(templates.values())
    return next((one for one in held if one.id == own or (name and one.name == name)), None)


def _backend(place: Place) -> Any:
    from moto.ec2.models import ec2_backends

    return ec2_backends[place.account][place.region]
