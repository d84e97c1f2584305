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


def word_of(name: object) -> str:
    """A name in lower case, without what stands between its words."""
    return re.sub(r"[-_. /]", "", str(name).lower())
