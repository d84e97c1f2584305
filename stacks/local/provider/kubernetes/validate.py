"""Checking objects against Kubernetes' own schemas, for where no API server can be asked."""

from stacks.local.kubernetes.client import Object
from stacks.local.provider.backend import Failure

SCHEMAS = "1.34"


def failures(item: Object) -> list[Failure]:
    """What is wrong with an object, by path; nothing is known of kinds that are not Kubernetes'."""
    from kubernetes_validate import SchemaNotFoundError, ValidationError, validate

    try:
        validate(item, SCHEMAS, strict=True)
    except SchemaNotFoundError:
        return []
    except ValidationError as error:
        path = ""
        for part in error.absolute_path:
            path += f"[{part}]" if isinstance(part, int) else f".{part}"
        return [Failure(property=path.removeprefix("."), reason=error.message)]
    return []
