"""When the cyclic garbage collector looks.

Not while libraries and service models load: all of it stays, and looking it through again and
again took half of a local cloud's start and a fifth of what `plinth up` loads.
"""

import gc

ALLOCATIONS = 50_000
"""New objects after which the youngest are looked at. Default: Python's 700 is meant for heaps
without megabytes of service models."""


def put_off() -> None:
    """Look at nothing until `take_up`: a program is about to load what it works with."""
    gc.disable()


def take_up() -> None:
    """Look again, at what comes from now on alone; nothing where nobody put it off."""
    if gc.isenabled():
        return
    gc.freeze()
    gc.set_threshold(ALLOCATIONS, 20, 20)
    gc.enable()
