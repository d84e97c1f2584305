"""What a command shows: progress on stderr while it works, results on stdout when it is done."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.errors import MarkupError
from rich.markup import escape, render
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.progress import TimeElapsedColumn as Elapsed
from rich.table import Table

from stacks.terminal import plain


def shown(text: str) -> str:
    """Rich's markup, or what only looks like some as text."""
    try:
        render(plain(text))
    except MarkupError:
        return escape(plain(text))
    return plain(text)


class CommandOutput:
    """One command's output.

    Progress and notes go to stderr. On a terminal the running stage is a live line; elsewhere it is
    one line when it ends, so that logs stay readable. `--json` keeps stdout for one JSON object.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.out = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
        self.err = Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
        self.seconds: dict[str, float] = {}
        self._progress: Progress | None = None
        self._running = 0
        self._guard = threading.Lock()

    @contextmanager
    def stage(self, name: str, title: str) -> Iterator[Stage]:
        """Time a part of the work and show that it runs; `seconds[name]` adds up.

        Parts may run at the same time, in threads: each has a line of one view.
        """
        started = time.perf_counter()
        with self._view() as bar:
            stage = Stage(self, bar, title)
            try:
                yield stage
            except BaseException:
                self._end(name, stage, started, "[red]failed[/]")
                raise
            finally:
                stage.remove()
        self._end(name, stage, started, escape(plain(stage.done)))

    @contextmanager
    def _view(self) -> Iterator[Progress]:
        """The live view, from the first of the running parts to the last."""
        with self._guard:
            if self._running == 0:
                self._progress = Progress(
                    SpinnerColumn(),
                    TextColumn("{task.description}", markup=False),
                    BarColumn(bar_width=20),
                    MofNCompleteColumn(),
                    Elapsed(),
                    TextColumn("{task.fields[detail]}", style="dim", markup=False),
                    console=self.err,
                    transient=True,
                    disable=not self._live,
                )
                self._progress.start()
            self._running += 1
            assert self._progress is not None
            bar = self._progress
        try:
            yield bar
        finally:
            with self._guard:
                self._running -= 1
                if self._running == 0:
                    bar.stop()

    @property
    def _live(self) -> bool:
        return self.err.is_terminal

    def _end(self, name: str, stage: Stage, started: float, done: str) -> None:
        took = time.perf_counter() - started
        with self._guard:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + took, 3)
        self.err.print(f"[dim]{took:6.1f} s[/]  {escape(plain(stage.title))}  {done}".rstrip())

    def note(self, text: str) -> None:
        """Something the person should know, in passing."""
        self.err.print(f"[yellow]note[/] {escape(plain(text))}")

    def table(self, title: str, rows: Mapping[str, Any]) -> None:
        """Names and values for people; nothing with --json."""
        if self.as_json:
            return
        table = Table(title=shown(title), title_justify="left", show_header=False, box=None)
        table.add_column(style="bold", overflow="fold", min_width=12)
        table.add_column(overflow="fold")
        for key, value in rows.items():
            if value not in (None, "", [], {}):
                text = ", ".join(value) if isinstance(value, list) else str(value)
                table.add_row(key, shown(text))
        self.out.print(table)

    def say(self, text: str) -> None:
        """A line of the result for people; nothing with --json."""
        if not self.as_json:
            self.out.print(shown(text))

    def result(self, data: Mapping[str, Any]) -> None:
        """The command's result as the last line of stdout; nothing without --json."""
        if self.as_json:
            sys.stdout.write(json.dumps(data, sort_keys=True, default=str) + "\n")
            sys.stdout.flush()


class Stage:
    """A running part of a command."""

    def __init__(self, report: CommandOutput, progress: Progress, title: str) -> None:
        self.title = title
        self.done = ""
        """What to add to the line that remains, such as a count."""
        self._progress = progress
        self._report = report
        self._task = progress.add_task(title, total=None, detail="")

    def say(self, detail: str) -> None:
        """What is going on right now; a log without a terminal gets it as a line."""
        self._progress.update(self._task, detail=detail)
        if not self._progress.console.is_terminal:
            self._progress.console.print(f"          {escape(plain(detail))}")

    def remove(self) -> None:
        """Take its line out of the view."""
        self._progress.remove_task(self._task)

    def tick(self, completed: int, total: int | None, detail: str) -> None:
        """Move the bar; shown on a terminal only."""
        self._progress.update(self._task, completed=completed, total=total, detail=detail)
