"""A program run against mocks: what it registers, with no engine, cloud or credentials.

A synth is not a preview: it knows neither state nor account, so it can say what a stack consists
of and whether it passes the policies, not what an update would change.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pulumi
from google.protobuf import json_format
from pulumi.runtime import mocks, settings
from pulumi.runtime.sync_await import _ensure_event_loop

from policies.data import UNKNOWN, Data, Options, Resource, Source, plain
from stacks import contract
from stacks.paths import ROOT
from stacks.settings.load import dependencies, load
from stacks.settings.model import Settings
from stacks.stack_name import StackName

STACK = "pulumi:pulumi:Stack"
BASE = ROOT / "infra" / "component.py"
"""Makes grants for every component: the caller is who says something."""

MADE_BY_THE_CLOUD = ("id", "arn")
"""Outputs that no program can know: unknown in a preview, made up in an update."""


DEFAULTS = asdict(Options())


def synthesize(
    stack: StackName,
    chosen: Settings,
    definitions: Mapping[str, str],
    offered: contract.Source = contract.stand_in,
) -> list[Resource]:
    """Every cloud resource that the stack's program registers, in a stable order.

    What the stacks below invent is not known without them: stand-ins take its place.
    """
    from stacks.program import deploy

    def program() -> None:
        deploy(stack, chosen, definitions, offered=offered)

    seen = recorded(program, stack=str(stack))
    found = [item for item in seen if item.type.startswith(("aws:", "kubernetes:"))]
    return sorted(found, key=lambda resource: resource.urn)


def synth_of(stack: StackName) -> list[Resource]:
    """The synth of a stack as its files and packages say now."""
    from stacks.definitions import definitions

    chosen = load(stack)
    return synthesize(stack, chosen, definitions(chosen))


def to_json(resources: Sequence[Resource]) -> str:
    """Resources of a synth as text that `of_json` reads back, in this process or another.

    Their outputs are their inputs and what the cloud makes, so only the latter is written again.
    """
    return json.dumps(
        [
            {
                "type": item.type,
                "name": item.name,
                "urn": item.urn,
                "inputs": item.inputs.value,
                "outputs": {
                    key: value
                    for key, value in item.outputs.value.items()
                    if key not in item.inputs.value or item.inputs.value[key] is not value
                },
                "options": _options_asked(item.options),
                "provider": item.provider.value,
                "parent": item.parent,
                "dependencies": item.dependencies,
                "source": asdict(item.source) if item.source else None,
            }
            for item in resources
        ],
        sort_keys=True,
    )


def _options_asked(options: Options) -> dict[str, Any]:
    """Those that are not what they are by default."""
    return {key: value for key, value in asdict(options).items() if value != DEFAULTS[key]}


def of_json(text: str) -> list[Resource]:
    """The resources of `to_json`."""
    return [
        Resource(
            type=item["type"],
            name=item["name"],
            urn=item["urn"],
            inputs=Data(item["inputs"]),
            outputs=Data({**item["inputs"], **item["outputs"]}),
            options=_options_of(item["options"]),
            provider=Data(item["provider"], "provider"),
            parent=item["parent"],
            dependencies={key: tuple(urns) for key, urns in item["dependencies"].items()},
            source=Source(**item["source"]) if item["source"] else None,
        )
        for item in json.loads(text)
    ]


def _options_of(raw: dict[str, Any]) -> Options:
    for key, value in raw.items():
        if isinstance(value, list):
            raw[key] = tuple(value)
    return Options(**raw)


def stand_ins(stack: StackName) -> int:
    """How many values of a synth of this stack only the stacks below it know."""
    below = dependencies(stack)
    return sum(contract.stand_ins(contract.stand_in(other)) for other in below)


def main(argv: Sequence[str]) -> None:
    """Print the synth of each stack as a line of JSON: for a review that compares two commits."""
    for name in argv:
        print(to_json(synth_of(StackName.parse(name))))  # noqa: T201 # another process reads it


def recorded(
    program: Callable[[], Any], *, stack: str = "test", preview: bool = False
) -> list[Resource]:
    """The resources that a program registers, by URN; with `preview`, outputs are unknown."""
    monitor = _Recorder(stack, preview)
    # the mocks keep the root of the program before, with its transformations and their provider
    settings.set_root_resource(None)  # type: ignore[arg-type] # as it is before a first program

    def run() -> None:
        program()

    # `asyncio.run` leaves its thread without one, and `set_mocks` needs one
    _ensure_event_loop()  # type: ignore[no-untyped-call] # the SDK's own gap
    mocks.set_mocks(_Outputs(preview), "plinth", stack, preview=preview, monitor=monitor)
    pulumi.runtime.test(run)()  # type: ignore[no-untyped-call] # the SDK's own gap
    return sorted(monitor.seen, key=lambda resource: resource.urn)


class _Outputs(mocks.Mocks):
    def __init__(self, preview: bool) -> None:
        self._preview = preview

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], None]:
        return dict(args.args), None

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        inputs = dict(args.inputs)
        if isinstance(inputs.get("policy"), dict):
            del inputs["policy"]  # the provider would answer with JSON text
        if self._preview:
            return "", inputs
        return args.name, {"arn": f"arn:aws:mock:::{args.name}", **inputs}


class _Recorder(mocks.MockMonitor):
    """The mock monitor, listening: it keeps each request's inputs, options and dependencies."""

    def __init__(self, stack: str, preview: bool) -> None:
        super().__init__(_Outputs(preview))
        self._stack = stack
        self._preview = preview
        self._providers: dict[str, Any] = {}
        self.seen: list[Resource] = []

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """As the engine does: all types above, but for the stack."""
        above = parent.split("::")[2] if parent else STACK
        qualified = type_ if above == STACK else f"{above}${type_}"
        return f"urn:pulumi:{self._stack}::plinth::{qualified}::{name}"

    def RegisterResource(self, request: Any) -> Any:
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type == STACK:
            return response
        inputs = plain(json_format.MessageToDict(request.object))
        if request.type.startswith("pulumi:providers:"):
            self._providers[response.urn] = inputs
        made = {
            key: UNKNOWN if self._preview else value
            for key, value in zip(
                MADE_BY_THE_CLOUD, (request.name, f"arn:aws:mock:::{request.name}"), strict=True
            )
        }
        self.seen.append(
            Resource(
                type=request.type,
                name=request.name,
                urn=response.urn,
                inputs=Data(inputs),
                outputs=Data({**made, **inputs}),
                options=_options(request),
                provider=Data(self._providers.get(_provider_urn(request), {}), "provider"),
                parent=request.parent or None,
                dependencies={
                    key: tuple(sorted(found.urns))
                    for key, found in request.propertyDependencies.items()
                },
                source=_source(request),
            )
        )
        return response


def _options(request: Any) -> Options:
    return Options(
        protect=request.protect,
        retain_on_delete=request.retainOnDelete,
        ignore_changes=tuple(request.ignoreChanges),
        delete_before_replace=request.deleteBeforeReplace,
        depends_on=tuple(sorted(request.dependencies)),
    )


def _source(request: Any) -> Source | None:
    """The innermost stack frame of this repository, as the SDK sends it to the engine."""
    for frame in request.stackTrace.frames:
        path = Path(unquote(frame.pc.uri.removeprefix("file://")))
        if path.is_relative_to(ROOT) and "site-packages" not in path.parts and path != BASE:
            return Source(str(path.relative_to(ROOT)), frame.pc.line)
    return None


def _provider_urn(request: Any) -> str:
    reference: str = request.provider
    return reference.rpartition("::")[0]


if __name__ == "__main__":
    main(sys.argv[1:])
