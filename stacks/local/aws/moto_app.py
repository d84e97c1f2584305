"""moto's application of one service, made at the first request for it."""

from typing import Any

from stacks.local.aws.emulator import Emulator


def make(emulator: Emulator, service: str) -> Any:
    """The application, whose failures we turn into answers; what it asks SageMaker is ours."""
    from moto.server import create_backend_app

    if service == "cloudformation":
        from stacks.local.aws.cloudformation import moto_cloudformation  # loads all of moto

        moto_cloudformation.install(emulator)
    elif service == "athena":
        from stacks.local.aws.athena import moto_athena

        moto_athena.install(emulator)
    elif service == "emr":
        from stacks.local.aws.emr import moto_emr

        moto_emr.install(emulator)
    elif service == "glue":
        from stacks.local.aws.glue import moto_glue

        moto_glue.install(emulator)
    elif service == "logs":
        from stacks.local.aws.logs import moto_logs

        moto_logs.install()
    elif service == "resourcegroupstaggingapi":
        from stacks.local.aws import moto_tagging

        moto_tagging.install(emulator)
    elif service == "stepfunctions":
        from stacks.local.aws.step_functions import moto_stepfunctions

        moto_stepfunctions.install(emulator)
    made = create_backend_app(service)
    made.config["PROPAGATE_EXCEPTIONS"] = True
    return made
