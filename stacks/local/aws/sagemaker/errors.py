"""The errors the emulator answers with, in AWS's own words."""

from stacks.local.aws.account_id import ACCOUNT_ID
from stacks.local.aws.role_sessions import CannotAssume, check
from stacks.local.runtime import images


class ApiError(Exception):
    """An error answer of the API: code, message, HTTP status and extra members."""

    def __init__(self, code: str, message: str, *, status: int = 400, **members: object) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.members = members


def invalid(message: str) -> ApiError:
    """What SageMaker answers to almost everything that is wrong."""
    return ApiError("ValidationException", message)


def not_emulated(what: str, why: str) -> ApiError:
    """Neither done nor pretended. 501 is not retried by boto3."""
    return ApiError("NotEmulated", f"{what} is not emulated by the local cloud: {why}", status=501)


def can_assume(region: str, role_arn: str, source_arn: str = "") -> None:
    """ValidationException where SageMaker may not act as a role, as its Create operations say."""
    try:
        check(role_arn, "sagemaker", region, source_arn)
    except CannotAssume as error:
        raise invalid(str(error)) from error


def has_program(image: str, purpose: images.Purpose) -> None:
    """ValidationException where nothing stands for what an image of this account would run.

    AWS looks an image of the account up, and takes one of another's registry as it is: what runs
    it fails, and says the same.
    """
    try:
        images.command(image, purpose)
    except images.NoProgram as error:
        if not images.is_elsewhere(image, ACCOUNT_ID):
            raise invalid(str(error)) from error
