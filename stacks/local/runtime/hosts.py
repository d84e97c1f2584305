"""Several instances of a job: a container each on this machine, which reach each other by name.

SageMaker calls them `algo-1`, `algo-2` and so on (developer guide, "How Amazon SageMaker AI
Provides Training Information": resourceconfig.json). Here each name is a loopback address of its
own, so that two containers may listen on one port if they listen on their own name's address.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Protocol, TypeVar

POLL_SECONDS = 0.05


class Ended(Protocol):
    """How one container ended."""

    @property
    def status(self) -> str:
        """`Completed`, `Failed` or `Stopped`."""


Part = TypeVar("Part")
End = TypeVar("End", bound=Ended)


def names(count: int) -> list[str]:
    """The containers of a job."""
    return [f"algo-{number}" for number in range(1, count + 1)]


def write(path: Path, hosts: Sequence[str]) -> Path:
    """An /etc/hosts in which these containers are found."""
    lines = [f"127.0.0.{index + 2} {host}" for index, host in enumerate(hosts)]
    path.write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))
    return path


def together(
    parts: Sequence[Part], run: Callable[[Part, threading.Event], End], stopping: threading.Event
) -> End:
    """Run every part until all are over; where one fails the others are stopped, and it is told."""
    if len(parts) == 1:
        return run(parts[0], stopping)
    halt = threading.Event()
    with ThreadPoolExecutor(len(parts), "instance") as pool:
        futures = [pool.submit(run, part, halt) for part in parts]
        left = set(futures)
        while left:
            done, left = wait(left, POLL_SECONDS, FIRST_COMPLETED)
            if stopping.is_set() or any(one.result().status != "Completed" for one in done):
                halt.set()
    ends = [future.result() for future in futures]
    order = ("Failed", "Stopped", "Completed")
    return min(ends, key=lambda end: order.index(end.status))
