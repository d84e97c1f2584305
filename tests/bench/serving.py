"""Our server against what a user would pick: FastAPI over a DataFrame, `mlflow models serve`.

    python tests/bench/serving.py [--requests 1000] [--json]

All serve the same trees on the same data, one process each, and their answers are compared. They
take turns of some single records, so that the load of the machine falls on all alike, and none of
them is asked only after others have emptied the processor's caches; only the ratios are worth
reporting. Then each is asked by several connections at once for a while.
"""

import argparse
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
CARRIERS = ("9E", "AA", "B6", "DL", "EV", "MQ", "UA", "US", "WN")
ORIGINS = ("EWR", "JFK", "LGA")
NUMBERS = tuple(f"number_{index}" for index in range(18))
TURN = 20
"""Records that a server gets one after the other."""

WARM_UP_TURNS = 5
START_SECONDS = 60
CONNECTIONS = 4
LOAD_SECONDS = 5.0

SERVERS: dict[str, list[str]] = {
    "plinth": ["-m", "serving.server"],
    "fastapi": [str(Path(__file__).resolve()), "--alternative", "{folder}"],
    "mlflow": [
        *("-m", "mlflow", "models", "serve", "--model-uri", "{folder}/mlflow"),
        *("--port", "{port}", "--workers", "1", "--env-manager", "local"),
    ],
}
"""Arguments of Python; ours checks the signature and counts its metrics."""


def train(folder: Path) -> dict[str, Any]:
    """Write both artefacts, pipeline.joblib for the alternative; returns a record to send."""
    import joblib
    import numpy as np
    import pandas as pd
    import skops.io
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    rng, rows = np.random.default_rng(0), 20_000
    frame = pd.DataFrame({name: rng.normal(size=rows) for name in NUMBERS})
    frame.insert(0, "origin", rng.choice(ORIGINS, rows))
    frame.insert(0, "carrier", rng.choice(CARRIERS, rows))
    late = frame["number_0"] + (frame["carrier"] == "EV") + rng.normal(size=rows) > 1
    encoder = ColumnTransformer(
        [
            (
                "codes",
                OrdinalEncoder(categories=[list(CARRIERS), list(ORIGINS)]),
                ["carrier", "origin"],
            )
        ],
        remainder="passthrough",
    )
    pipeline = make_pipeline(encoder, HistGradientBoostingClassifier(random_state=0))
    pipeline.fit(frame, late)
    joblib.dump(pipeline, folder / "pipeline.joblib")
    _save_for_mlflow(pipeline, frame, folder / "mlflow")
    model = folder / "model"
    model.mkdir()
    skops.io.dump(pipeline[-1], model / "model.skops")
    categories = {"carrier": CARRIERS, "origin": ORIGINS}
    features: list[dict[str, Any]] = [
        {"name": name, "kind": "categorical", "categories": list(values)}
        for name, values in categories.items()
    ]
    features += [{"name": name, "kind": "numeric", "nullable": True} for name in NUMBERS]
    (model / "signature.json").write_text(
        json.dumps({"format": 1, "features": features, "target": {"kind": "binary"}})
    )
    record: dict[str, Any] = json.loads(frame.iloc[0].to_json())
    return record


def _save_for_mlflow(pipeline: Any, frame: Any, folder: Path) -> None:
    import mlflow.sklearn

    mlflow.sklearn.save_model(
        pipeline,
        folder,
        pyfunc_predict_fn="predict_proba",
        input_example=frame[:2],
        serialization_format="cloudpickle",
    )


def serve_alternative(folder: Path, port: int) -> None:
    """The server that a tutorial ends with: typed records, a DataFrame, a pipeline."""
    import joblib
    import pandas as pd
    import uvicorn
    from fastapi import FastAPI
    from pydantic import create_model

    pipeline = joblib.load(folder / "pipeline.joblib")
    fields: dict[str, Any] = {name: (str, ...) for name in ("carrier", "origin")}
    fields |= {name: (float | None, ...) for name in NUMBERS}
    record_type: Any = create_model("Record", **fields)
    body_type: Any = create_model("Body", records=(list[record_type], ...))
    app = FastAPI()

    @app.get("/ping")
    def ping() -> dict[str, str]:
        return {"status": "healthy"}

    def invocations(body: Any) -> dict[str, Any]:
        frame = pd.DataFrame([record.model_dump() for record in body.records])
        chances = pipeline.predict_proba(frame)[:, 1]
        return {"predictions": [{"probability": float(chance)} for chance in chances]}

    invocations.__annotations__["body"] = body_type
    app.post("/invocations")(invocations)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


@contextmanager
def running(argv: list[str], folder: Path) -> Iterator[tuple[http.client.HTTPConnection, float]]:
    """A server process, a connection to it, and the seconds until it answered /ping."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # The same number of OpenMP threads for both: our server sets it for itself.
    env = {**os.environ, "OPT_ML": str(folder), "SAGEMAKER_BIND_TO_PORT": str(port)}
    env |= {"OMP_NUM_THREADS": "1", "PORT": str(port), "MLFLOW_DISABLE_TELEMETRY": "true"}
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"  # mlflow looks for uvicorn there
    started = time.perf_counter()
    command = [sys.executable, *(part.format(port=port) for part in argv)]
    process = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        while time.perf_counter() - started < START_SECONDS:
            try:
                connection.request("GET", "/ping")
                connection.getresponse().read()
                break
            except ConnectionError:
                connection.close()
                time.sleep(0.02)
        took = time.perf_counter() - started
        connection.close()  # it would be idle while others start; the next request opens it again
        yield connection, took
    finally:
        connection.close()
        os.killpg(process.pid, signal.SIGTERM)  # mlflow's server is a child of its command
        process.wait(30)


class Caller:
    """A connection that costs next to nothing: Python's own client would be a third of our time."""

    def __init__(self, port: int, body: bytes) -> None:
        head = f"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: "
        self._message = (
            f"{head}application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )
        self._plug = socket.create_connection(("127.0.0.1", port))
        self._plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self._plug.makefile("rb")

    def ask(self) -> bytes:
        """The body of one answer."""
        self._plug.sendall(self._message)
        assert b" 200 " in self._stream.readline()
        length = 0
        while (line := self._stream.readline()) != b"\r\n":
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        return self._stream.read(length)

    def close(self) -> None:
        self._stream.close()
        self._plug.close()


def timed(caller: Caller) -> tuple[float, float]:
    """Milliseconds of one invocation, and the probability it answered."""
    started = time.perf_counter()
    answer = caller.ask()
    milliseconds = (time.perf_counter() - started) * 1000
    [predicted] = json.loads(answer)["predictions"]
    return milliseconds, predicted["probability"] if isinstance(predicted, dict) else predicted[1]


def per_second(port: int, body: bytes) -> float:
    """Requests a second over connections that are asked again as soon as they have answered."""
    answered, stop = [0] * CONNECTIONS, time.perf_counter() + LOAD_SECONDS

    def ask(number: int) -> None:
        with closing(Caller(port, body)) as caller:
            while time.perf_counter() < stop:
                caller.ask()
                answered[number] += 1

    started = time.perf_counter()
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(answered) / (time.perf_counter() - started)


def measure(requests: int) -> dict[str, Any]:
    """Alternate requests between the servers, then load each."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        record = train(Path(name))
        body = json.dumps({"records": [record]}).encode()
        bodies = dict.fromkeys(SERVERS, body)
        bodies["mlflow"] = json.dumps({"dataframe_records": [record]}).encode()
        started = {
            server: stack.enter_context(running([part.format(folder=name, port="{port}")
                                                 for part in argv], Path(name)))
            for server, argv in SERVERS.items()
        }  # fmt: skip
        callers = {
            server: stack.enter_context(closing(Caller(started[server][0].port, bodies[server])))
            for server in SERVERS
        }
        turns = [
            {server: [timed(caller) for _ in range(TURN)] for server, caller in callers.items()}
            for _ in range(WARM_UP_TURNS + -(-requests // TURN))
        ]
        rates = {server: per_second(started[server][0].port, bodies[server]) for server in SERVERS}
    told = {round(chance, 9) for turn in turns for asked in turn.values() for _, chance in asked}
    assert len(told) == 1, "the servers disagree"
    times = {
        server: [took for turn in turns[WARM_UP_TURNS:] for took, _ in turn[server]]
        for server in SERVERS
    }
    p50 = {server: statistics.median(found) for server, found in times.items()}
    return {
        "requests": requests,
        "servers": {
            server: {
                "p50_ms": round(p50[server], 3),
                "p99_ms": round(statistics.quantiles(found, n=100)[98], 3),
                "per_second": round(rates[server]),
                "start_s": round(started[server][1], 2),
                "times_plinth_p50": round(p50[server] / p50["plinth"], 2),
            }
            for server, found in times.items()
        },
    }


def main() -> None:
    """Run the comparison, or the alternative server that it starts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=1000, help="requests to each")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--alternative", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alternative:
        serve_alternative(options.alternative, int(os.environ["PORT"]))
        return
    result = measure(options.requests)
    if options.json:
        print(json.dumps(result))
        return
    for server, figures in result["servers"].items():
        print(f"{server:8} " + "  ".join(f"{name} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
