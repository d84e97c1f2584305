"""What a stack's change is, from the first that can be had: a digest, an engine, two synths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.errors import UserError
from stacks.reading import text_of
from stacks.review.binding import binding
from stacks.review.git import clean_commit, git
from stacks.review.replacements import differ, undecided
from stacks.settings.model import Settings
from stacks.stack_name import StackName, named
from stacks.targets.target import target_of
from stacks.targets.work import previewed

if TYPE_CHECKING:
    from policies.data import Resource
    from policies.review.model import StackChange
    from stacks.commands.output import CommandOutput as Progress
    from stacks.review.synths import Synths


class Comparison:
    """The changes of one review, of one stack or several: an engine or two commits are asked once.

    Each is read from the first of: a digest, an engine with a cloud, two mocked synths.
    """

    def __init__(
        self, name: str, progress: Progress, *, base: str | None, digest: Path | None
    ) -> None:
        self.stacks = named(name)
        self._name, self._progress, self._digest = name, progress, digest
        self._asks_engine = base is None and target_of(self.stacks[0].env).can_deploy()
        self._base = None if self._asks_engine else base or "HEAD"
        self._commit = git("rev-parse", "HEAD")

    @cached_property
    def _synths(self) -> Synths:
        from stacks.review.synths import Synths  # Pulumi takes half a second

        return Synths(self.stacks, self._base, self._progress)

    @cached_property
    def _previewed(self) -> Mapping[StackName, Mapping[str, Any]]:
        return previewed(self._name, self._progress)

    def of(self, stack: StackName, settings: Settings) -> StackChange:
        """The change of one stack."""
        from policies.review import digest as reader
        from policies.review.compare import compare

        if self._digest is not None:
            return read_digest(str(stack), self._digest)
        if self._asks_engine:
            steps = {"steps": self._previewed[stack]["steps"]}
            change = reader.of_digest(steps, str(stack), commit=self._commit)
            return _enriched(change, self._synths.now(stack))
        before, after = self._synths.at_base(stack), self._synths.now(stack)
        change = compare(
            str(stack),
            before,
            after,
            differ=differ(settings.environment.account.region),
            commit=self._commit,
            base=self._base or "",
        )
        return replace(change, warnings=[*change.warnings, *undecided(change.changes)])

    def beside(self, stack: StackName) -> dict[StackName, list[Resource]] | None:
        """What the other stacks of the environment register, which count against its limits too.

        None for a digest: no program is run beside it.
        """
        return None if self._digest is not None else self._synths.beside(stack)

    def binding(self, stack: StackName) -> dict[str, str] | None:
        """What `plinth up --plan` holds to, where an engine with a state was asked."""
        if self._digest is not None or not self._asks_engine:
            return None
        return binding(clean_commit(), self._previewed[stack]["state"])


def read_digest(env: str, path: Path) -> StackChange:
    from policies.review import digest as reader

    try:
        return reader.read(text_of(path), env, commit=git("rev-parse", "HEAD"))
    except ValueError as error:
        raise UserError(f"{path}: {error}", fix="write it with `pulumi preview --json`") from None


def read_drift(path: Path) -> list[str]:
    """What a refresh found, as its event log tells."""
    from policies.review.drift import drift

    try:
        return drift(text_of(path))
    except ValueError as error:
        fix = "write it with `pulumi refresh --preview-only --event-log FILE`"
        raise UserError(f"{path}: {error}", fix=fix) from None


def _enriched(change: StackChange, resources: Sequence[Resource]) -> StackChange:
    """Engine events carry neither dependencies nor source lines: the synth has both."""
    known = {item.urn: item for item in resources}

    def full(item: Resource | None) -> Resource | None:
        seen = known.get(item.urn) if item else None
        if item is None or seen is None:
            return item
        return replace(item, dependencies=seen.dependencies, source=seen.source)

    changes = [replace(item, old=full(item.old), new=full(item.new)) for item in change.changes]
    return replace(change, origin="local preview", changes=changes)
