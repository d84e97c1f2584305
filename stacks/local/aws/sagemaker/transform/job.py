"""Transform jobs as resources: created, their model serves until everything is answered.

Source: CreateTransformJob, API reference; developer guide, "Custom inference code with batch
transform" (the container's variables, /execution-parameters, the order of precedence).
"""

import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import urllib3

from stacks.local.aws.container_logs import server_stream
from stacks.local.aws.emulator import Emulator, moto_backend
from stacks.local.aws.sagemaker import input_data, job_lineage, jobs, servers
from stacks.local.aws.sagemaker.errors import can_assume, invalid
from stacks.local.aws.sagemaker.model_containers import name_of, pipeline
from stacks.local.aws.sagemaker.resource_type import Request
from stacks.local.aws.sagemaker.role_needs import may_log
from stacks.local.aws.sagemaker.servers import Server, Serving, ServingFailed
from stacks.local.aws.sagemaker.shapes import now
from stacks.local.aws.sagemaker.transform.association import association, kind
from stacks.local.aws.sagemaker.transform.json_path import PathError
from stacks.local.aws.sagemaker.transform.run import Output, Settings, Stopped, Transform
from stacks.local.aws.store import Resource
from stacks.local.runtime import left
from stacks.local.runtime.jobs import FAILURE_REASON_LIMIT, Ending
from stacks.local.runtime.processes import free_port
from stacks.local.runtime.s3_files import Source, TransferFailed, put, sources, split_uri

GROUP = "/aws/sagemaker/TransformJobs"
HEALTH_SECONDS = 1800
"""SageMaker ends a job whose container has not answered /ping in half an hour
(aws/amazon-sagemaker-examples#815)."""

MOST_MB = 100
"""Of MaxPayloadInMB, and of it times MaxConcurrentTransforms."""

DEFAULTS: Mapping[str, Any] = {
    "MaxConcurrentTransforms": 1,
    "BatchStrategy": "MultiRecord",
    "MaxPayloadInMB": 6,
}
"""Where neither the request nor the container says anything."""

STRATEGIES = {"SingleRecord": "SINGLE_RECORD", "MultiRecord": "MULTI_RECORD"}
"""As the API has them and as containers have."""

UNFILTERED = {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}
TIMEOUT_SECONDS, RETRIES = 600, 3
"""Defaults of ModelClientConfig."""


def start_transform(emulator: Emulator, item: Resource, request: Request) -> None:
    """Run a transform job in the background."""
    model = emulator.store.find("model", request["ModelName"])
    if model is None:
        arn = emulator.arn(f"model/{request['ModelName']}")
        raise invalid(f'Could not find model "{arn}".')
    _check_payload(request)
    _check_input(request)
    containers = pipeline(emulator, model.fields, "a transform job")
    role = model.fields.get("ExecutionRoleArn", "")
    can_assume(emulator.region, role, item.arn)
    input_data.check(emulator, request, role, item.arn)
    job_lineage.check(emulator, request)
    job_lineage.start(emulator, item, "TransformJob", {**containers[0], **request})
    stopping = threading.Event()
    item.live = stopping
    item.set(
        TransformJobStatus="InProgress",
        DataProcessing={**UNFILTERED, **request.get("DataProcessing", {})},
        TransformInput={
            "CompressionType": "None", "SplitType": "None", **request["TransformInput"],
        },
        TransformOutput={"AssembleWith": "None", "KmsKeyId": "", **request["TransformOutput"]},
    )  # fmt: skip
    job = _Job(emulator, item, dict(model.fields), containers)

    def work() -> None:
        item.set(TransformStartTime=now())
        job.finish(job.ending(stopping))

    def broken(error: BaseException) -> None:
        reason = f"InternalServerError: {error!r}"
        job.finish(Ending(status="Failed", failure_reason=reason))

    emulator.background(work, broken=broken)


class _Job:
    """One job on its way: its files, its server, its logs."""

    def __init__(
        self,
        emulator: Emulator,
        item: Resource,
        model: Mapping[str, Any],
        containers: Sequence[Mapping[str, Any]],
    ) -> None:
        self.emulator, self.item, self.model = emulator, item, model
        self.containers = containers
        self.request: Request = item.fields
        self.folder = emulator.host.state / "transforms" / item.name
        self.log, self.data_log = self.folder / "log.txt", self.folder / "data-log.txt"
        self.stream = server_stream(item.name, self.log)

    def ending(self, stopping: threading.Event) -> Ending:
        """Everything from the first file to the last."""
        if reason := self.emulator.faults.no_capacity("CreateTransformJob"):
            return _failed(reason)
        left.remove(self.folder)
        self.folder.mkdir(parents=True)
        acting = self.emulator.act(
            self.model["ExecutionRoleArn"],
            self.item.arn,
            subnets=self.model.get("VpcConfig", {}).get("Subnets", ()),
        )
        if may_log(self.emulator, acting, GROUP):
            self.emulator.logs.follow(self.data_log, GROUP, f"{self.stream}/data-log")
        server = None
        try:
            found = sources(acting.s3, self.request["TransformInput"]["DataSource"]["S3DataSource"])
            server = servers.start_instance(self.emulator, self._servings())
            whose = f"model {self.request['ModelName']}"
            servers.wait(server, whose, HEALTH_SECONDS, stopping)
            outputs = self._transformed(server, found, acting.s3, stopping)
            self._upload(acting.s3, outputs)
        except Stopped:
            return Ending(status="Stopped")
        except PathError as error:
            self._write(str(error))
            return _failed(f"ClientError: {error}")
        except TransferFailed as error:
            return _failed(str(error))
        except ServingFailed as error:
            stopped = stopping.is_set()
            return Ending(status="Stopped") if stopped else _failed(f"AlgorithmError: {error}")
        finally:
            if server is not None:
                server.stop(self.emulator.host)
        return _outcome(outputs)

    def finish(self, ending: Ending) -> None:
        logs = moto_backend("logs", self.emulator)
        for path in self.folder.glob("*log*.txt"):
            self.emulator.logs.end(path, logs)
        for entry in self.folder.iterdir() if self.folder.exists() else ():
            if entry.is_dir():
                left.remove(entry)
        jobs.finish(self.emulator, self.item, "TransformJob", ending)

    def _servings(self) -> list[Serving]:
        request = self.request
        told = {
            "SAGEMAKER_BATCH": "true",
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": request.get("MaxPayloadInMB"),
            "SAGEMAKER_BATCH_STRATEGY": STRATEGIES.get(request.get("BatchStrategy", "")),
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": request.get("MaxConcurrentTransforms"),
        }
        known = {name: str(value) for name, value in told.items() if value is not None}
        return [
            Serving(
                purpose=f"transform job {self.item.name}",
                arn=self.item.arn,
                model=self.model,
                container=own,
                port=free_port(),
                directory=self.folder / f"container{mark}",
                log=self.folder / f"log{mark}.txt",
                group=GROUP,
                stream=f"{self.stream}{mark.replace('-', '/', 1)}",
                volume_key=request["TransformResources"].get("VolumeKmsKeyId", ""),
                environment={**request.get("Environment", {}), **known},
            )
            for own, mark in zip(self.containers, self._marks(), strict=True)
        ]

    def _marks(self) -> list[str]:
        """What the containers' files and streams end with: nothing where there is one."""
        if len(self.containers) == 1:
            return [""]
        return [f"-{name_of(own)}" for own in self.containers]

    def _transformed(
        self, server: Server, found: list[Source], s3: Any, stopping: threading.Event
    ) -> list[Output]:
        chosen = _chosen(self.request, _execution_parameters(server))
        self._write(
            f"MaxConcurrentTransforms={chosen['MaxConcurrentTransforms']}, "
            f"MaxPayloadInMB={chosen['MaxPayloadInMB']}, "
            f"BatchStrategy={STRATEGIES[chosen['BatchStrategy']]}"
        )
        work = self.folder / "work"
        work.mkdir()
        transform = Transform(
            settings=_settings(self.request, chosen),
            server=server,
            end=lambda: server.stop(self.emulator.host),
            s3=s3,
            folder=work,
            stopping=stopping,
            say=lambda source, line: self._write(f"{source.shown}: {line}"),
        )
        transform.run(found)
        return transform.outputs

    def _upload(self, s3: Any, outputs: list[Output]) -> None:
        bucket, prefix = split_uri(self.request["TransformOutput"]["S3OutputPath"])
        base = f"{prefix.rstrip('/')}/" if prefix else ""
        for output in outputs:
            if output.failure is None:
                put(s3, output.path, bucket, f"{base}{output.source.name}.out")

    def _write(self, line: str) -> None:
        with self.data_log.open("a") as log:
            log.write(f"{now():%Y-%m-%dT%H:%M:%S}:[sagemaker logs]: {line}\n")


def _check_payload(request: Request) -> None:
    size, concurrent = request.get("MaxPayloadInMB", 0), request.get("MaxConcurrentTransforms", 0)
    if size > MOST_MB or size * concurrent > MOST_MB:
        raise invalid(
            f"MaxPayloadInMB, and MaxConcurrentTransforms times MaxPayloadInMB, must be at most "
            f"{MOST_MB}, got {size} and {concurrent}"
        )


def _check_input(request: Request) -> None:
    """What the developer guide asks of jobs that filter or join."""
    source, output = request["TransformInput"], request["TransformOutput"]
    place = source["DataSource"]["S3DataSource"]
    if place["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise invalid(f"S3DataType must be S3Prefix or ManifestFile, got {place['S3DataType']!r}")
    processing = {**UNFILTERED, **request.get("DataProcessing", {})}
    joins = processing["JoinSource"] == "Input"
    input_kind, output_kind = kind(source.get("ContentType", "")), kind(output.get("Accept", ""))
    if (joins or processing["InputFilter"] != "$") and not input_kind:
        raise _unread("ContentType", source.get("ContentType"))
    if (joins or processing["OutputFilter"] != "$") and not output_kind:
        raise _unread("Accept", output.get("Accept"))
    if joins and input_kind != output_kind:
        raise invalid("with JoinSource Input, ContentType and Accept must be of one format")
    filters_csv = "csv" in (
        input_kind if joins or processing["InputFilter"] != "$" else "",
        output_kind if joins or processing["OutputFilter"] != "$" else "",
    )
    if filters_csv and source.get("SplitType") != "Line":
        raise invalid("SplitType must be Line where text/csv is filtered or joined")
    if joins and output_kind == "csv" and output.get("AssembleWith") != "Line":
        raise invalid("AssembleWith must be Line where text/csv is joined")


def _unread(member: str, got: str | None) -> Exception:
    known = "text/csv, application/json or application/jsonlines"
    return invalid(f"{member} must be {known} where DataProcessing reads it, got {got!r}")


def _execution_parameters(server: Server) -> Mapping[str, Any]:
    """What the container wants; it need not say, and what it says badly it does not say."""
    try:
        answer = server.request("GET", "/execution-parameters", timeout=2)
        told = json.loads(answer.data) if answer.status == 200 else {}
    except (urllib3.exceptions.HTTPError, ValueError):
        return {}
    held = told if isinstance(told, dict) else {}
    known = (*STRATEGIES, *STRATEGIES.values())
    return {
        name: value
        for name, value in held.items()
        if (value in known if name == "BatchStrategy" else type(value) is int and value >= 0)
    }


def _chosen(request: Request, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The request's values, else the container's, else the defaults."""
    strategies = {theirs: ours for ours, theirs in STRATEGIES.items()}
    found = {
        **DEFAULTS,
        **{name: wanted[name] for name in DEFAULTS if name in wanted},
        **{name: request[name] for name in DEFAULTS if name in request},
    }
    if not request.get("MaxConcurrentTransforms"):  # 0: the container says, too
        found["MaxConcurrentTransforms"] = wanted.get("MaxConcurrentTransforms") or 1
    found["BatchStrategy"] = strategies.get(found["BatchStrategy"], found["BatchStrategy"])
    return found


def _settings(request: Request, chosen: Mapping[str, Any]) -> Settings:
    source, output = request["TransformInput"], request["TransformOutput"]
    client = request.get("ModelClientConfig", {})
    headers = {"Content-Type": source.get("ContentType"), "Accept": output.get("Accept")}
    return Settings(
        association=association(request),
        single=chosen["BatchStrategy"] == "SingleRecord" and source["SplitType"] != "None",
        max_payload_mb=chosen["MaxPayloadInMB"],
        concurrent=chosen["MaxConcurrentTransforms"],
        split_type=source["SplitType"],
        compression=source["CompressionType"],
        lines=output["AssembleWith"] == "Line",
        headers={name: value for name, value in headers.items() if value},
        timeout_seconds=client.get("InvocationsTimeoutInSeconds", TIMEOUT_SECONDS),
        retries=client.get("InvocationsMaxRetries", RETRIES),
    )


def _outcome(outputs: list[Output]) -> Ending:
    """Completed where every object was answered."""
    first = next((output for output in outputs if output.failure is not None), None)
    if first is None or first.failure is None:
        return Ending(status="Completed")
    head = f"{first.failure.kind}: See job logs for more information"
    return _failed(f"{head}\n{first.source.shown}: {first.failure}")


def _failed(reason: str) -> Ending:
    return Ending(status="Failed", failure_reason=reason[:FAILURE_REASON_LIMIT])
