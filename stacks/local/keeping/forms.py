"""What is written in a form of ours, because it cannot be kept as it is, and how it comes back.

`place` and `fill_object` come back with the help of the cloud that loads them (`pickling.py`).
"""

from __future__ import annotations

import importlib
import threading
import weakref
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from types import FunctionType
from typing import Any


class CannotKeep(Exception):
    """Something of the cloud has no form that can be kept; the text says what."""


class Refused(Exception):
    """A file asks for what no snapshot of ours holds."""


def place(name: str) -> Any:
    raise Refused(f"{name} is known to the cloud that loads it alone")


def fill_object(key: Any, kept: dict[str, Any]) -> None:
    raise Refused(f"{key} is filled by the cloud that loads it alone")


def new_object() -> Any:
    from moto.s3.models import FakeKey

    return FakeKey.__new__(FakeKey)


def aws_policies() -> dict[int, tuple[str, str]]:
    """Account and ARN of AWS's own managed policies: every cloud has the same ones."""
    from moto.iam.models import iam_backends

    return {
        id(policy): (account, policy.arn)
        for account, partitions in list(iam_backends.items())
        for backend in list(partitions.values())
        for policy in backend.aws_managed_policies
    }


def aws_policy(account: str, arn: str, attachment_count: int) -> Any:
    from moto.iam.models import iam_backends

    policy = iam_backends[account][arn.split(":")[1]].managed_policies[arn]
    policy.attachment_count = attachment_count
    return policy


def _lock() -> Any:
    return threading.Lock()


def _rlock() -> Any:
    return threading.RLock()


def _condition() -> threading.Condition:
    return threading.Condition()


def _event(is_set: bool) -> threading.Event:
    event = threading.Event()
    if is_set:
        event.set()
    return event


def _private_key(der: bytes) -> Any:
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    return load_der_private_key(der, password=None)


def _der(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    der: bytes = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return der


def _backends(module: str, name: str) -> Any:
    from moto.core.base_backend import BackendDict

    found = getattr(importlib.import_module(module), name, None)
    if not (module.startswith("moto.") and isinstance(found, BackendDict)):
        raise Refused(f"{module}.{name} is no service of moto")
    return found


def _reduce_backends(backends: Any) -> Any:
    module = importlib.import_module(backends.backend.__module__)
    name = next(name for name, value in vars(module).items() if value is backends)
    return _backends, (module.__name__, name)


def _account(backends: Any, account_id: str) -> Any:
    return backends[account_id]


def _reduce_account(regions: Any) -> Any:
    from moto.core.base_backend import BackendDict

    owner = next(of for of in BackendDict._instances if of.get(regions.account_id) is regions)
    return _account, (owner, regions.account_id)


def _recorded(service: str, name: str) -> Any:
    from stacks.local.aws.recorded.table import KINDS

    return next(kind for kind in KINDS if (kind.service, kind.name) == (service, name))


def _weak_values() -> Any:
    return weakref.WeakValueDictionary()


def _reduce_weak_values(held: Any) -> Any:
    return _weak_values, (), None, None, iter(list(held.items()))


def _defaults(depth: int, steady: bool = False) -> Any:
    """A dictionary that makes dictionaries of what is missing, that many levels deep."""
    from stacks.local.aws.moto_thread_safety import SteadyDefaultDict

    kind = SteadyDefaultDict if steady else defaultdict
    return kind(dict if depth == 1 else partial(_defaults, depth - 1))


def _reduce_defaults(held: Any) -> Any:
    """moto gives some of them a function without a name, which returns a dictionary."""
    factory, depth = held.default_factory, 1
    if not isinstance(factory, FunctionType | partial):
        return NotImplemented
    made = factory()
    while type(made) is defaultdict and made.default_factory is not None:
        made, depth = made.default_factory(), depth + 1
    if made != {}:
        raise CannotKeep(f"a dictionary whose missing values are {made!r}")
    return _defaults, (depth, type(held) is not defaultdict), None, None, iter([*held.items()])


def _method(owner: Any, name: str) -> Any:
    """A method that moto put among its data."""
    if not (type(owner).__module__.startswith("moto.") and name.isidentifier()):
        raise Refused(f"{name} of {type(owner)} is no method of moto's")
    return getattr(owner, name)


def _mapping(kind: type) -> Any:
    """A dictionary of moto's, whose own ways to fill and to show it are not those of a dictionary:
    S3's keeps versions, and shows the last ones."""
    if not (issubclass(kind, dict) and kind.__module__.startswith("moto.")):
        raise Refused(f"{kind} is no dictionary of moto's")
    return kind.__new__(kind)


def reduce_mapping(held: Any) -> Any:
    """How it is written: with all that it holds, whatever it shows of that."""
    kept = dict(dict.items(held)), vars(held), getattr(held, "default_factory", None)
    return _mapping, (type(held),), kept, None, None, _fill_mapping


def _fill_mapping(held: Any, kept: tuple[dict[Any, Any], dict[str, Any], Any]) -> None:
    dict.update(held, kept[0])
    vars(held).update(kept[1])
    if kept[2] is not None:
        held.default_factory = kept[2]


def _stack_resource(name: str) -> Any:
    """What a stack of CloudFormation made by an API of this cloud; its members follow.

    Of SageMaker's types an older cloud kept what follows `AWS::SageMaker::`.
    """
    from stacks.local.aws.cloudformation.moto_cloudformation import resource_classes

    known = resource_classes()
    kind: Any = known.get(name) or known[f"AWS::SageMaker::{name}"]
    return kind.__new__(kind)


def _reduce_stack_resource(made: Any) -> Any:
    return _stack_resource, (made.cloudformation_type(),), vars(made)


def _gone() -> None:
    """A process, which ended with its cloud."""


REDUCES: Mapping[str, Callable[[Any], Any]] = {
    "_thread.lock": lambda _: (_lock, ()),
    "_thread.RLock": lambda _: (_rlock, ()),
    "threading.Condition": lambda _: (_condition, ()),
    "builtins.method": lambda bound: (_method, (bound.__self__, bound.__name__)),
    "collections.defaultdict": _reduce_defaults,
    "stacks.local.aws.moto_thread_safety.SteadyDefaultDict": _reduce_defaults,
    "weakref.WeakValueDictionary": _reduce_weak_values,
    "threading.Event": lambda event: (_event, (event.is_set(),)),
    "moto.core.base_backend.AccountSpecificBackend": _reduce_account,
    "moto.core.base_backend.BackendDict": _reduce_backends,
    "stacks.local.aws.cloudformation.sagemaker_resources.StackResource": _reduce_stack_resource,
    "stacks.local.aws.cloudformation.service_resources.ServiceResource": _reduce_stack_resource,
    "stacks.local.aws.recorded.recorded.Recorded": lambda kind: (
        _recorded,
        (kind.service, kind.name),
    ),
    "stacks.local.aws.sagemaker.mlflow_app.Server": lambda _: (_gone, ()),
    **{
        f"cryptography.hazmat.bindings._rust.openssl.{kind}": lambda key: (
            _private_key,
            (_der(key),),
        )
        for kind in ("rsa.RSAPrivateKey", "ec.ECPrivateKey", "ed25519.Ed25519PrivateKey")
    },
}
"""Class -> how an instance is written: a function of this module and what it is called with."""

RESTORES: Mapping[str, Callable[..., Any]] = {
    restore.__name__: restore
    for restore in (
        _account,
        aws_policy,
        _backends,
        _condition,
        _defaults,
        _event,
        fill_object,
        _gone,
        _fill_mapping,
        _lock,
        _mapping,
        _method,
        new_object,
        place,
        _private_key,
        _recorded,
        _rlock,
        _stack_resource,
        _weak_values,
    )
}
"""What makes again what is written in a form of ours."""
