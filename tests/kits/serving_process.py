"""A server process of the image, and how tests talk to it."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kits.serving import JSON, REPOSITORY


@dataclass(frozen=True)
class Answer:
    """A response, read to its end."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Server:
    """A server process and how to reach it."""

    process: subprocess.Popen[bytes]
    port: int

    def send(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, response.read(), names)
        finally:
            connection.close()

    def invoke(self, body: Any, content_type: str = JSON, **headers: str) -> Answer:
        data = body if isinstance(body, bytes | str) else json.dumps(body)
        data = data.encode() if isinstance(data, str) else data
        return self.send("POST", "/invocations", data, {"Content-Type": content_type, **headers})


def start(opt_ml: Path, *program: str) -> Server:
    """A server of the model there; `program`: arguments of Python in place of its module."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "OPT_ML": str(opt_ml), "SAGEMAKER_BIND_TO_PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, *(program or ("-m", "serving.server"))],
        cwd=REPOSITORY,
        env=env,
        stderr=subprocess.PIPE,
    )
    server = Server(process, port)
    for _ in range(600):
        try:
            assert server.send("GET", "/ping").status == 200
            return server
        except ConnectionError:
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.05)
    process.kill()
    raise AssertionError("the server did not start")


def stop(server: Server) -> int:
    server.process.terminate()
    try:
        return server.process.wait(10)
    finally:
        server.process.kill()
        if server.process.stderr:
            server.process.stderr.close()
