"""What happens by itself, about once a second: data is written, servers start, events flow."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stacks.local.aws.autoscaling import Scaled, act, scale
from stacks.local.aws.cloudformation import moto_cloudformation
from stacks.local.aws.cloudwatch_alarms import Watch, watch
from stacks.local.aws.event_source_mappings import Streams, read
from stacks.local.aws.eventbridge import States, tell
from stacks.local.aws.sagemaker.reconcile import reconcile
from stacks.local.aws.schedule_expressions import Due
from stacks.local.aws.schedules import fire
from stacks.local.daemon.record import UPKEEP_SECONDS
from stacks.local.keeping.quiet import Quiet

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """What the rounds before have seen and done."""

    streams: Streams = field(default_factory=Streams)
    states: States = field(default_factory=States)
    alarms: Watch = field(default_factory=Watch)
    due: Due = field(default_factory=Due)
    scaled: Scaled = field(default_factory=Scaled)

    def stamp(self) -> object:
        """Another one when a round did something that has to be kept."""
        seen = self.streams.done, self.states.known, self.alarms.told, self.due.at
        scaled = self.scaled.asked, self.scaled.out, self.scaled.taken
        return [dict(one) for one in (*seen, *scaled)]

    def run(self, application: Any, quiet: Quiet, stop: threading.Event) -> None:
        """Rounds until the cloud stops; one that fails is reported and tried again."""
        emulator, recorded = application.emulator, application.fallback.store
        rounds: tuple[Callable[[], None], ...] = (
            lambda: reconcile(emulator, application.captures, application.queues),
            lambda: read(emulator, self.streams),
            lambda: watch(emulator, self.alarms),
            lambda: scale(emulator, recorded, self.alarms, self.scaled),
            lambda: tell(emulator, self.states),
            lambda: fire(emulator, self.due),
            lambda: act(emulator, recorded, self.due),
            lambda: moto_cloudformation.look(emulator),
        )
        while not stop.wait(UPKEEP_SECONDS):
            for one in rounds:
                try:
                    with quiet.working():  # an event is kept with what it was told of
                        one()
                except Exception:
                    log.exception("a round failed; the next one tries again")
