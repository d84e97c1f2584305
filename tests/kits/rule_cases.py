"""Every case of a rule that a module in tests/policies/cases has in a list, each once."""

import pkgutil
from importlib import import_module

from tests.policies import cases
from tests.policies.cases.case import Case


def every_case() -> list[Case]:
    found: dict[int, Case] = {}
    for module in pkgutil.iter_modules(cases.__path__, f"{cases.__name__}."):
        for value in vars(import_module(module.name)).values():
            listed = value if isinstance(value, list) else []
            found |= {id(case): case for case in listed if isinstance(case, Case)}
    return list(found.values())
