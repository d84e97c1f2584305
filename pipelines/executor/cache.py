"""The step cache: which earlier result of a step is used again, and what differs where none is.

SageMaker looks at earlier runs of the same step of the same pipeline that succeeded, and takes the
most recent one that is not older than ExpireAfter and whose attributes are the same (developer
guide, "Caching pipeline steps"). Which attributes count depends on the type of the step ("Default
cache key attributes by pipeline step type"): others, such as the instance type or where outputs go,
may change without a new run. What lies under an S3 URI is not looked at, as on AWS.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from reprlib import repr as shown
from typing import Any

from pipelines.executor.grammar import LIST_KEYS
from pipelines.executor.model import Result
from policies.secret_names import says_secret, secret_items, without_secrets

EVERYTHING: tuple[str, ...] = ()
_DEFINITION = "TrainingJobDefinition"
_CHECK = (
    "SkipCheck", "RegisterNewBaseline", "ModelPackageGroupName", "SuppliedBaselineConstraints",
    "AppSpecification", "Environment", "ProcessingInputs", "CheckType",
)  # fmt: skip
KEYS: Mapping[str, tuple[str, ...]] = {
    "Processing": ("AppSpecification", "Environment", "ProcessingInputs"),
    "Training": (
        "AlgorithmSpecification", "CheckpointConfig", "DebugHookConfig", "DebugRuleConfigurations",
        "Environment", "HyperParameters", "InputDataConfig",
    ),
    "Tuning": (
        "HyperParameterTuningJobConfig", f"{_DEFINITION}.AlgorithmSpecification",
        f"{_DEFINITION}.HyperParameterRanges", f"{_DEFINITION}.InputDataConfig",
        f"{_DEFINITION}.StaticHyperParameters", f"{_DEFINITION}.TuningObjective",
        "TrainingJobDefinitions",
    ),
    "Transform": ("DataProcessing", "Environment", "ModelName", "TransformInput"),
    # the definition holds the check's configuration as its job: inputs, environment and image
    "QualityCheck": (*_CHECK, "SuppliedBaselineStatistics"),
    "ClarifyCheck": (*_CHECK, "ModelName"),
    # AWS lists no attributes for these; the SDK takes a CacheConfig (sagemaker.mlops.workflow 1.27)
    "EMR": ("ClusterId", "StepConfig"),
    "EMRServerless": EVERYTHING,
    "Lambda": EVERYTHING,
    "Callback": EVERYTHING,
    "EndpointConfig": EVERYTHING,
    "Endpoint": EVERYTHING,
}  # fmt: skip
"""Step type that can be cached -> the attributes that are compared."""

_DURATION = re.compile(
    r"P?(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?",
    re.IGNORECASE,
)
_DAYS = {"years": 365, "months": 30, "weeks": 7, "days": 1}
_MOST_DAYS = 365 * 1000
FOREVER = timedelta(days=_MOST_DAYS)
_VALUE_LENGTH = 100


def duration(text: str) -> timedelta | None:
    """An ISO 8601 duration as SageMaker takes it, with or without the P; None: it is none.

    Its examples are `30d`, `5y`, `T16m` and `30dT5h`. A year is 365 days, a month 30.
    """
    match = _DURATION.fullmatch(text)
    found = {key: int(value) for key, value in match.groupdict().items() if value} if match else {}
    days = sum(found.pop(unit, 0) * length for unit, length in _DAYS.items())
    if (not found and not days) or days > _MOST_DAYS:
        return None
    return timedelta(days=days, **found)


def problems(step: Mapping[str, Any], where: str) -> Iterator[str]:
    """What is wrong with the CacheConfig of a step of a type that can be cached."""
    config = step.get("CacheConfig")
    if config is None:
        return
    here = f"{where}.CacheConfig"
    if not isinstance(config, Mapping):
        yield f"{here} must be an object, got {shown(config)}"
        return
    for key in sorted(str(key) for key in config.keys() - {"Enabled", "ExpireAfter"}):
        yield f"{here}.{key} is not a member of a CacheConfig"
    if not isinstance(config.get("Enabled", False), bool):
        yield f"{here}.Enabled must be true or false, got {shown(config['Enabled'])}"
    after = config.get("ExpireAfter")
    if after is not None and (not isinstance(after, str) or duration(after) is None):
        told = "must be an ISO 8601 duration such as 30d or PT1H"
        yield f"{here}.ExpireAfter {told}, got {shown(after)}"


def lifetime(step: Mapping[str, Any]) -> timedelta | None:
    """How old a result may be that a step without problems uses again; None: it is not cached."""
    config = step.get("CacheConfig") or {}
    if not config.get("Enabled", False):
        return None
    after = config.get("ExpireAfter")
    return duration(after) if after is not None else FOREVER


def compared(
    step_type: str, arguments: Mapping[str, Any], own: Mapping[str, Any]
) -> dict[str, Any]:
    """The attributes of a step that decide whether an earlier result is used again.

    `own` are the members that its type has beside Arguments.
    """
    if step_type not in KEYS:
        return {}
    if KEYS[step_type] == EVERYTHING:
        return {"Arguments": dict(arguments), **own}
    everything = {**arguments, **own}
    found = {path: _at(everything, path) for path in KEYS[step_type]}
    return {path: value for path, value in found.items() if value not in (None, {}, [])}


def _at(value: Any, path: str) -> Any:
    for member in path.split("."):
        value = value.get(member) if isinstance(value, Mapping) else None
    return value


def hit(
    step_type: str,
    attributes: Mapping[str, Any],
    past: Iterable[Result],
    *,
    not_before: datetime,
) -> Result | None:
    """The most recent of the results of a step that is used again; None: the step must run."""
    same = [
        result
        for result in past
        if result.type == step_type
        and result.ended >= not_before
        and dict(result.compared) == dict(attributes)
    ]
    return max(same, key=lambda result: result.ended, default=None)


ANOTHER = "is another (a secret is not shown)"


def differences(before: Any, now: Any, path: str = "") -> Iterator[str]:
    """What differs between the attributes of an earlier run and those of this one, one a line."""
    if before == now:
        return
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys([*before, *now]):
            here = f"{path}.{key}" if path else str(key)
            yield from differences(before.get(key), now.get(key), here)
    elif isinstance(before, list | tuple) and isinstance(now, list | tuple):
        secret = {*secret_items(before), *secret_items(now)}
        for index in range(max(len(before), len(now))):
            old = before[index] if index < len(before) else None
            new = now[index] if index < len(now) else None
            here = f"{path}[{_label(path, (old, new), index)}]"
            if index in secret and old != new:
                yield f"{here} {ANOTHER}"
            else:
                yield from differences(old, new, here)
    elif says_secret(re.split(r"[.\[]", path)[-1].strip("]'")) or _value(before) == _value(now):
        yield f"{path} {ANOTHER}"
    else:
        yield f"{path} was {_value(before)}, is {_value(now)}"


def _label(path: str, items: tuple[Any, Any], index: int) -> str:
    """The name of a list's item where the API gives it one and it stayed, else its place."""
    key = LIST_KEYS.get(path.rpartition(".")[2])
    names = {item.get(key) for item in items if isinstance(item, Mapping)} - {None}
    return repr(names.pop()) if len(names) == 1 else str(index)


def _value(value: Any) -> str:
    text = "nothing" if value is None else repr(_shown(value))
    return text if len(text) <= _VALUE_LENGTH else f"{text[:_VALUE_LENGTH]}..."


def _shown(value: Any) -> Any:
    return without_secrets(value, settings=True) if isinstance(value, str) else value
