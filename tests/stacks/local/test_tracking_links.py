"""The links by which a browser comes into the local MLflow, and the guard that takes them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from stacks.local.aws.sagemaker import tracking_links
from stacks.local.aws.sagemaker.tracking_guard import Guard, login

PORT, PASSWORD = 5000, "the password"


@dataclass
class Browser:
    """Asks a guard, in front of an application that answers 200."""

    guard: Guard
    cookies: dict[bytes, bytes] = field(default_factory=dict)

    def get(self, target: str, **headers: str) -> tuple[int, dict[bytes, bytes]]:
        path, _, query = target.partition("?")
        sent = {b"host": f"127.0.0.1:{PORT}".encode(), **self.cookies}
        sent |= {name.encode(): value.encode() for name, value in headers.items()}
        told: list[Mapping[str, Any]] = []

        async def send(message: Mapping[str, Any]) -> None:
            told.append(message)

        scope = {
            "type": "http",
            "path": path,
            "query_string": query.encode(),
            "headers": [*sent.items()],
        }
        asyncio.run(self.guard(scope, None, send))  # type: ignore[arg-type]
        return told[0]["status"], dict(told[0]["headers"])

    def follow(self, link: str) -> int:
        """Follow a link and keep the cookie."""
        status, headers = self.get(link)
        if b"set-cookie" in headers:
            self.cookies[b"cookie"] = headers[b"set-cookie"].partition(b";")[0]
        return status


async def served(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


@pytest.fixture
def browser() -> Browser:
    return Browser(Guard(application=served, port=PORT, user="plinth", password=PASSWORD))


def test_a_link_lets_in_once_and_its_session_goes_on(browser: Browser) -> None:
    link = tracking_links.link(PASSWORD, {})
    assert browser.get("/")[0] == 403
    assert browser.follow(link) == 302
    assert browser.get("/")[0] == 200
    assert Browser(browser.guard).follow(link) == 403


def test_the_password_still_lets_in(browser: Browser) -> None:
    assert browser.get("/", authorization=login("plinth", PASSWORD))[0] == 200
    assert browser.get("/", authorization=login("plinth", "word"))[0] == 403


@pytest.mark.parametrize(
    "link",
    [
        tracking_links.link("another password", {}),
        tracking_links.link(PASSWORD, {"ExpiresInSeconds": -1}),
        tracking_links.link(PASSWORD, {}).replace("/auth", "/other"),
        tracking_links.link(PASSWORD, {})[:-1],
        "/auth?authToken=nonsense",
        "/auth",
    ],
    ids=["foreign", "over", "elsewhere", "cut", "nonsense", "none"],
)
def test_nothing_else_lets_in(link: str, browser: Browser) -> None:
    assert browser.follow(link) == 403 and browser.cookies == {}


def test_a_link_is_no_session_and_a_session_ends(browser: Browser) -> None:
    token = tracking_links.link(PASSWORD, {}).partition("=")[2]
    browser.cookies[b"cookie"] = f"plinth_tracking_{PORT}={token}".encode()
    assert browser.get("/")[0] == 403
    ended = {"SessionExpirationDurationInSeconds": -1}
    assert browser.follow(tracking_links.link(PASSWORD, ended)) == 302
    assert browser.get("/")[0] == 403


def test_no_other_page_uses_a_session(browser: Browser) -> None:
    browser.follow(tracking_links.link(PASSWORD, {}))
    assert browser.get("/", origin="https://evil.example")[0] == 403
    link = tracking_links.link(PASSWORD, {})
    assert browser.get(link, origin="https://evil.example")[0] == 403
