"""Doing several things to stacks: each after those that it needs, independent ones at once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from infra.errors import CheckFailed, UserError
from stacks.stack_name import StackName

Act = Callable[[StackName], dict[str, Any]]
"""Does something to one stack and says what `--json` prints of it."""

Done = dict[StackName, dict[str, Any]]

Item = TypeVar("Item", bound=Hashable)
"""A stack, or something else that is done; its text names it."""


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
    return _results(done, errors)


def side_by_side(
    items: Sequence[Item],
    needs: Mapping[Item, Sequence[Item]],
    act: Callable[[Item], dict[str, Any]],
) -> dict[Item, dict[str, Any]]:
    """Act on all items, none of which stands before one that it needs; what each said, in order.

    An item that fails keeps only those from running that need it. UserError where the person can
    mend all that failed, else CheckFailed; both name every item that was left alone, and the
    data of CheckFailed holds what the others said.
    """
    futures: dict[Item, Future[dict[str, Any]]] = {}

    def run(item: Item) -> dict[str, Any]:
        before = [other for other in needs.get(item, ()) if other in futures]
        failed = [str(other) for other in before if futures[other].exception() is not None]
        if failed:
            raise Skipped(f"{item} was left alone: it needs {', '.join(failed)}")
        return act(item)

    # a thread per item, submitted in order: whoever waits for another waits for one that runs
    with ThreadPoolExecutor(max(1, len(items))) as pool:
        for item in items:
            futures[item] = pool.submit(run, item)
    errors = {item: error for item in items if (error := futures[item].exception())}
    done = {item: futures[item].result() for item in items if item not in errors}
    return _results(done, errors)


def _results(
    done: dict[Item, dict[str, Any]], errors: Mapping[Item, BaseException]
) -> dict[Item, dict[str, Any]]:
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
