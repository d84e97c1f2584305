"""What botocore and moto load from files, loaded once.

Each of botocore's sessions reads service models and endpoints of its own, moto reads a model for
every use, and moto's search for the account of a key makes an IAM backend for each of AWS's
partitions, with every managed policy in it. That was a third of a local cloud's start.
"""

from __future__ import annotations

import functools
from typing import Any

PARTITION = "aws"
"""The partition of the one account of a local cloud."""


def install() -> None:
    """For sessions and backends that are made from now on."""
    import botocore.loaders
    import botocore.session
    import moto.core.loaders
    import moto.core.utils
    import moto.iam.models

    sessions: Any = botocore.session
    sessions.create_loader = functools.cache(botocore.loaders.create_loader)
    models: Any = moto.core.utils
    models.create_loader = functools.cache(moto.core.loaders.create_loader)
    accounts: Any = moto.iam.models
    accounts.PARTITION_NAMES = [PARTITION]
