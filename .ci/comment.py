"""Post the reviews of a pull request that an untrusted job rendered: one comment per stack.

Runs on `workflow_run`, with the code of the default branch and a token that may write comments.
Nothing that the pull request made is believed: which pull request it is and which files it changes
comes from GitHub, the stacks from the default branch, and the text is cut to size and disarmed.
"""

from __future__ import annotations

import io
import re
import sys
import zipfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import touched
from github import BOT, PAGE, PAGES, GitHub, event, of_environment

ROOT = Path(__file__).resolve().parents[1]
PROJECT = "plinth"
COMMENT = "comment.md"
MISSING = "The job left no review: its log says why. **Nothing is known about this change.**\n"
ENDED = ("success", "failure", "timed_out")
"""A run with another conclusion never started or was called off: a later one will say."""

NEW_STACKS = 20
"""At most so many stacks that a pull request adds get a comment."""

ARCHIVE_BYTES = 8 << 20
COMMENT_BYTES = 60_000
"""Below the 65,536 of a comment, for what disarming adds is cut again."""

TAGS = re.compile(r"</?(?:details|summary|b|sub)>")
"""The HTML that the renderer writes; everything else becomes text."""

TAG = re.compile(r"\A<!-- plinth-review [^\n]*-->\n")
"""The renderer's first line, for those who post its text as it is; here it would be shown."""

CHART = re.compile(
    r"^```mermaid\nflowchart LR\n"
    r'(?:  n\d+\["[\w ._+/?-]*"\]:::\w+\n|  n\d+ --> n\d+\n|  classDef \w+ [\w:,]+\n)+'
    r"```$",
    re.M,
)
"""A flowchart as the renderer draws it; another could link or ask for what it likes."""

FENCE = re.compile(r"(`{3,}|~{3,})[^`~\n]+")
"""What follows a fence names a language, and some are drawn: maps, solids, charts."""

DECISION = re.compile(r"^### \S+ [\w.&#;-]+: (blocked|needs review|safe|no change),", re.M)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
ARMED = {"@": "&#64;&#8203;", "](": "]&#40;", "![": "&#33;[", "://": "&#58;//", "www.": "www&#46;"}
"""Mentions, links, images and bare addresses, and what is written instead."""


def pull_request(github: GitHub, run: Mapping[str, Any]) -> dict[str, Any] | None:
    """The open pull request whose head is the commit that ran; None where it moved on.

    `workflow_run.pull_requests` is empty for forks, so GitHub is asked by the head's branch.
    """
    owner, branch = run["head_repository"]["owner"]["login"], run["head_branch"]
    head = quote(f"{owner}:{branch}", safe="")
    for found in github.all(f"/pulls?state=open&head={head}"):
        if found["head"]["sha"] == run["head_sha"]:
            return found
    return None


def files_of(github: GitHub, number: int) -> list[str]:
    """What a pull request changes; a file that moved counts twice."""
    found: list[str] = []
    for file in github.all(f"/pulls/{number}/files"):
        found += [file["filename"], *filter(None, [file.get("previous_filename")])]
    return found


def expected(files: Sequence[str], stacks: Sequence[touched.Stack]) -> list[str]:
    """The stacks that a review must be about: those of the default branch that are touched.

    GitHub lists so many files and no more; a change of more touches everything.
    """
    hit = stacks if len(files) >= PAGE * PAGES else touched.touched(files, stacks)
    return [str(stack) for stack in hit]


def added(files: Iterable[str], stacks: Sequence[touched.Stack]) -> list[str]:
    """Stacks that the pull request adds to an environment that the default branch has."""
    known, envs = {str(stack) for stack in stacks}, {stack.env for stack in stacks}
    named = (touched.STACK_FILE.fullmatch(file) for file in files)
    found = {f"{name['env']}.{name['layer']}" for name in named if name and name["env"] in envs}
    return sorted(found - known)[:NEW_STACKS]


def reviews(
    github: GitHub, run_id: int, allowed: Collection[str], missing: Iterable[str]
) -> dict[str, str]:
    """Stack -> the text of its review, from the artifacts of a run; or that one is missing."""
    found = dict.fromkeys(missing, MISSING)
    listed = github.call("GET", f"/actions/runs/{run_id}/artifacts?per_page=100")
    for artifact in listed["artifacts"]:
        stack = artifact["name"].removeprefix("review-")
        if artifact["name"] != f"review-{stack}" or stack not in allowed or artifact["expired"]:
            continue
        try:
            raw = github.read(
                "GET", f"/actions/artifacts/{artifact['id']}/zip", limit_bytes=ARCHIVE_BYTES
            )
            found[stack] = comment_of(raw)
        except (ValueError, zipfile.BadZipFile) as error:
            found[stack] = f"The review of {stack} cannot be shown: {disarmed(str(error))}\n"
    return {stack: found[stack] for stack in sorted(found)}


def comment_of(archive: bytes) -> str:
    """The comment in an artifact; ValueError says why it is not one."""
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        names = [item for item in files.infolist() if item.filename == COMMENT]
        if len(names) != 1:
            raise ValueError(f"the artifact must hold one {COMMENT}, got {len(names)}")
        if names[0].file_size > 2 * COMMENT_BYTES:
            raise ValueError(f"{COMMENT} must be short, got {names[0].file_size} bytes")
        with files.open(names[0]) as stream:
            raw = stream.read(2 * COMMENT_BYTES)
    return disarmed(TAG.sub("", raw.decode(errors="replace"), count=1))


def disarmed(text: str) -> str:
    """Markdown that mentions nobody, links nowhere, loads nothing and holds no hidden text."""
    text = CONTROL.sub("", text.replace("\r", ""))
    charts = CHART.findall(text)
    text = FENCE.sub(r"\1", CHART.sub("\0", text))
    kept = TAGS.findall(text)
    parts = [part.replace("<", "&lt;") for part in TAGS.split(text)]
    text = parts[0] + "".join(tag + part for tag, part in zip(kept, parts[1:], strict=True))
    for armed, harmless in ARMED.items():
        text = text.replace(armed, harmless)
    text = re.sub(r"(?<![&\w])#(?=\d)|\bGH-(?=\d)", "&#35;&#8203;", text)
    text = re.sub(r"^( {0,3}\[[^\]]*\]):", r"\1&#58;", text, flags=re.M)  # a link's definition
    for chart in charts:
        text = text.replace("\0", chart, 1)
    raw = text.encode()
    if len(raw) <= COMMENT_BYTES:
        return text
    return raw[:COMMENT_BYTES].decode(errors="ignore") + "\n\n(cut)\n"


def tag(stack: str) -> str:
    """The hidden first line by which a comment is found again."""
    return f"<!-- plinth-review {PROJECT}/{stack} -->"


def body(stack: str, text: str, sha: str) -> str:
    """A stack's comment, which says whose words these are."""
    return (
        f"{tag(stack)}\n{text}\n\n<sub>{stack} at {sha[:12]}. Written by the code of this pull "
        "request in a job without write access: read the change before you believe it.</sub>\n"
    )


def roll_up(texts: Mapping[str, str], sha: str) -> str:
    """One line per stack."""
    rows = []
    for stack, text in sorted(texts.items()):
        seen = DECISION.search(text)
        rows.append(f"| {stack} | {seen[1] if seen else 'cannot be read'} |")
    head = [tag("*"), f"### {len(texts)} stacks", "", "| stack | says |", "|---|---|"]
    return "\n".join([*head, *rows, "", f"<sub>at {sha[:12]}</sub>", ""])


def stick(github: GitHub, number: int, wanted: Mapping[str, str]) -> dict[str, str]:
    """Create or change our comments so that there is one per tag; what was done to each."""
    mine: dict[str, list[dict[str, Any]]] = {}
    for comment in github.all(f"/issues/{number}/comments"):
        first = (comment["body"] or "").partition("\n")[0].strip()
        if comment["user"]["login"] == BOT and first.startswith("<!-- plinth-review "):
            mine.setdefault(first, []).append(comment)
    done = {}
    for stack, text in wanted.items():
        old, *doubles = mine.pop(tag(stack), [None])
        done[stack] = _write(github, number, old, text)
        for double in doubles:
            github.call("DELETE", f"/issues/comments/{double['id']}")  # type: ignore[index]
    for left in (comment for comments in mine.values() for comment in comments):
        github.call("DELETE", f"/issues/comments/{left['id']}")
    return done


def _write(github: GitHub, number: int, old: dict[str, Any] | None, text: str) -> str:
    if old is None:
        github.call("POST", f"/issues/{number}/comments", {"body": text})
        return "created"
    if old["body"] == text:
        return "same"
    github.call("PATCH", f"/issues/comments/{old['id']}", {"body": text})
    return "changed"


def main(github: GitHub, run: Mapping[str, Any], root: Path = ROOT) -> str:
    """Comment on the pull request of a finished run; a sentence about what was done."""
    if run["event"] != "pull_request" or run["conclusion"] not in ENDED:
        return f"nothing to say about a run for {run['event']} that is {run['conclusion']}"
    found = pull_request(github, run)
    if found is None:
        return f"no open pull request is at {run['head_sha']}: it moved on"
    number, known = found["number"], touched.known(root)
    files = files_of(github, number)
    must, new = expected(files, known), added(files, known)
    allowed = {*map(str, known), *new}
    texts = reviews(github, run["id"], allowed, [*must, *new])
    wanted = {stack: body(stack, text, run["head_sha"]) for stack, text in texts.items()}
    if len(texts) > 1:
        wanted["*"] = roll_up(texts, run["head_sha"])
    done = stick(github, number, wanted)
    said = ", ".join(f"{stack} {what}" for stack, what in done.items())
    return f"#{number}: {said or 'no stack is touched'}"


if __name__ == "__main__":
    sys.stdout.write(main(of_environment(), event()["workflow_run"]) + "\n")
