"""Runs SageMaker pipeline definitions: a definition becomes a frozen plan, the plan becomes jobs.

Validation: `grammar` reads references and functions, `parameters` and `outputs` type values,
`shapes` knows AWS's requests and `answers` its answers, `step_types` what steps of each type hold;
`plan` turns a definition into the frozen steps of `planned`, or a list of problems. Execution:
`run` follows a `schedule`, `attempts` drives one step with the `cache` and the `retries`;
`drivers`, `external`, `foreach` and `cleanup` are how one try goes, `runners` is the table of the
types that are one resource of SageMaker's API. `selection` and `cache_report` serve whoever starts
a run.

The executor knows AWS's API and nothing of this machine: the clients come from the caller.
Importing it loads the standard library only.
"""
