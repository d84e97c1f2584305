"""Who the caller is, as IAM knows it: the role and not the session that assumed it."""

from __future__ import annotations

import re

from stacks.checks.check import Clients

SESSION = re.compile(r"arn:(aws[\w-]*):sts::(\d+):assumed-role/([^/]+)/.+")


def caller_arn(clients: Clients) -> str:
    """ARN of the role or user whose credentials these are.

    A role's path is not part of its session's ARN, so IAM is asked for the role of that name: roles
    of Identity Center have one (`aws-reserved/sso.amazonaws.com/`).
    """
    arn = str(clients("sts").get_caller_identity()["Arn"])
    session = SESSION.fullmatch(arn)
    if session is None:
        return arn
    return str(clients("iam").get_role(RoleName=session[3])["Role"]["Arn"])
