"""Answers the API server's questions: whose a token is, and whether somebody may do something.

Kubernetes calls this webhook token authentication and webhook mode (of authorization). It is how
EKS plugs IAM into an API server that knows nothing of it. Connections are TLS with a client
certificate of the control plane's authority, which the API server alone has.
"""

from __future__ import annotations

import json
import logging
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from stacks.local.runtime.processes import free_port

AUTHENTICATE, AUTHORIZE = "/authenticate", "/authorize"
REMEMBERED_SECONDS = 2
"""How long the API server goes by an answer that lets somebody in. An access entry takes "several
seconds" on EKS (User Guide, "Create access entries")."""

log = logging.getLogger(__name__)


class Access(Protocol):
    """Who is let in, and to do what."""

    def user(self, token: str) -> Mapping[str, Any] | None:
        """`username`, `uid`, `groups` and `extra` of whose token it is; None: nobody's."""

    def allows(self, spec: Mapping[str, Any]) -> bool:
        """Whether what the spec of a SubjectAccessReview is about is allowed."""


@dataclass(frozen=True, kw_only=True)
class Reviews:
    """A server that answers reviews, in threads of this process."""

    folder: Path
    server: ThreadingHTTPServer

    def flags(self) -> list[str]:
        """What the API server must be told so that it asks here."""
        authenticate, authorize = self._file(AUTHENTICATE), self._file(AUTHORIZE)
        return [
            f"--authentication-token-webhook-config-file={authenticate}",
            "--authentication-token-webhook-version=v1",
            f"--authentication-token-webhook-cache-ttl={REMEMBERED_SECONDS}s",
            "--authorization-mode=Node,RBAC,Webhook",
            f"--authorization-webhook-config-file={authorize}",
            "--authorization-webhook-version=v1",
            f"--authorization-webhook-cache-authorized-ttl={REMEMBERED_SECONDS}s",
            "--authorization-webhook-cache-unauthorized-ttl=0s",  # it would outlive a grant
        ]

    def stop(self) -> None:
        """End the server and its connections."""
        self.server.shutdown()
        self.server.server_close()

    def _file(self, path: str) -> Path:
        """Where the API server reads how to reach one of the two (a kubeconfig, as it wants)."""
        name, file = "access", self.folder / f"{path.strip('/')}.json"
        port = self.server.server_address[1]
        cluster = {
            "server": f"https://127.0.0.1:{port}{path}",
            "certificate-authority": str(self.folder / "ca.crt"),
        }
        user = {
            "client-certificate": str(self.folder / "access.crt"),
            "client-key": str(self.folder / "access.key"),
        }
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
        file.touch(mode=0o600)
        file.write_text(json.dumps(config, indent=1))
        return file


def serve(folder: Path, access: Access) -> Reviews:
    """Answer reviews from now on; the certificates are in the folder."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # the API server keeps its connections

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                status, answer = 200, answered(access, urlsplit(self.path).path, json.loads(body))
            except Exception:  # the API server then answers 401 or 403: nobody is let in
                log.exception("%s of the API server failed", self.path)
                status, answer = 500, {}
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """One line per request would bury everything else."""

    server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "access.crt", folder / "access.key")
    context.load_verify_locations(folder / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    # a handshake that never comes must not keep others waiting
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    threading.Thread(target=server.serve_forever, name="access", daemon=True).start()
    return Reviews(folder=folder, server=server)


def answered(access: Access, path: str, review: Mapping[str, Any]) -> dict[str, Any]:
    """A TokenReview or SubjectAccessReview (`v1`) with its status."""
    spec = review["spec"]
    if path == AUTHENTICATE:
        user = access.user(spec["token"])
        status: dict[str, Any] = {"authenticated": user is not None}
        if user is not None:
            status["user"] = user
    elif path == AUTHORIZE:
        status = {"allowed": access.allows(spec)}
    else:
        raise ValueError(f"no review is answered at {path}")
    return {"apiVersion": review["apiVersion"], "kind": review["kind"], "status": status}


def port_of(folder: Path) -> int:
    """Where the server of a control plane's folder listens; 0 where there is none."""
    try:
        config = json.loads((folder / f"{AUTHENTICATE.strip('/')}.json").read_text())
    except (FileNotFoundError, ValueError):
        return 0
    url: str = config["clusters"][0]["cluster"]["server"]
    return int(url.removesuffix(AUTHENTICATE).rpartition(":")[2])
