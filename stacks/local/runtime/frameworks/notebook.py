"""What `amazon_sagemaker_scheduler` does in AWS's images: run the notebook of a notebook job.

AWS's own driver executes it (sagemaker-headless-execution-driver, with papermill); the shell script
around that driver arranges home folders of SageMaker's images, which are not here, so this does the
rest of it: the input notebook beside the output, the initialization script, whose variables the
notebook sees, the name of the output. Hyperparameters are the notebook's parameters. Source:
SageMaker developer guide, "Notebook-based workflows", "Supported options for your notebook job".
"""

import os
import shutil
import sys
from pathlib import Path

from stacks.local.runtime.frameworks.install import OPT_ML, fail

RUN = """
set -e
cd "$SM_EXECUTION_INPUT_PATH"
if [ -n "${SM_INIT_SCRIPT:-}" ]; then . "./$SM_INIT_SCRIPT"; fi
exec python3 -m sagemaker_headless_execution_driver.notebookrunner
"""
VERSION = "1.0"
"""Of the job's definition that the driver reads."""


def main() -> int:
    """Become the driver; an exit code only where the job says something that cannot be run."""
    given = Path(os.environ.get("SM_EXECUTION_INPUT_PATH", ""))
    notebook = given / os.environ.get("SM_INPUT_NOTEBOOK_NAME", "")
    output = os.environ.get("SM_OUTPUT_NOTEBOOK_NAME", "")
    for problem, holds in (
        (f"SM_JOB_DEF_VERSION must be {VERSION}", os.environ.get("SM_JOB_DEF_VERSION") == VERSION),
        (f"there must be an input notebook, got {notebook}", notebook.is_file()),
        ("SM_OUTPUT_NOTEBOOK_NAME must name the output", bool(output)),
        ("SM_OUTPUT_FORMATS is not emulated", not os.environ.get("SM_OUTPUT_FORMATS")),
        ("SM_LCC_INIT_SCRIPT is not emulated", not os.environ.get("SM_LCC_INIT_SCRIPT")),
    ):
        if not holds:
            sys.stderr.write(f"{problem}\n")
            fail(f"Error with executing notebook: {problem}")
            return 1
    results = OPT_ML / "output" / "data"
    results.mkdir(parents=True, exist_ok=True)
    shutil.copy(notebook, results)
    said = {
        "SM_EXECUTION_INPUT_PATH": str(given),
        "SM_PAPERMILL_INPUT": str(notebook),
        "SM_PAPERMILL_OUTPUT": str(results / file_name(output)),
        "SM_PAPERMILL_PARAMS_PATH": str(OPT_ML / "input" / "config" / "hyperparameters.json"),
        "SM_PAPERMILL_FAILURE_FILE": str(OPT_ML / "output" / "failure"),
        "SM_KERNEL_NAME": os.environ.get("SM_KERNEL_NAME") or "python3",
    }
    os.execvpe("bash", ["bash", "-c", RUN], {**os.environ, **said})


def file_name(output: str) -> str:
    """The name without the colons and full stops of a time in it, as the driver's script has it."""
    stem = output.removesuffix(".ipynb").replace(":", "-").replace(".", "-")
    return f"{stem.rstrip('-')}.ipynb"


if __name__ == "__main__":
    sys.exit(main())
