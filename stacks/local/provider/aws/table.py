"""The AWS resource types of the local environment: one row each, by the module of their token.

Every module in `rows/` that has `ROWS` is part of the table.
"""

import pkgutil
from importlib import import_module
from types import ModuleType

from stacks.local.provider.aws import rows
from stacks.local.provider.aws.row import Row

MODULES: tuple[ModuleType, ...] = tuple(
    module
    for found in pkgutil.iter_modules(rows.__path__, f"{rows.__name__}.")
    if hasattr(module := import_module(found.name), "ROWS")
)

ROWS: dict[str, Row] = {row.token: row for module in MODULES for row in module.ROWS}
"""Every row by its token."""
