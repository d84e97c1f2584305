"""What the policies of a stack go by, from its settings."""

from dataclasses import asdict
from pathlib import Path

from policies.config import PolicyConfig
from stacks.paths import ENVIRONMENTS
from stacks.settings.environment import required_tags
from stacks.settings.load import load_foundation
from stacks.settings.model import Settings, WorkloadSettings


def policy_config(settings: Settings, folder: Path = ENVIRONMENTS) -> PolicyConfig:
    """The thresholds of its environment, and what follows from its other settings."""
    environment = settings.environment
    given = asdict(environment.policies)
    account_id = environment.account.account_id
    given["approved_registries"] = (account_id, *given["approved_registries"])
    # versioned and encrypted by the foundation, whose own stack is judged for it
    weights = environment.names.bucket("artifacts")
    given["model_buckets"] = (weights, *given["model_buckets"])
    workload = settings.workload if isinstance(settings, WorkloadSettings) else None
    if workload is not None:  # the bucket is the foundation's, so no resource of this stack
        given["model_buckets"] = (environment.names.bucket("artifacts"), *given["model_buckets"])
    pipelines = workload.pipelines.values() if workload else ()
    return PolicyConfig(
        **given,
        weights_uris=_weights(settings),
        calling_steps=tuple(sorted({step for one in pipelines for step in one.calls_aws})),
        trusted_accounts=tuple(environment.accounts.environments.values()),
        has_environment_budget=load_foundation(environment.name, folder).cost is not None,
        tracking_registers_models=False,  # the pipelines do, as pending
        required_tags=required_tags(environment.tags),
    )


def _weights(settings: Settings) -> tuple[str, ...]:
    """Where the language model's weights lie: nobody here trained them."""
    if not isinstance(settings, WorkloadSettings) or settings.llm is None:
        return ()
    bucket = f"*-artifacts-{settings.environment.account.account_id}"
    return (f"s3://{bucket}/{settings.llm.model_data_prefix.strip('/')}/",)
