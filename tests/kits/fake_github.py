"""A server on loopback that answers as GitHub does, from recorded answers, and keeps notes."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

EVENTS = Path(__file__).parents[1] / "data" / "events"
REPOSITORY = "example/plinth"


def recorded(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text())


def archive(files: Mapping[str, str | bytes]) -> bytes:
    """An artifact as GitHub hands it out."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as out:
        for name, text in files.items():
            out.writestr(name, text)
    return stream.getvalue()


class FakeGitHub(ThreadingHTTPServer):
    """`answers`: path without the query -> JSON, or bytes behind a redirect, as artifacts are."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = answers
        self.written: list[tuple[str, str, Any]] = []
        """Method, path and body of every call that is not a GET."""

        self.downloads_with_token: list[str] = []
        self.queries: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FakeGitHub

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self.server.queries.append(self.path)
        if path.startswith("/blob"):
            if "Authorization" in self.headers:
                self.server.downloads_with_token.append(path)
            return self._answer(self.server.answers[path.removeprefix("/blob")])
        path = path.removeprefix(f"/repos/{REPOSITORY}")
        found = self.server.answers.get(path)
        if self.headers["Authorization"] != "Bearer token" or found is None:
            return self._answer({"message": "Not Found"}, 404)
        if isinstance(found, bytes):
            self.send_response(302)
            self.send_header("Location", f"{self.server.url}/blob{path}")
            self.end_headers()
            return None
        if isinstance(found, list) and "&page=" in f"&{query}" and "page=1" not in query:
            found = []
        return self._answer(found)

    def _write(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        path = self.path.removeprefix(f"/repos/{REPOSITORY}")
        self.server.written.append((self.command, path, body))
        self._answer({}, 201)

    do_POST = do_PATCH = do_DELETE = _write

    def _answer(self, found: Any, status: int = 200) -> None:
        raw = found if isinstance(found, bytes) else json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


@contextmanager
def serving(answers: Mapping[str, Any]) -> Iterator[FakeGitHub]:
    server = FakeGitHub(answers)
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
