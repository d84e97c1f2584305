"""SageMaker's resources in moto's Resource Groups Tagging API: those that our store holds.

moto 5.2.5 asks the backends of its own services, of which its SageMaker is empty here
(GetResources, TagResources, UntagResources, API reference).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.store import Store


def install(emulator: Emulator) -> None:
    """Put our store in the place of moto's SageMaker."""
    from moto.resourcegroupstaggingapi import models

    backends = models.iter_taggable_backends

    def ours_too(account_id: str, region_name: str) -> Iterator[Any]:
        for backend in backends(account_id, region_name):
            if backend.SERVICE_NAMESPACE != "sagemaker":
                yield backend
        if region_name == emulator.region:
            yield _Tagged(emulator.store)

    models.iter_taggable_backends = ours_too


class _Tagged:
    """The store as moto asks a backend for its tags."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def iter_tagged_resources(self) -> Iterator[Any]:
        from moto.core.resource_tagging import TaggedResource

        for item in self.store.everything():
            kind = item.arn.split(":", 5)[-1].partition("/")[0]
            tags = dict(self.store.tags.get(item.arn, {}))
            yield TaggedResource(arn=item.arn, tags=tags, resource_type=f"sagemaker:{kind}")

    def owns_arn(self, arn: str) -> bool:
        return self.store.by_arn(arn) is not None

    def tag_resource(self, arn: str, tags: Mapping[str, str]) -> None:
        self.store.tags.setdefault(arn, {}).update(tags)

    def untag_resource(self, arn: str, tag_keys: Sequence[str]) -> None:
        for key in tag_keys:
            self.store.tags.get(arn, {}).pop(key, None)
