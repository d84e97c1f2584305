"""The CI files: what their jobs may do, and about which stacks."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
CI = ROOT / ".ci"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
sys.path.insert(0, str(CI))  # its scripts import each other by name, as they do in CI

import touched  # noqa: E402


def loaded(path: Path) -> dict[str, Any]:
    found = YAML(typ="safe").load(path.read_text())
    assert isinstance(found, dict)
    return found


def jobs() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for path in WORKFLOWS:
        workflow = loaded(path)
        for name, job in workflow["jobs"].items():
            yield f"{path.stem}/{name}", workflow, job


JOBS = {name: (workflow, job) for name, workflow, job in jobs()}
every_job = pytest.mark.parametrize("name", JOBS)

WRITES = {
    "comment/comment": {"pull-requests"},
    "preview/preview": {"id-token"},
    "deploy/plan": {"id-token"},
    "deploy/deploy": {"id-token"},
    "acceptance/accept": {"id-token"},
    "drift/look": {"id-token"},
    "drift/issue": {"issues"},
}
"""What a job may write; every other job writes nothing."""


MINUTES = {"acceptance/accept": 240, "drills/drill": 240}
"""Of jobs that may take longer than others: one that is cut off leaves an environment behind."""


def permissions(workflow: dict[str, Any], job: dict[str, Any]) -> dict[str, str]:
    found = job.get("permissions", workflow["permissions"])
    assert isinstance(found, dict), "read-all and write-all are more than any job needs"
    return found


def triggers(workflow: dict[Any, Any]) -> dict[str, Any]:
    on = workflow.get("on", workflow.get(True))
    assert isinstance(on, dict)
    return on


@every_job
def test_a_job_may_write_only_what_it_is_for(name: str) -> None:
    given = permissions(*JOBS[name])
    assert {key for key, value in given.items() if value == "write"} == WRITES.get(name, set())
    assert set(given.values()) <= {"read", "write"}


@every_job
def test_a_job_ends_and_leaves_no_token_in_the_checkout(name: str) -> None:
    _, job = JOBS[name]
    assert job["timeout-minutes"] <= MINUTES.get(name, 120)
    checkouts = [s for s in job["steps"] if s.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_an_action_is_pinned_to_a_commit_with_its_version_beside(path: Path) -> None:
    used = re.findall(r"uses: (.*)", path.read_text())
    assert used
    for line in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_the_same_action_is_the_same_commit_everywhere() -> None:
    text = "".join(path.read_text() for path in WORKFLOWS)
    pins = {tuple(line.split("@")) for line in re.findall(r"uses: (.*)", text)}
    assert len(pins) == len({name for name, _ in pins})


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_workflow_runs_a_pull_requests_code_with_the_bases_rights(path: Path) -> None:
    assert "pull_request_target" not in triggers(loaded(path))
    assert not re.search(r"secrets[.\[]\w", path.read_text()), (
        "roles come by OIDC, the token by github.token"
    )


@every_job
def test_no_expression_is_pasted_into_a_script(name: str) -> None:
    """A branch called `$(curl ...)` would run: scripts get values as variables."""
    _, job = JOBS[name]
    assert [step["run"] for step in job["steps"] if "${{" in step.get("run", "")] == []


def test_a_pull_request_gets_a_token_only_behind_a_github_environment_and_from_no_fork() -> None:
    with_token = [
        name
        for name, (workflow, job) in JOBS.items()
        if "pull_request" in triggers(workflow) and "id-token" in permissions(workflow, job)
    ]
    assert with_token == ["preview/preview"]
    job = JOBS["preview/preview"][1]
    assert job["environment"] == "${{ matrix.env }}-preview"
    own = "github.event.pull_request.head.repo.full_name == github.repository"
    assert job["if"].split(" && ")[0] == own
    assert JOBS["preview/stacks"][1]["if"] == own


def test_the_job_that_comments_never_has_the_pull_requests_code() -> None:
    workflow, job = JOBS["comment/comment"]
    assert triggers(workflow) == {"workflow_run": {"workflows": ["review"], "types": ["completed"]}}
    [checkout] = [s for s in job["steps"] if s.get("uses", "").startswith("actions/checkout@")]
    assert checkout["with"]["ref"] == "${{ github.event.repository.default_branch }}"
    assert [step["run"] for step in job["steps"] if "run" in step] == ["python3 .ci/comment.py"]


@pytest.mark.parametrize("name", ["review/stacks", "review/review"])
def test_an_untrusted_review_runs_the_code_of_the_base(name: str) -> None:
    workflow, job = JOBS[name]
    assert permissions(workflow, job) == {"contents": "read"}
    refs = {s["with"]["path"]: s["with"].get("ref") for s in job["steps"] if "with" in s
            if "persist-credentials" in s["with"]}  # fmt: skip
    assert refs == {"trusted": "${{ github.event.pull_request.base.sha }}", "change": None}
    programs = re.findall(r"\S*\.ci/\S+", "\n".join(s["run"] for s in job["steps"] if "run" in s))
    assert [program for program in programs if "trusted/" not in program] == []
    wanted = ["trusted/.ci/review", "trusted/.ci/verdict.py"] if name == "review/review" else 1
    assert programs == wanted or len(programs) == wanted


def test_the_untrusted_review_runs_in_the_sandbox() -> None:
    assert 'plinth" sandbox --repository' in (CI / "review").read_text()


def test_a_deployment_is_what_was_reviewed_and_waits_for_its_risk_classes() -> None:
    approve, deploy = JOBS["deploy/approve"][1], JOBS["deploy/deploy"][1]
    assert approve["environment"] == "${{ matrix.gate }}"
    assert approve["strategy"]["matrix"] == {"gate": "${{ fromJSON(needs.plan.outputs.gates) }}"}
    assert deploy["needs"] == ["stacks", "plan", "approve"]
    branch = "github.ref == format('refs/heads/{0}', github.event.repository.default_branch)"
    assert JOBS["deploy/stacks"][1]["if"] == branch, "a tag may have the branch's name"
    assert deploy["environment"] == "${{ matrix.stack }}", "the one that the layer's role trusts"
    runs = [step["run"] for step in deploy["steps"] if "run" in step]
    assert '.venv/bin/plinth up "$STACK" --plan plan.json' in runs


def test_stacks_are_deployed_one_by_one_and_two_workloads_at_the_same_time() -> None:
    workflow, deploy = JOBS["deploy/deploy"]
    assert "concurrency" not in workflow
    assert deploy["concurrency"] == {
        "group": "deploy-${{ matrix.stack }}", "cancel-in-progress": False,
    }  # fmt: skip
    assert deploy["strategy"]["max-parallel"] == 1, "in the order of the layers"
    assert deploy["strategy"].get("fail-fast", True), "nothing on top of what failed"


def commands() -> set[str]:
    files = [*WORKFLOWS, ROOT / ".gitlab-ci.yml", *(p for p in CI.iterdir() if p.is_file())]
    text = "\n".join(path.read_text() for path in files if not path.name.endswith(".py"))
    text = text.replace("\\\n", " ")
    return set(re.findall(r"(?:\.venv/bin/plinth\"?|-- +plinth) (\w+ .*)", text))


def options(name: str) -> set[str]:
    from stacks.cli import cli

    return {flag for item in cli.commands[name].params for flag in item.opts}


@pytest.mark.parametrize("line", sorted(commands()))
def test_a_command_of_the_ci_files_exists_with_its_options(line: str) -> None:
    name, *words = line.partition(" -- ")[0].split()
    assert {word for word in words if word.startswith("--")} - options(name) == set()


TOUCHED = "${{ fromJSON(needs.stacks.outputs.stacks) }}"


@pytest.mark.parametrize(
    ("name", "matrix", "says"),
    [
        ("review", {"stack": TOUCHED}, "touched.py HEAD^1)"),
        ("preview", {"include": TOUCHED}, "touched.py HEAD^1 --environments)"),
        ("drift", {"include": TOUCHED}, "touched.py --environments)"),
        ("deploy", {"stack": TOUCHED}, 'touched.py --of "$NAME")'),
    ],
)
def test_a_matrix_is_over_the_stacks_that_the_job_is_about(
    name: str, matrix: dict[str, str], says: str
) -> None:
    job = "look" if name == "drift" else name
    assert JOBS[f"{name}/{job}"][1]["strategy"]["matrix"] == matrix
    [run] = [step["run"] for step in JOBS[f"{name}/stacks"][1]["steps"] if "run" in step]
    first, *_ = run.splitlines()
    assert first.startswith("stacks=$(python3 "), "a script that fails must fail the step"
    assert first.endswith(says)


def test_gitlab_knows_every_stack_of_an_account() -> None:
    rows = loaded(ROOT / ".gitlab-ci.yml")[".stacks"]["parallel"]["matrix"]
    shown = {f"{row['ENV']}.{layer}" for row in rows for layer in row["LAYER"]}
    assert shown == {str(stack) for stack in touched.known(ROOT)}, "run `make docs`"


def test_gitlab_gives_a_token_to_no_job_of_a_merge_request() -> None:
    found = loaded(ROOT / ".gitlab-ci.yml")
    jobs = {name: job for name, job in found.items() if isinstance(job, dict)}
    with_token = {name for name, job in jobs.items() if ".aws" in job.get("extends", ())}
    assert with_token == {"plan", "deploy", "drift"}
    assert all("environment" in found[name] for name in with_token)
    assert "merge_request" not in str([found[name]["rules"] for name in with_token])


def test_every_script_is_executable_and_parses() -> None:
    for path in CI.iterdir():
        if path.suffix == "" and path.is_file():
            assert path.stat().st_mode & stat.S_IXUSR
            assert subprocess.run(["bash", "-n", path], check=False).returncode == 0
    assert "exit 2" in (CI / "review").read_text()
    done = subprocess.run(
        [CI / "review", "dev.weather;id", ".", "out"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "dev.weather;id" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("plinth", "code", "left"),
    [
        ("touch $(for w in $*; do case $w in */*.*) echo $w; esac; done); exit 0", 0, 3),
        ("echo 1 > $out/comment.md; exit 1", 0, 1),  # blocked
        ("echo 1 > $out/report.json; exit 1", 1, 1),  # broken half way
        ("exit 1", 1, 0),
    ],
)
def test_a_blocked_review_is_a_review_and_a_broken_one_is_not(
    plinth: str, code: int, left: int, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for name, text in ((".ci/review", (CI / "review").read_text()),
                       (".venv/bin/plinth", f"#!/bin/bash\nout={out}\n{plinth}\n")):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
        path.chmod(0o755)
    out.mkdir()
    (out / "comment.md").write_text("of yesterday")
    done = subprocess.run(
        [tmp_path / ".ci/review", "dev.weather", tmp_path, out], capture_output=True, check=False
    )
    assert (done.returncode, len(list(out.iterdir()))) == (code, left)


def test_one_run_writes_every_format(tmp_path: Path) -> None:
    from stacks.cli import main

    urn = "urn:pulumi:dev.weather::plinth::aws:sns/topic:Topic::news"
    step = {"op": "create", "urn": urn, "newState": {"inputs": {"name": "news"}}}
    digest = tmp_path / "digest.json"
    digest.write_text(json.dumps({"steps": [step]}))
    names = ("comment.md", "report.json", "report.html", "report.sarif")
    files = [word for name in names for word in ("--output", str(tmp_path / name))]
    with pytest.raises(SystemExit):
        main(["review", "dev.weather", "--digest", str(digest), *files])
    assert json.loads((tmp_path / "report.json").read_text())["tally"]["create"] == 1
    assert json.loads((tmp_path / "report.sarif").read_text())["runs"]
    assert "**1** create" in (tmp_path / "comment.md").read_text()
    assert "<!doctype html>" in (tmp_path / "report.html").read_text()
    with pytest.raises(SystemExit) as refused:
        main(
            [
                "review",
                "dev.weather",
                "--digest",
                str(digest),
                "--output",
                str(tmp_path / "report.pdf"),
            ]
        )
    assert refused.value.code == 2


def test_the_oldest_python_is_the_same_one_wherever_it_is_named() -> None:
    """`.ci/ordinary_user` takes it from pyproject.toml, so that what is promised is what runs."""
    named = re.compile(r'^requires-python = ">=([\d.]+)"', re.MULTILINE)
    [oldest] = named.findall((ROOT / "pyproject.toml").read_text())
    assert oldest.count(".") == 2, "a patch version: another is another Python"
    named_in = {"README.md": "", "Makefile": "must be ", "stacks/targets/machine.py": ""}
    for name, must_be in named_in.items():
        assert f"Python {must_be}{oldest} or newer" in (ROOT / name).read_text(), name
    compared = f"sys.version_info {{}} ({oldest.replace('.', ', ')})"
    assert compared.format("<") in (ROOT / "Makefile").read_text()
    assert compared.format(">=") in (ROOT / "stacks/targets/machine.py").read_text()
    container = loaded(ROOT / ".github/workflows/test.yml")["jobs"]["oldest"]["container"]
    assert container.startswith(f"python:{oldest}-")
