"""Notebook instances, their lifecycle configurations and code repositories.

Source: SageMaker API reference, the operations of each. An instance passes through its statuses by
the clock, and changes in some of them alone. No Jupyter server is behind it: no script of a
lifecycle configuration runs, no repository is cloned, and the presigned address is refused.
"""

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker import crud, lifecycles
from stacks.local.aws.sagemaker.derived import derived, living
from stacks.local.aws.sagemaker.errors import invalid
from stacks.local.aws.sagemaker.resource_type import Exists, Lifecycle, Request
from stacks.local.aws.store import Resource

STATUS = "NotebookInstanceStatus"
RECORD_NOT_FOUND = "RecordNotFound"
"""All that SageMaker says of a notebook instance that is not there."""

SCRIPTS = ("OnCreate", "OnStart")
REPOSITORIES = ("DefaultCodeRepository", "AdditionalCodeRepositories")
CONFIG = "NotebookInstanceLifecycleConfigName"
RENAMED = {"LifecycleConfigName": CONFIG, "SecurityGroupIds": "SecurityGroups"}
DISASSOCIATED = {
    "DisassociateAcceleratorTypes": "AcceleratorTypes",
    "DisassociateAdditionalCodeRepositories": "AdditionalCodeRepositories",
    "DisassociateDefaultCodeRepository": "DefaultCodeRepository",
    "DisassociateLifecycleConfig": CONFIG,
}
"""Member of UpdateNotebookInstance -> member that it takes away."""

DEFAULTS = {
    "DirectInternetAccess": "Enabled",
    "InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": "1"},
    "IpAddressType": "ipv4",
    "PlatformIdentifier": "notebook-al2023-v1",
    "RootAccess": "Enabled",
    "VolumeSizeInGB": 5,
}
"""Of CreateNotebookInstance, where a request says nothing."""


def _scripts(emulator: Emulator, item: Resource, request: Request) -> None:
    """The scripts of a configuration are in base64; an update replaces those that it names."""
    for hook in SCRIPTS:
        for script in request.get(hook, ()):
            try:
                base64.b64decode(script.get("Content", ""), validate=True)
            except ValueError as error:
                raise invalid(f"Content of {hook} must be base64 encoded: {error}") from error
    item.set(**{hook: request[hook] for hook in SCRIPTS if hook in request})


def _credentials(emulator: Emulator, item: Resource, request: Request) -> None:
    """Of a repository only the secret may change (GitConfigForUpdate, API reference)."""
    item.set(GitConfig={**item.fields["GitConfig"], **request.get("GitConfig", {})})


CODE_REPOSITORY = derived(
    "CodeRepository",
    missing='Cannot find CodeRepository: "{arn}".',
    on_update=_credentials,
    takes_all=True,
)
LIFECYCLE_CONFIG = derived(
    "NotebookInstanceLifecycleConfig",
    # the text by which AWS's own controller knows it (aws-controllers-k8s/sagemaker-controller)
    missing="Unable to describe Notebook Instance Lifecycle Config '{arn}'. (Details: Notebook "
    "Instance Lifecycle Config does not exist.)",
    exists=Exists(
        text="Unable to create Notebook Instance Lifecycle Config {arn}. (Details: Notebook "
        "Instance Lifecycle Config already exists.)"
    ),
    on_create=_scripts,
    on_update=_scripts,
    takes_all=True,
)


def _check(emulator: Emulator, request: Request) -> None:
    """What a request names is there; a repository may be an address instead of a name."""
    if name := request.get("LifecycleConfigName"):
        crud.get(emulator, LIFECYCLE_CONFIG, name)
    for member in REPOSITORIES:
        for named in _listed(request.get(member, ())):
            if not named.startswith("https://"):
                crud.get(emulator, CODE_REPOSITORY, named)


def _listed(value: str | Iterable[str]) -> Iterable[str]:
    return [value] if isinstance(value, str) else value


def _create(emulator: Emulator, item: Resource, request: Request) -> None:
    _check(emulator, request)
    _check_network(request)
    item.set(Url=f"{item.name}.notebook.{emulator.region}.sagemaker.aws")


def _check_network(request: Request) -> None:
    """An instance is in a subnet of the account, or in none and on the internet."""
    if "SubnetId" in request:
        return
    if request.get("DirectInternetAccess") == "Disabled":
        raise invalid("DirectInternetAccess can be Disabled only if SubnetId is given")
    if request.get("SecurityGroupIds"):
        raise invalid("SecurityGroupIds can be given only with SubnetId")


def _update(emulator: Emulator, item: Resource, request: Request) -> None:
    _check(emulator, request)
    size, had = request.get("VolumeSizeInGB"), item.fields["VolumeSizeInGB"]
    if size is not None and size < had:
        raise invalid(f"VolumeSizeInGB of {item.arn} can only grow: it is {had}, got {size}")
    gone = [lost for member, lost in DISASSOCIATED.items() if request.get(member)]
    asked = {m: v for m, v in request.items() if m not in DISASSOCIATED}
    item.set(**{**dict.fromkeys(gone), **crud.changes(NOTEBOOK, asked)})


_ROW = living(
    "NotebookInstance",
    exists=Exists(text="Cannot create a duplicate Notebook Instance ({arn})"),
    missing=RECORD_NOT_FOUND,
    renamed=RENAMED,
    filters={"AdditionalCodeRepositoryEquals": "AdditionalCodeRepositories"},
    made=DEFAULTS,
    on_create=_create,
    on_update=_update,
)
NOTEBOOK = replace(_ROW, lifecycle=replace(_ROW.lifecycle or Lifecycle(), updated="Stopped"))
TYPES = (CODE_REPOSITORY, LIFECYCLE_CONFIG, NOTEBOOK)


def _start(emulator: Emulator, request: Request) -> dict[str, Any]:
    item = crud.asked(emulator, NOTEBOOK, request)
    lifecycles.begin(item, {STATUS: "Pending"}, {STATUS: "InService"})
    return {}


def _stop(emulator: Emulator, request: Request) -> dict[str, Any]:
    item = crud.asked(emulator, NOTEBOOK, request)
    lifecycles.begin(item, {STATUS: "Stopping"}, {STATUS: "Stopped"})
    return {}


OPERATIONS: Mapping[str, Callable[[Emulator, Request], dict[str, Any]]] = {
    "StartNotebookInstance": _start,
    "StopNotebookInstance": _stop,
}
