"""Tuning jobs as resources: training jobs, one after the other and side by side, and the best.

Source: CreateHyperParameterTuningJob, DescribeHyperParameterTuningJob and
ListTrainingJobsForHyperParameterTuningJob, API reference. The training jobs are created as anybody
would create them, with the role of their definition.
"""

import hashlib
import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker import jobs
from stacks.local.aws.sagemaker.errors import can_assume
from stacks.local.aws.sagemaker.resource_type import Request
from stacks.local.aws.sagemaker.tuning import progress
from stacks.local.aws.sagemaker.tuning.definitions import (
    Definition,
    definitions,
    jobs_to_run,
    training_request,
)
from stacks.local.aws.sagemaker.tuning.search import Proposal, Search, search
from stacks.local.aws.sagemaker.tuning.summaries import (
    FINAL,
    best,
    counters,
    launched,
    summary,
)
from stacks.local.aws.sagemaker.tuning.warm_start import IDENTICAL, lessons, parents
from stacks.local.aws.store import Resource
from stacks.local.runtime.job_metrics import metric_series
from stacks.local.runtime.jobs import FAILURE_REASON_LIMIT, Ending, Status, instances

STEM, TRAINING = "HyperParameterTuningJob", "training job"
POLL_SECONDS = 0.1
ATTEMPTS = 5
"""Training jobs without a success, or without a metric, after which a tuning job gives up."""

NONE_SUCCEEDED = (
    "No training job succeeded after {count} attempts. Please take a look at the training job "
    "failures to get more details."
)
NO_METRIC = (
    "No objective metrics found after running {count} training jobs. Please ensure that the custom "
    "algorithm is emitting the objective metric as defined by the regular expression provided."
)


@dataclass(kw_only=True, eq=False)
class Trial:
    """One training job of a tuning job."""

    name: str
    definition: Definition
    search: Search
    proposal: Proposal
    series: list[float] = field(default_factory=list)
    """What it said of the objective."""

    status: str = "InProgress"
    value: float | None = None
    """The last of the objective. Default: none was found."""

    @property
    def over(self) -> bool:
        return self.status not in ("InProgress", "Stopping")


def start_tuning(emulator: Emulator, item: Resource, request: Request) -> None:
    """Run a tuning job in the background."""
    found = definitions(request)
    for one in found:
        jobs.check_training(emulator, training_request(one, "checked", {}))
        can_assume(emulator.region, one.given["RoleArn"], item.arn)
    known = parents(emulator, request, found)
    config = request["HyperParameterTuningJobConfig"]
    stopping = threading.Event()
    item.live = stopping
    item.set(
        HyperParameterTuningJobStatus="InProgress",
        Strategy=config["Strategy"],
        ResourceLimits=config["ResourceLimits"],
        **counters([]),
    )
    tuning = Tuning(emulator, item, request, found, known)

    def work() -> None:
        tuning.finish(*tuning.run(stopping))

    def broken(error: BaseException) -> None:
        tuning.finish("Failed", f"InternalServerError: {error!r}")

    emulator.background(work, broken=broken)


class Tuning:
    """One tuning job on its way."""

    def __init__(
        self,
        emulator: Emulator,
        item: Resource,
        request: Request,
        found: Sequence[Definition],
        known: Sequence[Resource],
    ) -> None:
        self.emulator, self.item, self.found = emulator, item, found
        self.parents = known
        self.warm = request.get("WarmStartConfig", {}).get("WarmStartType", "")
        self.config: Mapping[str, Any] = request[f"{STEM}Config"]
        self.tags = request.get("Tags", ())
        self.trials: list[Trial] = []
        self.ended: list[Trial] = []
        """In the order in which they ended."""

        self.began = time.monotonic()
        self.left = jobs_to_run(self.config, found)

    def run(self, stopping: threading.Event) -> tuple[Status, str]:
        """Everything from the first training job to the last: status and reason."""
        seed = self.config.get("RandomSeed", _number(self.item.name))
        searches = [
            search(
                self.config["Strategy"],
                one.ranges,
                maximize=one.maximize,
                seed=seed + place,
                resource=one.resource,
            )
            for place, one in enumerate(self.found)
        ]
        for values, value in lessons(self.emulator, self.parents):
            searches[0].learn(values, value)
        while True:
            self._take_in()
            ending = self._ending(stopping) or self._fill(searches)
            if ending is not None:
                self._stop(self._running())
                while self._running():
                    time.sleep(POLL_SECONDS)
                    self._take_in()
                return ending
            if not self.left and not self._running():
                return self._outcome()
            self._stop([trial for trial in self._running() if self._falls_behind(trial)])
            stopping.wait(POLL_SECONDS)

    def finish(self, status: Status, reason: str) -> None:
        self._show()
        ending = Ending(status=status, failure_reason=reason[:FAILURE_REASON_LIMIT] or None)
        jobs.finish(self.emulator, self.item, STEM, ending)

    def _running(self) -> list[Trial]:
        return [trial for trial in self.trials if not trial.over]

    def _fill(self, searches: Sequence[Search]) -> tuple[Status, str] | None:
        """Start as many training jobs as may run; how the tuning job ends where that fails."""
        at_once = self.config["ResourceLimits"]["MaxParallelTrainingJobs"]
        try:
            while self.left and len(self._running()) < at_once:
                if not self._launch(searches):
                    self.left = 0
        except ClientError as error:
            return "Failed", f"a training job could not be created: {error}"
        return None

    def _launch(self, searches: Sequence[Search]) -> bool:
        """Start the next training job; definitions take turns. False: nothing is left to try."""
        number = len(self.trials)
        for turn in range(len(searches)):
            place = (number + turn) % len(searches)
            proposal = searches[place].propose()
            if proposal is None:
                continue
            one = self.found[place]
            name = self._name(number + 1)
            request = training_request(one, name, proposal.values, self.tags)
            self.emulator.sagemaker.create_training_job(**request)
            with self.emulator.store.lock:
                job = self.emulator.store.find(TRAINING, name)
                if job is not None:
                    job.set(
                        TuningJobArn=self.item.arn,
                        TrainingJobDefinitionName=one.name or None,
                        TunedHyperParameters=dict(proposal.values),
                        ObjectiveStatus="Pending",
                    )
            self.trials.append(
                Trial(name=name, definition=one, search=searches[place], proposal=proposal)
            )
            self.left -= 1
            self._show()
            return True
        return False

    def _name(self, number: int) -> str:
        """As SageMaker's look, and the same every time, unless that is another job's already."""
        for salt in range(ATTEMPTS):
            digest = hashlib.sha256(f"{self.item.arn}/{number}/{salt}".encode()).hexdigest()
            name = f"{self.item.name}-{number:03d}-{digest[:8]}"
            if self.emulator.store.find(TRAINING, name) is None:
                break
        return name

    def _take_in(self) -> None:
        """See which training jobs are over, and what the others say."""
        changed = False
        for trial in self._running():
            job = self.emulator.store.find(TRAINING, trial.name)
            trial.status = job.fields["TrainingJobStatus"] if job else "Stopped"
            if self._watches() or trial.over:
                count = instances(trial.definition.given)
                logs = self.emulator.jobs.logs(trial.name, count).values()
                found = (metric_series(log, trial.definition.regex) for log in logs)
                trial.series = next((series for series in found if series), [])
            if trial.over:
                changed = True
                self._settle(trial, job)
        if changed:
            self._show()

    def _settle(self, trial: Trial, job: Resource | None) -> None:
        last = trial.series[-1] if trial.series else math.nan
        if trial.status in ("Completed", "Stopped") and math.isfinite(last):
            trial.value = last
        trial.search.tell(trial.proposal, trial.value)
        self.ended.append(trial)
        if job is None:
            return
        one = trial.definition
        told = {"MetricName": one.metric, "Value": trial.value}
        kind = "Maximize" if one.maximize else "Minimize"
        with self.emulator.store.lock:
            job.set(
                ObjectiveStatus="Failed" if trial.value is None else "Succeeded",
                **{FINAL: None if trial.value is None else {"Type": kind, **told}},
            )

    def _watches(self) -> bool:
        """Whether training jobs are ended by what they say."""
        early = self.config.get("TrainingJobEarlyStoppingType") == "Auto"
        return early or self.config["Strategy"] == "Hyperband"

    def _falls_behind(self, trial: Trial) -> bool:
        if not self._watches() or not trial.series or trial.status == "Stopping":
            return False
        resource = trial.definition.resource
        if resource is not None:
            beyond = len(trial.series) > resource.most
            return beyond or trial.search.falls_behind(trial.proposal, trial.series)
        earlier = [other.series for other in self.ended if other.value is not None]
        return progress.below_median(trial.series, earlier, maximize=trial.definition.maximize)

    def _stop(self, trials: Sequence[Trial]) -> None:
        for trial in trials:
            with self.emulator.store.lock:
                job = self.emulator.store.find(TRAINING, trial.name)
                if job is not None and job.fields["TrainingJobStatus"] == "InProgress":
                    jobs.stop_job(self.emulator, job, "TrainingJob")
                    trial.status = "Stopping"

    def _ending(self, stopping: threading.Event) -> tuple[Status, str] | None:
        """Why no further training job is started, and running ones are stopped; None: go on."""
        if stopping.is_set():
            return "Stopped", ""
        limit = self.config["ResourceLimits"].get("MaxRuntimeInSeconds")
        if limit is not None and time.monotonic() - self.began > limit:
            return "Completed", ""
        criteria = self.config.get("TuningJobCompletionCriteria", {})
        maximize = self.found[0].maximize
        if progress.complete(criteria, self._values(), maximize=maximize):
            return "Completed", ""
        if len(self.ended) >= ATTEMPTS and not self._values():
            return self._outcome()
        return None

    def _outcome(self) -> tuple[Status, str]:
        """How a job ends whose training jobs did."""
        if self._values():
            return "Completed", ""
        lives = any(trial.status == "Completed" for trial in self.ended)
        reason = NO_METRIC if lives else NONE_SUCCEEDED
        return "Failed", reason.format(count=len(self.ended))

    def _values(self) -> list[float]:
        return [trial.value for trial in self.ended if trial.value is not None]

    def _show(self) -> None:
        """Write what Describe shows of the training jobs."""
        store = self.emulator.store
        with store.lock:
            found = [store.find(TRAINING, trial.name) for trial in self.trials]
            known = [job for job in found if job is not None]
            top = best(known)
            behind = progress.not_improving(self._values(), maximize=self.found[0].maximize)
            self.item.set(
                **counters(known),
                BestTrainingJob=summary(top) if top is not None else None,
                OverallBestTrainingJob=self._overall(known) if self.warm == IDENTICAL else None,
                TuningJobCompletionDetails={"NumberOfTrainingJobsObjectiveNotImproving": behind},
                ConsumedResources={"RuntimeInSeconds": round(time.monotonic() - self.began)},
            )

    def _overall(self, own: Sequence[Resource]) -> dict[str, Any] | None:
        """The best training job of this job and of those that it started from."""
        every = [(job, self.item.name) for job in own]
        for parent in self.parents:
            every += [(job, parent.name) for job in launched(self.emulator, parent)]
        top = best([job for job, _ in every])
        whose = next((name for job, name in every if job is top), "")
        return None if top is None else {**summary(top), "TuningJobName": whose}


def _number(text: str) -> int:
    """A seed that a name always gives."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
