"""Tag operations on recorded resources, whatever a service calls their members."""

from collections.abc import Iterator, Mapping
from typing import Any

EC2 = ("CreateTags", "DeleteTags")
ELASTICACHE = ("AddTagsToResource", "RemoveTagsFromResource")
TAG_OPERATIONS = ("TagResource", "UntagResource", "ListTagsForResource", *EC2, *ELASTICACHE)


def tagged(operation: str, request: Mapping[str, Any]) -> str | None:
    """ARN of the resource that a tag operation is about, EC2's id of it; None: another one."""
    if operation not in TAG_OPERATIONS:
        return None
    if operation in EC2:
        return str(request["Resources"][0])
    ends = ("arn", "resourcename")
    return next((str(v) for n, v in request.items() if n.lower().endswith(ends)), None)


def retag(
    model: Any, operation: str, thing: dict[str, Any], member: str, request: Mapping[str, Any]
) -> dict[str, Any]:
    """Change the tags in `member` of a resource, and answer with what the operation shows.

    Tags are a map or a list of keys and values, as the service has them.
    """
    tags = dict(_pairs(thing.get(member)))
    members = {name.lower(): value for name, value in request.items()}
    given = dict(_pairs(_ending(members, "tags")))
    if operation == "DeleteTags":
        tags = {key: value for key, value in tags.items() if key not in given}
    else:
        tags.update(given)
    for key in _ending(members, "tagkeys") or ():
        tags.pop(key, None)
    known = ("TagResource", "AddTagsToResource", "CreateTags")
    adding = next(name for name in known if name in model.operation_names)
    inputs = model.operation_model(adding).input_shape.members
    shape = next(s for n, s in inputs.items() if n.lower().endswith("tags"))
    names = sorted(shape.member.members) if shape.type_name == "list" else []
    thing[member] = (
        [dict(zip(names, pair, strict=True)) for pair in tags.items()] if names else tags
    )
    output = model.operation_model(operation).output_shape
    ends = ("tags", "taglist")
    shown = [name for name in (output.members if output else ()) if name.lower().endswith(ends)]
    return {name: thing[member] for name in shown}


def _ending(members: Mapping[str, Any], end: str) -> Any:
    """Some services say ResourceTags and ResourceTagKeys."""
    return next((value for name, value in members.items() if name.endswith(end)), None)


def _pairs(tags: Any) -> Iterator[tuple[str, str]]:
    if isinstance(tags, Mapping):
        yield from tags.items()
    for item in tags if isinstance(tags, list) else ():
        lower = {name.lower(): value for name, value in item.items()}
        yield lower["key"], lower.get("value", "")
