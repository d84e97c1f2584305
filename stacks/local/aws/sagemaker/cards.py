"""Model cards: each change of the content is a version, and every version can be read again."""

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker.crud import answer, in_time, page
from stacks.local.aws.sagemaker.errors import invalid
from stacks.local.aws.sagemaker.resource_type import Missing, Request, short_name
from stacks.local.aws.store import Resource

CARD, VERSION = "model card", "model card version"
MISSING = Missing(code="ResourceNotFound", text="ModelCard {arn} does not exist.")


RESOURCE = "AWS::SageMaker::ModelCard"


def check(content: str) -> None:
    """Content must be a card in JSON (developer guide, "Model card JSON schema").

    CloudFormation has the same schema, of the same names in its own spelling. The first time it is
    read, for seconds: nobody else should wait.
    """
    from jsonschema import Draft7Validator  # with its schemas some tenths of a second
    from jsonschema.exceptions import best_match

    try:
        card = json.loads(content)
    except ValueError as error:
        raise invalid(f"Content must be JSON: {error}") from error
    names: dict[str, str] = {}
    wrong = best_match(Draft7Validator(_schema()).iter_errors(_respelled(card, names)))
    if wrong is not None:
        path = ".".join(names.get(str(part), str(part)) for part in wrong.absolute_path)
        told = re.sub(r"'(\w+)'", lambda name: f"'{names.get(name[1], name[1])}'", wrong.message)
        raise invalid(f"Content does not fit the model card JSON schema: {path or 'it'}: {told}")


@functools.cache
def _schema() -> Mapping[str, Any]:
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER as SCHEMAS  # takes a second

    known = SCHEMAS.get_resource_schema("us-east-1", RESOURCE).schema["definitions"]
    return {"$ref": "#/definitions/Content", "definitions": known}


def _respelled(value: Any, names: dict[str, str]) -> Any:
    """A value with its members as CloudFormation spells them; `names` leads back."""
    if isinstance(value, list):
        return [_respelled(inner, names) for inner in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, inner in value.items():
        other = "".join(word[:1].upper() + word[1:] for word in name.split("_"))
        names[other] = name
        found[other] = _respelled(inner, names)
    return found


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
