"""Shared fixtures: golden files, and one clone of the checkout in which the whole path runs."""

import json
import logging
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import psutil
import pytest

from stacks import garbage

ROOT = Path(__file__).parent.parent
HANGS_SECONDS = 1200
"""After which nothing goes on any more, however busy the machine is."""

# an example takes as long as the machine is busy
hypothesis.settings.register_profile("plinth", deadline=None)
hypothesis.settings.load_profile("plinth")

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--accept", action="store_true", help="write golden files instead of comparing"
    )
    parser.addoption("--nightly", action="store_true", help="run the tests of the night, too")


def pytest_report_header(config: pytest.Config) -> str:
    return "nightly: " + ("run" if config.getoption("--nightly") else "left out, run by --nightly")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what runs every night alone, so that `make test` ends within CI's hour."""
    if not config.getoption("--nightly"):
        left_out = [item for item in items if item.get_closest_marker("nightly")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("nightly")]
    # files that take minutes go first, so that none is left to one process at the end
    slow = {item.path for item in items if item.get_closest_marker("e2e")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests stay: nobody looks whether they are garbage."""
    garbage.put_off()
    try:
        return (yield)
    finally:
        garbage.take_up()


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with `tests/golden/<name>`; `--accept` writes it."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--accept"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"{path.name} is missing: run pytest --accept and read the diff"
        assert text == path.read_text(), f"{name} changed: run pytest --accept and read the diff"

    return check


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """The address of an AWS endpoint of a module's own, where nothing is."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    # its state belongs to the process: there may be what another module made
    urllib.request.urlopen(f"{url}/moto-api/reset", data=b"").close()
    yield url
    server.stop()


@pytest.fixture(scope="session")
def pulumi_cli() -> Path:
    """The Pulumi CLI, built on first use like a person's."""
    from stacks.toolchain import pulumi as toolchain

    return toolchain.ensure(logging.getLogger(__name__).info).executable


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The last line of stdout, as `--json` promises."""
        data = json.loads(self.out.strip().splitlines()[-1])
        assert isinstance(data, dict)
        return data


@dataclass(frozen=True)
class Clone:
    """A copy of the checkout with a home of its own, driven only through its command line."""

    root: Path
    home: Path

    def env(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PULUMI_"))}
        return {
            **kept,
            "PLINTH_HOME": str(self.home),
            "PYTHONPATH": str(self.root),
            **(extra or {}),
        }

    def plinth(
        self, *args: str, timeout: float = HANGS_SECONDS, env: Mapping[str, str] | None = None
    ) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "stacks.cli", *args],
            cwd=self.root,
            env=self.env(env),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *args: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """A command that runs on; the test kills or waits for it."""
        return subprocess.Popen(
            [sys.executable, "-m", "stacks.cli", *args],
            cwd=self.root,
            env=self.env(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ok(self, *args: str, timeout: float = HANGS_SECONDS) -> dict[str, Any]:
        """A command that must succeed; its JSON."""
        done = self.plinth(*args, "--json", timeout=timeout)
        assert done.code == 0, f"plinth {' '.join(args)}\n{done.out[-2000:]}\n{done.err[-4000:]}"
        return done.json

    def client(self, service: str) -> Any:
        """A boto3 client that knows nothing but the endpoint and the keys of the home."""
        import boto3

        cloud = json.loads((self.home / "local" / "cloud.json").read_text())
        own = json.loads((self.home / "local" / "keys.json").read_text())
        session = boto3.Session(
            own["access_key_id"], own["secret_access_key"], region_name="us-east-1"
        )
        return session.client(service, endpoint_url=cloud["endpoint_url"])

    def end(self) -> None:
        """End the cloud of this clone and whatever works for it: its home goes with the test.

        Without `destroy`, which takes as long as a deployment and is tested where it is meant.
        """
        from stacks.local.daemon import client as daemon

        daemon.stop(self.home)
        for process in self.processes():
            process.kill()

    def processes(self) -> list[psutil.Process]:
        """Every process that works for this clone's home."""
        found = []
        for process in psutil.process_iter():
            try:
                text = " ".join(process.cmdline()) + str(process.environ())
            except psutil.Error:
                continue
            if str(self.home) in text and process.pid != os.getpid():
                found.append(process)
        return found


def copy_checkout(target: Path) -> None:
    """The files that git would carry, as they are in the working tree."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        source = ROOT / name
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, pulumi_cli: Path) -> Iterator[Clone]:
    """A clone with its own environment `local`; whatever it started is gone afterwards.

    Engine and control plane are there before the first command: its time limit is not meant for
    building them, and a control plane that appears between two commands is another environment.
    """
    from stacks.toolchain import control_plane

    control_plane.ensure(logging.getLogger(__name__).info)
    root = tmp_path_factory.mktemp("clone")
    copy_checkout(root)
    made = Clone(root, root / ".plinth")
    yield made
    made.end()
