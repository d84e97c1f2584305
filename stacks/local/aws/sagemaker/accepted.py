"""Which members of a request the emulator accepts: those that act, and those it only records.

A member that stands in no list is refused, so that nothing is accepted by oversight.
"""

import jmespath

from stacks.local.aws.sagemaker import (
    experiments,
    features,
    hub_contents,
    image_versions,
    lineage,
    mlflow_app,
    monitors,
    notebooks,
    projects,
)
from stacks.local.aws.sagemaker.crud import LIST_MEMBERS
from stacks.local.aws.sagemaker.errors import not_emulated
from stacks.local.aws.sagemaker.fields import FIELDS, RECORDED
from stacks.local.aws.sagemaker.recorded_operations import RECORDED_OPERATIONS
from stacks.local.aws.sagemaker.refused_fields import REFUSED
from stacks.local.aws.sagemaker.resource_type import Request
from stacks.local.aws.sagemaker.resource_types import RESOURCE_TYPES
from stacks.local.aws.sagemaker.shapes import input_members

WHOLE = frozenset(
    (
        *RECORDED_OPERATIONS,
        *experiments.OPERATIONS,
        *features.METADATA,
        *hub_contents.OPERATIONS,
        *image_versions.OPERATIONS,
        *lineage.OPERATIONS,
        *mlflow_app.OPERATIONS,
        *monitors.OPERATIONS,
        *notebooks.OPERATIONS,
        *projects.OPERATIONS,
    )
)
"""Operations of which every member acts, or is recorded."""


def check_fields(operation: str, request: Request) -> None:
    """Refuse what would be accepted without being done."""
    for path, why in REFUSED.get(operation, {}).items():
        if jmespath.search(path, request):
            raise not_emulated(f"{operation} with {path}", why)
    known = acting(operation) | RECORDED.get(operation, {}).keys()
    unknown = sorted(request.keys() - known)
    if unknown:
        raise not_emulated(f"{operation} with {', '.join(unknown)}", "nobody has built it")


def acting(operation: str) -> frozenset[str]:
    """Members of the request that the emulator acts upon; all of what is recorded as a whole."""
    whole = frozenset(input_members(operation)) - RECORDED.get(operation, {}).keys()
    if operation in WHOLE:
        return whole
    for kind in RESOURCE_TYPES:
        if operation == kind.list:
            return LIST_MEMBERS | kind.filters.keys()
        if kind.takes_all and operation in kind.operations:
            return whole
        if operation in (kind.describe, kind.delete) and operation not in FIELDS:
            return frozenset(kind.keys or {kind.key})
    return FIELDS[operation]
