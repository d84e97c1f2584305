"""Key policies by the one name that they have: a request need not say it (KMS API reference,
GetKeyPolicy and PutKeyPolicy, PolicyName), and moto 5.2.5 asks for it."""

from __future__ import annotations

import functools
from typing import Any

DEFAULT = "default"


def install() -> None:
    """For the one KMS of this process."""
    from moto.kms.responses import KmsResponse

    own = KmsResponse._get_param
    if hasattr(own, "__wrapped__"):
        return

    @functools.wraps(own)
    def get_param(response: Any, name: str, *default: Any) -> Any:
        found = own(response, name, *default)
        return found or DEFAULT if name == "PolicyName" else found

    KmsResponse._get_param = get_param
