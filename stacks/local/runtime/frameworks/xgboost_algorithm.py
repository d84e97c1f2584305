"""XGBoost as AWS's built-in algorithm: tables in, `xgboost-model` out.

Source: developer guide, "XGBoost algorithm": CSV without a header and with the label first, or
libsvm; channels `train` and `validation`; `num_round` is required; the log says a metric per round.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stacks.local.runtime.frameworks.install import fail

MODEL = "xgboost-model"
OBJECTIVE = "_tuning_objective_metric"
"""What a tuning job is about, such as `validation:auc`: it is measured, too."""

OURS = ("num_round", "early_stopping_rounds", "csv_weights", OBJECTIVE)


def train(opt_ml: Path, told: Mapping[str, Any]) -> int:
    """Fit on the channels; the exit code."""
    import xgboost

    if "num_round" not in told:
        fail("ClientError: Require num_round. Hyperparameters must name it")
        return 1
    tables = {
        name: table(opt_ml / "input" / "data" / name)
        for name in ("train", "validation")
        if (opt_ml / "input" / "data" / name).is_dir()
    }
    if "train" not in tables:
        fail("ClientError: a channel called train must be there")
        return 1
    parameters = {name: value for name, value in told.items() if name not in OURS}
    if objective := str(told.get(OBJECTIVE, "")).rpartition(":")[2]:
        named = parameters.get("eval_metric", [])
        named = named if isinstance(named, list) else [named]
        parameters["eval_metric"] = list(dict.fromkeys([*named, objective]))
    watched = [(data, name) for name, data in tables.items()]
    stop = told.get("early_stopping_rounds")
    try:
        fitted = xgboost.train(
            parameters,
            tables["train"],
            num_boost_round=int(told["num_round"]),
            evals=watched,
            early_stopping_rounds=int(stop) if stop else None,
        )
    except xgboost.core.XGBoostError as error:
        sys.stderr.write(f"{error}\n")
        fail(f"ClientError: {str(error).strip().splitlines()[-1]}")
        return 1
    (opt_ml / "model").mkdir(parents=True, exist_ok=True)
    fitted.save_model(opt_ml / "model" / f"{MODEL}.ubj")
    (opt_ml / "model" / f"{MODEL}.ubj").rename(opt_ml / "model" / MODEL)
    return 0


def table(folder: Path) -> Any:
    """All files of a channel, in CSV or libsvm."""
    import numpy as np
    import xgboost

    files = sorted(path for path in folder.rglob("*") if path.is_file())
    text = "".join(path.read_text() for path in files)
    if ":" in text.partition("\n")[0]:
        from io import BytesIO

        from sklearn.datasets import load_svmlight_file

        rows, labels = load_svmlight_file(BytesIO(text.encode()))
        return xgboost.DMatrix(rows, label=labels)
    numbers = np.genfromtxt(text.splitlines(), delimiter=",", ndmin=2)
    return xgboost.DMatrix(numbers[:, 1:], label=numbers[:, 0])
