"""What the overlay does by itself once a second."""

import logging

from botocore.exceptions import BotoCoreError, ClientError

from stacks.local.aws.cloudwatch_alarms import moto_backend
from stacks.local.aws.emulator import World
from stacks.local.aws.sagemaker.asynchronous import Queues
from stacks.local.aws.sagemaker.capture import Captures
from stacks.local.aws.sagemaker.endpoints import revive
from stacks.local.aws.sagemaker.features import flush
from stacks.local.runtime.s3_files import TransferFailed

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
