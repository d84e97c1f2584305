"""Invocations of moto's Lambda functions as its API reference has them (Lambda API, Invoke)."""

from __future__ import annotations

import functools
import json
from inspect import signature
from typing import Any

KIND = "X-Amz-Invocation-Type"
ERROR, VERSION = "x-amz-function-error", "X-Amz-Executed-Version"


def install() -> None:
    """Let Invoke refuse what Lambda refuses, and say which version ran and how it failed."""
    from moto.awslambda.models import LambdaBackend
    from moto.awslambda.responses import LambdaResponse

    own, answer = LambdaBackend.invoke, LambdaResponse.invoke
    if hasattr(own, "__wrapped__"):
        return

    @functools.wraps(own)
    def refusing(*given: Any, **named: Any) -> Any:
        asked = signature(own).bind(*given, **named).arguments
        told = asked["response_headers"]
        function = asked["self"].get_function(asked["function_name"], asked["qualifier"])
        _check(function, asked["body"])
        if asked["headers"].get(KIND) == "DryRun":
            return b""
        payload = own(*given, **named)
        if ERROR in told:
            told[ERROR] = "Unhandled"
        told[VERSION] = str(function.version)
        return payload

    @functools.wraps(answer)
    def invoke(response: Any) -> Any:
        """By the version or alias that is asked for, which moto looks for in small letters."""
        if "Qualifier" in response.querystring:
            response.querystring["qualifier"] = response.querystring["Qualifier"]
        return answer(response)

    LambdaBackend.invoke, LambdaResponse.invoke = refusing, invoke


def _check(function: Any, body: Any) -> None:
    from moto.awslambda.exceptions import LambdaClientError

    if body:
        try:
            json.loads(body)
        except ValueError as error:
            told = f"Could not parse request body into json: {error}"
            raise LambdaClientError("InvalidRequestContentException", told) from None
    if str(function.reserved_concurrency) == "0":
        refused = LambdaClientError("TooManyRequestsException", "Rate Exceeded.")
        refused.code = 429
        raise refused
