"""What the overlay does by itself once a second."""

import logging

from botocore.exceptions import BotoCoreError, ClientError

from stacks.local.alarms import moto_backend
from stacks.local.sagemaker.asynchronous import Queues
from stacks.local.sagemaker.capture import Captures
from stacks.local.sagemaker.endpoints import revive
from stacks.local.sagemaker.features import flush
from stacks.local.sagemaker.world import World
from stacks.local.transfer import TransferFailed

log = logging.getLogger(__name__)


def upkeep(world: World, captures: Captures, queues: Queues) -> None:
    """One round; a failing part is reported and tried again in the next."""
    try:
        captures.flush()
        cloudwatch = moto_backend("cloudwatch", world)
        world.metrics.flush(cloudwatch)
        queues.measure(world, cloudwatch)
        for item in world.store.all("endpoint"):
            revive(world, item)
        for item in world.store.all("feature group"):
            flush(world, item)
    except (BotoCoreError, ClientError, TransferFailed, OSError) as error:
        log.warning("upkeep: %s", error)
