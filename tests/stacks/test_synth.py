"""A synth in a process that has run other things before."""

import asyncio

import pulumi

from stacks.synth import recorded


async def nothing() -> None:
    """A coroutine to run."""


def test_a_thread_whose_event_loop_is_gone_runs_a_program() -> None:
    asyncio.run(nothing())  # leaves the thread without a loop

    (seen,) = recorded(lambda: pulumi.ComponentResource("plinth:test:Thing", "thing"))

    assert seen.name == "thing"
