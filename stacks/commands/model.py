"""`plinth run`, `approve`, `promote` and `predict`: a model's way from data to answers."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlsplit

from infra.errors import CheckFailed, UserError
from stacks.commands import cloud
from stacks.commands.output import Report
from stacks.settings import ROOT, load, pin_model_package, shown, stack_file
from stacks.workload import HOLDOUT_DAYS, MODEL, PIPELINE, single_holdout

POLL_SECONDS = 0.3
FINAL = ("Succeeded", "Failed", "Stopped")
BATCH = 200
"""Records per request when the holdout is scored."""

SINGLES = 200
"""Requests of one record each whose latency is reported."""


def run(env: str, pipeline: str, parameters: Mapping[str, str], report: Report) -> dict[str, Any]:
    """Start a pipeline, show its steps, wait for its end; CheckFailed unless it succeeds."""
    if pipeline != PIPELINE:
        raise UserError(f"pipeline must be one of {PIPELINE}, got {pipeline!r}")
    client = cloud.clients(env)
    sagemaker = client("sagemaker")
    name = load(env).names(env).of(pipeline)
    with report.stage("run", f"pipeline {name}") as stage:
        arn = _start(sagemaker, env, name, {"SourceCommit": source_commit(), **parameters})
        status, steps = _wait(sagemaker, arn, report, stage)
        stage.done = status
    shown_steps = [_step(step) for step in steps]
    execution = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    metrics = _metrics(client, steps)
    result = {
        "env": env,
        "status": status,
        "execution_arn": arn,
        "failure_reason": execution.get("FailureReason"),
        "steps": shown_steps,
        "metrics": metrics,
        "seconds": report.seconds,
    }
    report.table("evaluation", metrics)
    if status != "Succeeded":
        reasons = [
            f"  {step['name']}: {step['failure_reason']}"
            for step in shown_steps
            if step["failure_reason"]
        ]
        raise CheckFailed(
            f"pipeline {name} must succeed, got {status}:\n" + "\n".join(reasons),
            fix="mend the cause above and run it again; what is served has not changed",
            data=result,
        )
    return result


def approve(env: str, package: str | None, reason: str, report: Report) -> dict[str, Any]:
    """Approve a model package: the given version, or the newest that waits for approval."""
    sagemaker = cloud.clients(env)("sagemaker")
    group = load(env).names(env).of(MODEL)
    arn = _find_package(sagemaker, group, package, "PendingManualApproval")
    sagemaker.update_model_package(
        ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription=reason
    )
    described = sagemaker.describe_model_package(ModelPackageName=arn)
    facts = described.get("CustomerMetadataProperties", {})
    report.table(f"approved {group} version {described['ModelPackageVersion']}", facts)
    return {"env": env, "model_package_arn": arn, "status": "Approved", "metadata": facts}


def promote(env: str, package: str | None, report: Report) -> dict[str, Any]:
    """Pin an approved package in the environment's file: a release is a change to that file."""
    sagemaker = cloud.clients(env)("sagemaker")
    settings = load(env)
    arn = _find_package(sagemaker, settings.names(env).of(MODEL), package, "Approved")
    status = sagemaker.describe_model_package(ModelPackageName=arn)["ModelApprovalStatus"]
    if status != "Approved":
        raise UserError(
            f"{arn} must be Approved to be promoted, got {status}",
            fix=f"type `plinth approve {env}`",
        )
    before = settings.endpoint.model_package_arn
    if before != arn:
        pin_model_package(env, arn)
    report.say(f"{shown(stack_file(env))} pins {arn.rpartition('model-package/')[2]}")
    report.say(f"next: plinth up {env}")
    return {"env": env, "model_package_arn": arn, "previous": before, "changed": before != arn}


def predict(env: str, report: Report) -> dict[str, Any]:
    """Ask the endpoint about flights of days that the model has not seen, and score the answers."""
    settings = load(env)
    names = settings.names(env)
    client = cloud.clients(env)
    start = date.fromisoformat(settings.training.train_end) + timedelta(
        days=settings.training.evaluation_days
    )
    with report.stage("holdout", f"{HOLDOUT_DAYS} days from {start} as features") as stage:
        asked = single_holdout(env, settings, client, HOLDOUT_DAYS)
        labels, records = [int(value) for value in asked.truth], asked.records
        stage.done = f"{len(records)} flights"
    with report.stage("predict", f"ask endpoint {names.of(MODEL)}") as stage:
        invoke = _invoker(client("sagemaker-runtime"), names.of(MODEL))
        scores = [
            score for n in range(0, len(records), BATCH) for score in invoke(records[n : n + BATCH])
        ]
        latencies = _latencies(invoke, records[:SINGLES])
        stage.done = f"{len(scores)} answers"
    result = {
        "env": env,
        "endpoint_name": names.of(MODEL),
        "start": start.isoformat(),
        "days": HOLDOUT_DAYS,
        "n": len(scores),
        **_quality(labels, scores),
        **latencies,
    }
    report.table("predictions against what happened", result)
    return result | {"seconds": report.seconds}


def source_commit() -> str:
    """The commit that the checkout is at, with `-dirty` when it has changes; lineage of a run."""
    done = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude", "*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unspecified"


def _start(sagemaker: Any, env: str, name: str, parameters: Mapping[str, str]) -> str:
    from botocore.exceptions import ClientError

    given = [{"Name": key, "Value": value} for key, value in sorted(parameters.items())]
    try:
        answer = sagemaker.start_pipeline_execution(PipelineName=name, PipelineParameters=given)
    except ClientError as error:
        raise UserError(
            f"pipeline {name} does not start: {error.response['Error']['Message']}",
            fix=f"type `plinth up {env}`, or correct --param",
        ) from None
    return str(answer["PipelineExecutionArn"])


def _wait(sagemaker: Any, arn: str, report: Report, stage: Any) -> tuple[str, list[dict[str, Any]]]:
    told: set[str] = set()
    while True:
        status = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        steps = sagemaker.list_pipeline_execution_steps(
            PipelineExecutionArn=arn, SortOrder="Ascending", MaxResults=100
        )["PipelineExecutionSteps"]
        ended = [step for step in steps if step["StepStatus"] in FINAL]
        for step in ended:
            if step["StepName"] not in told:
                told.add(step["StepName"])
                shown_step = _step(step)
                report.err.print(
                    f"[dim]{shown_step['seconds']:6.1f} s[/]    {step['StepName']}  "
                    f"{step['StepStatus']}"
                )
        running = [s["StepName"] for s in steps if s["StepStatus"] not in FINAL]
        stage.tick(len(ended), None, ", ".join(running))
        if status["PipelineExecutionStatus"] in FINAL:
            return status["PipelineExecutionStatus"], steps
        time.sleep(POLL_SECONDS)


def _step(step: Mapping[str, Any]) -> dict[str, Any]:
    end, start = step.get("EndTime"), step.get("StartTime")
    return {
        "name": step["StepName"],
        "status": step["StepStatus"],
        "seconds": round((end - start).total_seconds(), 3) if start and end else 0.0,
        "failure_reason": step.get("FailureReason"),
    }


def _metrics(client: cloud.Clients, steps: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The numbers of the Evaluate step's report; none when it did not run."""
    for step in steps:
        job = step.get("Metadata", {}).get("ProcessingJob")
        if step["StepName"] == "Evaluate" and job and step["StepStatus"] == "Succeeded":
            described = client("sagemaker").describe_processing_job(
                ProcessingJobName=job["Arn"].rpartition("/")[2]
            )
            outputs = described["ProcessingOutputConfig"]["Outputs"]
            uri = urlsplit(
                next(o["S3Output"]["S3Uri"] for o in outputs if o["OutputName"] == "evaluation")
            )
            key = f"{uri.path.strip('/')}/evaluation.json"
            body = client("s3").get_object(Bucket=uri.netloc, Key=key)["Body"].read()
            return {name: item["value"] for name, item in json.loads(body)["metrics"].items()}
    return {}


def _find_package(sagemaker: Any, group: str, package: str | None, status: str) -> str:
    if package is not None and package.startswith("arn:"):
        return package
    found = sagemaker.list_model_packages(
        ModelPackageGroupName=group,
        SortBy="CreationTime",
        SortOrder="Descending",
        MaxResults=100,
    )["ModelPackageSummaryList"]
    wanted = [
        item["ModelPackageArn"]
        for item in found
        if (package is None and item["ModelApprovalStatus"] == status)
        or (package is not None and str(item["ModelPackageVersion"]) == package)
    ]
    if not wanted:
        have = ", ".join(
            f"version {p['ModelPackageVersion']} {p['ModelApprovalStatus']}" for p in found
        )
        raise UserError(
            f"{group} must have a package {package or status}, got {have or 'none'}",
            fix="type `plinth run ENV training` to train one, or name a version",
        )
    return str(max(wanted, key=lambda arn: int(arn.rpartition("/")[2])))


def _invoker(runtime: Any, endpoint: str) -> Any:
    from botocore.exceptions import ClientError

    def invoke(records: Sequence[Mapping[str, Any]]) -> list[float]:
        try:
            answer = runtime.invoke_endpoint(
                EndpointName=endpoint,
                ContentType="application/json",
                Body=json.dumps({"records": records}),
            )
        except ClientError as error:
            raise UserError(
                f"endpoint {endpoint} must answer, got {error.response['Error']['Message']}",
                fix="type `plinth run`, `approve`, `promote` and `up` to serve a model",
            ) from None
        found = json.loads(answer["Body"].read())["predictions"]
        return [item["probability"] for item in found]

    return invoke


def _latencies(invoke: Any, records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Milliseconds of single-record requests, client and endpoint together."""
    taken = []
    for record in records:
        started = time.perf_counter()
        invoke([record])
        taken.append((time.perf_counter() - started) * 1000)
    taken.sort()
    return {
        "p50_ms": round(taken[len(taken) // 2], 2),
        "p99_ms": round(taken[min(len(taken) - 1, int(len(taken) * 0.99))], 2),
    }


def _quality(labels: Sequence[int], scores: Sequence[float]) -> dict[str, float]:
    from sklearn.metrics import brier_score_loss, roc_auc_score

    return {
        "auc": round(float(roc_auc_score(labels, scores)), 4),
        "brier": round(float(brier_score_loss(labels, scores)), 4),
        "late_rate": round(sum(labels) / len(labels), 4),
    }
