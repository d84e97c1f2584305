"""Model cards: each change of the content is a version, and every version can be read again."""

from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.crud import answer, in_time, page
from stacks.local.aws.sagemaker.resource_type import Missing, Request, short_name
from stacks.local.aws.store import Resource

CARD, VERSION = "model card", "model card version"
MISSING = Missing(code="ResourceNotFound", text="ModelCard {arn} does not exist.")


def start_card(emulator: Emulator, item: Resource, request: Request) -> None:
    """A card begins with its first version."""
    item.set(ModelCardVersion=1)
    item.live = {}
    _remember(item)


def update_card(emulator: Emulator, item: Resource, request: Request) -> None:
    """New content is a new version, a new status is not."""
    status = request.get("ModelCardStatus", item.fields["ModelCardStatus"])
    if request.get("Content", item.fields["Content"]) != item.fields["Content"]:
        version = item.fields["ModelCardVersion"] + 1
        item.set(Content=request["Content"], ModelCardVersion=version)
    item.set(ModelCardStatus=status)
    _remember(item)


def _remember(item: Resource) -> None:
    number = item.fields["ModelCardVersion"]
    known: Resource | None = item.live.get(number)
    item.live[number] = Resource(
        kind=VERSION,
        name=item.name,
        arn=item.arn,
        fields=dict(item.fields),
        created=known.created if known else item.modified,
        modified=item.modified,
    )


def describe_card(emulator: Emulator, request: Request) -> dict[str, Any]:
    """The version that is asked for. Default: the newest."""
    item = _card(emulator, request)
    number = request.get("ModelCardVersion", item.fields["ModelCardVersion"])
    if number not in item.live:
        raise MISSING.error(arn=f"{item.arn} with version {number}")
    return answer("DescribeModelCard", item.live[number])


def list_versions(emulator: Emulator, request: Request) -> dict[str, Any]:
    """Every version of a card."""
    wanted = request.get("ModelCardStatus")
    found = [
        version
        for version in _card(emulator, request).live.values()
        if wanted in (None, version.fields["ModelCardStatus"]) and in_time(version, request)
    ]
    newest_first = request.get("SortOrder", "Descending") == "Descending"
    found.sort(key=lambda version: int(version.fields["ModelCardVersion"]), reverse=newest_first)
    return page("ListModelCardVersions", found, request)


def _card(emulator: Emulator, request: Request) -> Resource:
    name = short_name(request["ModelCardName"])
    item = emulator.store.find(CARD, name)
    if item is None:
        raise MISSING.error(arn=emulator.arn(f"model-card/{name}"))
    return item
