"""The Pulumi program: the same for every environment, for the CLI and for plain `pulumi up`."""

import pulumi

from stacks.adoption import Adopted, adopt, load_adopted
from stacks.composition.compose import compose
from stacks.settings.load import load
from stacks.settings.model import Settings
from stacks.workload import definitions


def main() -> None:
    """Deploy the stack that is selected."""
    env = pulumi.get_stack()
    settings = load(env)
    deploy(env, settings, definitions(env, settings))


def deploy(
    env: str, settings: Settings, compiled: dict[str, str], adopted: Adopted | None = None
) -> None:
    """Compose the platform and export its outputs; by default adopt what the environment does."""
    adopt(load_adopted(env) if adopted is None else adopted)
    for name, value in compose(env, settings, compiled).items():
        pulumi.export(name, value)
