"""A review of what the real engine says: the digest and the event stream of one preview."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.automation.events import EngineEvent
from pulumi.runtime.proto import provider_pb2

from policies.config import PolicyConfig
from policies.data import UNKNOWN
from policies.offline import evaluate
from policies.review.digest import of_digest, read
from policies.review.model import StackChange
from policies.review.parts.order import FIRST, THEN
from policies.review.report import Context, Report, review
from stacks.targets.engine import Stack
from tests.kits.each import each
from tests.kits.echo_provider import EchoProvider, echo_provider
from tests.kits.review import JUDGES, TODAY

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
CONFIG = PolicyConfig(production=True, required_tags=("team",))

PROGRAM = """
import os
import pulumi
import pulumi_aws as aws

later = os.environ["SIDE"] == "later"
tags = {"team": "b" if later else "a"}
key = aws.kms.Key("key", enable_key_rotation=not later, tags=tags)
if not later:
    aws.sqs.Queue("goes", name="goes", kms_master_key_id=key.arn)
jobs = aws.sqs.Queue("jobs", name="new" if later else "old", kms_master_key_id=key.arn, tags=tags)
aws.s3.Bucket("data", bucket="data", tags=tags, opts=pulumi.ResourceOptions(protect=not later))
aws.s3.Bucket("same", bucket="same")
first = pulumi.ResourceOptions(delete_before_replace=True)
aws.sqs.Queue("gap", name="gap-b" if later else "gap-a", opts=first)
if later:
    aws.sns.Topic("comes", name="comes")
pulumi.export("arn", jobs.arn)
pulumi.export("word", "two" if later else "one")
if not later:
    pulumi.export("gone", "x")
if os.environ.get("BROKEN"):
    raise ValueError("the program ends here")
"""


def diff(provider: EchoProvider, request: Any, context: Any) -> Any:
    """Names cannot change in place, as of most resources."""
    old, new = (json_format.MessageToDict(side) for side in (request.old_inputs, request.news))
    kinds = provider_pb2.PropertyDiff
    found = {}
    for key in sorted(name for name in {*old, *new} if not name.startswith("__")):
        if old.get(key) != new.get(key):
            kind = "ADD" if key not in old else "DELETE" if key not in new else "UPDATE"
            kind += "_REPLACE" if key == "name" else ""
            found[key] = kinds(kind=kinds.Kind.Value(kind), inputDiff=True)
    answer = provider_pb2.DiffResponse
    return answer(
        changes=answer.DIFF_SOME if found else answer.DIFF_NONE,
        detailedDiff=found,
        hasDetailedDiff=True,
        replaces=[key for key in found if key == "name"],
        diffs=list(found),
    )


def update(provider: EchoProvider, request: Any, context: Any) -> Any:
    outputs = struct_pb2.Struct()
    outputs.CopyFrom(request.olds)
    outputs.update(request.news)
    return provider_pb2.UpdateResponse(properties=outputs)


@dataclass(frozen=True)
class Project:
    """A program of its own under the CLI, as anybody's project is."""

    folder: Path
    cli: Path
    environment: dict[str, str]

    def pulumi(self, *arguments: str, **variables: str) -> str:
        done = subprocess.run(
            [str(self.cli), *arguments, "--non-interactive"],
            cwd=self.folder,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0 or "BROKEN" in variables, done.stdout + done.stderr
        return done.stdout

    def preview(self, *arguments: str, **variables: str) -> tuple[str, str]:
        """What one preview says as a digest, and as the events of the same run."""
        events = self.folder / "events.jsonl"
        events.unlink(missing_ok=True)
        digest = self.pulumi(
            *("preview", "--json", "--show-sames", "--event-log", str(events), *arguments),
            **{"SIDE": "later", **variables},
        )
        return digest, events.read_text()


@pytest.fixture(scope="module")
def project(pulumi_cli: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    from stacks.toolchain import pulumi as toolchain

    folder = tmp_path_factory.mktemp("project")
    host = toolchain.ensure_language_host(print)
    (folder / "Pulumi.yaml").write_text("name: plinth\nruntime: python\n")
    (folder / "__main__.py").write_text(PROGRAM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EchoProvider, "Diff", diff)
        patch.setattr(EchoProvider, "Update", update, raising=False)
        with echo_provider() as (_, port):
            python = ROOT / ".venv" / "bin"
            environment = {
                **os.environ,
                "PATH": os.pathsep.join([str(host), str(python), os.environ["PATH"]]),
                "PULUMI_HOME": str(folder / "home"),
                "PULUMI_BACKEND_URL": folder.as_uri(),
                "PULUMI_CONFIG_PASSPHRASE": "",
                "PULUMI_SKIP_UPDATE_CHECK": "true",
                "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
                "PULUMI_DEBUG_COMMANDS": "true",  # the flag --event-log hides behind it
                "PULUMI_DEBUG_PROVIDERS": f"aws:{port}",
            }
            made = Project(folder, pulumi_cli, environment)
            made.pulumi("stack", "init", "prod")
            made.pulumi("up", "--yes", "--skip-preview", SIDE="now")
            yield made


@pytest.fixture(scope="module")
def both(project: Project) -> tuple[StackChange, StackChange]:
    digest, events = project.preview()
    return read(digest), read(events)


def reviewed(change: StackChange) -> Report:
    before, after = (
        evaluate(side, CONFIG, rules=JUDGES, today=TODAY)
        for side in (change.before(), change.after())
    )
    context = Context(config=CONFIG, today=TODAY, findings_before=before, findings_after=after)
    return review(change, context, (*FIRST, *THEN))


def bare(change: StackChange) -> StackChange:
    """Without what an event stream lacks, and what a digest lacks."""

    def side(resource: Any) -> Any:
        return resource and replace(resource, dependencies={}, source=None)

    changes = [replace(item, old=side(item.old), new=side(item.new)) for item in change.changes]
    return replace(change, changes=changes, outputs_after=None, warnings=(), origin="event stream")


def test_the_digest_and_the_events_of_a_preview_are_one_change(
    both: tuple[StackChange, StackChange],
) -> None:
    digest, events = map(bare, both)
    assert digest.changes == events.changes
    assert reviewed(digest) == reviewed(events)


def test_a_preview_by_the_engine_is_read_as_what_it_would_do(
    both: tuple[StackChange, StackChange],
) -> None:
    for change in both:
        found = {item.name: item.operation for item in change.changes}
        assert found == {
            **{"key": "update", "goes": "delete", "jobs": "replace", "data": "update"},
            **{"same": "same", "comes": "create", "gap": "replace"},
        }
        assert [item.name for item in change.changes if item.delete_first] == ["gap"]
        [forced] = next(item for item in change.changes if item.name == "jobs").forced_by
        assert (forced.path, forced.old, forced.new) == ("name", "old", "new")


def test_a_digest_of_what_changes_alone_says_that_it_is_not_the_whole_stack(
    project: Project, both: tuple[StackChange, StackChange]
) -> None:
    change = read(project.pulumi("preview", "--json", SIDE="later"))
    assert not {"same", "data"} <= {item.name for item in change.changes}
    [warning] = change.warnings
    assert warning.startswith("the digest leaves out ")
    assert list(both[0].warnings) == []


def test_protection_that_goes_alone_is_seen_though_the_engine_calls_it_the_same(
    project: Project,
) -> None:
    program = project.folder / "__main__.py"
    program.write_text(PROGRAM.replace('later = os.environ["SIDE"] == "later"', "later = False")
                       .replace("protect=not later", "protect=False"))  # fmt: skip
    try:
        for text in each(project.preview()):
            report = reviewed(read(text))
            assert [(r.rule, r.message) for r in report.reasons if r.rule == "RV-002"] == [
                ("RV-002", "data is guarded less: protect")
            ]
    finally:
        program.write_text(PROGRAM)


def test_only_the_events_tell_what_the_stack_exports(
    both: tuple[StackChange, StackChange],
) -> None:
    digest, events = map(reviewed, both)
    assert [r.message.partition(";")[0] for r in events.reasons if r.rule == "RV-016"] == [
        "output gone goes",
        "output arn may change",
        "output word changes",
    ]
    section = digest.section("outputs")
    assert section and "a digest does not tell" in section.notes[0]


@pytest.mark.parametrize("option", ["--exclude=**comes", "--target=**jobs"])
def test_a_part_of_a_preview_says_that_it_is_one(project: Project, option: str) -> None:
    for text in each(project.preview(option)):
        change = read(text)
        assert [urn.rpartition("::")[2] for urn in change.skipped] == ["comes"]
        messages = [r.message for r in reviewed(change).reasons if r.rule == "RV-008"]
        assert "--target or --exclude is in use" in messages[0]


def test_a_preview_that_failed_is_never_safe(project: Project) -> None:
    for text in each(project.preview(SIDE="now", BROKEN="yes")):
        report = reviewed(read(text))
        assert report.decision == "blocked"
        assert "the preview did not finish" in report.reasons[0].message


def test_a_preview_through_the_automation_api_tells_what_the_stack_exports(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `plinth review local` reads one: from the events, put together as a digest has them."""
    lines = project.preview()[1].splitlines()

    class Recorded:
        def preview(self, *, on_event: Callable[[EngineEvent], None], **options: Any) -> None:
            for line in lines:
                on_event(EngineEvent.from_json(json.loads(line)))

    monkeypatch.setattr(Stack, "_select", lambda self, program: Recorded())
    stack = Stack(name="prod.cluster", pulumi_root=None, pulumi_home=None, environment={},
                  secrets_provider="", policy_pack=None)  # fmt: skip
    steps = stack.run("preview", lambda: None, lambda number, name: None).steps
    change = of_digest({"steps": steps})
    assert change.outputs_before == {"arn": ANY, "gone": "x", "word": "one"}
    assert change.outputs_after == {"arn": UNKNOWN, "word": "two"}
    assert {item.name for item in change.changes} == {item.name for item in read(
        "\n".join(lines)).changes}  # fmt: skip
