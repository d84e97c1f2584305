"""How a stand-in of one of AWS's analyzers ends: an exit code, and the message of its job."""

from collections.abc import Callable

from stacks.local.runtime.frameworks.install import OPT_ML


class Refused(Exception):
    """What an analyzer here does not do, or cannot read; the text becomes the job's message."""


def tell(analyze: Callable[[], int]) -> int:
    """Analyze, and say how it went where a processing job's message is read; the exit code.

    `analyze` answers how many violations of a baseline it found. The words are those of the
    developer guide, "Container contract outputs".
    """
    code, told = 0, "Completed: Job completed successfully with no violations."
    try:
        if found := analyze():
            told = f"CompletedWithViolations: Job completed successfully with {found} violations."
    except Refused as error:
        code, told = 1, f"ClientError: {error}"
    message = OPT_ML / "output" / "message"
    message.parent.mkdir(parents=True, exist_ok=True)
    message.write_text(told)
    return code
