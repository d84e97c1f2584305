"""Files of a home: written whole or not at all, read with a word about what is wrong with them."""

import json
import os
import threading
from pathlib import Path
from typing import Any

from infra.errors import UserError

OWNER_ALONE = 0o600


def write(path: Path, content: bytes) -> None:
    """Put a file in place so that a reader, and a machine that loses its power, sees all or none.

    Beside it, to the disk, then renamed: what was there before stays until the new one is complete
    (POSIX, rename and fsync). OSError leaves it as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ALONE)
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None


def write_json(path: Path, content: object) -> None:
    """Put a JSON file in place, whole or not at all."""
    write(path, (json.dumps(content, indent=1) + "\n").encode())


def read_json(path: Path, *, fix: str) -> dict[str, Any] | None:
    """The object in a file, None where there is no file; UserError where it holds something else.

    `fix` says what to do about a damaged one.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        content = error
    if isinstance(content, dict):
        return content
    what = "no JSON" if isinstance(content, Exception) else f"a {type(content).__name__}"
    raise UserError(f"{path} must hold a JSON object, got {what}", fix=fix)
