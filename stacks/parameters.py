"""The parameters of a pipeline: what the workload declares, and what an environment chose."""

from collections.abc import Mapping
from difflib import get_close_matches

from infra.errors import UserError
from pipelines.workload import Parameter


def parameters(
    where: str, declared: Mapping[str, Parameter], chosen: Mapping[str, Parameter]
) -> dict[str, Parameter]:
    """The declared defaults with what was chosen; UserError for a stranger or another kind."""
    values = dict(declared)
    for name, value in chosen.items():
        if name not in values:
            near = get_close_matches(name, values, n=1)
            raise UserError(
                f"{where}: parameters must be of {', '.join(values) or 'none'}, got {name!r}",
                fix=f"write {near[0]}" if near else f"remove {name}",
            )
        values[name] = _as_declared(f"{where}: {name}", values[name], value)
    return values


def _as_declared(where: str, default: Parameter, value: Parameter) -> Parameter:
    """The value as what its default is: 1 may stand for 1.0, and nothing else for another."""
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if type(value) is not type(default):
        raise UserError(
            f"{where} must be {type(default).__name__}, as its default {default!r}, got {value!r}",
            fix=f"write it as {type(default).__name__}",
        )
    return value
