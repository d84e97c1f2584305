"""What decides on requests as IAM does, over moto's policies and ours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from stacks.local.runtime.container import ContainerRuntime

if TYPE_CHECKING:
    from stacks.local.aws.iam.authorizer import Authorizer
    from stacks.local.aws.store import Store

IAM_TRACE = "PLINTH_IAM_TRACE"
"""Variable that names a file into which every decision of IAM is written, for `tests.drills`.
Default: they are counted alone."""


def authorizer(host: ContainerRuntime, store: Store, region: str) -> Authorizer:
    """What decides as IAM does, over moto's policies and ours."""
    from stacks.local.aws.account_id import ACCOUNT_ID
    from stacks.local.aws.iam.authorizer import Authorizer, Tally
    from stacks.local.aws.iam.resources import Place
    from stacks.local.aws.iam.trace import Trace
    from stacks.local.aws.identity_tokens import known_keys
    from stacks.local.aws.sagemaker.features import online_key
    from stacks.local.aws.sagemaker.packages import group_policy

    tally = Tally(path=host.state / "iam.json")
    tally.write()
    traced = os.environ.get(IAM_TRACE)
    return Authorizer(
        place=Place(partition="aws", region=region, account=ACCOUNT_ID),
        own_key=host.keys.access_key_id,
        owners={},
        group_policy=lambda arn: group_policy(store, arn),
        tags_of=lambda arn: store.tags.get(arn, {}) if ":sagemaker:" in arn else None,
        tally=tally,
        online_key=lambda name: online_key(store, name),
        keys_of=known_keys(host.home),
        trace=Trace(path=Path(traced)) if traced else None,
    )
