"""Install what an image would bring, then become its program: `REQUIREMENT... -- COMMAND...`."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

OPT_ML = Path(os.environ.get("OPT_ML", "/opt/ml"))


def main(argv: Sequence[str]) -> int:
    """Replace this process by the command; an exit code only where that is not possible."""
    split = argv.index("--")
    requirements, command = argv[:split], argv[split + 1 :]
    if code := install(list(requirements)):
        return code
    os.execvp(command[0], list(command))


def install(requirements: Sequence[str]) -> int:
    """Let pip see to it; what is there already is not fetched. Its exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", *requirements],
        check=False,
        capture_output=True,
        text=True,
    )
    sys.stderr.write(done.stdout + done.stderr)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        fail(f"InstallRequirementsError: {' '.join(requirements)}: {said}")
    return done.returncode


def fail(reason: str) -> None:
    """Leave the reason where SageMaker reads it (developer guide, "How Amazon SageMaker AI
    Signals Algorithm Success and Failure")."""
    path = OPT_ML / "output" / "failure"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(reason[:1024])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
