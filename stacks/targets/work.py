"""Operations of the engine on stacks: prepared together, each after those that it needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stacks import garbage
from stacks.policy_config import policy_config
from stacks.settings.load import dependencies, load
from stacks.settings.model import Settings
from stacks.stack_name import StackName, named
from stacks.targets.policy_settings import whole_stack_can_block, write
from stacks.targets.side_by_side import Act, Done, side_by_side
from stacks.targets.target import Target, target_of

if TYPE_CHECKING:
    from stacks import contract
    from stacks.commands.output import CommandOutput
    from stacks.targets.engine import Changes, Operation, Stack


class Work:
    """Stacks that are about to be deployed: their settings, definitions and target."""

    refresh: bool = False
    """Whether every operation reads the cloud first: somebody may have changed it by hand."""

    def __init__(self, name: str, report: CommandOutput, pool: ThreadPoolExecutor) -> None:
        self.stacks = named(name)
        self.report = report
        self.whole = "." not in name
        self.target: Target = target_of(self.stacks[0].env)
        self.settings: dict[StackName, Settings] = {stack: load(stack) for stack in self.stacks}
        self._compiled = {stack: pool.submit(_definitions, s) for stack, s in self.settings.items()}

    def each(self, act: Act) -> Done:
        """Act on every stack after those that it needs."""
        needs = {stack: dependencies(stack) for stack in self.stacks}
        return side_by_side(self.stacks, needs, act)

    def operate(
        self, operation: Operation, stack: StackName, adopted: Mapping[str, str] | None = None
    ) -> Changes:
        """Run one operation of the engine with the stack's program.

        `adopted` stands in for the resources that the stack's file adopts.
        """
        target, report = self.target, self.report
        if operation != "up":
            return self._operate(target.engine(stack, report), operation, stack, adopted)
        with target.writing(stack, report) as engine:
            return self._operate(engine, operation, stack, adopted)

    def _operate(
        self,
        engine: Stack,
        operation: Operation,
        stack: StackName,
        adopted: Mapping[str, str] | None,
    ) -> Changes:
        from stacks.program import deploy  # takes seconds

        target, report = self.target, self.report
        if self.refresh:
            engine = replace(engine, refresh_first=True)
        settings = target.deployable(self.settings[stack], report)
        compiled, offered = self._compiled[stack].result(), self._source(operation)

        def program() -> None:
            deploy(stack, settings, compiled, adopted, offered)

        config = policy_config(settings)
        write(stack, config)
        if operation == "up" and whole_stack_can_block(config):
            run_engine("preview", engine, program, report)
        changes = run_engine(operation, engine, program, report)
        if operation == "up":
            target.settled(stack)
        return changes

    def _source(self, operation: Operation) -> contract.Source:
        """Contracts as they are deployed; unknown in a preview of stacks that come with them."""
        from stacks import contract

        if operation != "preview" or not self.whole:
            return contract.read
        return contract.read_or_unknown


@contextmanager
def prepared(
    name: str, report: CommandOutput, port: int | None = None, *, wait: bool = False
) -> Iterator[Work]:
    """Stacks whose target is ready; their definitions compile meanwhile.

    `wait` for others who change the same stacks.
    """
    with ThreadPoolExecutor() as pool:
        work = Work(name, report, pool)
        work.target.wait = wait
        work.target.start(report, port=port)
        yield work


def engine_of(stack: StackName, report: CommandOutput) -> Stack:
    """The engine on a stack that is deployed."""
    target = target_of(stack.env)
    target.start(report)
    return target.engine(stack, report)


def _definitions(settings: Settings) -> dict[str, str]:
    from stacks.definitions import definitions

    return definitions(settings)


def previewed(name: str, report: CommandOutput) -> Done:
    """Of each stack the `steps` of a preview, as its digest has them, and the `state` it is of."""
    with prepared(name, report) as work:

        def preview(stack: StackName) -> dict[str, Any]:
            state = work.target.engine(stack, report).deployment()
            return {"steps": work.operate("preview", stack).steps, "state": state}

        return work.each(preview)


def run_engine(operation: Operation, stack: Stack, program: Any, report: CommandOutput) -> Changes:
    """One operation as a stage of the command."""
    titles = {"up": "deploy", "preview": "preview", "destroy": "delete"}
    title = f"{titles[operation]} {stack.name}"
    garbage.take_up()
    with report.stage(title, title) as stage:
        changes = stack.run(operation, program, lambda done, name: stage.tick(done, None, name))
        stage.done = tally(changes.counts)
    return changes


def tally(counts: Mapping[str, int]) -> str:
    """Counts of operations in words."""
    return ", ".join(f"{n} {name}" for name, n in counts.items() if n) or "nothing to do"


def summarized(stack: StackName, changes: Changes) -> dict[str, Any]:
    """What `--json` says of one stack."""
    return {
        "stack": str(stack),
        "changes": changes.counts,
        "policy": {"mandatory": len(changes.mandatory), "advisory": len(changes.advisory)},
    }
