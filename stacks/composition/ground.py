"""What the parts of a foundation need of each other."""

from dataclasses import dataclass

from infra.access import Access
from infra.component import ComponentArgs
from infra.keys import Keys
from stacks.settings.model import FoundationSettings


@dataclass(frozen=True)
class Ground:
    """Names and settings, and the parts that come first."""

    common: ComponentArgs
    settings: FoundationSettings
    keys: Keys
    access: Access
