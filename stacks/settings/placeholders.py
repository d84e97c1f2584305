"""Values that stand in the files until somebody fills them in: accounts, images, addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stacks.settings.environment import is_placeholder
from stacks.settings.model import FoundationSettings, Settings, WorkloadSettings

NO_IMAGE = f"sha256:{'0' * 64}"
EXAMPLE = re.compile(r"[@.]example\.(com|net|org)$")
"""Domains that nobody has (RFC 2606)."""


def placeholders(settings: Settings) -> Iterator[tuple[str, str]]:
    """Key and value of whatever of a stack, or of its environment, is not filled in."""
    environment = settings.environment
    if is_placeholder(environment.account.account_id):
        yield "account.account_id", environment.account.account_id
    for env, account_id in environment.accounts.environments.items():
        if is_placeholder(account_id):
            yield f"accounts.environments.{env}", account_id
    if isinstance(settings, FoundationSettings):
        for email in settings.alerts.emails:
            if EXAMPLE.search(email):
                yield "plinth:alerts.emails", email
    if isinstance(settings, WorkloadSettings) and settings.image.digest == NO_IMAGE:
        yield "plinth:image.digest", f"{NO_IMAGE[:15]}..."
