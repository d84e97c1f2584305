"""An endpoint and a feature store asked without a pause while everything around them changes.

    python -m tests.drills soak [SECONDS] [SEED]

Callers invoke an endpoint of two servers and write records. Meanwhile its configuration is updated
by a canary and step by step, an update is rolled back by its alarm, a server is killed, and so is
the cloud, which is started again. Exit code 1 where a request got no answer or a wrong one, where a
record that was acknowledged is missing, or where processes, descriptors or memory grew.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from stacks.local.daemon import client as session
from stacks.local.runtime.processes import Children
from tests.drills.state import say
from tests.kits.endpoints import (
    alarm_on_errors,
    configure,
    on_instances,
    put_artifact,
    serve,
    serve_program,
)
from tests.kits.local_cloud import Cloud, kill, left_of, running_cloud

ENDPOINT, GROUP, ALARM = "soak", "soak", "soak-errors"
CALLERS = 3
INSTANCES = 2
BAKE_SECONDS = 3
SETTLED_SECONDS = 240
"""Longest that an update may take on a busy machine."""

WRITTEN_SECONDS = 4
"""In which a snapshot is written, whatever else goes on."""

ANSWERED_SECONDS = 120
"""Longest that a request may be asked again while the cloud is down or its servers start."""

GROWTH = 1.25
"""Most that the cloud's memory may grow after its first quarter."""

MORE_DESCRIPTORS = 16
ONE_TRY = Config(retries={"max_attempts": 0}, connect_timeout=5, read_timeout=60)


@dataclass
class Tally:
    """What was asked, answered and seen."""

    answers: Counter[str] = field(default_factory=Counter)
    acknowledged: dict[str, str] = field(default_factory=dict)
    """Identifier of a record -> its value."""

    wrong: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    """What was done to the endpoint and the cloud."""

    held: list[tuple[float, int, int]] = field(default_factory=list)
    """Age of the cloud's process in seconds, MiB, descriptors."""


@dataclass
class Soak:
    """A cloud under way; another process once it was killed."""

    cloud: Cloud
    tally: Tally = field(default_factory=Tally)
    over: threading.Event = field(default_factory=threading.Event)

    def client(self, service: str) -> Any:
        return self.cloud.client(service, config=ONE_TRY)


def run(arguments: Sequence[str]) -> int:
    """Drill; 0 where nothing was lost and nothing grew."""
    seconds = float(arguments[0]) if arguments else 600.0
    choices = random.Random(arguments[1] if len(arguments) > 1 else 0)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        with running_cloud(home) as cloud:
            soak = Soak(cloud)
            _prepare(soak, Path(folder))
            servers_before = len(left_of(home))
            threads = [
                *(threading.Thread(target=_ask, args=(soak, n)) for n in range(CALLERS)),
                threading.Thread(target=_write, args=(soak,)),
                threading.Thread(target=_measure, args=(soak,)),
            ]
            for thread in threads:
                thread.start()
            try:
                _disturb(soak, choices, time.monotonic() + seconds)
            finally:
                soak.over.set()
                for thread in threads:
                    thread.join()
            _read_back(soak)
            _compare(soak, servers_before)
    tally = soak.tally
    told = {
        "answers": tally.answers,
        "records": len(tally.acknowledged),
        "done": tally.done,
        "memory_mib": [mib for _, mib, _ in tally.held][:: max(1, len(tally.held) // 12)],
        "descriptors": [count for *_, count in tally.held][:: max(1, len(tally.held) // 12)],
        "wrong": tally.wrong[:20],
    }
    sys.stdout.write(json.dumps(told, indent=2) + "\n")
    return 1 if tally.wrong else 0


def _prepare(soak: Soak, folder: Path) -> None:
    (folder / "bin").mkdir()
    sm, path = soak.client("sagemaker"), serve_program(folder / "bin")
    artifact = put_artifact(soak.client("s3"))
    for name in ("blue", "green"):
        variant = {
            **on_instances(sm, name, path, artifact, name),
            "InitialInstanceCount": INSTANCES,
        }
        sm.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    configure(sm, "broken", path, artifact, broken=1)
    serve(sm, ENDPOINT, "blue")
    alarm_on_errors(soak.client("cloudwatch"), ALARM, ENDPOINT, variant="broken")
    sm.create_feature_group(
        FeatureGroupName=GROUP,
        RecordIdentifierFeatureName="id",
        EventTimeFeatureName="at",
        FeatureDefinitions=[
            {"FeatureName": "id", "FeatureType": "String"},
            {"FeatureName": "at", "FeatureType": "Fractional"},
        ],
        OnlineStoreConfig={"EnableOnlineStore": True},
    )
    time.sleep(WRITTEN_SECONDS)


# -- those who ask -------------------------------------------------------------------------------


def _answered(soak: Soak, what: str, ask: Callable[[], Any]) -> Any:
    """The answer, asked again while there is none; None where time ran out, which is wrong."""
    deadline = time.monotonic() + ANSWERED_SECONDS
    last = ""
    while time.monotonic() < deadline:
        try:
            answer = ask()
        except ClientError as error:
            last = str(error.response["Error"]["Code"])
        except BotoCoreError as error:
            last = type(error).__name__
        else:
            soak.tally.answers[f"{what}: answered"] += 1
            return answer
        soak.tally.answers[f"{what}: {last}"] += 1
        time.sleep(0.05)
    soak.tally.wrong.append(f"{what}: no answer within {ANSWERED_SECONDS} s, at last {last}")
    return None


def _ask(soak: Soak, number: int) -> None:
    count = 0
    while not soak.over.is_set():
        body = f"{number}-{count}"
        count += 1

        def ask(body: str = body) -> str:
            answer = soak.client("sagemaker-runtime").invoke_endpoint(
                EndpointName=ENDPOINT, Body=body.encode(), ContentType="text/csv"
            )
            return str(answer["Body"].read().decode())

        answer = _answered(soak, "invoke", ask)
        if answer is not None and answer.split("|")[2:3] != [body]:
            soak.tally.wrong.append(f"asked {body!r}, got {answer!r}")


def _write(soak: Soak) -> None:
    count = 0
    while not soak.over.is_set():
        identifier, at = str(count % 500), str(count)
        count += 1

        def ask(identifier: str = identifier, at: str = at) -> Any:
            record = {"id": identifier, "at": at}
            return soak.client("sagemaker-featurestore-runtime").put_record(
                FeatureGroupName=GROUP,
                Record=[{"FeatureName": k, "ValueAsString": v} for k, v in record.items()],
            )

        if _answered(soak, "put", ask) is not None:
            soak.tally.acknowledged[identifier] = at
        time.sleep(0.01)


def _measure(soak: Soak) -> None:
    while not soak.over.wait(2):
        try:
            process = psutil.Process(soak.cloud.info.pid)
            age = time.time() - process.create_time()
            mib = process.memory_info().rss >> 20
            soak.tally.held.append((age, mib, process.num_fds()))
        except psutil.Error:  # it was just killed
            continue


# -- what is done meanwhile ----------------------------------------------------------------------


def _disturb(soak: Soak, choices: random.Random, end: float) -> None:
    kinds = {
        "canary": lambda: _update(soak, {"Type": "CANARY", "CanarySize": _percent(50)}),
        "linear": lambda: _update(soak, {"Type": "LINEAR", "LinearStepSize": _percent(50)}),
        "rolled back": lambda: _roll_back(soak),
        "server killed": lambda: _kill_server(soak, choices),
        "cloud killed": lambda: _kill_cloud(soak),
    }
    while time.monotonic() < end:
        chosen = sorted(kinds)
        choices.shuffle(chosen)
        for kind in chosen:
            if time.monotonic() > end:
                return
            kinds[kind]()
            soak.tally.done[kind] += 1
            say(f"{kind}: {dict(soak.tally.answers)}")
            time.sleep(choices.uniform(0, 2))


def _percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def _described(soak: Soak) -> Any:
    return _answered(
        soak, "describe", lambda: soak.client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)
    )


def _settled(soak: Soak, config: str) -> None:
    deadline = time.monotonic() + SETTLED_SECONDS
    while (found := _described(soak))["EndpointStatus"] not in ("InService", "Failed"):
        if time.monotonic() > deadline:
            break
        time.sleep(0.2)
    shown = found["EndpointStatus"], found["EndpointConfigName"]
    if shown != ("InService", config):
        soak.tally.wrong.append(f"the endpoint must be InService with {config}, got {shown}")


def _deploy(soak: Soak, config: str, routing: dict[str, Any], **more: Any) -> None:
    policy = {"TrafficRoutingConfiguration": {**routing, "WaitIntervalInSeconds": BAKE_SECONDS}}
    soak.client("sagemaker").update_endpoint(
        EndpointName=ENDPOINT,
        EndpointConfigName=config,
        DeploymentConfig={"BlueGreenUpdatePolicy": policy, **more},
    )


def _update(soak: Soak, routing: dict[str, Any]) -> None:
    other = {"blue": "green", "green": "blue"}[_described(soak)["EndpointConfigName"]]
    _deploy(soak, other, routing)
    _settled(soak, other)


def _roll_back(soak: Soak) -> None:
    """An update to a container that answers errors: whoever is asked meanwhile asks again."""
    before = _described(soak)["EndpointConfigName"]
    alarms = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": ALARM}]}}
    canary = {"Type": "CANARY", "CanarySize": _percent(50)}
    policy = {"TrafficRoutingConfiguration": {**canary, "WaitIntervalInSeconds": 120}}
    soak.client("sagemaker").update_endpoint(
        EndpointName=ENDPOINT,
        EndpointConfigName="broken",
        DeploymentConfig={"BlueGreenUpdatePolicy": policy, **alarms},
    )
    _settled(soak, before)


def _kill_server(soak: Soak, choices: random.Random) -> None:
    children = Children(folder=soak.cloud.home / "local/run").recorded()
    serving = [child for child in children if f"endpoint {ENDPOINT}" in child.purpose]
    if serving:
        os.kill(choices.choice(serving).pid, signal.SIGKILL)


def _kill_cloud(soak: Soak) -> None:
    """What the last second changed is lost, but for records: so the endpoint is left alone."""
    time.sleep(WRITTEN_SECONDS)
    config = _described(soak)["EndpointConfigName"]
    kill(soak.cloud)
    soak.cloud = Cloud(home=soak.cloud.home, info=session.start(soak.cloud.home))
    _settled(soak, config)


# -- what must hold ------------------------------------------------------------------------------


def _read_back(soak: Soak) -> None:
    reading = soak.client("sagemaker-featurestore-runtime")
    for identifier, at in soak.tally.acknowledged.items():
        found = reading.get_record(
            FeatureGroupName=GROUP, RecordIdentifierValueAsString=identifier
        ).get("Record", [])
        values = {one["FeatureName"]: one["ValueAsString"] for one in found}
        if values.get("at") != at:
            soak.tally.wrong.append(f"record {identifier} must be of {at}, got {values}")


def _compare(soak: Soak, servers_before: int) -> None:
    left = len(left_of(soak.cloud.home))
    if left > servers_before:
        soak.tally.wrong.append(f"{left} processes, {servers_before} before")
    held = soak.tally.held
    first, later = held[: len(held) // 4 + 1], held[len(held) // 4 + 1 :]
    for what, column, most in (("MiB", 1, GROWTH), ("descriptors", 2, None)):
        before, after = (max((one[column] for one in part), default=0) for part in (first, later))
        limit = before * most if most else before + MORE_DESCRIPTORS
        if after > limit:
            soak.tally.wrong.append(f"the cloud held {after} {what}, {before} in the first quarter")
