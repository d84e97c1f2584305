"""Experiments, their trials, and the components of trials: what people and jobs record of runs.

Jobs make components by themselves (`job_lineage`).
"""

from collections.abc import Callable, Mapping
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker import crud
from stacks.local.aws.sagemaker.derived import derived
from stacks.local.aws.sagemaker.errors import ApiError, invalid
from stacks.local.aws.sagemaker.resource_type import Exists, Request
from stacks.local.aws.store import Resource

Answer = dict[str, Any]
LINEAGE_GROUP = "sagemaker-default-lineage-group"

TRIALS, EXPERIMENTS = "TrialNames", "ExperimentNames"
"""Members of a component that say where it belongs; they stand in no answer."""


def _taken(what: str) -> Exists:
    return Exists(
        text=f"{what} names must be unique within an AWS account and region. "
        f"{what} with name ({{name}}) already exists."
    )


def _display(emulator: Emulator, item: Resource, request: Request) -> None:
    item.fields.setdefault("DisplayName", item.name)


def _delete_experiment(emulator: Emulator, item: Resource, request: Request) -> None:
    """DeleteExperiment, API reference: all its trials must be deleted first."""
    for trial in emulator.store.all(TRIAL.name):
        if trial.fields["ExperimentName"] == item.name:
            raise invalid(f"{item.arn} cannot be deleted: it has the trial {trial.name}.")


def _delete_trial(emulator: Emulator, item: Resource, request: Request) -> None:
    """DeleteTrial, API reference: all its components must be gone first."""
    if parts := _components(emulator, item):
        raise invalid(f"{item.arn} cannot be deleted: it has the component {parts[0].name}.")


def _start_component(emulator: Emulator, item: Resource, request: Request) -> None:
    _display(emulator, item, request)
    item.set(LineageGroupArn=emulator.arn(f"lineage-group/{LINEAGE_GROUP}"))
    item.fields |= {TRIALS: [], EXPERIMENTS: []}
    item.live = []


def _update_component(emulator: Emulator, item: Resource, request: Request) -> None:
    """UpdateTrialComponent, API reference: maps are added to, and keys of them removed."""
    change = {}
    for member in ("Parameters", "InputArtifacts", "OutputArtifacts"):
        merged = {**item.fields.get(member, {}), **request.get(member, {})}
        for key in request.get(f"{member}ToRemove", ()):
            merged.pop(key, None)
        change[member] = merged
    for member in ("DisplayName", "Status", "StartTime", "EndTime"):
        if member in request:
            change[member] = request[member]
    item.set(**change)


def _delete_component(emulator: Emulator, item: Resource, request: Request) -> None:
    """DeleteTrialComponent, API reference: it must be disassociated from all trials before."""
    if item.fields[TRIALS]:
        raise invalid(f"{item.arn} cannot be deleted: it is part of {item.fields[TRIALS][0]}.")


EXPERIMENT = derived(
    "Experiment",
    exists=_taken("Experiment"),
    on_create=_display,
    on_delete=_delete_experiment,
    takes_all=True,
)
TRIAL = derived(
    "Trial",
    arn="experiment-trial/{name}",
    missing="Trial '{arn}' does not exist.",
    parents={"ExperimentName": EXPERIMENT},
    exists=_taken("Trial"),
    filters={"TrialComponentName": "TrialComponentNames"},
    on_create=_display,
    on_delete=_delete_trial,
    takes_all=True,
)
COMPONENT = derived(
    "TrialComponent",
    arn="experiment-trial-component/{name}",
    exists=_taken("Trial component"),
    status_field="",
    made={
        "InputArtifacts": {},
        "Metrics": [],
        "OutputArtifacts": {},
        "Parameters": {},
        "Sources": [],
    },
    filters={"TrialName": TRIALS, "ExperimentName": EXPERIMENTS},
    on_create=_start_component,
    on_update=_update_component,
    on_delete=_delete_component,
    takes_all=True,
)


def _associate(emulator: Emulator, request: Request) -> Answer:
    with emulator.store.lock:
        trial = crud.get(emulator, TRIAL, request["TrialName"])
        component = crud.get(emulator, COMPONENT, request["TrialComponentName"])
        if trial.name not in component.fields[TRIALS]:
            belong(emulator, component, [*component.fields[TRIALS], trial.name])
    return {"TrialComponentArn": component.arn, "TrialArn": trial.arn}


def _disassociate(emulator: Emulator, request: Request) -> Answer:
    with emulator.store.lock:
        trial = crud.get(emulator, TRIAL, request["TrialName"])
        component = crud.get(emulator, COMPONENT, request["TrialComponentName"])
        left = [name for name in component.fields[TRIALS] if name != trial.name]
        if len(left) == len(component.fields[TRIALS]):
            told = f"Trial component {component.name} is not part of the trial {trial.name}."
            raise ApiError("ResourceNotFound", told)
        belong(emulator, component, left)
    return {"TrialComponentArn": component.arn, "TrialArn": trial.arn}


def belong(emulator: Emulator, component: Resource, trials: list[str]) -> None:
    """Make a component part of these trials, and tell the trials that."""
    parents = [
        {"TrialName": name, "ExperimentName": trial.fields["ExperimentName"]}
        for name in trials
        if (trial := emulator.store.find(TRIAL.name, name)) is not None
    ]
    component.fields |= {
        TRIALS: trials,
        EXPERIMENTS: [parent["ExperimentName"] for parent in parents],
        "Parents": parents,
    }
    for trial in emulator.store.all(TRIAL.name):
        own = _components(emulator, trial)
        trial.fields["TrialComponentNames"] = [item.name for item in own]
        trial.fields["TrialComponentSummaries"] = [_simple(item) for item in own]


def _components(emulator: Emulator, trial: Resource) -> list[Resource]:
    return [
        item for item in emulator.store.all(COMPONENT.name) if trial.name in item.fields[TRIALS]
    ]


def _simple(item: Resource) -> dict[str, Any]:
    said = {"TrialComponentName": item.name, "TrialComponentArn": item.arn}
    return {**said, "CreationTime": item.created}


OPERATIONS: Mapping[str, Callable[[Emulator, Request], Answer]] = {
    "AssociateTrialComponent": _associate,
    "DisassociateTrialComponent": _disassociate,
}
TYPES = (EXPERIMENT, TRIAL, COMPONENT)
