"""MLflow asked by an ARN: requests signed with AWS's keys, handed to the MLflow that the ARN names.

On AWS a client names an app or a tracking server in a header and signs as for any other service
(package sagemaker-mlflow, which finds this endpoint by SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT). IAM has
decided before (`iam/mlflow.py`). Artefacts do not come by here: clients take them to S3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import urllib3

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.iam import mlflow
from stacks.local.aws.protocols import body_of
from stacks.local.aws.sagemaker.errors import ApiError, not_emulated
from stacks.local.aws.sagemaker.mlflow_app import ANSWERING, HTTP, KIND, SERVER, STATUS
from stacks.local.runtime.keys import Keys

API = "/api/"
ANSWER_SECONDS = 120


def forward(emulator: Emulator, arn: str, environ: Mapping[str, Any]) -> urllib3.BaseHTTPResponse:
    """MLflow's answer; ResourceNotFound where there is no such app or server."""
    item = emulator.store.by_arn(arn)
    if item is None or item.kind not in (KIND, SERVER):
        raise ApiError("ResourceNotFound", f"{arn} does not exist.", status=404)
    status = item.fields[STATUS[item.kind]]
    if item.live is None or status not in ANSWERING:
        raise ApiError("ServiceUnavailable", f"{arn} is {status} and answers nobody.", status=503)
    path, method = environ["RAW_URI"], environ["REQUEST_METHOD"]
    asked = mlflow.operation_of(arn, method, environ["PATH_INFO"])
    if not path.startswith(API) or asked is None:
        told = f"{method} {path} of MLflow by its ARN"
        raise not_emulated(told, "IAM knows no action for it; a presigned URL leads to its pages")
    keys = emulator.host.keys
    headers = {
        **urllib3.make_headers(basic_auth=f"{Keys.TRACKING_USER}:{keys.tracking_password}"),
        "Content-Type": environ.get("CONTENT_TYPE", "application/json"),
    }
    try:
        return HTTP.request(
            method,
            item.live.url + path,
            body=body_of(dict(environ)),
            headers=headers,
            timeout=ANSWER_SECONDS,
        )
    except urllib3.exceptions.HTTPError as error:
        told = f"MLflow of {arn} must answer within {ANSWER_SECONDS} s, got {error}"
        raise ApiError("ServiceUnavailable", told, status=503) from None
