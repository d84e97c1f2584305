"""Model cards: each change of the content is a version, and every version can be read again."""

import json
from collections.abc import Mapping
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.crud import answer, in_time, page
from stacks.local.aws.sagemaker.errors import invalid
from stacks.local.aws.sagemaker.resource_type import Missing, Request, short_name
from stacks.local.aws.store import Resource

CARD, VERSION = "model card", "model card version"
MISSING = Missing(code="ResourceNotFound", text="ModelCard {arn} does not exist.")


SECTIONS: Mapping[str, type] = {
    **dict.fromkeys(
        (
            "model_overview",
            "model_package_details",
            "intended_uses",
            "business_details",
            "training_details",
            "additional_information",
        ),
        dict,
    ),
    "evaluation_details": list,
}
"""Members of a card's content, which has no others (developer guide, "Model card JSON schema"; what
is inside of them is not looked at)."""


def _check(content: str) -> None:
    """Content must be a card in JSON."""
    try:
        card = json.loads(content)
    except ValueError as error:
        raise invalid(f"Content must be JSON: {error}") from error
    if not isinstance(card, dict):
        raise invalid("Content must be a JSON object")
    for name, value in card.items():
        if name not in SECTIONS:
            raise invalid(f"Content has {name!r}, which is no member of a card: {[*SECTIONS]}")
        if not isinstance(value, SECTIONS[name]):
            what = "an array" if SECTIONS[name] is list else "an object"
            raise invalid(f"{name} of Content must be {what}")


def start_card(emulator: Emulator, item: Resource, request: Request) -> None:
    """A card begins with its first version."""
    _check(request["Content"])
    item.set(ModelCardVersion=1)
    item.live = {}
    _remember(item)


def update_card(emulator: Emulator, item: Resource, request: Request) -> None:
    """New content is a new version, a new status is not."""
    if "Content" in request:
        _check(request["Content"])
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
