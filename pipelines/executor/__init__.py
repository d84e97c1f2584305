"""Runs SageMaker pipeline definitions: a definition becomes a frozen plan, the plan becomes jobs.

`grammar` reads references and functions, `parameters` types values, `shapes` knows AWS's request
shapes, `retries` knows which faults are worth another try, `plan` turns a definition into frozen
steps or a list of problems, `runners` is the table of step types, `run` executes. The executor
knows SageMaker's API and nothing of this machine: the clients come from the caller. Importing it
loads the standard library only.
"""

from pipelines.executor.model import Execution, Outcome, StepState
from pipelines.executor.parameters import check as check_parameters
from pipelines.executor.plan import validate
from pipelines.executor.run import run

__all__ = ["Execution", "Outcome", "StepState", "check_parameters", "run", "validate"]
