"""The nightly look for drift, with the real engine: what it leaves for people and for a review."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2

from policies.review.drift import drift
from tests.kits.echo_provider import EchoProvider, echo_provider

ROOT = Path(__file__).parents[2]
PROVIDER = "urn:pulumi:prod.weather::plinth::pulumi:providers:aws::default"
QUEUE = "urn:pulumi:prod.weather::plinth::aws:sqs/queue:Queue::"
RESOURCES = [
    {"urn": PROVIDER, "type": "pulumi:providers:aws", "id": "1", "custom": True,
     "inputs": {"version": "7.51.1"}, "outputs": {"version": "7.51.1"}},
    *({"urn": QUEUE + name, "type": "aws:sqs/queue:Queue", "id": name, "custom": True,
       "provider": f"{PROVIDER}::1", "inputs": {"name": name}, "outputs": {"name": name}}
      for name in ("moved", "gone", "same")),
]  # fmt: skip


def read(provider: EchoProvider, request: Any, context: Any) -> Any:
    """Somebody renamed one queue and deleted another."""
    changes = os.environ.get("DRIFTED")
    if changes and request.id == "gone":
        return provider_pb2.ReadResponse()
    answer = provider_pb2.ReadResponse(id=request.id)
    answer.inputs.CopyFrom(request.inputs)
    answer.properties.CopyFrom(request.properties)
    if changes and request.id == "moved":
        answer.inputs["name"] = answer.properties["name"] = "by hand"
    return answer


def diff(provider: EchoProvider, request: Any, context: Any) -> Any:
    answer = provider_pb2.DiffResponse
    if request.old_inputs == request.news:
        return answer(changes=answer.DIFF_NONE)
    return answer(changes=answer.DIFF_SOME, diffs=["name"])


@dataclass(frozen=True)
class Nightly:
    """A stack with three queues, and what runs at night."""

    folder: Path
    environment: dict[str, str]

    def look(self, stack: str = "prod.weather") -> subprocess.CompletedProcess[str]:
        command = [str(ROOT / ".ci" / "drifted"), stack, "drift"]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    def left(self, name: str) -> str | None:
        path = self.folder / "drift" / name
        return path.read_text() if path.exists() else None


@pytest.fixture
def nightly(pulumi_cli: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nightly]:
    monkeypatch.setattr(EchoProvider, "Read", read, raising=False)
    monkeypatch.setattr(EchoProvider, "Diff", diff)
    (tmp_path / "Pulumi.yaml").write_text("name: plinth\nruntime: python\n")
    with echo_provider() as (_, port):
        environment = {
            **os.environ,
            "PATH": f"{pulumi_cli.parent}:{os.environ['PATH']}",
            "PULUMI_HOME": str(tmp_path / "home"),
            "PULUMI_BACKEND_URL": tmp_path.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_DEBUG_PROVIDERS": f"aws:{port}",
        }
        made = {"resources": RESOURCES, "manifest": {"time": "2026-01-01T00:00:00Z"}}
        state = json.dumps({"version": 3, "deployment": made})
        for words, text in (("stack init prod.weather", ""), ("stack import --force", state)):
            subprocess.run(
                ["pulumi", *words.split(), "--non-interactive"],
                cwd=tmp_path, env=environment, input=text, text=True, capture_output=True,
                check=True,
            )  # fmt: skip
        yield Nightly(tmp_path, environment)


@pytest.mark.engine
def test_what_drifted_is_left_for_people_and_for_a_review(
    nightly: Nightly, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTED", "yes")
    done = nightly.look()
    assert done.returncode == 0, done.stdout + done.stderr
    said, events = nightly.left("prod.weather.txt"), nightly.left("prod.weather.events")
    assert said and "by hand" in said
    assert events and drift(events) == [QUEUE + "gone", QUEUE + "moved"]


@pytest.mark.engine
def test_where_nothing_drifted_both_say_so(nightly: Nightly) -> None:
    done = nightly.look()
    assert done.returncode == 0, done.stdout + done.stderr
    assert nightly.left("prod.weather.txt") == ""
    events = nightly.left("prod.weather.events")
    assert events and drift(events) == []


@pytest.mark.engine
def test_what_could_not_be_looked_at_leaves_nothing_that_says_it_was(nightly: Nightly) -> None:
    nightly.look()
    (nightly.folder / "drift" / "prod.absent.txt").write_text("of yesterday")
    assert nightly.look("prod.absent").returncode not in (0, 7)
    assert (nightly.left("prod.absent.txt"), nightly.left("prod.absent.events")) == (None, None)
