"""MLflow's own pages, as a browser asks for what they show."""

from collections.abc import Mapping
from typing import Any

import httpx2 as httpx

from tests.conftest import Clone

API = "/ajax-api/2.0/mlflow"


def look(clone: Clone) -> None:
    """Read a file that some run left: the server fetches it, as the role of the tracking."""
    said = clone.ok("env", "local")
    login = said["MLFLOW_TRACKING_USERNAME"], said["MLFLOW_TRACKING_PASSWORD"]
    with httpx.Client(base_url=said["MLFLOW_TRACKING_URI"], auth=login) as pages:
        ids = [one["experiment_id"] for one in _posted(pages, "experiments/search")["experiments"]]
        found = [
            {"run_id": run["info"]["run_id"], "path": file["path"]}
            for run in _posted(pages, "runs/search", experiment_ids=ids)["runs"]
            for file in _files(pages, run["info"]["run_id"])
            if not file["is_dir"]
        ]
        assert found, f"a run of {ids} must have left a file"
        read = pages.get("/get-artifact", params=found[0])
        assert read.is_success, read.text


def _files(pages: httpx.Client, run_id: str) -> list[Mapping[str, Any]]:
    answer = pages.get(f"{API}/artifacts/list", params={"run_id": run_id})
    assert answer.is_success, answer.text
    files: list[Mapping[str, Any]] = answer.json().get("files", [])
    return files


def _posted(pages: httpx.Client, what: str, **asked: Any) -> Mapping[str, Any]:
    answer = pages.post(f"{API}/{what}", json={"max_results": 50, **asked})
    assert answer.is_success, answer.text
    found: Mapping[str, Any] = answer.json()
    return found
