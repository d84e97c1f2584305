"""All rules: every `Rule` that a module beside this one defines, sorted by id."""

import pkgutil
from importlib import import_module

from policies.rule import Rule

RULES: tuple[Rule, ...] = tuple(
    sorted(
        (
            value
            for module in pkgutil.iter_modules(__path__)
            for value in vars(import_module(f"{__name__}.{module.name}")).values()
            if isinstance(value, Rule)
        ),
        key=lambda rule: rule.id,
    )
)
