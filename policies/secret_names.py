"""Values that are secret, by their names or looks, whether or not a program says so."""

import re
from collections.abc import Callable, Iterator, Sequence

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


SECRET = "[secret]"
"""Stands for every secret value, as the engine itself prints it."""

KEY = "[secret key "
"""Begins the mark of what looked like the key of a provider, for whoever judges the text later."""

LOOKS = re.compile(
    r"(AKIA|ASIA)[A-Z0-9]{16}|-----BEGIN [A-Z ]*PRIVATE KEY|\bgh[pousr]_[A-Za-z0-9]{36}"
    r"|\bhf_[A-Za-z0-9]{30}|\bsk-[A-Za-z0-9_-]{20}|\bxox[abprs]-[\w-]{10}"
    r"|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}|\bglpat-[\w-]{20}"
)
"""What providers' keys and signed tokens look like."""

MARKS = ("AKIA", "ASIA", "-----BEGIN ", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "hf_", "sk-",
         "xox", "eyJ", "glpat-")  # fmt: skip
"""One of these is in whatever looks so: to look for them is ten times faster."""

_TO_ITS_END = re.compile(r"(?s:(?<=PRIVATE KEY).*?-----END [A-Z ]*PRIVATE KEY-----)|[\w.-]*")

_URL = re.compile(r"(?P<before>://[^/\s:@]*:)(?P<value>[^/\s@]+)(?=@)")
"""A URL with a password."""

_PAIR = re.compile(
    r"""(?P<before>(?<![\w.-])(?P<name>[\w.-]{2,128})(?:\\*["']?\s{0,3}[:=]\s{0,3}(?=\\*["'])|=))"""
    r"""(?P<value>(?P<quote>\\*["']).*?(?:(?P=quote)|$)|[^\s,;&"'\\]+)""",
    re.MULTILINE,
)
"""`NAME=value`, `name: "value"` and what JSON writes, however often its quotes are escaped."""

_OPTION = re.compile(
    r"""(?P<before>(?<![\w-])--?(?P<name>[\w.-]{2,128})["']?,?\s+["']?)"""
    r"""(?P<value>[^\s"'-][^\s"']*)"""
)
"""`--api-token value`."""

_LINE = re.compile(
    r"(?P<before>^[ \t]*(?:export[ \t]+|set[ \t]+)?(?P<name>[\w.-]{2,128})[ \t]*[=:][ \t]*)"
    r"(?P<value>\S[^\n]*)",
    re.MULTILINE,
)
"""A line of a script or of a file of settings."""

_ELSEWHERE = re.compile(
    r"""[\\"']*(arn:aws|\$[({\w]|\{\{|<|\[secret|(true|false|none|null)?[\\"']*$)""", re.I
)
"""Values that say where a secret is, or that there is none."""

_AUTHORIZATION = re.compile(
    r"""(?P<before>(?i:authorization)\\*["']?\s{0,3}[:=]\s{0,3}\\*["']?(?:\w+[ ])?)(?![A-Z_]+\b)"""
    r"""(?P<value>[^\s"'\\,]{4,})""",
)
"""A header of HTTP with its scheme (RFC 9110, 11.6.2); a word in capitals is a setting."""

_SIGNS = ("=", '"', "'", "://", " -", "\n", ": ", *MARKS)
"""Without one of these a text is a name, an id or an ARN."""

Mark = Callable[[str], str]


def without_secrets(text: str, mark: Mark = lambda _: SECRET, *, settings: bool = False) -> str:
    """A text with a mark in place of each secret in it, by its name or by its looks.

    `settings`: a line `name: value` is one, too; in prose it is not.
    """
    if not any(sign in text for sign in _SIGNS):
        return text

    def masked(found: re.Match[str]) -> str:
        parts = found.groupdict()
        name, value = parts.get("name"), parts["value"]
        if name and (not says_secret(name) or _ELSEWHERE.match(value)):
            return found[0]
        return f"{parts['before']}{mark(value)}"

    for pattern in (_URL, _AUTHORIZATION, _PAIR, _OPTION, *((_LINE,) if settings else ())):
        text = pattern.sub(masked, text)
    return _without_keys(text, mark) if any(one in text for one in MARKS) else text


def _without_keys(text: str, mark: Mark) -> str:
    """A text without what looks like the key of a provider."""
    told, at = "", 0
    while found := LOOKS.search(text, at):
        rest = _TO_ITS_END.match(text, found.end())
        end = rest.end() if rest else found.end()
        told += text[at : found.start()] + mark(text[found.start() : end])
        at = end
    return told + text[at:]


def secret_items(items: Sequence[object]) -> Iterator[int]:
    """Places in a list of arguments that hold the value of an option whose name says secret."""
    for number, item in enumerate(items[:-1]):
        after = items[number + 1]
        is_option = isinstance(item, str) and item.startswith("-") and "=" not in item
        if is_option and says_secret(item) and isinstance(after, str) and after[:1] != "-":
            yield number + 1
