"""Processing and training jobs as processes on SageMaker's /opt/ml contract.

Both go through the same stages: lay out the files a container would find, run its program, read how
it ended, bring away what it wrote. What the program printed is kept as `local/jobs/<job>/log.txt`;
the rest of the job's folder is deleted when the job is over.
"""

import contextlib
import itertools
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from stacks.local.runtime import hosts, images, left
from stacks.local.runtime.acting import Acting
from stacks.local.runtime.container import OPT_ML, ContainerRuntime
from stacks.local.runtime.datasets import as_s3_input
from stacks.local.runtime.frameworks.cloudwatch_metrics import FOLDER
from stacks.local.runtime.job_directory import JobDirectory
from stacks.local.runtime.job_metrics import last_metrics
from stacks.local.runtime.processes import tail
from stacks.local.runtime.s3_files import TransferFailed, download, pack, put, split_uri, upload

FAILURE_REASON_LIMIT = 1024
"""Characters of a FailureReason (SageMaker API reference)."""

EXIT_MESSAGE_LIMIT = 1024
CANNOT_BE_MOVED = (TransferFailed, left.LeadsOut, OSError, RecursionError)
"""Faults of files that a job reads or left: an object that is not there, a link that leads out, a
name that is too long, folders in folders without end, a full disk."""

DEFAULT_SECONDS = 86_400
POLL_SECONDS = 0.05

Status = Literal["Completed", "Failed", "Stopped"]
Request = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a job ended, and what it left."""

    status: Status
    failure_reason: str | None = None
    exit_message: str | None = None
    timed_out: bool = False
    metrics: Mapping[str, float] | None = None
    """Last value of each metric. Default: no metric was defined."""

    told: Sequence[str] = ()
    """Lines of its files for CloudWatch. Default: it left none."""


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """Runs jobs on this machine."""

    host: ContainerRuntime
    act: Callable[[str, str, Sequence[str]], Acting]
    """ARN of a role, ARN of the job, its subnets -> the session that the job acts with."""

    def process(self, request: Request, arn: str, stopping: threading.Event) -> Ending:
        """A processing job from its CreateProcessingJob request to its end."""
        parts = self._parts(request["ProcessingJobName"], instances(request))
        app = request["AppSpecification"]
        outputs = managed(request.get("ProcessingOutputConfig", {}).get("Outputs", ()))
        said = app.get("ContainerEntrypoint", ())
        entrypoint = images.entrypoint(said, app["ImageUri"], "process")
        acting = self.act(request["RoleArn"], arn, _subnets(request))
        try:
            inputs = [
                as_s3_input(entry, acting, request["ProcessingJobName"])
                for entry in managed(request.get("ProcessingInputs", ()))
            ]
            for part in parts:
                _write_processing_inputs(part, request, inputs, arn, acting)
            ending = self._run(
                [*entrypoint, *app.get("ContainerArguments", ())],
                parts,
                request,
                {"PROCESSING_JOB_NAME": request["ProcessingJobName"]},
                stopping,
                acting=acting,
                ours=images.is_ours(app["ImageUri"]),
                message=f"{OPT_ML}/output/message",
                isolated=request.get("NetworkConfig", {}).get("EnableNetworkIsolation", False),
            )
            if ending.status == "Completed":
                for entry, part in itertools.product(outputs, parts):
                    output = entry["S3Output"]
                    place = part.path(output["LocalPath"])
                    upload(acting.s3, part.folder, place, output["S3Uri"])
            told = [line for part in parts for line in part.lines(FOLDER)]
            return replace(ending, told=told)
        except CANNOT_BE_MOVED as error:
            return _not_moved(error)
        finally:
            self._tidy(request["ProcessingJobName"], parts)

    def train(
        self,
        request: Request,
        arn: str,
        stopping: threading.Event,
        reached: Callable[[str], None],
    ) -> Ending:
        """A training job from its CreateTrainingJob request to its end.

        `reached` hears each secondary status on the way.
        """
        name = request["TrainingJobName"]
        parts = self._parts(name, instances(request))
        algorithm = request["AlgorithmSpecification"]
        image = algorithm.get("TrainingImage", "")
        entrypoint = images.entrypoint(algorithm.get("ContainerEntrypoint", ()), image, "train")
        argv = [*entrypoint, *algorithm.get("ContainerArguments", ())]
        acting = self.act(request["RoleArn"], arn, _subnets(request))
        try:
            reached("Downloading")
            for part in parts:
                self._write_training_inputs(part, request, acting.s3)
            reached("Training")
            ending = self._run(
                argv,
                parts,
                request,
                {"TRAINING_JOB_NAME": name, "TRAINING_JOB_ARN": arn},
                stopping,
                acting=acting,
                ours=images.is_ours(image),
                message=f"{OPT_ML}/output/failure",
                isolated=request.get("EnableNetworkIsolation", False),
            )
            reached("Uploading")
            self._collect_training(parts, request, acting.s3)
        except CANNOT_BE_MOVED as error:
            ending = _not_moved(error)
        finally:
            self._tidy(name, parts)
        definitions = algorithm.get("MetricDefinitions", [])
        logs = [part.log for part in parts]
        metrics = last_metrics(logs, definitions) if definitions else None
        return Ending(
            status=ending.status,
            failure_reason=ending.failure_reason,
            timed_out=ending.timed_out,
            metrics=metrics,
        )

    def _write_training_inputs(self, directory: JobDirectory, request: Request, s3: Any) -> None:
        channels = request.get("InputDataConfig", [])
        for channel in channels:
            source = channel["DataSource"]["S3DataSource"]
            folder = directory.path(f"{OPT_ML}/input/data/{channel['ChannelName']}")
            download(s3, source, folder, *directory.share(source))
        checkpoints = request.get("CheckpointConfig")
        if checkpoints:
            bucket, prefix = split_uri(checkpoints["S3Uri"])
            if s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("KeyCount"):
                download(s3, checkpoints, directory.path(_checkpoint_path(checkpoints)))
        config = f"{OPT_ML}/input/config"
        directory.write(f"{config}/hyperparameters.json", request.get("HyperParameters", {}))
        directory.write(
            f"{config}/inputdataconfig.json", {c["ChannelName"]: _seen(c) for c in channels}
        )
        resources = resource_config(request["ResourceConfig"], directory)
        directory.write(f"{config}/resourceconfig.json", resources)
        for name in ("model", "output/data", "checkpoints"):
            directory.path(f"{OPT_ML}/{name}").mkdir(parents=True, exist_ok=True)

    def _collect_training(self, parts: Sequence[JobDirectory], request: Request, s3: Any) -> None:
        """Bring away model, other output and checkpoints; of several containers as of one."""
        bucket, prefix = split_uri(request["OutputDataConfig"]["S3OutputPath"])
        base = "/".join(p for p in (prefix.strip("/"), request["TrainingJobName"], "output") if p)
        checkpoints = request.get("CheckpointConfig")
        if checkpoints:
            for part in parts:
                place = part.path(_checkpoint_path(checkpoints))
                upload(s3, part.folder, place, checkpoints["S3Uri"])
        for folder, name in (("output/data", "output.tar.gz"), ("model", "model.tar.gz")):
            written = [part.path(f"{OPT_ML}/{folder}") for part in parts]
            archive = parts[0].folder.parent / name
            if pack(written, archive):
                put(s3, archive, bucket, f"{base}/{name}")

    def _run(
        self,
        argv: Sequence[str],
        parts: Sequence[JobDirectory],
        request: Request,
        variables: Mapping[str, str],
        stopping: threading.Event,
        **more: Any,
    ) -> Ending:
        """Run the program in every container until it ends, is stopped, or its time is over."""

        def run(part: JobDirectory, halt: threading.Event) -> Ending:
            return self._run_one(argv, part, request, variables, halt, **more)

        return hosts.together(parts, run, stopping)

    def _run_one(
        self,
        argv: Sequence[str],
        directory: JobDirectory,
        request: Request,
        variables: Mapping[str, str],
        stopping: threading.Event,
        *,
        acting: Acting,
        ours: bool,
        message: str,
        isolated: bool,
    ) -> Ending:
        directory.path(message).parent.mkdir(parents=True, exist_ok=True)
        # the SDK's get_execution_role reads it before it asks STS at AWS itself
        role = {"ExecutionRoleArn": request["RoleArn"]}
        directory.write(f"{OPT_ML}/metadata/resource-metadata.json", role)
        limit = request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DEFAULT_SECONDS)
        try:
            process = self.host.start(
                argv,
                purpose=f"job {next(iter(variables.values()))}",
                directory=directory.folder,
                environment={**variables, **request.get("Environment", {})},
                log=directory.log,
                credentials=acting.environment,
                ours=ours,
                isolated=isolated,
                hosts=directory.names,
            )
        except OSError as error:  # without a namespace the program itself may be missing
            return failed(f"{error.strerror}: {error.filename}", 127, directory.log)
        stopped = not over(process, stopping, time.monotonic() + limit)
        status = self.host.children.stop(process)
        said = directory.read(message, EXIT_MESSAGE_LIMIT)
        if stopped:
            timed_out = not stopping.is_set()
            reason = f"MaxRuntimeInSeconds ({limit}) was reached" if timed_out else None
            return Ending(
                status="Stopped",
                failure_reason=reason,
                exit_message=said or None,
                timed_out=timed_out,
            )
        if status:
            return failed(said, status, directory.log)
        return Ending(status="Completed", exit_message=said or None)

    def logs(self, name: str, count: int) -> Mapping[str, Path]:
        """Container of a job -> where what it prints is kept."""
        folder = self.host.state / "jobs" / name
        first, *others = hosts.names(count)
        return {first: folder / "log.txt", **{host: folder / f"{host}.txt" for host in others}}

    def _parts(self, name: str, count: int) -> list[JobDirectory]:
        """A new folder for each container of a job; it does not see its log, which lies above."""
        folder, logs = self.host.state / "jobs" / name, self.logs(name, count)
        left.remove(folder)
        folder.mkdir(parents=True)
        told = hosts.write(folder / "hosts", [*logs]) if count > 1 else None
        return [
            JobDirectory(folder=folder / host, log=log, host=host, hosts=[*logs], names=told)
            for host, log in logs.items()
        ]

    def _tidy(self, name: str, parts: Sequence[JobDirectory]) -> None:
        kept = {part.log for part in parts}
        for entry in (self.host.state / "jobs" / name).iterdir():
            if entry.is_dir():
                left.remove(entry)
            elif entry not in kept:
                entry.unlink(missing_ok=True)


def over(process: subprocess.Popen[bytes], stopping: threading.Event, deadline: float) -> bool:
    """Wait for a program's end; False: it is to stop, or its time is over."""
    while process.poll() is None and not stopping.is_set() and time.monotonic() < deadline:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(POLL_SECONDS)  # looks more often at first: many steps are short
    return process.poll() is not None


def _subnets(request: Request) -> Sequence[str]:
    """Where a job runs; none: in a network of SageMaker's own."""
    config = request.get("VpcConfig") or request.get("NetworkConfig", {}).get("VpcConfig", {})
    subnets: Sequence[str] = config.get("Subnets", ())
    return subnets


def failed(said: str, status: int, log: Path) -> Ending:
    """A failed job, its reason in SageMaker's form and ending with the last lines of the log."""
    head = f"AlgorithmError: {said or 'See job logs for more information'}, exit code: {status}"
    lines = tail(log)
    left = FAILURE_REASON_LIMIT - len(head) - len("\n...")
    if lines and left > 0:
        head += f"\n{lines}" if len(lines) <= left else f"\n...{lines[-left:]}"
    return Ending(
        status="Failed",
        failure_reason=head[:FAILURE_REASON_LIMIT],
        exit_message=said or None,
    )


def instances(request: Request) -> int:
    """Containers of a training or processing job."""
    processing = request.get("ProcessingResources", {}).get("ClusterConfig", {})
    return int(request.get("ResourceConfig", processing).get("InstanceCount", 1))


def managed(entries: Sequence[Request]) -> list[Request]:
    """The inputs or outputs that SageMaker moves; of the others the program sees to itself
    (AppManaged of ProcessingInput and ProcessingOutput, API reference)."""
    return [entry for entry in entries if not entry.get("AppManaged")]


def _write_processing_inputs(
    directory: JobDirectory, request: Request, inputs: Sequence[Request], arn: str, acting: Acting
) -> None:
    for entry in inputs:
        source = entry["S3Input"]
        folder = directory.path(source["LocalPath"])
        # a client takes longer than a short program: it is made where something is read
        download(acting.s3, source, folder, *directory.share(source))
    for entry in managed(request.get("ProcessingOutputConfig", {}).get("Outputs", ())):
        directory.path(entry["S3Output"]["LocalPath"]).mkdir(parents=True, exist_ok=True)
    config = f"{OPT_ML}/config"
    cluster = request["ProcessingResources"]["ClusterConfig"]
    directory.write(f"{config}/resourceconfig.json", resource_config(cluster, directory))
    directory.write(f"{config}/processingjobconfig.json", {"ProcessingJobArn": arn, **request})


def resource_config(cluster: Request, directory: JobDirectory) -> dict[str, Any]:
    """The container's view of its cluster."""
    hosts, instance = [*directory.hosts], cluster["InstanceType"]
    group = {"instance_group_name": "homogeneousCluster", "instance_type": instance}
    return {
        "current_host": directory.host,
        "current_instance_type": instance,
        "current_group_name": "homogeneousCluster",
        "hosts": hosts,
        "instance_groups": [{**group, "hosts": hosts}],
        "network_interface_name": "lo",
    }


def _not_moved(error: Exception) -> Ending:
    why = str(error)
    if not isinstance(error, TransferFailed):
        why = f"ClientError: what the job reads or left cannot be moved: {why}"
    return Ending(status="Failed", failure_reason=why[:FAILURE_REASON_LIMIT])


def _seen(channel: Request) -> dict[str, str]:
    source = channel["DataSource"]["S3DataSource"]
    return {
        "TrainingInputMode": channel.get("InputMode", "File"),
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
    }


def _checkpoint_path(config: Request) -> str:
    return str(config.get("LocalPath", f"{OPT_ML}/checkpoints"))
