"""moto's own tests of SageMaker, unmodified, against a local cloud: counts, and why they fail.

They are in moto's source archive, which pip fetches; without an index, or another copy named by
`--source`, there is nothing to run. What fails is sorted by its reason: a test that wants what an
account would refuse (an image that nobody has, a model without an artefact) is none of ours.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stacks.local.daemon import client as session
from stacks.local.runtime import keys

HERE = Path(__file__).parent
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
NEEDS = ("freezegun",)
"""What moto's tests import and this checkout does not; installed for the run alone."""

FOLDERS = ("test_sagemaker", "test_sagemakermetrics", "test_sagemakerruntime")

KINDS = (
    ("the test's clock stands, so its requests are signed too early", r"RequestTimeTooSkewed"),
    ("a request that botocore's model refuses", r"validation errors? detected"),
    ("a pipeline definition that is no JSON", r"it is not JSON"),
    ("an ARN that is no role's", r"Could not assume role"),
    ("neither container nor training definition", r"needs either Primary|either TrainingJobDef"),
    ("at once what takes AWS minutes", r"== '(InService|Stopped|COMPLETED)'|in-progress endpoint"),
    ("the name of an AutoML job, which nothing deletes", r"AutoMLJobV2 with name"),
    ("an address of moto's own", r"motoapi\.amazonaws"),
    ("a network that nobody has", r"vpc ID 'VpcId'"),
    ("an image that nobody has", r"Requested image .* not found"),
    ("a model without its artefact", r"Could not find model data"),
    ("an S3 prefix that holds nothing", r"No S3 objects found"),
    ("an error's text or an id of moto's own", r"assert [\"'](An error|arn:|Model|Resource|Could)"),
    ("not emulated", r"NotEmulated"),
)
"""Kind of a failure -> pattern in its reason. Else it is told as it is."""


def run(arguments: list[str]) -> int:
    """Run them; 1 where they could not be had."""
    parser = argparse.ArgumentParser(prog="python -m tests.clients moto_sagemaker")
    parser.add_argument("--source", type=Path, help="moto's source archive; default: fetched")
    parser.add_argument("-k", default="", help="as pytest's")
    parser.add_argument("--results", type=Path, help="file of a line per test; default: none")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        archive = asked.source or _fetched(work)
        if archive is None:
            sys.stderr.write("moto's tests cannot be had: pip found no source archive\n")
            return 1
        with tarfile.open(archive) as tar:
            tar.extractall(work / "moto", filter="data")
        (source,) = (work / "moto").iterdir()
        results = _results(source, work, asked.k)
    if asked.results:
        asked.results.write_text("".join(f"{json.dumps(result)}\n" for result in results))
    _report(results)
    return 0


def _fetched(folder: Path) -> Path | None:
    """The archive of the version that is installed."""
    wanted = f"moto=={version('moto')}"
    options = ["--quiet", "--no-deps", "--no-binary", ":all:", "--dest", str(folder)]
    done = subprocess.run([*PIP, "download", *options, wanted], check=False)
    return next(folder.glob("moto-*.tar.gz"), None) if done.returncode == 0 else None


def _results(source: Path, work: Path, chosen: str) -> list[dict[str, Any]]:
    """A line per test, run in moto's folder with the packages of this checkout."""
    results, extra = work / "results.jsonl", work / "packages"
    subprocess.run(
        [*PIP, "install", "--quiet", "--no-deps", "--target", str(extra), *NEEDS], check=True
    )
    (work / "tests_of_clients").symlink_to(HERE)
    folders = [f"tests/{name}" for name in FOLDERS if (source / "tests" / name).exists()]
    picked = ["-k", chosen] if chosen else []
    options = ["--noconftest", "--continue-on-collection-errors", "-o", "addopts="]
    plugin = ["-p", "tests_of_clients.moto_plugin"]
    with _clouds(work, _regions(source)) as environment:
        paths = os.pathsep.join(map(str, (source, work, extra)))
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *plugin, *options, *picked, *folders],
            cwd=source,
            env={**environment, "PYTHONPATH": paths, "PLINTH_RESULTS": str(results)},
            stdout=sys.stderr,
            check=False,
        )
    return [json.loads(line) for line in results.read_text().splitlines()]


def _regions(source: Path) -> list[str]:
    """Every region that the tests name."""
    texts = [path.read_text() for name in FOLDERS for path in source.glob(f"tests/{name}/*.py")]
    return sorted({region for text in texts for region in REGION.findall(text)})


@contextlib.contextmanager
def _clouds(work: Path, regions: Sequence[str]) -> Iterator[dict[str, str]]:
    """A cloud per region, all with the same keys; the environment by which they are found."""
    homes = {region: work / region for region in regions}
    own = keys.ensure(work / "keys")
    urls = {}
    try:
        for region, home in homes.items():
            (home / "local").mkdir(parents=True, mode=0o700)
            shutil.copy2(work / "keys" / "local" / "keys.json", home / "local" / "keys.json")
            os.environ["PLINTH_REGION"] = region
            urls[region] = session.start(home).endpoint_url
        yield {
            **{name: value for name, value in os.environ.items() if name != "PLINTH_REGION"},
            **own.aws(),
            "AWS_DEFAULT_REGION": "us-east-1",
            "PLINTH_ENDPOINTS": json.dumps(urls),
        }
    finally:
        for home in homes.values():
            session.stop(home)


def _report(results: list[dict[str, Any]]) -> None:
    """Counts as JSON, and under each kind of failure its tests."""
    outcomes = Counter(result["outcome"] for result in results)
    kinds: dict[str, dict[str, str]] = {}
    for result in results:
        if result["outcome"] == "failed":
            name = result["test"].rpartition("/")[2]
            kinds.setdefault(_kind(result), {})[name] = " ".join(result["reason"].split())[:300]
    counts = {kind: len(failed) for kind, failed in kinds.items()}
    told = {"cases": len(results), **outcomes, "kinds": counts, "not_passed": kinds}
    sys.stdout.write(json.dumps(told, indent=1) + "\n")


REGION = re.compile(r'"((?:ap|eu|us)-[a-z]+-[0-9])"')
OTHER = "something else"


def _kind(result: dict[str, Any]) -> str:
    told = f"{result['test']} {result['reason']}"
    return next((kind for kind, form in KINDS if re.search(form, told, re.DOTALL)), OTHER)
