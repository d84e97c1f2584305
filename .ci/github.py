"""A little of GitHub's REST API, with the standard library alone: CI has nothing else yet."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE = 100
PAGES = 20
TIMEOUT_SECONDS = 30
BOT = "github-actions[bot]"
"""Who GITHUB_TOKEN writes as."""


@dataclass(frozen=True)
class GitHub:
    """One repository, by a token that may do what the job's `permissions` say."""

    api_url: str
    repository: str
    token: str

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One call about the repository; what it answers."""
        raw = self.read(method, path, None if body is None else json.dumps(body).encode())
        return json.loads(raw) if raw else None

    def read(
        self, method: str, path: str, body: bytes | None = None, limit_bytes: int = 16 << 20
    ) -> bytes:
        """One call about the repository; at most so much of the answer, or ValueError."""
        url = f"{self.api_url}/repos/{self.repository}{path}"
        request = urllib.request.Request(url, data=body, method=method)
        # not to whom a download is redirected
        request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        request.add_header("Accept", "application/vnd.github+json")
        request.add_header("X-GitHub-Api-Version", "2022-11-28")
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            raw: bytes = response.read(limit_bytes + 1)
        if len(raw) > limit_bytes:
            raise ValueError(f"{path} must answer at most {limit_bytes} bytes, got more")
        return raw

    def all(self, path: str) -> Iterator[dict[str, Any]]:
        """Every item of a list, page by page."""
        separator = "&" if "?" in path else "?"
        for page in range(1, PAGES + 1):
            found = self.call("GET", f"{path}{separator}per_page={PAGE}&page={page}")
            yield from found
            if len(found) < PAGE:
                return


def of_environment() -> GitHub:
    """The repository and the token that the runner names."""
    variables = ("GITHUB_API_URL", "GITHUB_REPOSITORY", "GITHUB_TOKEN")
    missing = [name for name in variables if not os.environ.get(name)]
    if missing:
        raise SystemExit(f"this runs in GitHub Actions, got no {', '.join(missing)}")
    return GitHub(*(os.environ[name] for name in variables))


def event() -> dict[str, Any]:
    """What started the workflow, as GitHub wrote it and no pull request can."""
    found = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text())
    assert isinstance(found, dict)
    return found
