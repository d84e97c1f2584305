"""The job contract as our programs see it: folders, log lines, and how a failure is told."""

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

REASON_LIMIT = 1024
"""Characters of a FailureReason and of an ExitMessage (SageMaker API reference)."""


class StepError(Exception):
    """What is wrong with the data or the request, in one line for who started the run."""


def opt_ml() -> Path:
    """The contract's base folder: elsewhere than /opt/ml where that cannot be mounted."""
    return Path(os.environ.get("OPT_ML", "/opt/ml"))


def given(name: str) -> Path:
    """The folder of one input of a processing job."""
    return opt_ml() / "processing" / "input" / name


def result(name: str) -> Path:
    """The folder of one output of a processing job."""
    folder = opt_ml() / "processing" / "output" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def hyperparameters(known: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
    """The training job's hyperparameters, each made what it is: SageMaker hands on texts."""
    path = opt_ml() / "input" / "config" / "hyperparameters.json"
    found = read_json(path) if path.exists() else {}
    unknown = sorted(found.keys() - known.keys())
    if unknown:
        raise StepError(f"hyperparameters must be {', '.join(known)}, got {unknown}")
    return {name: known[name](value) for name, value in found.items()}


def bound_threads() -> None:
    """Keep OpenMP to the machine's cores, and quiet while it waits; call before scikit-learn loads.

    By default idle threads spin: with two cores and one other busy process, a fit of two seconds
    takes thirty.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count() or 1))
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def run(main: Callable[[list[str]], None]) -> None:
    """Run a step's program; its last log line, and the job's FailureReason, say what went wrong."""
    sys.excepthook = _tell
    main(sys.argv[1:])


def _tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    reason = str(error) if isinstance(error, StepError) else f"{kind.__name__}: {error}"
    if not isinstance(error, StepError):
        traceback.print_exception(kind, error, trace)
    output = opt_ml() / "output"
    output.mkdir(parents=True, exist_ok=True)
    for name in ("failure", "message"):  # read after a training and after a processing job
        (output / name).write_text(reason[:REASON_LIMIT])
    print(f"failed: {reason}", flush=True)
