"""MLflow apps and tracking servers: a real MLflow process with SQLite and artifacts in S3.

AWS's Describe shape of an app has no address, so it is also written to `local/mlflow.json`.
"""

import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import urllib3

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker import tracking_links
from stacks.local.aws.sagemaker.errors import ApiError, invalid, not_emulated
from stacks.local.aws.sagemaker.resource_type import Request
from stacks.local.aws.sagemaker.tracking_guard import PORT_VARIABLE
from stacks.local.aws.store import Resource
from stacks.local.runtime.container import base_environment
from stacks.local.runtime.files import write_json
from stacks.local.runtime.keys import Keys
from stacks.local.runtime.processes import free_port, is_free, tail

KIND, SERVER = "mlflow app", "mlflow tracking server"
STATUS = {KIND: "Status", SERVER: "TrackingServerStatus"}
"""Member that tells how it is."""

ANSWERING = ("Created", "Updated", "Started")
"""Statuses in which it serves."""

FAILED = ("CreateFailed", "UpdateFailed", "StartFailed", "StopFailed", "DeleteFailed")
"""Statuses in which it does not, and nothing is under way."""

HTTP = urllib3.PoolManager(maxsize=32, retries=False)
HEALTH_SECONDS = 180
POLL_SECONDS = 0.1

# `mlflow server` imports MLflow, sets these and starts uvicorn, which imports MLflow once more.
# Starting uvicorn ourselves takes half the time. The names are those of mlflow.server.constants
# (a test compares them).
SETTINGS = {
    "BACKEND_STORE_URI_ENV_VAR": "_MLFLOW_SERVER_FILE_STORE",
    "ARTIFACT_ROOT_ENV_VAR": "_MLFLOW_SERVER_ARTIFACT_ROOT",
}
UVICORN = ("--host", "127.0.0.1", "--workers", "1", "--no-access-log", "--factory")
APPLICATION = "stacks.local.aws.sagemaker.tracking_guard:application"


@dataclass(kw_only=True, eq=False)
class Server:
    """The process behind an app or a tracking server."""

    process: subprocess.Popen[bytes]
    url: str
    stopping: threading.Event = field(default_factory=threading.Event)
    answered: threading.Event = field(default_factory=threading.Event)
    """Set when it answers, or never will."""


def app_name(emulator: Emulator, request: Request) -> str:
    """The id in the ARN; names are unique and one MLflow runs at a time."""
    if any(app.fields["Name"] == request["Name"] for app in emulator.store.all(KIND)):
        raise ApiError("ConflictException", f"An MLflow App named {request['Name']} already exists")
    _only_one(emulator)
    return f"app-{secrets.token_hex(6).upper()}"


def server_name(emulator: Emulator, request: Request) -> str:
    """The name in the ARN; one MLflow runs at a time."""
    name: str = request["TrackingServerName"]
    if emulator.store.find(SERVER, name) is None:
        _only_one(emulator)
    return name


def _only_one(emulator: Emulator) -> None:
    if running := everything(emulator):
        raise not_emulated(f"a second {running[0].kind}", f"{running[0].arn} is running")


def start_app(emulator: Emulator, item: Resource, request: Request) -> None:
    """Start the server; the app is Created when it answers."""
    from importlib.metadata import version

    item.fields.setdefault("ModelRegistrationMode", "AutoModelRegistrationDisabled")
    item.fields.setdefault("AccountDefaultStatus", "DISABLED")
    item.set(Status="Creating", MlflowVersion=version("mlflow"))
    _serve(emulator, item, ready="Created", failed="CreateFailed")


def start_server(emulator: Emulator, item: Resource, request: Request) -> None:
    """Start the server; a version of MLflow that is not installed is refused."""
    from importlib.metadata import version

    installed = version("mlflow")
    wanted = request.get("MlflowVersion", installed)
    if not installed.startswith(wanted):
        raise not_emulated(f"MlflowVersion {wanted}", f"{installed} is installed")
    item.fields.setdefault("AutomaticModelRegistration", False)
    item.fields.setdefault("TrackingServerSize", "Small")
    item.set(MlflowVersion=installed, TrackingServerStatus="Creating", IsActive="Active")
    _serve(emulator, item, ready="Created", failed="CreateFailed")


def update_app(emulator: Emulator, item: Resource, request: Request) -> None:
    """A new artefact store restarts the server; everything else is kept at once."""
    moved = request.get("ArtifactStoreUri", item.fields["ArtifactStoreUri"])
    restart = moved != item.fields["ArtifactStoreUri"]
    key = "Arn" if item.kind == KIND else "TrackingServerName"
    item.set(**{name: value for name, value in request.items() if name != key})
    item.set(**{STATUS[item.kind]: "Updated"})
    if restart:
        _stop(emulator, item)
        item.set(**{STATUS[item.kind]: "Updating"})
        _serve(emulator, item, ready="Updated", failed="UpdateFailed")


def start_again(emulator: Emulator, request: Request) -> dict[str, str]:
    """StartMlflowTrackingServer, API reference: of a server that is stopped."""
    item = _named(emulator, request)
    item.set(TrackingServerStatus="Starting", IsActive="Active")
    _serve(emulator, item, ready="Started", failed="StartFailed")
    return {"TrackingServerArn": item.arn}


def stop(emulator: Emulator, request: Request) -> dict[str, str]:
    """StopMlflowTrackingServer: its database and its artefacts stay."""
    item = _named(emulator, request)
    _stop(emulator, item)
    _file(emulator).unlink(missing_ok=True)
    item.live = None
    item.set(TrackingServerStatus="Stopped", IsActive="Inactive", TrackingServerUrl=None)
    return {"TrackingServerArn": item.arn}


def _named(emulator: Emulator, request: Request) -> Resource:
    name = request["TrackingServerName"]
    item = emulator.store.find(SERVER, name)
    if item is None:
        arn = emulator.arn(f"mlflow-tracking-server/{name}")
        raise ApiError("ResourceNotFound", f"Mlflow Tracking Server {arn} does not exist.")
    return item


def server_link(emulator: Emulator, request: Request) -> dict[str, str]:
    """A link into the MLflow of a tracking server."""
    return _link(emulator, _named(emulator, request), request)


def app_link(emulator: Emulator, request: Request) -> dict[str, str]:
    """A link into the MLflow of an app."""
    item = emulator.store.by_arn(request["Arn"])
    if item is None or item.kind != KIND:
        raise ApiError("ResourceNotFound", f"MlflowApp {request['Arn']} does not exist.")
    return _link(emulator, item, request)


def _link(emulator: Emulator, item: Resource, request: Request) -> dict[str, str]:
    status = item.fields[STATUS[item.kind]]
    if item.live is None or status not in ANSWERING:
        raise invalid(f"{item.arn} is {status} and answers nobody.")
    path = tracking_links.link(emulator.host.keys.tracking_password, request)
    return {"AuthorizedUrl": item.live.url + path}


def delete_app(emulator: Emulator, item: Resource, request: Request) -> None:
    """Stop the server. Its database stays: runs outlive the app that recorded them."""
    _stop(emulator, item)
    _file(emulator).unlink(missing_ok=True)


def everything(emulator: Emulator) -> list[Resource]:
    """Every app and every tracking server."""
    return [*emulator.store.all(KIND), *emulator.store.all(SERVER)]


def resume(emulator: Emulator, item: Resource) -> threading.Event:
    """Serve again what served when its cloud ended, at the same address where that is free."""
    status = item.fields[STATUS[item.kind]]
    if status not in (*ANSWERING, "Creating", "Updating", "Starting"):
        over = threading.Event()
        over.set()
        return over
    ready = status if status in ANSWERING else "Created"
    return _serve(emulator, item, ready=ready, failed="UpdateFailed").answered


def _port(item: Resource) -> int:
    """That of its address, which clients have; else any."""
    before = int(str(item.fields.get("TrackingServerUrl", "")).rpartition(":")[2] or 0)
    return before if is_free(before) else free_port()


def _serve(emulator: Emulator, item: Resource, *, ready: str, failed: str) -> Server:
    host = emulator.host
    folder = host.state / "mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    port = _port(item)
    server = Server(
        process=host.children.spawn(
            [sys.executable, "-m", "uvicorn", "--port", str(port), *UVICORN, APPLICATION],
            purpose=f"{item.kind} {item.name}",
            env=_environment(emulator, item, folder, port),
            cwd=folder,
            log=folder / "log.txt",
        ),
        url=f"http://127.0.0.1:{port}",
    )
    item.live = server
    item.set(TrackingServerUrl=server.url)
    write_json(_file(emulator), {"url": server.url, "arn": item.arn, "pid": server.process.pid})

    status = STATUS[item.kind]

    def work() -> None:
        answers = _wait(server, host.keys)
        if answers:
            item.set(**{status: ready})
        server.answered.set()
        if not (answers or server.stopping.is_set()):
            item.set(**{status: failed})
            raise RuntimeError(f"MLflow did not answer:\n{tail(folder / 'log.txt')}")

    emulator.background(work, broken=lambda error: item.set(**{status: failed}))
    return server


def _environment(emulator: Emulator, item: Resource, folder: Path, port: int) -> dict[str, str]:
    return {
        **base_environment(
            emulator.host.endpoint_url,
            emulator.region,
            emulator.act(item.fields["RoleArn"], item.arn).environment,
        ),
        **emulator.host.keys.tracking(),
        PORT_VARIABLE: str(port),
        "HOME": str(folder),
        "MLFLOW_S3_ENDPOINT_URL": emulator.host.endpoint_url,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "_MLFLOW_SGI_NAME": "uvicorn",
        SETTINGS["BACKEND_STORE_URI_ENV_VAR"]: f"sqlite:///{folder / 'mlflow.db'}",
        SETTINGS["ARTIFACT_ROOT_ENV_VAR"]: artifact_root(item.fields["ArtifactStoreUri"]),
    }


def artifact_root(uri: str) -> str:
    """Where new experiments put their artefacts: never the root of a bucket."""
    root = uri.rstrip("/")
    return root if "/" in root.removeprefix("s3://") else f"{root}/mlflow"


def _wait(server: Server, keys: Keys) -> bool:
    """Wait until the server answers from its database, so that the first caller need not."""
    deadline = time.monotonic() + HEALTH_SECONDS
    search = f"{server.url}/api/2.0/mlflow/experiments/search?max_results=1"
    login = urllib3.make_headers(basic_auth=f"{keys.TRACKING_USER}:{keys.tracking_password}")
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            health = HTTP.request("GET", f"{server.url}/health", headers=login, timeout=5)
            if health.status == 200:
                answer = HTTP.request("GET", search, headers=login, timeout=60)
                return bool(answer.status == 200)
        except urllib3.exceptions.HTTPError:
            pass
        if server.stopping.wait(POLL_SECONDS):
            return False
    return False


def _stop(emulator: Emulator, item: Resource) -> None:
    server: Server | None = item.live
    if server is None:  # stopped before
        return
    server.stopping.set()
    emulator.host.children.stop(server.process, grace_seconds=1)


def _file(emulator: Emulator) -> Path:
    return emulator.host.state / "mlflow.json"


OPERATIONS: Mapping[str, Callable[[Emulator, Request], dict[str, str]]] = {
    "CreatePresignedMlflowAppUrl": app_link,
    "CreatePresignedMlflowTrackingServerUrl": server_link,
    "StartMlflowTrackingServer": start_again,
    "StopMlflowTrackingServer": stop,
}
"""What is no create, describe, list, update or delete."""
