"""Projects: a template of the account is provisioned as stacks of CloudFormation, of this cloud.

Source: SageMaker API reference, CreateProject; developer guide, "MLOps project templates": what a
project needs is made by a template from S3, or by a product of the account's Service Catalog, whose
newest template is taken. AWS's own templates are not here, so the portfolio that holds them can be
enabled and brings none.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from stacks.local.aws.account_id import ACCOUNT_ID
from stacks.local.aws.emulator import Emulator, moto_backend
from stacks.local.aws.role_sessions import CannotAssume, check
from stacks.local.aws.sagemaker import crud, lifecycles
from stacks.local.aws.sagemaker.derived import living
from stacks.local.aws.sagemaker.errors import ApiError, invalid
from stacks.local.aws.sagemaker.resource_type import Lifecycle, Request
from stacks.local.aws.store import Resource

Answer = dict[str, Any]
Stack = dict[str, Any]
PORTFOLIO = "service catalog portfolio"
STATUS, STACKS = "ProjectStatus", "Stacks"
POLL_SECONDS = 0.2
ENDS = {
    "Create": "CREATE_COMPLETE",
    "Update": "UPDATE_COMPLETE",
    "Delete": "DELETE_COMPLETE",
}
"""What is done -> how a stack ends that is well."""

THIS_PROCESS = secrets.token_hex(8)
"""Who began the work on a project: what another process began has to be begun again."""


def _start(emulator: Emulator, item: Resource, request: Request) -> None:
    item.set(ProjectId=f"p-{crud.made_id()}")
    provided = request.get("TemplateProviders", ())
    stacks = [_of_template(emulator, item, one["CfnTemplateProvider"]) for one in provided]
    if details := request.get("ServiceCatalogProvisioningDetails"):
        stacks.append(_of_product(emulator, item, details))
    item.fields[STACKS] = stacks
    item.fields.pop("TemplateProviders", None)
    _show(item)


def _of_template(emulator: Emulator, item: Resource, provider: Request) -> Stack:
    """A template in S3 (CfnCreateTemplateProvider)."""
    if role := provider.get("RoleARN"):
        try:
            check(role, "cloudformation", emulator.region, "")
        except CannotAssume as error:
            raise invalid(str(error)) from error
    name = f"sagemaker-{item.fields['ProjectId']}-{provider['TemplateName']}"
    return {**provider, "StackName": name, "Message": ""}


def _of_product(emulator: Emulator, item: Resource, details: Request) -> Stack:
    """A product of Service Catalog (ServiceCatalogProvisioningDetails)."""
    product = moto_backend("servicecatalog", emulator).products.get(details["ProductId"])
    info = product.provisioning_artifact_parameters.get("Info", {}) if product else {}
    if "LoadTemplateFromURL" not in info:
        raise invalid(f"Product {details['ProductId']} does not exist or access was denied")
    provisioned = f"pp-{crud.made_id(13)}"
    return {
        "TemplateURL": info["LoadTemplateFromURL"],
        "Parameters": details.get("ProvisioningParameters", []),
        "StackName": f"SC-{ACCOUNT_ID}-{provisioned}",
        "ProvisionedProductId": provisioned,
        "Message": "",
    }


def _show(item: Resource) -> None:
    """What Describe says of the stacks."""
    details = []
    for stack in item.fields[STACKS]:
        message = stack["Message"] or "UNDER_CHANGE"
        if "ProvisionedProductId" in stack:
            told = {"ProvisionedProductId": stack["ProvisionedProductId"]}
            told["ProvisionedProductStatusMessage"] = message
            item.fields["ServiceCatalogProvisionedProductDetails"] = told
            continue
        shown = ("TemplateName", "TemplateURL", "RoleARN", "Parameters")
        known = {name: stack[name] for name in shown if name in stack}
        own = {"Name": stack["StackName"], "StatusMessage": message}
        own |= {"Id": stack["Id"]} if "Id" in stack else {}
        details.append({"CfnTemplateProviderDetail": {**known, "StackDetail": own}})
    if details:
        item.fields["TemplateProviderDetails"] = details


def _update(emulator: Emulator, item: Resource, request: Request) -> None:
    """UpdateProject, API reference: a description, tags, other templates and parameters."""
    _free(item, "UpdateProject")
    if "ProjectDescription" in request:
        item.set(ProjectDescription=request["ProjectDescription"])
    crud.tag(emulator, item.arn, request.get("Tags", ()))
    stacks: Sequence[Stack] = item.fields[STACKS]
    by_name = {stack.get("TemplateName"): stack for stack in stacks}
    for one in request.get("TemplateProvidersToUpdate", ()):
        given = one["CfnTemplateProvider"]
        if given["TemplateName"] not in by_name:
            raise invalid(f"{item.arn} has no template {given['TemplateName']!r}")
        by_name[given["TemplateName"]].update(given)
    if details := request.get("ServiceCatalogProvisioningUpdateDetails"):
        product = [stack for stack in stacks if "ProvisionedProductId" in stack]
        if not product:
            raise invalid(f"{item.arn} is of no product of Service Catalog")
        product[0]["Parameters"] = details.get("ProvisioningParameters", product[0]["Parameters"])
    item.live = None
    item.set(**{STATUS: "UpdateInProgress"})


def _delete(emulator: Emulator, item: Resource, request: Request) -> None:
    _free(item, "DeleteProject")
    item.live = None
    item.set(**{STATUS: "DeleteInProgress"})


def _free(item: Resource, operation: str) -> None:
    status = item.fields[STATUS]
    if status.endswith("InProgress"):
        told = f"Unable to perform {operation} on [{item.arn}]: it is in state {status}."
        raise ApiError("ConflictException", told)


def look(emulator: Emulator) -> None:
    """Begin what is to be done to the stacks of projects, and see how it ended."""
    for item in emulator.store.all(PROJECT.name):
        doing, in_progress, _ = item.fields[STATUS].partition("InProgress")
        if not in_progress:
            continue
        if item.live is None or item.live[0] != THIS_PROCESS:
            item.live = [THIS_PROCESS, not item.fields[STACKS]]
            if item.fields[STACKS]:
                _begin(emulator, item, doing)
        if item.live[1]:
            _end(item, doing)


def _begin(emulator: Emulator, item: Resource, doing: str) -> None:
    """Let CloudFormation work; the second part of `live` says that it did."""
    live: list[Any] = item.live
    for stack in item.fields[STACKS]:
        stack["Message"] = ""
    _show(item)

    def work() -> None:
        for stack in item.fields[STACKS]:
            stack["Message"] = _do(emulator, item, stack, doing)
        live[1] = True

    def broken(error: BaseException) -> None:
        for stack in item.fields[STACKS]:
            stack["Message"] = stack["Message"] or f"TAINTED: {error}"
        live[1] = True

    emulator.background(work, broken=broken, waits=True)


def _end(item: Resource, doing: str) -> None:
    _show(item)
    well = all(stack["Message"] == "AVAILABLE" for stack in item.fields[STACKS])
    item.set(**{STATUS: f"{doing}{'Completed' if well else 'Failed'}"})
    if item.fields[STATUS] in lifecycles.DELETED:
        lifecycles.remember(item)


def _do(emulator: Emulator, item: Resource, stack: Stack, doing: str) -> str:
    """Create, update or delete one stack; AVAILABLE, or why not (ServiceCatalog's words)."""
    client = emulator.cloudformation
    try:
        if doing == "Delete":
            client.delete_stack(StackName=stack.get("Id", stack["StackName"]))
        else:
            _apply(client, item, stack, doing)
        while (told := _status(client, stack))["StackStatus"].endswith("IN_PROGRESS"):
            time.sleep(POLL_SECONDS)
        if told["StackStatus"] == ENDS[doing]:
            return "AVAILABLE"
        return f"TAINTED: {told['StackStatus']}: {'; '.join(_reasons(client, stack))}"
    except ClientError as error:
        return f"TAINTED: {error.response['Error']['Message']}"


def _reasons(client: Any, stack: Stack) -> list[str]:
    """Why a stack failed, as its events say."""
    events = client.describe_stack_events(StackName=stack["Id"])["StackEvents"]
    told = (event.get("ResourceStatusReason") for event in events)
    return [*dict.fromkeys(reason for reason in told if reason)]


def _status(client: Any, stack: Stack) -> Mapping[str, Any]:
    """What CloudFormation says of a stack; one that was never made is gone."""
    if "Id" not in stack:
        return {"StackStatus": ENDS["Delete"]}
    found: Mapping[str, Any] = client.describe_stacks(StackName=stack["Id"])["Stacks"][0]
    return found


def _apply(client: Any, item: Resource, stack: Stack, doing: str) -> None:
    """Make a stack of the template, or bring it to the template as it is now."""
    known = client.get_template_summary(TemplateURL=stack["TemplateURL"])["Parameters"]
    act = client.create_stack if doing == "Create" else client.update_stack
    project = {"project-name": item.name, "project-id": item.fields["ProjectId"]}
    made = act(
        StackName=stack["StackName"],
        TemplateURL=stack["TemplateURL"],
        Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],  # nobody is asked
        Parameters=[*_parameters(item, stack, {one["ParameterKey"] for one in known})],
        Tags=[{"Key": f"sagemaker:{key}", "Value": value} for key, value in project.items()],
        **({"RoleARN": stack["RoleARN"]} if "RoleARN" in stack else {}),
    )
    stack["Id"] = made["StackId"]


def _parameters(item: Resource, stack: Stack, known: set[str]) -> Iterator[dict[str, str]]:
    """Those that are given, and of the project what the template asks for."""
    own = {"SageMakerProjectName": item.name, "SageMakerProjectId": item.fields["ProjectId"]}
    given = {one["Key"]: one["Value"] for one in stack.get("Parameters", ())}
    for key, value in {**{name: own[name] for name in own if name in known}, **given}.items():
        yield {"ParameterKey": key, "ParameterValue": value}


PROJECT = replace(
    living(
        "Project",
        missing="Project {arn} does not exist.",
        on_create=_start,
        on_update=_update,
        on_delete=_delete,
        deletes_itself=True,
    ),
    # the rest of its way is that of its stacks
    lifecycle=Lifecycle(creating="Pending", ready="CreateInProgress"),
)
TYPES = (PROJECT,)


def _portfolio(status: str) -> Callable[[Emulator, Request], Answer]:
    def act(emulator: Emulator, request: Request) -> Answer:
        arn = emulator.arn("portfolio/status")
        fields = {"Status": status}
        emulator.store.add(Resource(kind=PORTFOLIO, name="status", arn=arn, fields=fields))
        return {}

    return act


def _portfolio_status(emulator: Emulator, request: Request) -> Answer:
    item = emulator.store.find(PORTFOLIO, "status")
    return {"Status": item.fields["Status"] if item else "Disabled"}


OPERATIONS: Mapping[str, Callable[[Emulator, Request], Answer]] = {
    "DisableSagemakerServicecatalogPortfolio": _portfolio("Disabled"),
    "EnableSagemakerServicecatalogPortfolio": _portfolio("Enabled"),
    "GetSagemakerServicecatalogPortfolioStatus": _portfolio_status,
}
"""The switch of the account by which projects may be made of AWS's own templates."""
