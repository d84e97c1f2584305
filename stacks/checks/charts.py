"""Pins: every Helm chart has one exact version, and that version exists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from policies.data import Resource
from stacks.checks.check import (
    CheckResult,
    Platform,
    Unanswered,
    Unknowable,
    attempt,
    failed,
    passed,
    unknown,
)

CHARTS = "charts"
RELEASE = "kubernetes:helm.sh/v3:Release"

EXACT = re.compile(r"v?\d+\.\d+\.\d+([-+.][0-9A-Za-z.+-]+)?")
"""One version, no range (semver.org)."""

MANIFEST = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
PAGES = 50
"""Of a registry's tags; more than any chart has."""


def check_charts(platform: Platform) -> Iterator[CheckResult]:
    """Helm releases pin one exact chart version that their repository has."""
    for release in platform.of_type(RELEASE):
        version = release.inputs.get("version")
        subject = f"{release.name} ({release.inputs.get('chart')})"
        if version is None or not EXACT.fullmatch(str(version)):
            yield failed(
                CHARTS,
                subject,
                f"must pin one exact version, got {version!r}",
                "pin it in the environment's file",
            )
            continue
        there = attempt(lambda release=release: _in_repository(platform, release))  # type: ignore[misc]
        if isinstance(there, Unanswered):
            yield unknown(CHARTS, subject, f"pinned to {version}; {there.reason}")
        elif there:
            yield passed(CHARTS, subject, f"{version} is in its repository")
        else:
            yield failed(
                CHARTS,
                subject,
                f"must be a version that the repository has, got {version}",
                "pin one that exists",
            )


def _in_repository(platform: Platform, release: Resource) -> bool:
    chart, version = str(release.inputs.get("chart")), str(release.inputs.get("version"))
    if chart.startswith("oci://"):
        url = _in_registry(chart, f"manifests/{version.replace('+', '_')}")
        status, _, _ = _asked(platform, url, MANIFEST)
        if status not in (200, 404):
            raise Unknowable(f"{urlsplit(url).netloc} answered with status {status}")
        return status == 200
    pattern = rf"^\s+version: ['\"]?{re.escape(version)}['\"]?\s*$"
    return re.search(pattern, _index(platform, release), re.M) is not None


def chart_versions(platform: Platform, release: Resource) -> list[str]:
    """Every version of a release's chart that its repository has, in the repository's order.

    Unknowable where it does not answer (Helm, chart repository guide; OCI distribution
    specification, listing tags).
    """
    chart = str(release.inputs.get("chart"))
    if chart.startswith("oci://"):
        return [tag.replace("_", "+") for tag in _tags(platform, chart)]
    from ruamel.yaml import YAML

    entries = YAML(typ="safe").load(_index(platform, release))["entries"]
    return [str(one["version"]) for one in entries.get(chart, [])]


def _index(platform: Platform, release: Resource) -> str:
    repository = release.inputs.get("repositoryOpts", "repo")
    if not repository:
        raise Unknowable("the chart names no repository")
    status, _, body = platform.fetch(f"{repository.rstrip('/')}/index.yaml", {})
    if status != 200:
        raise Unknowable(f"its repository answered with status {status}")
    return body.decode()


def _tags(platform: Platform, chart: str) -> Iterator[str]:
    url: str | None = _in_registry(chart, "tags/list")
    for _ in range(PAGES):
        if url is None:
            return
        status, headers, body = _asked(platform, url, {})
        if status != 200:
            raise Unknowable(f"{urlsplit(url).netloc} answered with status {status}")
        yield from json.loads(body)["tags"]
        further = re.match(r"<([^>]+)>", _header(headers, "link"))
        url = urljoin(url, further[1]) if further else None


def _in_registry(chart: str, what: str) -> str:
    host, _, path = chart.removeprefix("oci://").partition("/")
    return f"https://{host}/v2/{path}/{what}"


def _asked(
    platform: Platform, url: str, accept: Mapping[str, str]
) -> tuple[int, Mapping[str, str], bytes]:
    """An OCI registry's answer, with an anonymous token if it wants one."""
    answer = platform.fetch(url, accept)
    if answer[0] != 401:
        return answer
    token = _token(platform, answer[1])
    return platform.fetch(url, {**accept, "Authorization": f"Bearer {token}"})


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value for key, value in headers.items() if key.lower() == name), "")


def _token(platform: Platform, headers: Mapping[str, str]) -> str:
    """OCI distribution specification: the realm, service and scope of a challenge."""
    challenge = _header(headers, "www-authenticate")
    named = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = named.pop("realm", "")
    if urlsplit(realm).scheme != "https":
        raise Unknowable("its registry wants credentials")
    query = "&".join(f"{key}={value}" for key, value in named.items())
    status, _, body = platform.fetch(f"{realm}?{query}", {})
    if status != 200:
        raise Unknowable("its registry wants credentials")
    answer: dict[str, Any] = json.loads(body)
    return str(answer.get("token") or answer.get("access_token"))
