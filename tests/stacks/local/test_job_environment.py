"""A job's environment is its own: what it installs, writes or leaves running ends with it."""

import hashlib
import io
import json
import os
import sys
import sysconfig
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from stacks.local.runtime import layer
from stacks.local.runtime.processes import Children, exit_code
from tests.kits.local_cloud import (
    BUCKET,
    Cloud,
    create_processing,
    process,
    running_cloud,
    s3_input,
    train,
    until,
)

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = sysconfig.get_path("purelib")
INPUT = "/opt/ml/processing/input"
INSTALL = f"--no-index --find-links {INPUT}"

OWN = "own"
"""The job gets what it asks for, in its own environment."""

DENIED = "denied"
"""The job is told that it may not."""

WAYS: Mapping[str, tuple[str, str]] = {
    "pip": (OWN, f"pip install {INSTALL} plinthprobe==1"),
    "pip3, an older boto3": (OWN, f"pip3 install {INSTALL} boto3==0.0.1"),
    "python -m pip": (OWN, f"python3 -m pip install {INSTALL} --force-reinstall plinthprobe==1"),
    "uv pip": (OWN, f"uv pip install --offline --reinstall {INSTALL} plinthprobe==1"),
    "requirements": (OWN, f"pip install {INSTALL} -r {INPUT}/requirements.txt"),
    "user site": (DENIED, f"pip install --user {INSTALL} plinthprobe==1"),
    "pip of the product": (DENIED, f"{sys.prefix}/bin/pip install {INSTALL} plinthprobe==1"),
    "python of the product": (
        DENIED, f"{sys.executable} -m pip install {INSTALL} --force-reinstall boto3==0.0.1",
    ),
    "pip of the base": (  # into the user's packages, and that home is the job's
        OWN,
        f"{sys.base_prefix}/bin/python3 -m pip install --break-system-packages {INSTALL}"
        " plinthprobe==1",
    ),
    "pip --target": (DENIED, f"pip install -t {PACKAGES} {INSTALL} plinthprobe==1"),
    "pip uninstall": (DENIED, f"{sys.prefix}/bin/pip uninstall --yes boto3"),
    "uv pip --python": (
        DENIED, f"uv pip install --offline --python {sys.executable} {INSTALL} plinthprobe==1",
    ),
    "a .pth": (DENIED, f"echo 'import os' > {PACKAGES}/job.pth"),
    "sitecustomize": (DENIED, f"echo 'x = 1' > {PACKAGES}/sitecustomize.py"),
    "rm of a module": (DENIED, f"rm {PACKAGES}/boto3/session.py"),
    "chmod": (DENIED, f"chmod 777 {PACKAGES}/boto3/session.py"),
    "a link": (DENIED, f"ln -s /etc/passwd {ROOT}/serving/linked.py"),
    "through a link": (DENIED, f"ln -s {ROOT}/serving here; echo 1 > here/server.py"),
    "sed -i": (DENIED, f"sed -i s/a/b/ {ROOT}/serving/server.py"),
    "git": (DENIED, f"git -C {ROOT} checkout -q -b from-a-job"),
    "environments": (DENIED, f"echo 'x: 1' >> {ROOT}/stacks/environments/local.yaml"),
    "the home's state": (DENIED, "echo {} > $LOCAL/state/mine.json"),
    "another job's folder": (DENIED, "echo 1 > $LOCAL/jobs/other/log.txt"),
    "the record of the cloud": (DENIED, "rm $LOCAL/cloud.json"),
    "the person's home": (DENIED, f"echo 1 >> {Path.home()}/.plinth-probe"),
    "the system": (DENIED, "echo 1 > /usr/local/plinth-probe"),
    "a library of its own": (OWN, "mkdir own && cp -r own/. /lib/ && echo 1 > /lib/plinth.so"),
    "a library of the system": (
        DENIED, f"echo 1 >> {next(path for path in Path('/lib').resolve().glob('*/*.so*'))}",
    ),
    "a mount": (DENIED, f"mount -o remount,rw,bind {ROOT} && echo 1 > {ROOT}/probe"),
    "a mount of a nested user": (
        DENIED, f"unshare -rm sh -c 'umount {ROOT}; mount -o remount,rw,bind {ROOT}'"
        f" && echo 1 > {ROOT}/probe",
    ),
    "the folder outside": (DENIED, "cd ../../.. && echo 1 > local/state/mine.json"),
}  # fmt: skip
"""How a job may try to change what is not its own, and what comes of it where it has namespaces."""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        if running.info.job_isolation != "namespace":
            pytest.skip("the kernel grants no namespaces here")
        yield running


@pytest.fixture(scope="module")
def tried(cloud: Cloud, sm: Any) -> Mapping[str, tuple[int, str]]:
    """Exit code and last words of each way, all of them tried in one job."""
    s3 = cloud.client("s3")
    for name, version in (("plinthprobe", "1"), ("boto3", "0.0.1")):
        key = f"ways/{name}-{version}-py3-none-any.whl"
        s3.put_object(Bucket=BUCKET, Key=key, Body=wheel(name, version))
    s3.put_object(Bucket=BUCKET, Key="ways/requirements.txt", Body=b"plinthprobe==1\n")
    s3.put_object(
        Bucket=BUCKET,
        Key="ways/ways.json",
        Body=json.dumps({name: command for name, (_, command) in WAYS.items()}).encode(),
    )
    other = cloud.home / "local" / "jobs" / "other"
    other.mkdir(parents=True)
    (other / "log.txt").write_text("kept")
    code = (
        "import json, subprocess;"
        f"ways = json.load(open('{INPUT}/ways.json'));"
        "run = lambda c: subprocess.run(['sh', '-c', c], capture_output=True, text=True);"
        "done = {n: run(c) for n, c in ways.items()};"
        "done['version'] = run('python3 -c \"import boto3; print(boto3.__version__)\"');"
        "done['probe'] = run('python3 -c \"import plinthprobe as p, moto; print(p.__file__)\"');"
        "print(json.dumps({n: (d.returncode, d.stdout + d.stderr) for n, d in done.items()}))"
    )
    create_processing(
        sm,
        "tries",
        code,
        Environment={"LOCAL": str(cloud.home / "local")},
        ProcessingInputs=[s3_input(f"s3://{BUCKET}/ways", INPUT)],
    )
    job = until(
        lambda: sm.describe_processing_job(ProcessingJobName="tries"),
        "ProcessingJobStatus",
    )
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    log = (cloud.home / "local/jobs/tries/log.txt").read_text()
    return {name: (code, said) for name, (code, said) in json.loads(log.splitlines()[-1]).items()}


@pytest.fixture(scope="module", autouse=True)
def untouched() -> Iterator[None]:
    """Whatever the jobs of this file did: product and checkout are as they were."""
    before = tree()
    yield
    after = tree()
    assert {path for path in before | after if before.get(path) != after.get(path)} == set()


def tree() -> dict[str, str]:
    """Size and time of the files that a job might change; of our own code the content too.

    Of a folder only that it is there: what imports from it may leave its bytecode in it.
    """
    found = {}
    for base in (Path(PACKAGES), Path(PACKAGES) / "boto3", Path(sys.prefix) / "bin"):
        for entry in os.scandir(base):
            if entry.name != "__pycache__":
                state = entry.stat(follow_symlinks=False)
                written = "" if entry.is_dir() else f" {state.st_size} {state.st_mtime_ns}"
                found[entry.path] = f"{state.st_mode:o}{written}"
    for name in ("serving", "stacks/environments", "stacks/local/runtime"):
        for path in (ROOT / name).rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    found["head"] = (ROOT / ".git" / "HEAD").read_text() if (ROOT / ".git").is_dir() else ""
    return found


def wheel(name: str, version: str) -> bytes:
    """The smallest package: one module that says its version."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, content in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(path, content)
    return out.getvalue()


@pytest.mark.parametrize("name", WAYS)
def test_a_job_changes_nothing_but_its_own(
    name: str, tried: Mapping[str, tuple[int, str]], cloud: Cloud
) -> None:
    code, said = tried[name]
    assert (code == 0) == (WAYS[name][0] == OWN), said
    local = cloud.home / "local"
    assert (local / "jobs/other/log.txt").read_text() == "kept"
    assert (local / "cloud.json").exists()
    assert not (local / "state/mine.json").exists()
    assert not (Path.home() / ".plinth-probe").exists()
    assert not Path("/usr/local/plinth-probe").exists()
    assert not Path("/lib/plinth.so").exists()


def test_what_a_job_installs_is_what_it_gets(tried: Mapping[str, tuple[int, str]]) -> None:
    """Its boto3 is the older one, and what it did not install comes from below."""
    import boto3

    assert tried["version"] == (0, "0.0.1\n")
    assert "/jobs/tries/algo-1/environment/" in tried["probe"][1]
    assert boto3.__version__ != "0.0.1"


def test_requirements_that_no_index_has_fail_the_job_by_name(sm: Any) -> None:
    code = (
        "import subprocess, sys; sys.exit(subprocess.call("
        "['pip', 'install', '--no-index', 'plinth-nobody-has-this==9']))"
    )
    job = process(sm, "no-such-package", code)
    assert job["ProcessingJobStatus"] == "Failed"
    assert "plinth-nobody-has-this==9" in job["FailureReason"]


def test_a_job_sees_its_own_processes_only(cloud: Cloud, sm: Any) -> None:
    process(sm, "looks", "import os; print([p for p in os.listdir('/proc') if p.isdigit()])")
    log = (cloud.home / "local/jobs/looks/log.txt").read_text()
    assert len(log.strip().split(",")) <= 3, log


SETSID = "import subprocess, time; subprocess.Popen(['setsid', 'sleep', '7713']); "


@pytest.mark.parametrize("then", ["time.sleep(0.2)", "time.sleep(600)"])
def test_nothing_outlives_its_job(then: str, sm: Any) -> None:
    limit = {"MaxRuntimeInSeconds": 1}
    name = f"leaves-{then.count('0')}"
    train(sm, name, SETSID + then, StoppingCondition=limit)
    assert sleeping("7713") == []


def test_without_a_namespace_of_processes_what_left_the_session_is_found(tmp_path: Path) -> None:
    children = Children(folder=tmp_path / "run")
    left = children.spawn(
        ["sh", "-c", "setsid sleep 7714 & sleep 0.3; exit 3"],
        purpose="test",
        env=dict(os.environ),
        cwd=tmp_path,
        log=tmp_path / "log.txt",
    )
    left.wait()
    assert len(sleeping("7714")) == 1
    assert children.stop(left) == 3
    assert sleeping("7714") == []


def sleeping(seconds: str) -> list[int]:
    found = []
    for running in psutil.process_iter(["cmdline"]):
        if running.info["cmdline"] == ["sleep", seconds]:
            found.append(running.pid)
    return found


def test_a_killed_program_has_exit_code_137(sm: Any) -> None:
    job = process(sm, "killed", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert "exit code: 137" in job["FailureReason"]
    assert (exit_code(-9), exit_code(-15), exit_code(0), exit_code(3)) == (137, 143, 0, 3)


def test_a_layer_says_where_it_lies(tmp_path: Path) -> None:
    chosen = layer.make(tmp_path / "environment")
    assert chosen["VIRTUAL_ENV"] == str(tmp_path / "environment")
