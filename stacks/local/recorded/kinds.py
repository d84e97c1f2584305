"""The kinds of the recorder, one module per service."""

from stacks.local.recorded import eks
from stacks.local.recorded.kind import Recorded

MODULES = (eks,)

KINDS: tuple[Recorded, ...] = tuple(kind for module in MODULES for kind in module.KINDS)
