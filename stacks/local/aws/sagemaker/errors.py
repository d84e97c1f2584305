"""The errors the emulator answers with, in AWS's own words."""


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
