"""Actions, artifacts and contexts, and the associations between them and components of trials.

Source: SageMaker API reference; developer guide, "Amazon SageMaker ML Lineage Tracking".
"""

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker import crud
from stacks.local.aws.sagemaker.derived import derived
from stacks.local.aws.sagemaker.errors import ApiError, invalid
from stacks.local.aws.sagemaker.experiments import COMPONENT, EXPERIMENT, LINEAGE_GROUP
from stacks.local.aws.sagemaker.resource_type import Exists, Request
from stacks.local.aws.store import Resource

Answer = dict[str, Any]
ASSOCIATION = "association"


def _start(emulator: Emulator, item: Resource, request: Request) -> None:
    item.set(LineageGroupArn=emulator.arn(f"lineage-group/{LINEAGE_GROUP}"))
    item.fields["SourceUri"] = request["Source"]["SourceUri"]


def _update(emulator: Emulator, item: Resource, request: Request) -> None:
    """New properties take the place of all that were there (API reference: Properties)."""
    properties = {**request.get("Properties", item.fields.get("Properties", {}))}
    for name in request.get("PropertiesToRemove", ()):
        properties.pop(name, None)
    skip = ("ActionName", "ArtifactArn", "ContextName", "Properties", "PropertiesToRemove")
    change = {member: value for member, value in request.items() if member not in skip}
    item.set(**change, Properties=properties)


def _delete(emulator: Emulator, item: Resource, request: Request) -> None:
    for association in emulator.store.all(ASSOCIATION):
        if item.arn in (association.fields["SourceArn"], association.fields["DestinationArn"]):
            raise invalid(f"{item.arn} cannot be deleted: it has associations, {association.name}")


def artifact_name(emulator: Emulator, request: Request) -> str:
    """The id in the ARN, which follows from the source: a source has one artifact."""
    return sha256(json.dumps(request["Source"], sort_keys=True).encode()).hexdigest()[:32]


SAID: Mapping[str, Any] = {
    "on_create": _start,
    "on_update": _update,
    "on_delete": _delete,
    "status_field": "",
    "ready": "",
    "takes_all": True,
}
ACTION = derived("Action", **SAID)
CONTEXT = derived("Context", **SAID)
ARTIFACT = derived(
    "Artifact",
    keys=("ArtifactArn",),
    identify=artifact_name,
    exists=Exists(text="An artifact of this source already exists: {arn}"),
    **SAID,
)
TYPES = (ACTION, ARTIFACT, CONTEXT)

LINEAGE_TYPES = {
    "Action": ACTION.name,
    "Artifact": ARTIFACT.name,
    "Context": CONTEXT.name,
    "TrialComponent": COMPONENT.name,
}
"""LineageType of a vertex -> kind of the store."""


def entity(emulator: Emulator, arn: str) -> Resource:
    """What an ARN names, if it is something that has associations."""
    item = emulator.store.by_arn(arn)
    if item is None:
        raise ApiError("ResourceNotFound", f"{arn} does not exist.")
    if item.kind not in (*LINEAGE_TYPES.values(), EXPERIMENT.name):
        raise invalid(f"{arn} is no action, artifact, context, experiment or trial component.")
    return item


def type_of(item: Resource) -> str:
    """The type that people gave an entity, or the kind of the job that made it."""
    source = str(item.fields.get("Source", {}).get("SourceType", "TrialComponent"))
    own = (item.fields.get(f"{word}Type") for word in ("Action", "Artifact", "Context"))
    return next((str(word) for word in own if word), source)


def _delete_artifact(emulator: Emulator, request: Request) -> Answer:
    """DeleteArtifact, API reference: either ArtifactArn or Source must be specified."""
    if ("ArtifactArn" in request) == ("Source" in request):
        raise invalid("Either ArtifactArn or Source must be specified.")
    arn = request.get("ArtifactArn")
    if arn is None:
        arn = emulator.arn(f"artifact/{artifact_name(emulator, request)}")
    return crud.delete(emulator, ARTIFACT, {"ArtifactArn": arn})


def associate(emulator: Emulator, source: Resource, destination: Resource, how: str) -> bool:
    """Connect two entities; False if they are."""
    name = f"{source.arn}|{destination.arn}"
    if emulator.store.find(ASSOCIATION, name) is not None:
        return False
    fields = {
        "SourceArn": source.arn,
        "DestinationArn": destination.arn,
        "SourceType": type_of(source),
        "DestinationType": type_of(destination),
        "SourceName": _name(source),
        "DestinationName": _name(destination),
    }
    if how:
        fields["AssociationType"] = how
    emulator.store.add(Resource(kind=ASSOCIATION, name=name, arn=name, fields=fields))
    return True


def _name(item: Resource) -> str:
    return str(item.fields.get("ArtifactName", item.name))


def _add(emulator: Emulator, request: Request) -> Answer:
    with emulator.store.lock:
        source = entity(emulator, request["SourceArn"])
        destination = entity(emulator, request["DestinationArn"])
        if not associate(emulator, source, destination, request.get("AssociationType", "")):
            raise invalid(f"The association of {source.arn} with {destination.arn} already exists.")
    return {"SourceArn": source.arn, "DestinationArn": destination.arn}


def _remove(emulator: Emulator, request: Request) -> Answer:
    source, destination = request["SourceArn"], request["DestinationArn"]
    item = emulator.store.find(ASSOCIATION, f"{source}|{destination}")
    if item is None:
        told = f"There is no association of {source} with {destination}."
        raise ApiError("ResourceNotFound", told)
    emulator.store.remove(item)
    return {"SourceArn": source, "DestinationArn": destination}


ASKED = ("SourceArn", "DestinationArn", "SourceType", "DestinationType", "AssociationType")


def _list(emulator: Emulator, request: Request) -> Answer:
    found = [
        item
        for item in emulator.store.all(ASSOCIATION)
        if all(item.fields.get(name) == request[name] for name in ASKED if name in request)
        and crud.in_time(item, request)
    ]
    return crud.page("ListAssociations", crud.ordered(found, request), request)


# The one lineage group that an account has


def _group(emulator: Emulator) -> dict[str, Any]:
    arn = emulator.arn(f"lineage-group/{LINEAGE_GROUP}")
    return {"LineageGroupName": LINEAGE_GROUP, "LineageGroupArn": arn}


def _named_group(emulator: Emulator, request: Request) -> dict[str, Any]:
    if request["LineageGroupName"] not in (LINEAGE_GROUP, _group(emulator)["LineageGroupArn"]):
        told = f"Lineage group {request['LineageGroupName']} does not exist."
        raise ApiError("ResourceNotFound", told)
    return _group(emulator)


def _group_policy(emulator: Emulator, request: Request) -> Answer:
    arn = _named_group(emulator, request)["LineageGroupArn"]
    raise ApiError("ResourceNotFound", f"Lineage group {arn} has no resource policy.")


def _list_groups(emulator: Emulator, request: Request) -> Answer:
    return crud.paged("LineageGroupSummaries", [_group(emulator)], request)


OPERATIONS: Mapping[str, Callable[[Emulator, Request], Answer]] = {
    "AddAssociation": _add,
    "DeleteArtifact": _delete_artifact,
    "DeleteAssociation": _remove,
    "DescribeLineageGroup": _named_group,
    "GetLineageGroupPolicy": _group_policy,
    "ListAssociations": _list,
    "ListLineageGroups": _list_groups,
}
