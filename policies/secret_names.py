"""Names of values that are secret, whether or not a program says so."""

import re

_SECRET = re.compile(
    r"(passw(or)?d|passphrase|pwd|secret|secretstring|secretbinary|secretvalue|token|credentials?"
    r"|(private|secret|access|api|signing|encryption|shared|master|auth|client|webhook|ssh|license"
    r"|account|service)key|apikeyvalue|connectionstring|keymaterial|authorization|bearer|dsn|pat)$"
)
"""A key by itself is none: most are names, of KMS or of objects."""


def says_secret(name: object) -> bool:
    """Whether a value of this name is to be shown to nobody."""
    return _SECRET.search(word_of(name)) is not None


UNITS = frozenset(("days", "hours", "minutes", "seconds"))

PUBLISHED = {
    "authorization": frozenset(
        ("NONE", "CUSTOM", "AWS_IAM", "COGNITO_USER_POOLS", "Enabled", "Disabled")
    ),
    "accesstoken": UNITS,
    "idtoken": UNITS,
    "refreshtoken": UNITS,
}
"""Name -> values that AWS's schemas list for an input of that name (Method of API Gateway,
RedshiftIdcApplication, TokenValidityUnits of Cognito): who may call, or a unit of time."""

ARN = re.compile(r"arn:aws[\w-]*:[a-z0-9-]+:[a-z0-9-]*:\d*:[\w/:.+=,@*-]+")


def is_published(name: object, value: str) -> bool:
    """Whether it is no secret in spite of its name: a word of AWS's own, or an ARN.

    The ARN of a role or of a secret says who acts or where to look, and lets nobody in (IAM user
    guide, "IAM identifiers").
    """
    return value in PUBLISHED.get(word_of(name), ()) or ARN.fullmatch(value) is not None


def word_of(name: object) -> str:
    """A name in lower case, without what stands between its words."""
    return re.sub(r"[-_. /]", "", str(name).lower())
