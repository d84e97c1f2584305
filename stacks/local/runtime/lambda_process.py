"""One call of a Lambda handler: event.json beside the task folder in, answer.json out.

Runs as a program of its own and imports nothing of ours; exit status 1 says that the handler
raised, and the answer then has Lambda's three members of an error.
"""

import importlib
import json
import os
import sys
import time
import traceback
import uuid
from pathlib import Path


class Context:
    """What Lambda tells a handler about its call."""

    def __init__(self) -> None:
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.invoked_function_arn = os.environ["PLINTH_FUNCTION_ARN"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.aws_request_id = str(uuid.uuid4())
        self._end = time.monotonic() + float(os.environ["PLINTH_FUNCTION_TIMEOUT_SECONDS"])

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._end - time.monotonic()) * 1000))


def main() -> int:
    task = Path(os.environ["LAMBDA_TASK_ROOT"])
    os.chdir(task)
    directory = task.parent
    module, _, function = sys.argv[1].rpartition(".")
    try:
        handler = getattr(importlib.import_module(module.replace("/", ".")), function)
        answer = handler(json.loads((directory / "event.json").read_text()), Context())
        text, status = json.dumps(answer), 0
    except Exception as error:  # noqa: BLE001 whatever a handler raises is its answer
        traceback.print_exc()
        stack = traceback.format_tb(error.__traceback__)
        message = {"errorMessage": str(error), "errorType": type(error).__name__}
        text, status = json.dumps({**message, "stackTrace": stack}), 1
    (directory / "answer.json").write_text(text)
    return status


if __name__ == "__main__":
    sys.exit(main())
