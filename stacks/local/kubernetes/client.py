"""A Kubernetes API server over HTTP: any kind by discovery, errors as the server words them."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx

MANAGER = "pulumi-kubernetes"
"""Field manager: what pulumi-kubernetes calls itself."""

APPLY = "application/apply-patch+yaml"  # JSON is YAML
CONNECTIONS = 64
REQUEST_SECONDS = 60.0
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5  # seconds

Object = dict[str, Any]


class ApiError(Exception):
    """An answer of the server that is no success."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(body.get("message") or f"HTTP {status}")
        self.status = status
        self.reason: str = body.get("reason", "")
        self.causes: list[dict[str, str]] = (body.get("details") or {}).get("causes") or []


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind that the server has."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool

    def path(self, namespace: str | None, name: str | None = None) -> str:
        """URL path of an object, or of all objects in a namespace, or of all."""
        root = "/apis" if "/" in self.api_version else "/api"
        within = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}/{self.api_version}{within}/{self.plural}" + (f"/{name}" if name else "")


class Client:
    """Connections to one API server; safe to share between threads.

    `token`: what shows who asks, or a function that makes it where it does not last.
    """

    def __init__(self, url: str, ca: str, token: str | Callable[[], str]) -> None:
        self.url = url

        def signed(request: httpx.Request) -> httpx.Request:
            shown = token if isinstance(token, str) else token()
            request.headers["Authorization"] = f"Bearer {shown}"
            return request

        self._http = httpx.Client(
            base_url=url,
            auth=signed,
            verify=ssl.create_default_context(cadata=ca),
            timeout=REQUEST_SECONDS,
            limits=httpx.Limits(max_connections=CONNECTIONS),
            trust_env=False,
        )
        self._kinds: dict[str, dict[str, Kind]] = {}
        self._guard = threading.Lock()

    @classmethod
    def of(cls, kubeconfig: Path) -> "Client":
        """The client that a kubeconfig with a token describes."""
        config = json.loads(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        ca = Path(cluster["certificate-authority"]).read_text()
        return cls(cluster["server"], ca, config["users"][0]["user"]["token"])

    def close(self) -> None:
        self._http.close()

    # -- kinds ---------------------------------------------------------------------------------

    def kind(self, api_version: str, kind: str) -> Kind | None:
        """The kind if the server has it; a kind that was missing is asked for again."""
        found = self._kinds.get(api_version, {}).get(kind)
        if found is None:
            kinds = self._discover(api_version)
            with self._guard:
                self._kinds[api_version] = kinds
            found = kinds.get(kind)
        return found

    def forget_kinds(self, api_version: str) -> None:
        """Ask anew next time, since a definition went."""
        with self._guard:
            self._kinds.pop(api_version, None)

    def _discover(self, api_version: str) -> dict[str, Kind]:
        root = "/apis" if "/" in api_version else "/api"
        try:
            listed = self.request("GET", f"{root}/{api_version}")["resources"]
        except ApiError as error:
            if error.status == 404:
                return {}
            raise
        return {
            item["kind"]: Kind(
                api_version=api_version,
                kind=item["kind"],
                plural=item["name"],
                namespaced=item["namespaced"],
            )
            for item in listed
            if "/" not in item["name"]
        }

    # -- objects -------------------------------------------------------------------------------

    def get(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        """One object; None when there is none."""
        try:
            return self.request("GET", kind.path(namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(self, kind: Kind, namespace: str | None = None, **selectors: str) -> list[Object]:
        """All objects, or those in a namespace, by `labelSelector` or `fieldSelector`."""
        items: list[Object] = self.request("GET", kind.path(namespace), params=selectors)["items"]
        return items

    def apply(
        self, kind: Kind, item: Object, *, dry_run: bool = False, manager: str = MANAGER
    ) -> Object:
        """Server-side apply: what the fields become, and what others hold stays."""
        params = {"fieldManager": manager, "force": "true", "fieldValidation": "Strict"}
        metadata = item["metadata"]
        return self.request(
            "PATCH",
            kind.path(metadata.get("namespace"), metadata["name"]),
            params={**params, "dryRun": "All"} if dry_run else params,
            content=item,
            content_type=APPLY,
        )

    def patch(self, kind: Kind, namespace: str | None, name: str, change: Object) -> Object:
        """Merge patch."""
        return self.request(
            "PATCH",
            kind.path(namespace, name),
            content=change,
            content_type="application/merge-patch+json",
        )

    def create(self, kind: Kind, item: Object) -> Object:
        return self.request("POST", kind.path(item["metadata"].get("namespace")), content=item)

    def delete(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        propagation: str = "Foreground",
        grace_seconds: int | None = None,
    ) -> None:
        """Ask for deletion, dependents first; quiet when it is gone already.

        `grace_seconds`: time to end in; 0 waits for no kubelet. Default: what the object says.
        """
        options: Object = {"propagationPolicy": propagation}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            self.request("DELETE", kind.path(namespace, name), content=options)
        except ApiError as error:
            if error.status != 404:
                raise

    def wait_gone(
        self, kind: Kind, namespace: str | None, name: str, uid: str, seconds: float
    ) -> Object | None:
        """Wait until this very object is gone; what is left of it when time is up."""
        pause, end = FIRST_PAUSE, time.monotonic() + seconds
        while True:
            found = self.get(kind, namespace, name)
            if found is None or found["metadata"]["uid"] != uid:
                return None
            if time.monotonic() > end:
                return found
            time.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 1.5)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: Object | None = None,
        content_type: str = "application/json",
    ) -> Object:
        """One request; ApiError for an answer that is no success."""
        answer = self._http.request(
            method,
            path,
            params=params,
            content=None if content is None else json.dumps(content),
            headers={"Content-Type": content_type} if content is not None else {},
        )
        if answer.is_success:
            body: Object = answer.json()
            return body
        try:
            status = answer.json()
        except ValueError:
            status = {"message": answer.text}
        raise ApiError(answer.status_code, status)
