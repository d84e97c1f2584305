"""A pipeline that SageMaker's own SDK makes, starts and follows in the local cloud."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stacks.local.daemon.environment import LocalEnvironment
from stacks.local.runtime.files import write_json
from tests.kits import executions
from tests.kits.local_cloud import BUCKET, ROLE, Cloud

PROGRAM = Path(executions.__file__).with_name("sdk_pipeline.py")
CODE = """
import json

def handler(event, _):
    if "uri" in event:
        return {"items": json.dumps([{"name": "a"}, {"name": "bb"}])}
    if "name" in event:
        return {"score": len(event["name"])}
    if "best" in event:
        assert event["best"] == 2.0, event
    return {}
"""


@pytest.fixture(scope="module")
def told(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the program printed: two executions, and a selective one."""
    function = executions.function(cloud, "of-the-sdk", CODE)
    write_json(cloud.home / "local" / "mlflow.json", {"url": "http://127.0.0.1:1", "arn": "a"})
    shell = LocalEnvironment(home=cloud.home, cloud=cloud.info).shell()
    home = str(tmp_path_factory.mktemp("person"))
    done = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", str(PROGRAM), ROLE, function, BUCKET],
        env={**shell, "PATH": os.environ["PATH"], "HOME": home},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_definition_of_the_sdk_runs_its_loop_and_survives_the_failure_it_waits_for(
    told: Any,
) -> None:
    first = told[0]
    assert first["status"] == "CompletedWithFailures"
    ends = {name: step["StepStatus"] for name, step in first["steps"].items()}
    children = [f"{name}-{index}" for name in ("Score", "Say") for index in (0, 1)]
    names = ["Prepare", "Items", "Each", "Best", "Tell", "Clean", *children]
    assert ends == {**dict.fromkeys(names, "Succeeded"), "Fails": "Failed"}
    context = first["steps"]["Say-1"]["IterationContext"]
    assert (context["ParentStepName"], context["Index"]) == ("Each", 1)
    assert json.loads(context["Item"]) == {"name": "bb"}


def test_a_second_run_takes_what_is_cached_and_a_selective_one_the_rest(told: Any) -> None:
    _, second, third = told
    assert "CacheHitResult" in second["steps"]["Prepare"]
    assert [name for name, step in second["steps"].items() if "CacheHitResult" in step] == [
        "Prepare"
    ]
    assert third["status"] == "Succeeded"
    assert third["steps"].keys() == {"Each", "Best"}
    assert "SelectiveExecutionResult" in third["steps"]["Each"]


def test_a_cleanup_deleted_what_it_names_and_nothing_else(told: Any, cloud: Cloud) -> None:
    listed = cloud.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    left = [item["Key"].rpartition("/")[2] for item in listed if "/Prepare/" in item["Key"]]
    assert left == ["two"]
