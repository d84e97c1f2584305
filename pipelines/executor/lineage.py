"""Lineage steps: actions, artifacts and contexts, and the associations between them.

As LineageStep of the SDK describes them (sagemaker.mlops.workflow 1.27): every entity is created,
then the associations are added, which name entities of the same step by name and type, and others
by their ARN. The most of each is what LineageMetadata of the API reference has room for.
"""

from collections.abc import Iterator, Mapping
from reprlib import repr as shown
from typing import Any, NamedTuple

from pipelines.executor import retries
from pipelines.executor.drivers import Call, End, Progress, Services
from pipelines.executor.grammar import variable

MOST_OF_A_KIND, MOST_ASSOCIATIONS = 5, 10


class Kind(NamedTuple):
    """One kind of entity: how it is created, and what is answered of it."""

    type: str
    name: str
    create: str
    arn: str
    answered: str

    @property
    def operation(self) -> str:
        """The API operation that creates one."""
        return f"Create{self.type}"


KINDS: Mapping[str, Kind] = {
    f"{word}s": Kind(word, f"{word}Name", f"create_{word.lower()}", f"{word}Arn", f"{word}Arns")
    for word in ("Action", "Artifact", "Context")
}
"""Member of Arguments -> the entities that it lists."""

_ASSOCIATION = frozenset({"Source", "Destination", "AssociationType"})


def requests(arguments: Mapping[str, Any], where: str) -> Iterator[tuple[str, str, Any]]:
    """Where each entity stands, the operation that creates it, and its request."""
    for member, kind in KINDS.items():
        listed = arguments.get(member) or ()
        for index, entity in enumerate(listed if isinstance(listed, list | tuple) else ()):
            yield f"{where}.{member}[{index}]", kind.operation, entity


def problems(arguments: Mapping[str, Any], where: str) -> Iterator[str]:
    """What is wrong with the Arguments of a Lineage step, beside the requests in it."""
    for key in sorted(str(key) for key in arguments.keys() - {*KINDS, "Associations"}):
        yield f"{where}.{key} is not a member of a Lineage step"
    if not any(arguments.get(member) for member in (*KINDS, "Associations")):
        yield f"{where} must hold an entity or an association, got {shown(arguments)}"
    limits = {**dict.fromkeys(KINDS, MOST_OF_A_KIND), "Associations": MOST_ASSOCIATIONS}
    for member, most in limits.items():
        listed = arguments.get(member) or []
        if not isinstance(listed, list | tuple) or len(listed) > most:
            yield f"{where}.{member} must be a list of at most {most}, got {shown(listed)}"
        elif not all(isinstance(item, Mapping) for item in listed):
            yield f"{where}.{member} must be a list of objects, got {shown(listed)}"
        elif member == "Associations":
            yield from _association_problems(listed, _names(arguments), f"{where}.{member}")


def _association_problems(
    listed: Any, names: frozenset[tuple[str, str]], where: str
) -> Iterator[str]:
    for index, item in enumerate(listed):
        here = f"{where}[{index}]"
        for key in sorted(str(key) for key in item.keys() - _ASSOCIATION):
            yield f"{here}.{key} is not a member of an association"
        for end in ("Source", "Destination"):
            told = item.get(end)
            if not isinstance(told, Mapping) or told.keys() not in ({"Arn"}, {"Name", "Type"}):
                yield f"{here}.{end} must hold Arn, or Name and Type, got {shown(told)}"
            elif "Name" in told and variable(told["Name"]) is None:
                named = (str(told["Type"]), str(told["Name"]))
                if named not in names:
                    yield f"{here}.{end}: the step creates no {told['Type']} {told['Name']!r}"


def _names(arguments: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """Type and name of every entity whose name the definition knows."""
    return frozenset(
        (kind.type, entity[kind.name])
        for member, kind in KINDS.items()
        for entity in arguments.get(member) or ()
        if isinstance(entity, Mapping) and isinstance(entity.get(kind.name), str)
    )


def record(call: Call, services: Services, progress: Progress) -> End:
    """Create the entities, then associate them."""
    from botocore.exceptions import BotoCoreError, ClientError

    progress.move(status="Executing")
    sagemaker, made = services.client("sagemaker"), dict[tuple[str, Any], str]()
    answer: dict[str, Any] = {}
    try:
        for member, kind in KINDS.items():
            for entity in call.arguments.get(member) or ():
                arn = getattr(sagemaker, kind.create)(**entity)[kind.arn]
                made[kind.type, entity.get(kind.name)] = arn
                answer.setdefault(kind.answered, {})[str(entity.get(kind.name, arn))] = arn
        for item in call.arguments.get("Associations") or ():
            request = {f"{end}Arn": _arn(item[end], made) for end in ("Source", "Destination")}
            more = {"AssociationType": item["AssociationType"]} if "AssociationType" in item else {}
            sagemaker.add_association(**request, **more)
            answer.setdefault("Associations", []).append(request)
    except (BotoCoreError, ClientError) as error:
        progress.move(metadata={"Lineage": answer})
        return End("Failed", str(error), answer, retries.of_error(error))
    progress.move(metadata={"Lineage": answer})
    return End("Succeeded", answer=answer)


def _arn(end: Mapping[str, Any], made: Mapping[tuple[str, Any], str]) -> str:
    return str(end["Arn"] if "Arn" in end else made[end["Type"], end["Name"]])
