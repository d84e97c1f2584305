"""What the provider tests share: a cloud to make things in, subjects, a program to serve."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stacks.local.provider.aws.backend import AwsBackend
from stacks.local.provider.backend import Existing, Properties, Subject
from tests.stacks.local.provider_cases.case import Case, Ref
from tests.stacks.local.provider_cases.cases import CASES

REGION = "us-east-1"


def subject(token: str, name: str = "it", stack: str = "test") -> Subject:
    """A resource of a stack nobody has."""
    urn = f"urn:pulumi:{stack}::plinth::{token}::{name}"
    return Subject(urn=urn, token=token, name=name)


@dataclass
class Cloud:
    """A backend and what was made with it, so that references resolve and nothing stays."""

    backend: AwsBackend
    serve_path: str
    made: dict[str, Existing] = field(default_factory=dict)
    _kept: list[tuple[str, Existing]] = field(default_factory=list)

    def resolve(self, value: Any) -> Any:
        """Inputs with every reference replaced, making what is referred to."""
        if value == Ref("serve program"):
            return self.serve_path
        if isinstance(value, Ref):
            existing = self.need(value.token)
            return existing.id if value.output == "id" else existing.outputs[value.output]
        if isinstance(value, Mapping):
            return {key: self.resolve(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        return value

    def need(self, token: str) -> Existing:
        """The resource of this type, made on first use."""
        if token not in self.made:
            self.made[token] = self.keep(token, self.resolve(CASES[token].inputs))
        return self.made[token]

    def keep(self, token: str, inputs: Properties) -> Existing:
        """Make one more resource, which goes with the others."""
        existing = self.backend.create(subject(token), inputs)
        self._kept.append((token, existing))
        return existing

    def clear(self) -> None:
        """Delete what was made, last first."""
        while self._kept:
            token, existing = self._kept.pop()
            self.backend.delete(subject(token), existing.id, existing.inputs)
        self.made.clear()


SERVE = f"""#!{sys.executable}
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
"""A program `serve` that is always healthy."""


def serve_program(folder: Path) -> str:
    """A PATH on which `serve` is our own."""
    (folder / "serve").write_text(SERVE)
    (folder / "serve").chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def changed(case: Case, inputs: Properties, resolve: Any) -> Properties:
    """The inputs after the case's change."""
    kept = {name: value for name, value in inputs.items() if name not in case.drop}
    return {**kept, **resolve(case.change)}
