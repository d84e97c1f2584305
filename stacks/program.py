"""The Pulumi program: the same for every stack, for the CLI and for plain `pulumi up`."""

from collections.abc import Mapping

import pulumi

from infra.errors import UserError
from stacks import contract
from stacks.adoption import Adopted, adopt, load_adopted
from stacks.composition.compose import compose
from stacks.definitions import definitions
from stacks.settings.load import load
from stacks.settings.model import Settings
from stacks.stack_name import StackName


def main() -> None:
    """Deploy the stack that is selected."""
    try:
        stack = StackName.parse(pulumi.get_stack())
        settings = load(stack)
        deploy(stack, settings, definitions(settings))
    except UserError as error:
        raise pulumi.RunError(str(error)) from None


def deploy(
    stack: StackName,
    settings: Settings,
    compiled: Mapping[str, str],
    adopted: Adopted | None = None,
    offered: contract.Source = contract.read,
) -> None:
    """Compose a stack and export its outputs.

    By default it adopts what its file says, and reads what the stacks below it offer.
    """
    adopt(load_adopted(stack) if adopted is None else adopted)
    for name, value in compose(stack, settings, compiled, offered).items():
        pulumi.export(name, value)
