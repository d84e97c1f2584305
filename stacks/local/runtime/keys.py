"""The keys of one local cloud: made once per home, known to those who may read its files.

Requests to the AWS endpoint are signed with them as on AWS, so neither a web page nor another user
of the machine nor a client of another home can make one that is answered.
"""

import hmac
import json
import secrets
import string
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.errors import UserError
from stacks.local.runtime import files

ACCESS_KEY_ID_CHARACTERS = string.ascii_uppercase + "234567"
"""What AWS makes access key ids of, after the prefix `AKIA` (IAM user guide, IAM identifiers)."""

SECRET_VARIABLE = "AWS_SECRET_ACCESS_KEY"
"""Environment variable by which a process shows that it belongs to this home."""

ACCESS_KEY_ID_RANDOM_CHARACTERS = 16
SECRET_BYTES = 30
"""Forty characters in base 64, as long as AWS's secret access keys."""


@dataclass(frozen=True, kw_only=True)
class Keys:
    """What a client of the local cloud has to know."""

    access_key_id: str
    secret_access_key: str
    tracking_password: str
    """Password of the MLflow server; a word of its own, for it is sent as it is."""

    TRACKING_USER = "plinth"

    def sign(self, purpose: bytes, content: bytes) -> bytes:
        """A signature that is good for one purpose alone, in hexadecimal digits."""
        key = hmac.digest(self.secret_access_key.encode(), purpose, "sha256")
        return hmac.digest(key, content, "sha256").hex().encode()

    def aws(self) -> dict[str, str]:
        """Environment variables with which any AWS client signs as the owner of this home."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            SECRET_VARIABLE: self.secret_access_key,
        }

    def tracking(self) -> dict[str, str]:
        """Environment variables with which the MLflow client logs in."""
        return {
            "MLFLOW_TRACKING_USERNAME": self.TRACKING_USER,
            "MLFLOW_TRACKING_PASSWORD": self.tracking_password,
        }


def ensure(home: Path) -> Keys:
    """The keys of a home, made where there are none yet."""
    path = _file(home)
    if path.exists():
        return load(home)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = Keys(
        access_key_id="AKIA"
        + "".join(
            secrets.choice(ACCESS_KEY_ID_CHARACTERS) for _ in range(ACCESS_KEY_ID_RANDOM_CHARACTERS)
        ),
        secret_access_key=secrets.token_urlsafe(SECRET_BYTES),
        tracking_password=secrets.token_urlsafe(SECRET_BYTES),
    )
    files.write_json(path, asdict(made))
    return made


def load(home: Path) -> Keys:
    """The keys of a home; UserError where there are none or the file is damaged."""
    path = _file(home)
    try:
        return Keys(**json.loads(path.read_text()))
    except FileNotFoundError:
        raise UserError(
            f"{path} must hold the keys of the local cloud, got no file",
            fix="type `plinth up local`",
        ) from None
    except (ValueError, TypeError, RecursionError) as error:
        raise UserError(
            f"{path} must hold the keys of the local cloud as JSON, got {type(error).__name__}",
            fix=f"delete {path}, then type `plinth destroy local --yes` and `plinth up local`",
        ) from None


def _file(home: Path) -> Path:
    return home / "local" / "keys.json"
