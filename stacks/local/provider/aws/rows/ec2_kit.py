"""What every row of EC2 shares: tags, ARNs, errors."""

from stacks.local.provider.aws.row import Missing, Tags


def gone(*codes: str) -> tuple[Missing, ...]:
    """Errors that mean the resource does not exist."""
    return tuple(Missing(code) for code in codes)


def tags(resource_type: str) -> Tags:
    """EC2 tags every kind of resource with the same two calls."""
    return Tags(
        resource_type=resource_type,
        add="CreateTags",
        remove="DeleteTags",
        keys="Tags",
        key={"Resources": ["{id}"]},
    )


def arn(kind: str) -> str:
    """EC2 answers seldom carry the ARN."""
    return f"arn:aws:ec2:{{region}}:{{account}}:{kind}/{{id}}"
