"""Who acts on `local`: the home itself, or a role whose session keys the environment holds."""

from __future__ import annotations

import os
from collections.abc import Mapping

from stacks.local.provider.peers import SESSION


def session_keys(endpoint_url: str, region: str) -> Mapping[str, str]:
    """The variables of a session of this very cloud that the environment holds; else none.

    As in an account, IAM decides then what the role may do. Keys of another cloud mean somebody who
    works elsewhere too: the home acts itself.
    """
    held = {variable: os.environ.get(variable, "") for variable in SESSION}
    if not all(held.values()):
        return {}
    import boto3
    from botocore.exceptions import ClientError

    session = boto3.Session(*held.values(), region_name=region)
    try:
        session.client("sts", endpoint_url=endpoint_url).get_caller_identity()
    except ClientError:
        return {}
    return held


def engine_variables(held: Mapping[str, str]) -> dict[str, str]:
    """What tells the local provider who deploys."""
    return {SESSION[variable]: value for variable, value in held.items()}
