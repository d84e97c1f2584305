"""ForEach steps: a body of steps that runs once per item of a list that the run finds out.

As ForEachStep of the SDK describes them (sagemaker.mlops.workflow 1.27). Each item makes one child
of every step of the body, called after it and the item's place: `Score-0`. Children of one item
refer to each other by the body's names. After a child that fails, running children finish and no
other starts, as in a pipeline.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from reprlib import repr as shown
from typing import Any

from pipelines.executor.drivers import Call, End, Progress, Services
from pipelines.executor.grammar import GrammarError, Reference, parse, variable, walk
from pipelines.executor.model import Iteration
from pipelines.executor.planned import PlannedStep
from pipelines.executor.schedule import Schedule

BODY, MOST_ITEMS, MOST_AT_ONCE = "ForEachBody", 100, 50
NOT_IN_BODY = ("Condition", "Fail", "ForEach")
COUNTS = ("InputItemCount", "TotalStepCount", "SucceededStepCount", "FailedStepCount",
          "StoppedStepCount")  # fmt: skip
"""What later steps can ask of the whole, beside its Status."""

_OUTPUT = "IterationOutput."
_PICKS = {"MaxBy": max, "MinBy": min}


def problems(arguments: Mapping[str, Any], where: str) -> Iterator[str]:
    """What is wrong with the Arguments of a ForEach step by themselves."""
    known = {"IterableItems", "MaxConcurrency", "Selector", BODY}
    for key in sorted(str(key) for key in arguments.keys() - known):
        yield f"{where}.{key} is not a member of a ForEach step"
    yield from _item_problems(arguments.get("IterableItems"), f"{where}.IterableItems")
    most = arguments.get("MaxConcurrency")
    if type(most) is not int or not 1 <= most <= MOST_AT_ONCE:
        told = f"must be a whole number from 1 to {MOST_AT_ONCE}"
        yield f"{where}.MaxConcurrency {told}, got {shown(most)}"
    body = arguments.get(BODY)
    if not isinstance(body, list | tuple) or not body:
        yield f"{where}.{BODY} must be a list of steps, got {shown(body)}"
        return
    types = [step.get("Type") if isinstance(step, Mapping) else None for step in body]
    for index, kind in enumerate(types):
        if kind in NOT_IN_BODY:
            yield f"{where}.{BODY}[{index}].Type must be none of {', '.join(NOT_IN_BODY)}"
    if arguments.get("Selector") is not None:
        yield from _selector_problems(arguments["Selector"], body, f"{where}.Selector")


def _item_problems(items: Any, where: str) -> Iterator[str]:
    if isinstance(items, list | tuple):
        if not 1 <= len(items) <= MOST_ITEMS:
            yield f"{where} must have from 1 to {MOST_ITEMS} items, got {len(items)}"
        for index, item in enumerate(items):
            if not isinstance(item, str | int | float) and variable(item) is None:
                yield f"{where}[{index}] must be a scalar or a variable, got {shown(item)}"
    elif variable(items) is None:
        yield f"{where} must be a list or a variable that is one, got {shown(items)}"


def _selector_problems(selector: Any, body: Sequence[Any], where: str) -> Iterator[str]:
    if not isinstance(selector, Mapping) or selector.keys() != {"Pick", "Field"}:
        yield f"{where} must hold Pick and Field, got {shown(selector)}"
        return
    if selector["Pick"] not in _PICKS:
        yield f"{where}.Pick must be one of {', '.join(_PICKS)}, got {shown(selector['Pick'])}"
    names = [step.get("Name") for step in body if isinstance(step, Mapping)]
    try:
        target = field_of(selector)
    except GrammarError as error:
        yield f"{where}.Field {error}"
        return
    if target.name not in names:
        yield f"{where}.Field must refer to a step of the body, got {target.name!r}"


def field_of(selector: Mapping[str, Any]) -> Reference:
    """The answer of a body's step by which iterations are compared."""
    found = variable(selector["Field"])
    text = found[1] if found is not None and found[0] == "Get" else None
    if not isinstance(text, str) or not text.startswith(_OUTPUT):
        told = "must be a reference to IterationOutput.<step of the body>.<member>"
        raise GrammarError(f"{told}, got {shown(selector['Field'])}")
    target = parse(f"Steps.{text.removeprefix(_OUTPUT)}")
    if not target.path:
        raise GrammarError(f"must name a member of the step's answer, got {text!r}")
    return target


def clashes(names: Iterable[str], bodies: Iterable[str]) -> list[str]:
    """Names of steps that the children of a body's steps would have."""
    made = [re.compile(rf"{re.escape(body)}-\d+") for body in bodies]
    return [name for name in names if any(pattern.fullmatch(name) for pattern in made)]


def run_each(call: Call, services: Services, progress: Progress) -> End:
    """Run the body for every item, so many children at once."""
    items = _items(call.arguments["IterableItems"])
    progress.move(status="Executing")
    limit, schedules = call.arguments["MaxConcurrency"], list[Schedule]()
    for index, item in enumerate(items):
        children = [_child(step, call.step.name, index, item) for step in call.step.body]
        context = replace(call.context, item=item, job_name="")
        most = partial(_left, schedules, index, limit)
        schedules.append(Schedule(children, context, services, most))
        schedules[-1].keep(children)
    with ThreadPoolExecutor(limit, thread_name_prefix=f"each-{call.step.name}") as pool:
        _follow(schedules, services, pool)
    return _ended(call, schedules, progress)


def _left(schedules: list[Schedule], index: int, limit: int) -> int:
    """How many children of one item may run: what the other items leave of the limit."""
    others = (one for place, one in enumerate(schedules) if place != index)
    return limit - sum(len(one.running) for one in others)


def _follow(schedules: list[Schedule], services: Services, pool: ThreadPoolExecutor) -> None:
    while True:
        over = services.halt.is_set() or any(one.failure or one.stopped for one in schedules)
        for schedule in schedules if not over else ():
            schedule.start_ready(pool)
        running = [future for schedule in schedules for future in schedule.running]
        if not running:
            return
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for schedule in schedules:
            schedule.end(done)


def _child(step: PlannedStep, parent: str, index: int, item: Any) -> PlannedStep:
    text = item if isinstance(item, str) else json.dumps(item)
    iteration = Iteration(parent=parent, index=index, item=text)
    return replace(step, name=f"{step.name}-{index}", alias=step.name, iteration=iteration)


def _items(value: Any) -> list[Any]:
    """The items of a list, or of the JSON list that a variable is."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise GrammarError(f"IterableItems must be a JSON list: {error}") from error
    if not isinstance(value, list):
        raise GrammarError(f"IterableItems must be a JSON list, got {shown(value)}")
    return value


def _ended(call: Call, schedules: list[Schedule], progress: Progress) -> End:
    ends = [status for schedule in schedules for status in schedule.ends.values()]
    counts = {end: ends.count(end) for end in ("Succeeded", "Failed", "Stopped")}
    all_of_them = counts["Succeeded"] == len(schedules) * len(call.step.body)
    reason = next((one.failure for one in schedules if one.failure), "")
    status = "Failed" if counts["Failed"] else "Succeeded" if all_of_them else "Stopped"
    told: dict[str, Any] = {
        "Status": status,
        "InputItemCount": len(schedules),
        "TotalStepCount": len(ends),
        **{f"{end}StepCount": count for end, count in counts.items()},
    }
    answers = [dict(schedule.context.answers) for schedule in schedules]
    outputs = [{s.name: found.get(s.name) for s in call.step.body} for found in answers]
    answer: dict[str, Any] = {**told, "IterationOutputs": outputs}
    selector = call.step.selector
    if selector and status == "Succeeded" and outputs:
        body, place = _picked(selector, outputs)
        answer["Selected"] = outputs[place][body]
        told["Selector"] = {"StepName": body, "Index": place}
    progress.move(metadata={"ForEach": told})
    return End(status, reason or ("" if status == "Succeeded" else "it was stopped"), answer)


def _picked(selector: Mapping[str, Any], outputs: list[dict[str, Any]]) -> tuple[str, int]:
    """The step of the body and the place of the iteration that a selector picks."""
    target = field_of(selector)
    values: list[float] = []
    for index, output in enumerate(outputs):
        found = walk(output[target.name], target.path, f"iteration {index} of {target.name}")
        try:
            values.append(float(found))
        except (TypeError, ValueError):
            told = f"Selector.Field must be a number, got {shown(found)} of iteration {index}"
            raise GrammarError(told) from None
    return target.name, values.index(_PICKS[selector["Pick"]](values))
