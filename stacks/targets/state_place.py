"""Where the state of an environment's stacks lies, and under which key its secrets are."""

from infra.naming import Names


def alias(env: str) -> str:
    """Of the KMS key for secrets, as files and commands name it."""
    return f"alias/plinth-{env}-pulumi"


def secrets_provider(env: str, region: str) -> str:
    """How Pulumi finds the key: without the region it takes that of whoever deploys."""
    return f"awskms://{alias(env)}?region={region}"


def backend_url(names: Names) -> str:
    """Of the bucket, as Pulumi takes it (Pulumi, state and backends, AWS S3)."""
    return f"s3://{names.bucket('state')}?region={names.region}&awssdk=v2"
