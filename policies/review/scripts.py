"""Programs and queries in text, in which a comment, or a blank between words, is no difference.

Lines that are nothing but a comment are left out where nothing can make them part of a value: a
text that quotes over lines, holds a document of its own or reads itself is compared as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from policies.reading.secrets import decoded
from policies.review.differences import Leaf
from policies.review.hidden import Hidden
from policies.review.people import word
from policies.review.yaml_text import FILLED

LONGEST = 50_000
"""Characters; what is longer is compared as it is written."""

SHELL = re.compile(r"#!\s*(/usr)?(/bin/env\s+|/bin/)(ba|da|k|z|a)?sh(\s+-\w+)*\s*\n")
"""First lines of a script of a shell (POSIX.1-2024, "Shell Command Language")."""

ITSELF = re.compile(r"<<|\$'|\$\{?0\b|BASH_SOURCE|LINENO|user-data|cloud/instance")
"""A document inside of a script, and ways in which a script reads its own lines."""

REMARK = re.compile(r"#+([ \t].*)?")
"""A line's comment: a word right after the sign may be a directive, such as `#SBATCH`."""

SETTINGS = re.compile(r"\.(conf|cfg|ini|toml|hcl|tf|properties|env)$")
"""Files whose lines that begin with `#` are comments (TOML 1.0; HCL 2; Fluent Bit's manual,
"Classic mode"), where nothing quotes over lines."""

ENDS = re.compile(r"[\x00-\x08\x0b-\x1f\x85\u2028\u2029]")
"""Ends of lines to one reader and none to another, and what no text holds."""

DECLARED = re.compile(r"^[ \t\f]*#.*?coding[:=]|^#([^ \t#]|[ \t]+///)", re.M)
"""Comments of a program in Python that are read: its encoding (Python's language reference,
"Encoding declarations"), its interpreter, what it needs (PEP 723), and words of a scheduler."""

OVER_LINES = re.compile(r"\"\"\"|'''|<<|/\*|\*/")

QUERY = re.compile(
    r"^(sql|query|querystring|querystatement|viewtext|viewexpandedtext|filterexpression|expr|ruleset"
    r"|alarmrule)$"
)
"""Names of queries: SQL, CloudWatch Logs Insights, X-Ray's filters, PromQL, rules of data quality
and of composite alarms."""

SQL = re.compile(r"\b(select|insert|update|delete|merge|create|alter|drop)\b", re.I)
"""Words of a language in which two dashes begin a comment; in PromQL they are signs of minus."""

DOLLARS = re.compile(r"\$\w*\$")
"""Another sign of a quotation (PostgreSQL's manual, "Dollar-Quoted String Constants")."""

QUOTED = re.compile(r"('[^']*'|\"[^\"]*\"|`[^`]*`)")


def reads_the_same(leaf: Leaf) -> bool:
    """Whether both sides are one program, or one query."""
    old, new = leaf.old, leaf.new
    if not isinstance(old, str) or not isinstance(new, str) or len(old) + len(new) > 2 * LONGEST:
        return False
    if isinstance(old, Hidden) or isinstance(new, Hidden):
        return False  # each reads as `[secret]`
    if ENDS.search(old) or ENDS.search(new):
        return False
    sides = ((read(old), read(new)) for read in _readers(leaf.name))
    return any(before is not None and before == after for before, after in sides)


def _readers(name: str) -> Iterator[Callable[[str], object]]:
    """Ways to read a text of this name; None stands for a text that is none of the kind."""
    if word(name) in HASHED:
        yield _hashed
    elif QUERY.search(word(name)) or name.endswith(".sql"):
        yield _query
    if name.endswith(".conf"):
        yield _braced
    if SETTINGS.search(name):
        yield _settings
    if name.endswith(".py"):
        yield _python
    yield _shell


HASHED = ("expr", "querystring")
"""Names of queries whose lines that begin with `#` are comments (Prometheus' documentation,
"Querying basics"; CloudWatch Logs' user guide, "Query syntax"), unless they are of SQL."""

BRACED = re.compile(r".*[;{}]|#.*|")
"""A line of a text in which every directive ends with `;` or a block (nginx's beginner's guide)."""


def _braced(text: str) -> object:
    """The words of settings in which blanks say nothing; a quotation or a program in it, does."""
    lines = [line.strip() for line in text.splitlines()]
    if any(mark in text for mark in "'\"`\\") or "_by_lua" in text:
        return None
    if not all(BRACED.fullmatch(line) for line in lines) or "{" not in text or ";" not in text:
        return None
    kept = [line for line in lines if line and not REMARK.fullmatch(line)]
    return None if any("#" in line for line in kept) else [line.split() for line in kept]


def _hashed(text: str) -> object:
    return _query(text, hashes=True)


def _query(text: str, *, hashes: bool = False) -> object:
    """Its words; comments to the end of a line make the ends of lines matter."""
    lines = [line.strip() for line in text.splitlines()]
    odd = any(line.count(mark) % 2 for line in lines for mark in "'\"`")
    if odd or "\\" in text or DOLLARS.search(text):
        return None
    told = ("-- ", "--\t") if SQL.search(text) else ("#",) if hashes else ()
    kept = [line for line in lines if line and line != "--" and not line.startswith(told)]
    if any(mark in line for line in kept for mark in ("--", "/*", "#", "//")):
        return [line for line in lines if line]
    parts = QUOTED.split("\n".join(kept))
    return "".join(part if at % 2 else _plain(part) for at, part in enumerate(parts)).strip()


def _plain(part: str) -> str:
    """Words with one blank between them, and none beside a bracket or a comma."""
    words = re.sub(r"\s+", " ", part)
    return re.sub(r" ?([\[\],]) ?|(?<=\() | (?=\))", lambda found: found[1] or "", words)


SECTIONS = re.compile(r"(\s*([#;].*)?\n)*\[[\w -]+\]\s*\n")
"""A text in sections, in which no comment goes over lines (Fluent Bit's manual, "Classic mode";
systemd.syntax)."""


def _settings(text: str) -> object:
    lines = text.splitlines()
    over = OVER_LINES.search(text.replace("/*", "") if SECTIONS.match(text) else text)
    if over or any(line.count(mark) % 2 for line in lines for mark in "'\""):
        return None
    return _kept(lines)


def _kept(lines: Sequence[str]) -> list[str] | None:
    """The lines that say something; None where one goes on in a comment or in nothing."""
    kept = []
    for above, line in zip(["", *lines], lines, strict=False):
        if line.endswith("\\") and REMARK.fullmatch(line.strip()):
            return None  # to some readers the next line is a comment too
        if line.strip() and (FILLED.search(line) or not REMARK.fullmatch(line.strip())):
            kept.append(line)
        elif above.endswith("\\"):
            return None
    return kept


def _shell(text: str) -> object:
    script = text if text[:2] == "#!" else decoded(text)
    first = SHELL.match(script)
    if first is None or ENDS.search(script) or ITSELF.search(script) or _quotes_over_lines(script):
        return None
    kept = _kept(script[first.end() :].splitlines())
    return None if kept is None else [first[0].strip(), *kept]


WHOLE = re.compile(r"\\.|'[^']*'|\"(?:\\.|[^\"\\])*\"")
"""A quotation that ends on its line: a backslash says nothing inside of single quotes."""


def _quotes_over_lines(script: str) -> bool:
    """Whether a quotation goes on behind the end of a line."""
    for line in script.splitlines():
        plain = line.strip()
        if REMARK.fullmatch(plain):
            continue
        left = WHOLE.sub("", line)
        within = "$(" in line and line.count("(") != line.count(")")
        if (
            "'" in left
            or '"' in left
            or within
            or line.rfind("${") > line.rfind("}")
            or line.count("`") % 2
        ):
            return True
    return False


def _python(text: str) -> object:
    """Its syntax tree, without the places of its lines (Python's library reference, ast)."""
    import ast
    import warnings

    deep = text.count("(") + text.count("[") + text.count("{") > LONGEST // 50
    if deep or DECLARED.search(text):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.dump(ast.parse(text))
    # the last one is a fault of Python before 3.11.5 (python/cpython issue 106905)
    except (SyntaxError, ValueError, RecursionError, MemoryError, SystemError):
        return None
