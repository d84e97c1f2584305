"""MLflow apps: each is a real MLflow server process with SQLite and artifacts in S3.

AWS's Describe shape has no address, so the address is also written to `local/mlflow.json`.
"""

import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import urllib3

from stacks.local.container import base_environment
from stacks.local.processes import free_port, tail, write_json
from stacks.local.sagemaker.errors import ApiError, not_emulated
from stacks.local.sagemaker.kind import Request
from stacks.local.sagemaker.servers import HTTP
from stacks.local.sagemaker.store import Item
from stacks.local.sagemaker.world import World

KIND = "mlflow app"
HEALTH_SECONDS = 180
POLL_SECONDS = 0.1

# `mlflow server` imports MLflow, sets these and starts uvicorn, which imports MLflow once more.
# Starting uvicorn ourselves takes half the time. The names are those of mlflow.server.constants
# (a test compares them).
SETTINGS = {
    "BACKEND_STORE_URI_ENV_VAR": "_MLFLOW_SERVER_FILE_STORE",
    "ARTIFACT_ROOT_ENV_VAR": "_MLFLOW_SERVER_ARTIFACT_ROOT",
}
UVICORN = ("--host", "127.0.0.1", "--workers", "1", "--no-access-log")
APPLICATION = "mlflow.server.fastapi_app:app"


@dataclass(kw_only=True, eq=False)
class Server:
    """The process behind an app."""

    process: subprocess.Popen[bytes]
    url: str
    stopping: threading.Event = field(default_factory=threading.Event)


def app_name(world: World, request: Request) -> str:
    """The id in the ARN; names are unique and one app runs at a time."""
    apps = world.store.all(KIND)
    if any(app.fields["Name"] == request["Name"] for app in apps):
        raise ApiError("ConflictException", f"An MLflow App named {request['Name']} already exists")
    if apps:
        raise not_emulated("a second MLflow app", f"{apps[0].fields['Name']} is running")
    return f"app-{secrets.token_hex(6).upper()}"


def start_app(world: World, item: Item, request: Request) -> None:
    """Start the server; the app is Created when it answers."""
    from importlib.metadata import version

    item.fields.setdefault("ModelRegistrationMode", "AutoModelRegistrationDisabled")
    item.fields.setdefault("AccountDefaultStatus", "DISABLED")
    item.set(Status="Creating", MlflowVersion=version("mlflow"))
    _serve(world, item, ready="Created", failed="CreateFailed")


def update_app(world: World, item: Item, request: Request) -> None:
    """A new artefact store restarts the server; everything else is kept at once."""
    moved = request.get("ArtifactStoreUri", item.fields["ArtifactStoreUri"])
    restart = moved != item.fields["ArtifactStoreUri"]
    item.set(**{name: value for name, value in request.items() if name != "Arn"})
    item.set(Status="Updated")
    if restart:
        _stop(world, item)
        item.set(Status="Updating")
        _serve(world, item, ready="Updated", failed="UpdateFailed")


def delete_app(world: World, item: Item, request: Request) -> None:
    """Stop the server. Its database stays: runs outlive the app that recorded them."""
    _stop(world, item)
    _file(world).unlink(missing_ok=True)


def tracking_urls(world: World) -> Mapping[str, str]:
    """ARN of each running app and its address."""
    return {app.arn: app.live.url for app in world.store.all(KIND) if app.live}


def _serve(world: World, item: Item, *, ready: str, failed: str) -> None:
    host = world.host
    folder = host.state / "mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    server = Server(
        process=host.children.spawn(
            [sys.executable, "-m", "uvicorn", "--port", str(port), *UVICORN, APPLICATION],
            purpose=f"mlflow app {item.fields['Name']}",
            env=_environment(world, item, folder),
            cwd=folder,
            log=folder / "log.txt",
        ),
        url=f"http://127.0.0.1:{port}",
    )
    item.live = server
    write_json(_file(world), {"url": server.url, "arn": item.arn, "pid": server.process.pid})

    def work() -> None:
        if _wait(server):
            item.set(Status=ready)
        elif not server.stopping.is_set():
            item.set(Status=failed)
            raise RuntimeError(f"MLflow did not answer:\n{tail(folder / 'log.txt')}")

    world.background(work, broken=lambda error: item.set(Status=failed))


def _environment(world: World, item: Item, folder: Path) -> dict[str, str]:
    return {
        **base_environment(world.host.endpoint_url, world.region),
        "HOME": str(folder),
        "MLFLOW_S3_ENDPOINT_URL": world.host.endpoint_url,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "_MLFLOW_SGI_NAME": "uvicorn",
        SETTINGS["BACKEND_STORE_URI_ENV_VAR"]: f"sqlite:///{folder / 'mlflow.db'}",
        SETTINGS["ARTIFACT_ROOT_ENV_VAR"]: artifact_root(item.fields["ArtifactStoreUri"]),
    }


def artifact_root(uri: str) -> str:
    """Where new experiments put their artefacts: never the root of a bucket."""
    root = uri.rstrip("/")
    return root if "/" in root.removeprefix("s3://") else f"{root}/mlflow"


def _wait(server: Server) -> bool:
    """Wait until the server answers from its database, so that the first caller need not."""
    deadline = time.monotonic() + HEALTH_SECONDS
    search = f"{server.url}/api/2.0/mlflow/experiments/search?max_results=1"
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            if HTTP.request("GET", f"{server.url}/health", timeout=5).status == 200:
                return bool(HTTP.request("GET", search, timeout=60).status == 200)
        except urllib3.exceptions.HTTPError:
            pass
        if server.stopping.wait(POLL_SECONDS):
            return False
    return False


def _stop(world: World, item: Item) -> None:
    server: Server = item.live
    server.stopping.set()
    world.host.children.stop(server.process, grace_seconds=1)


def _file(world: World) -> Path:
    return world.host.state / "mlflow.json"
