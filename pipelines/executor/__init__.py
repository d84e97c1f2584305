"""Runs SageMaker pipeline definitions: a definition becomes a frozen plan, the plan becomes jobs.

`grammar` reads references and functions, `parameters` types values, `shapes` knows AWS's request
shapes, `retries` knows which faults are worth another try, `plan` turns a definition into frozen
steps or a list of problems, `runners` is the table of step types, `run` executes. The executor
knows SageMaker's API and nothing of this machine: the clients come from the caller. Importing it
loads the standard library only.
"""
