"""Single-record latency of our server against what a user would write: FastAPI over a DataFrame.

    python bench/serving.py [--requests 1000] [--json]

Both serve the same trees on the same data and their answers are compared. Requests alternate, one
to each, so that the load of the machine falls on both alike; only the ratio is worth reporting.
"""

import argparse
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
CARRIERS = ("9E", "AA", "B6", "DL", "EV", "MQ", "UA", "US", "WN")
ORIGINS = ("EWR", "JFK", "LGA")
NUMBERS = tuple(f"number_{index}" for index in range(18))
WARM_UP = 100
START_SECONDS = 60


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
    env |= {"OMP_NUM_THREADS": "1", "PORT": str(port)}
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *argv], cwd=REPOSITORY, env=env)
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
        yield connection, time.perf_counter() - started
    finally:
        connection.close()
        process.terminate()
        process.wait(30)


def timed(connection: http.client.HTTPConnection, body: bytes) -> tuple[float, Any]:
    """Milliseconds of one invocation, and the probability it answered."""
    started = time.perf_counter()
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    answer = json.loads(connection.getresponse().read())
    milliseconds = (time.perf_counter() - started) * 1000
    return milliseconds, answer["predictions"][0]["probability"]


def measure(requests: int) -> dict[str, Any]:
    """Alternate requests between both servers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        body = json.dumps({"records": [train(folder)]}).encode()
        alternative = [str(Path(__file__).resolve()), "--alternative", name]
        with (
            running(["-m", "serving.server"], folder) as (ours, our_start),
            running(alternative, folder) as (theirs, their_start),
        ):
            pairs = [(timed(ours, body), timed(theirs, body)) for _ in range(WARM_UP + requests)]
    assert all(mine[1] == other[1] for mine, other in pairs), "the servers disagree"
    mine = [pair[0][0] for pair in pairs[WARM_UP:]]
    others = [pair[1][0] for pair in pairs[WARM_UP:]]
    return {
        "requests": requests,
        "plinth": summary(mine, our_start),
        "fastapi": summary(others, their_start),
        "ratio_p50": round(statistics.median(others) / statistics.median(mine), 2),
    }


def summary(times: list[float], start: float) -> dict[str, float]:
    """The figures of one server."""
    cuts = statistics.quantiles(times, n=100)
    return {
        "p50_ms": round(cuts[49], 3),
        "p99_ms": round(cuts[98], 3),
        "start_s": round(start, 2),
    }


def main() -> None:
    """Run the comparison, or the alternative server that it starts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=1000, help="pairs of requests")
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
    for server in ("plinth", "fastapi"):
        print(f"{server:8} " + "  ".join(f"{k} {v}" for k, v in result[server].items()))
    print(f"fastapi / plinth at p50: {result['ratio_p50']}")


if __name__ == "__main__":
    main()
