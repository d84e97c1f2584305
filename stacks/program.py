"""The Pulumi program: the same for every environment, for the CLI and for plain `pulumi up`."""

import pulumi

from pipelines import compiled
from stacks import workload
from stacks.composition import compose
from stacks.home import cache
from stacks.settings import Settings, load


def definitions(env: str, settings: Settings) -> dict[str, str]:
    """Compiled JSON of every pipeline, from the cache or by the SageMaker SDK (some seconds)."""
    names = settings.names(env)
    folder = cache() / "definitions"
    return {
        pipeline: compiled.definition(
            pipeline, workload.training_inputs(settings, names), cache=folder
        )
        for pipeline in compiled.PIPELINES
    }


def main() -> None:
    """Deploy the stack that is selected."""
    env = pulumi.get_stack()
    settings = load(env)
    deploy(env, settings, definitions(env, settings))


def deploy(env: str, settings: Settings, compiled_definitions: dict[str, str]) -> None:
    """Compose the platform and export its outputs."""
    for name, value in compose(env, settings, compiled_definitions).items():
        pulumi.export(name, value)
