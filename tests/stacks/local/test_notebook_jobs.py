"""Notebooks that run as jobs: steps of the SDK, executed by AWS's own driver."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.kits.local_cloud import BUCKET, ROLE, Cloud, until

IMAGE = "081325390199.dkr.ecr.us-east-1.amazonaws.com/sagemaker-distribution-prod:3.2-cpu"


def notebook(folder: Path, name: str, *cells: tuple[str, str]) -> str:
    """A notebook of code cells, each its tag (or nothing) and its source."""
    path = folder / f"{name}.ipynb"
    made: list[dict[str, Any]] = [
        {"cell_type": "code", "execution_count": None, "id": f"c{number}", "outputs": [],
         "metadata": {"tags": [tag] if tag else []}, "source": source}
        for number, (tag, source) in enumerate(cells)
    ]  # fmt: skip
    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python"}}
    whole = {"cells": made, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(whole))
    return str(path)


def run(cloud: Cloud, name: str, **step: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """A pipeline of one notebook at its end: its step and the training job below."""
    from sagemaker.core.workflow.pipeline_context import PipelineSession
    from sagemaker.mlops.workflow.notebook_job_step import NotebookJobStep
    from sagemaker.mlops.workflow.pipeline import Pipeline

    session = PipelineSession(default_bucket=BUCKET)
    asked = {"image_uri": IMAGE, "kernel_name": "python3", "role": ROLE, **step}
    only = NotebookJobStep(name="Report", notebook_job_name=name, **asked)
    Pipeline(name=name, steps=[only], sagemaker_session=session).create(role_arn=ROLE)
    sm = cloud.client("sagemaker")
    arn = sm.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
    until(
        lambda: sm.describe_pipeline_execution(PipelineExecutionArn=arn), "PipelineExecutionStatus"
    )
    done = sm.list_pipeline_execution_steps(PipelineExecutionArn=arn)["PipelineExecutionSteps"][0]
    job = done["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
    return done, sm.describe_training_job(TrainingJobName=job)


def outputs(cloud: Cloud, job: Mapping[str, Any]) -> dict[str, bytes]:
    """Files of the job's output.tar.gz."""
    place = f"{job['OutputDataConfig']['S3OutputPath']}/{job['TrainingJobName']}/output"
    key = f"{place.removeprefix(f's3://{BUCKET}/')}/output.tar.gz"
    body = cloud.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        files = [one for one in archive.getmembers() if one.isfile()]
        return {one.name: archive.extractfile(one).read() for one in files}  # type: ignore[union-attr]


def texts(document: bytes) -> str:
    """Everything that the cells of a notebook printed."""
    cells = json.loads(document)["cells"]
    found = [out.get("text", "") for cell in cells for out in cell.get("outputs", ())]
    return "".join("".join(one) for one in found)


def test_a_notebook_runs_with_parameters_and_its_script(
    environment: None, cloud: Cloud, tmp_path: Path
) -> None:
    script = tmp_path / "begin.sh"
    script.write_text("export GREETING=hello\n")
    made = notebook(
        tmp_path,
        "report",
        ("parameters", "region = 'nowhere'"),
        ("", "import os\nprint(os.environ['GREETING'], region, open('more.txt').read())"),
    )
    (tmp_path / "more.txt").write_text("beside")
    step, job = run(
        cloud,
        "nightly-report",
        input_notebook=made,
        parameters={"region": "eu"},
        initialization_script=str(script),
        additional_dependencies=[str(tmp_path / "more.txt")],
        environment_variables={"OTHER": "1"},
    )
    assert step["StepStatus"] == "Succeeded", job["FailureReason"]
    files = outputs(cloud, job)
    named = job["Environment"]["SM_OUTPUT_NOTEBOOK_NAME"]
    assert texts(files[named]) == "hello eu beside\n"
    assert json.loads(files["report.ipynb"])["cells"][0]["outputs"] == []


def test_a_cell_that_fails_fails_the_step_with_what_it_raised(
    environment: None, cloud: Cloud, tmp_path: Path
) -> None:
    made = notebook(tmp_path, "broken", ("", "print('before')"), ("", "1 / 0"))
    step, job = run(cloud, "broken-report", input_notebook=made)
    assert step["StepStatus"] == "Failed"
    assert "ZeroDivisionError" in job["FailureReason"]
    files = outputs(cloud, job)
    assert "before" in texts(files[job["Environment"]["SM_OUTPUT_NOTEBOOK_NAME"]])


@pytest.mark.parametrize(
    ("given", "named"),
    [("a.ipynb", "a.ipynb"), ("n-2026-11-30T07:00:00.5Z.ipynb", "n-2026-11-30T07-00-00-5Z.ipynb")],
)
def test_the_output_is_named_without_marks_of_a_time(given: str, named: str) -> None:
    from stacks.local.runtime.frameworks.notebook import file_name

    assert file_name(given) == named
