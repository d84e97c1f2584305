"""`plinth run`, `approve`, `promote` and `predict`: a workload's way from data to answers."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from infra.errors import CheckFailed, UserError
from infra.naming import MODEL_GROUP, REALTIME
from stacks.commands.execution import page_of, told, write_page
from stacks.commands.output import CommandOutput
from stacks.commands.watching import Watch
from stacks.executions.job_logs import JobLogs
from stacks.paths import ROOT, shown
from stacks.settings.load import workload_stack
from stacks.settings.model import WorkloadSettings
from stacks.settings.pin import pin_model_package
from stacks.stack_name import StackName
from stacks.targets.aws_clients import Clients
from stacks.targets.target import target_of

HOLDOUT_DAYS = 7
"""Days after the evaluation window that `plinth predict` scores: the model has not seen them."""

BATCH = 200
"""Records per request when the holdout is scored."""

SINGLES = 200
"""Requests of one record each whose latency is reported."""


def clients_of(settings: WorkloadSettings) -> Clients:
    """Clients of the account in which a workload lives."""
    environment = settings.environment
    return target_of(environment.name).clients(environment.account.region)


def run(
    name: str,
    pipeline: str | None,
    parameters: Mapping[str, str],
    report: CommandOutput,
    *,
    follow: bool = False,
) -> dict[str, Any]:
    """Start a pipeline, show its steps, wait for its end; CheckFailed unless it succeeds.

    `follow`: show what its jobs print, too. A page about the execution is left in the home.
    """
    stack, settings = workload_stack(name)
    chosen = pipeline or next(iter(settings.workload.pipelines))
    settings.workload.pipeline(chosen)  # an error lists those there are
    full_name = settings.names.of(chosen)
    clients = clients_of(settings)
    sagemaker = clients("sagemaker")
    with report.stage(f"run {stack}", f"pipeline {full_name}") as stage:
        given = {"SourceCommit": source_commit(), **parameters}
        arn = _start(sagemaker, stack, full_name, given)
        watch = Watch(clients, arn, report, JobLogs(clients("logs")) if follow else None)
        status, steps = watch.wait(stage)
        stage.done = status
    metrics, page = _metrics(clients, steps), page_of(arn)
    record = write_page(clients, arn, page, watch.cached)
    result = {
        "stack": str(stack),
        "pipeline_name": full_name,
        "status": status,
        "execution_arn": arn,
        "failure_reason": record.failure or None,
        "steps": [step for step in told(record) if step["status"] != "NotStarted"],
        "metrics": metrics,
        "page": str(page),
        "seconds": report.seconds,
    }
    report.say(f"page: {shown(page)}")
    report.table(f"evaluation of {full_name}" if metrics else "", metrics)
    if status != "Succeeded":
        raise _failed(result)
    return result


def approve(name: str, package: str | None, reason: str, report: CommandOutput) -> dict[str, Any]:
    """Approve a model package: the given version, or the newest that waits for approval."""
    stack, settings = workload_stack(name)
    sagemaker = clients_of(settings)("sagemaker")
    group = settings.names.of(MODEL_GROUP)
    arn = _find_package(sagemaker, stack, group, package, "PendingManualApproval")
    sagemaker.update_model_package(
        ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription=reason
    )
    described = sagemaker.describe_model_package(ModelPackageName=arn)
    facts = described.get("CustomerMetadataProperties", {})
    report.table(f"approved {group} version {described['ModelPackageVersion']}", facts)
    return {"stack": str(stack), "model_package_arn": arn, "status": "Approved", "metadata": facts}


def promote(name: str, package: str | None, report: CommandOutput) -> dict[str, Any]:
    """Pin an approved package in the workload's file: a release is a change to that file."""
    stack, settings = workload_stack(name)
    sagemaker = clients_of(settings)("sagemaker")
    arn = _find_package(sagemaker, stack, settings.names.of(MODEL_GROUP), package, "Approved")
    status = sagemaker.describe_model_package(ModelPackageName=arn)["ModelApprovalStatus"]
    if status != "Approved":
        raise UserError(
            f"{arn} must be Approved to be promoted, got {status}",
            fix=f"type `plinth approve {stack}`",
        )
    before = settings.endpoint.model_package_arn
    if before != arn:
        pin_model_package(stack, arn)
    report.say(f"{shown(stack.file)} pins {arn.rpartition('model-package/')[2]}")
    report.say(f"next: plinth up {stack}")
    return {
        "stack": str(stack),
        "model_package_arn": arn,
        "previous": before,
        "changed": before != arn,
    }


def predict(name: str, report: CommandOutput) -> dict[str, Any]:
    """Ask the endpoint about days that the model has not seen, and score its answers.

    The same score of a naive guess stands beside it.
    """
    from pipelines.holdout import Source, compared, holdout
    from stacks.definitions import feature_groups

    stack, settings = workload_stack(name)
    names, workload, clients = settings.names, settings.workload, clients_of(settings)
    with report.stage(f"holdout {stack}", f"{HOLDOUT_DAYS} unseen days of {stack}") as stage:
        source = Source(
            client=clients,
            data_bucket=names.bucket("data"),
            feature_groups=feature_groups(names, workload),
            parameters=settings.parameters(next(iter(workload.pipelines))),
        )
        asked = holdout(workload, source, HOLDOUT_DAYS)
        stage.done = f"{len(asked.records)} records"
    endpoint = names.of(REALTIME)
    with report.stage(f"predict {stack}", f"ask endpoint {endpoint}") as stage:
        invoke = _invoker(clients("sagemaker-runtime"), stack, endpoint)
        records = asked.records
        answers = [
            answer
            for n in range(0, len(records), BATCH)
            for answer in invoke(records[n : n + BATCH])
        ]
        latencies = _latencies(invoke, records[:SINGLES])
        stage.done = f"{len(answers)} answers"
    measured = {key: round(value, 4) for key, value in compared(workload, asked, answers).items()}
    result = {
        "stack": str(stack),
        "endpoint_name": endpoint,
        "days": HOLDOUT_DAYS,
        "n": len(answers),
        **measured,
        **latencies,
    }
    report.table(f"{stack}: predictions against what happened", result)
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


def _failed(result: Mapping[str, Any]) -> CheckFailed:
    """Why a run did not succeed."""
    reasons = [
        f"  {step['name']}: {step['failure_reason']}"
        for step in result["steps"]
        if step["failure_reason"]
    ]
    problem = f"pipeline {result['pipeline_name']} must succeed, got {result['status']}:\n"
    return CheckFailed(
        problem + "\n".join(reasons),
        fix="mend the cause above and run it again; what is served has not changed",
        data=result,
    )


def _start(sagemaker: Any, stack: StackName, name: str, parameters: Mapping[str, str]) -> str:
    from botocore.exceptions import ClientError

    given = [{"Name": key, "Value": value} for key, value in sorted(parameters.items())]
    try:
        answer = sagemaker.start_pipeline_execution(PipelineName=name, PipelineParameters=given)
    except ClientError as error:
        raise UserError(
            f"pipeline {name} does not start: {error.response['Error']['Message']}",
            fix=f"type `plinth up {stack}`, or correct --param",
        ) from None
    return str(answer["PipelineExecutionArn"])


def _metrics(clients: Clients, steps: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The numbers of an evaluation report among the outputs; none when nothing was evaluated."""
    for step in steps:
        job = step.get("Metadata", {}).get("ProcessingJob")
        if job and step["StepStatus"] == "Succeeded" and step["StepName"] == "Evaluate":
            described = clients("sagemaker").describe_processing_job(
                ProcessingJobName=job["Arn"].rpartition("/")[2]
            )
            outputs = described["ProcessingOutputConfig"]["Outputs"]
            uri = urlsplit(
                next(o["S3Output"]["S3Uri"] for o in outputs if o["OutputName"] == "evaluation")
            )
            key = f"{uri.path.strip('/')}/evaluation.json"
            body = json.loads(clients("s3").get_object(Bucket=uri.netloc, Key=key)["Body"].read())
            found = {name: item["value"] for name, item in body["metrics"].items()}
            guessed = {f"baseline_{n}": i["value"] for n, i in body.get("baseline", {}).items()}
            return found | guessed
    return {}


def _find_package(
    sagemaker: Any, stack: StackName, group: str, package: str | None, status: str
) -> str:
    from botocore.exceptions import ClientError

    if package is not None and package.startswith("arn:"):
        return package
    try:
        found = sagemaker.list_model_packages(
            ModelPackageGroupName=group,
            SortBy="CreationTime",
            SortOrder="Descending",
            MaxResults=100,
        )["ModelPackageSummaryList"]
    except ClientError as error:
        raise UserError(
            f"{group} must exist, got {error.response['Error']['Message']}",
            fix=f"type `plinth up {stack}`",
        ) from None
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
            fix=f"type `plinth run {stack}` to train one, or name a version",
        )
    return str(max(wanted, key=lambda arn: int(arn.rpartition("/")[2])))


Invoke = Callable[[Sequence[Mapping[str, Any]]], list[Mapping[str, float]]]


def _invoker(runtime: Any, stack: StackName, endpoint: str) -> Invoke:
    from botocore.exceptions import ClientError

    def invoke(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, float]]:
        try:
            answer = runtime.invoke_endpoint(
                EndpointName=endpoint,
                ContentType="application/json",
                Body=json.dumps({"records": records}),
            )
        except ClientError as error:
            failed = error.response["Error"]["Code"] == "ModelError"
            raise UserError(
                f"endpoint {endpoint} must answer, got {error.response['Error']['Message']}",
                fix=f"read its log: `plinth logs {stack} endpoint`"
                if failed
                else f"serve a model: `plinth run`, `approve`, `promote` and `up` {stack}",
            ) from None
        found: list[Mapping[str, float]] = json.loads(answer["Body"].read())["predictions"]
        return found

    return invoke


def _latencies(invoke: Invoke, records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Milliseconds of single-record requests, client and endpoint together."""
    taken = []
    for record in records:
        started = time.perf_counter()
        invoke([record])
        taken.append((time.perf_counter() - started) * 1000)
    cuts = statistics.quantiles(taken, n=100, method="inclusive")
    return {"p50_ms": round(cuts[49], 2), "p99_ms": round(cuts[98], 2)}
