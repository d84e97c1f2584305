"""What IAM decides on where somebody asks MLflow by an ARN.

Of an app one action stands for every call; of a tracking server each operation of MLflow has its
own, in the name that MLflow's service definition gives it (Service Authorization Reference,
"Amazon SageMaker" and "Amazon SageMaker with MLflow").
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from stacks.local.aws.protocols import signed_for

HEADERS = ("HTTP_X_SM_MLFLOW_APP_ARN", "HTTP_X_MLFLOW_SM_TRACKING_SERVER_ARN")
OF_AN_APP = "CallMlflowAppApi"
APP = ":mlflow-app/"

NAMED_OTHERWISE: Mapping[str, str] = {
    "GetLatestVersions": "GetLatestModelVersions",
    "GetModelVersionDownloadUri": "GetDownloadURIForModelVersionArtifacts",
}
"""Operation of MLflow -> action, where they differ."""


def arn_of(environ: Mapping[str, Any]) -> str:
    """The app or tracking server that a request is for; empty: it is for no MLflow.

    One that is signed for another service than MLflow's is that service's, whatever header it has:
    IAM decides by the service.
    """
    found = next((str(environ[name]) for name in HEADERS if environ.get(name)), "")
    return found if signed_for(environ) == prefix_of(found) else ""


def prefix_of(arn: str) -> str:
    """Of the actions."""
    return "sagemaker" if APP in arn else "sagemaker-mlflow"


def operation_of(arn: str, method: str, path: str) -> str | None:
    """The action without its prefix; None: no operation of MLflow has this path.

    What leads up is none: whoever is asked could read it as another one's path.
    """
    if {".", ".."} & {*path.split("/")}:
        return None
    if APP in arn:
        return OF_AN_APP
    asked = re.sub(r"^/api/\d+\.\d+", "", path)
    found = (name for verb, pattern, name in _operations() if verb == method and pattern(asked))
    return next(found, None)


@functools.cache
def _operations() -> list[tuple[str, Any, str]]:
    """Method, test of a path and action of each operation; fixed paths come first."""
    from mlflow.protos import databricks_pb2, model_registry_pb2, service_pb2

    services = (
        service_pb2.DESCRIPTOR.services_by_name["MlflowService"],
        model_registry_pb2.DESCRIPTOR.services_by_name["ModelRegistryService"],
    )
    found = []
    for method in (one for service in services for one in service.methods):
        name = method.name[0].upper() + method.name[1:].removesuffix("V3")
        for endpoint in method.GetOptions().Extensions[databricks_pb2.rpc].endpoints:
            path = "/" + endpoint.path.lstrip("/")
            pattern = re.compile(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(path)))
            found.append((endpoint.method, pattern.fullmatch, NAMED_OTHERWISE.get(name, name)))
    return sorted(found, key=lambda one: one[1].__self__.pattern.count("[^/]+"))
