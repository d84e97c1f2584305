"""Acting on several stacks: each after those that it needs, independent ones at the same time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from infra.errors import CheckFailed, UserError
from stacks.stack_name import StackName

Act = Callable[[StackName], dict[str, Any]]
"""Does something to one stack and says what `--json` prints of it."""

Done = dict[StackName, dict[str, Any]]


class Skipped(Exception):
    """A stack was left alone because one that it needs failed."""


def one_by_one(stacks: Sequence[StackName], act: Act) -> Done:
    """As `side_by_side`, in this thread: for what runs in the main one alone, such as a synth."""
    done: Done = {}
    errors: dict[StackName, BaseException] = {}
    for stack in stacks:
        try:
            done[stack] = act(stack)
        except (CheckFailed, UserError) as error:
            errors[stack] = error
    return _results(stacks, done, errors)


def side_by_side(
    stacks: Sequence[StackName], needs: Mapping[StackName, Sequence[StackName]], act: Act
) -> Done:
    """Act on all stacks; what each said, in the order of `stacks`.

    A stack that fails keeps only those from running that need it. UserError where the person can
    mend all that failed, else CheckFailed; both name every stack that was left alone, and the
    data of CheckFailed holds what the others said.
    """
    futures: dict[StackName, Future[dict[str, Any]]] = {}

    def run(stack: StackName) -> dict[str, Any]:
        before = [other for other in needs.get(stack, ()) if other in futures]
        failed = [str(other) for other in before if futures[other].exception() is not None]
        if failed:
            raise Skipped(f"{stack} was left alone: it needs {', '.join(failed)}")
        return act(stack)

    # a thread per stack, submitted in order: whoever waits for another waits for one that runs
    with ThreadPoolExecutor(max(1, len(stacks))) as pool:
        for stack in stacks:
            futures[stack] = pool.submit(run, stack)
    errors = {stack: error for stack in stacks if (error := futures[stack].exception())}
    done = {stack: futures[stack].result() for stack in stacks if stack not in errors}
    return _results(stacks, done, errors)


def _results(
    stacks: Sequence[StackName], done: Done, errors: Mapping[StackName, BaseException]
) -> Done:
    """What all said, or one error for all that failed."""
    if not errors:
        return done
    for error in errors.values():
        if not isinstance(error, CheckFailed | UserError | Skipped):
            raise error
    problems = [error for error in errors.values() if isinstance(error, CheckFailed | UserError)]
    left_alone = [str(error) for error in errors.values() if isinstance(error, Skipped)]
    text = "\n".join([*(error.problem for error in problems), *left_alone])
    fix = next((error.fix for error in problems if error.fix), "")
    if all(isinstance(error, UserError) for error in problems):
        raise UserError(text, fix=fix)
    data: dict[str, Any] = {"stacks": {str(stack): said for stack, said in done.items()}}
    for stack, error in errors.items():
        said = dict(error.data) if isinstance(error, CheckFailed) else {}
        data["stacks"][str(stack)] = {**said, "error": str(error)}
    raise CheckFailed(text, fix=fix, data=data)


def total(summaries: Sequence[Mapping[str, Any]], member: str) -> dict[str, int]:
    """Counts of several stacks added up."""
    found: dict[str, int] = {}
    for summary in summaries:
        for name, count in summary[member].items():
            found[name] = found.get(name, 0) + count
    return found
