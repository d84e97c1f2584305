"""What the emulator does by itself once a second."""

import logging

from botocore.exceptions import BotoCoreError, ClientError

from stacks.local.aws.emulator import Emulator, moto_backend
from stacks.local.aws.sagemaker import api, components, monitors
from stacks.local.aws.sagemaker.asynchronous import Queues
from stacks.local.aws.sagemaker.capture import Captures
from stacks.local.aws.sagemaker.features import flush
from stacks.local.aws.sagemaker.resource_types import BY_NAME
from stacks.local.aws.sagemaker.rollout import revive
from stacks.local.runtime.s3_files import TransferFailed

log = logging.getLogger(__name__)


def reconcile(emulator: Emulator, captures: Captures, queues: Queues) -> None:
    """One round; a failing part is reported and tried again in the next."""
    try:
        api.settle(emulator)
        captures.flush()
        cloudwatch = moto_backend("cloudwatch", emulator)
        emulator.metrics.flush(cloudwatch)
        emulator.logs.flush(moto_backend("logs", emulator))
        queues.measure(emulator, cloudwatch)
        for item in emulator.store.all("endpoint"):
            revive(emulator, item, "EndpointStatus")
        for item in emulator.store.all(components.KIND):
            revive(emulator, item, components.STATUS)
        monitors.look(emulator, BY_NAME["processing job"])
        for item in emulator.store.all("feature group"):
            flush(emulator, item)
    except (BotoCoreError, ClientError, TransferFailed, OSError) as error:
        log.warning("reconcile: %s", error)
