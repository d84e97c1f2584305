"""Change sets as CloudFormation's API reference has them, over moto's stacks.

moto 5.2.5 looks a change set up by its name alone, whichever stack it is of, takes its execution
for a creation, and makes no outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stacks.local.aws.cloudformation import requests, templates
from stacks.local.aws.cloudformation.changes import Change, Comparison, references
from stacks.local.aws.signatures import Refused

NO_CHANGES = (
    "The submitted information didn't contain changes. Submit different information to create a "
    "change set."
)
REVIEW = "REVIEW_IN_PROGRESS"
ELSEWHERE = {
    "ResourcesToImport": ([], None),
    "ImportExistingResources": (False, None),
    "IncludeNestedStacks": (False, None),
    "DeploymentMode": (None,),
}
"""Member of CreateChangeSet -> the values that mean what is done here."""


class ChangeSetNotFound(Refused):
    """No change set has the name that a request says."""


def install() -> None:
    """For the one CloudFormation of this process."""
    from moto.cloudformation.models import CloudFormationBackend
    from moto.cloudformation.responses import CloudFormationResponse

    for one in (
        create_change_set,
        describe_change_set,
        execute_change_set,
        delete_change_set,
        list_change_sets,
    ):
        setattr(CloudFormationResponse, one.__name__, one)
    CloudFormationResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER = {
        path: make
        for path, make in CloudFormationResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER.items()
        if not path.startswith("DescribeChangeSetOutput.")  # what is shown is AWS's shape already
    }
    template = CloudFormationResponse.get_template
    CloudFormationResponse.get_template = lambda response: (
        _template(response) if response._get_param("ChangeSetName") else template(response)
    )
    delete = CloudFormationBackend.delete_stack

    def deleted(backend: Any, name_or_stack_id: str) -> None:
        gone = {one.stack_id for one in backend.stacks.values() if _is(one, name_or_stack_id)}
        delete(backend, name_or_stack_id)
        for key, one in list(backend.change_sets.items()):
            if one.stack_id in gone:
                del backend.change_sets[key]

    CloudFormationBackend.delete_stack = deleted


def create_change_set(response: Any) -> Any:
    """CreateChangeSet: nothing is made yet, but the name of a new stack."""
    from moto.core.responses import ActionResult

    for member, usual in ELSEWHERE.items():
        value = response._get_param(member)
        if value not in usual:
            raise _not_emulated(f"{member} of CreateChangeSet")
    kind = response._get_param("ChangeSetType", "UPDATE")
    if kind not in ("CREATE", "UPDATE"):
        raise _not_emulated(f"a change set of type {kind}")
    backend, name = response.cloudformation_backend, response._get_param("StackName")
    stack = next((one for one in backend.stacks.values() if _is(one, name)), None)
    _check_stack(kind, name, stack)
    given = response._get_param("ChangeSetName")
    if stack and any(one.change_set_name == given for one in _sets(backend, stack.stack_id)):
        raise _error("AlreadyExistsException", f"ChangeSet {given} already exists")
    text = body(response, stack)
    requests.check_capabilities(response, text, is_reviewed=True)
    parameters = _parameters(response, stack)
    templates.check(backend, text, parameters)
    if stack and kind == "UPDATE":
        templates.check_kinds(stack, text)
    made = _made(response, kind, name, text, parameters)
    return ActionResult({"Id": made.change_set_id, "StackId": made.stack_id})


def describe_change_set(response: Any) -> Any:
    from moto.core.responses import ActionResult

    one = _found(response)
    shown = {
        "ChangeSetName": one.change_set_name,
        "ChangeSetId": one.change_set_id,
        "StackId": one.stack_id,
        "StackName": one.stack_name,
        "Description": one.description,
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": value} for key, value in one.parameters.items()
        ],
        "CreationTime": one.creation_time,
        "ExecutionStatus": one.execution_status,
        "Status": one.status,
        "StatusReason": one.status_reason,
        "NotificationARNs": one.notification_arns or [],
        "Tags": [{"Key": key, "Value": value} for key, value in (one.tags or {}).items()],
        "Changes": [{"Type": "Resource", "ResourceChange": change} for change in one.changes],
        "IncludeNestedStacks": False,
    }
    return ActionResult({name: value for name, value in shown.items() if value is not None})


def execute_change_set(response: Any) -> Any:
    """ExecuteChangeSet: what CreateStack or UpdateStack would do with its template."""
    from moto.core.responses import EmptyResult

    backend, one = response.cloudformation_backend, _found(response)
    if one.execution_status != "AVAILABLE":
        status = one.status if one.execution_status == "UNAVAILABLE" else one.execution_status
        told = f"cannot be executed in its current status of [{status}]"
        raise _error("InvalidChangeSetStatus", f"ChangeSet [{one.change_set_id}] {told}")
    for other in _sets(backend, one.stack_id):  # they are no longer valid
        if other is not one:
            del backend.change_sets[other.change_set_id]
    if one.change_set_type == "CREATE":
        _begin(backend, one)
    else:
        backend.update_stack(
            name=one.stack_id, template=one.template, role_arn=one.role_arn,
            parameters=[{"ParameterKey": key, "ParameterValue": value}
                        for key, value in one.parameters.items()],
            tags=one.tags or None,
        )  # fmt: skip
    failed = "ROLLBACK" in one.stack.status
    one.execution_status = "EXECUTE_FAILED" if failed else "EXECUTE_COMPLETE"
    return EmptyResult()


def delete_change_set(response: Any) -> Any:
    from moto.core.responses import EmptyResult

    try:
        one = _found(response)
    except ChangeSetNotFound:
        return EmptyResult()  # as AWS answers: it is gone
    del response.cloudformation_backend.change_sets[one.change_set_id]
    return EmptyResult()


def list_change_sets(response: Any) -> Any:
    from moto.core.responses import ActionResult

    backend = response.cloudformation_backend
    stack = backend.get_stack(response._get_param("StackName"))
    return ActionResult({"Summaries": _sets(backend, stack.stack_id)})


def _template(response: Any) -> Any:
    """GetTemplate of a change set."""
    from moto.core.responses import ActionResult

    return ActionResult({"TemplateBody": _found(response).template})


def _is(stack: Any, name: str) -> bool:
    return name in (stack.name, stack.stack_id)


def _sets(backend: Any, stack_id: str) -> list[Any]:
    return [one for one in backend.change_sets.values() if one.stack_id == stack_id]


def _found(response: Any) -> Any:
    """The change set that a request names, by its ARN or by its name and that of its stack."""
    backend, name = response.cloudformation_backend, response._get_param("ChangeSetName")
    if name in backend.change_sets:
        return backend.change_sets[name]
    stack = response._get_param("StackName")
    if not stack and not name.startswith("arn:"):
        told = "StackName must be specified if ChangeSetName is not specified as an ARN."
        raise _error("ValidationError", told)
    held = [one for one in backend.change_sets.values() if one.change_set_name == name]
    for one in held:
        if _is(one.stack, stack):
            return one
    raise ChangeSetNotFound("ChangeSetNotFound", f"ChangeSet [{name}] does not exist", status=404)


def _check_stack(kind: str, name: str, stack: Any) -> None:
    if kind == "CREATE":
        if stack and stack.status != REVIEW:
            told = f"Stack [{name}] already exists and cannot be created again with the changeSet"
            raise _error("ValidationError", f"{told} [CREATE].")
    elif stack is None:
        raise _error("ValidationError", f"Stack [{name}] does not exist")
    elif stack.status in (REVIEW, "ROLLBACK_COMPLETE") or stack.status.endswith("_IN_PROGRESS"):
        told = f"is in {stack.status} state and can not be updated."
        raise _error("ValidationError", f"Stack:{stack.stack_id} {told}")


def body(response: Any, stack: Any) -> str:
    given, url = response._get_param("TemplateBody"), response._get_param("TemplateURL")
    previous = response._get_bool_param("UsePreviousTemplate", False)
    if (given or url) and previous:
        told = "You cannot specify both usePreviousTemplate and Template Body/Template URL."
        raise _error("ValidationError", told)
    if not (given or url or (previous and stack)):
        raise _error("ValidationError", templates.NO_TEMPLATE)
    text = response._get_stack_from_s3_url(url) if url else given or stack.template
    return str(text)


def _parameters(response: Any, stack: Any) -> dict[str, str]:
    previous: Mapping[str, str] = templates.previous(stack) if stack else {}
    return {
        one["ParameterKey"]: previous[one["ParameterKey"]]
        if one.get("UsePreviousValue") and one["ParameterKey"] in previous
        else one["ParameterValue"]
        for one in response._get_param("Parameters", [])
    }


def _made(response: Any, kind: str, name: str, text: str, parameters: dict[str, str]) -> Any:
    """The change set, which AWS calls failed where it changes nothing."""
    from moto.cloudformation.models import ChangeSet, Stack
    from moto.cloudformation.utils import (
        generate_changeset_id,
        generate_stack_id,
        validate_create_change_set,
    )

    backend, given = response.cloudformation_backend, response._get_param("ChangeSetName")
    validate_create_change_set(given)
    tags = {one["Key"]: one["Value"] for one in response._get_param("Tags", [])}
    common = {
        "notification_arns": response._get_param("NotificationARNs", []),
        "tags": tags,
        "role_arn": response._get_param("RoleARN"),
    }
    place = {"region_name": backend.region_name, "account_id": backend.account_id}
    stack = next((one for one in backend.stacks.values() if _is(one, name)), None)
    if stack is None:
        stack_id = generate_stack_id(name, *place.values())
        stack = Stack(
            stack_id=stack_id, name=name, template={}, parameters={}, **place, **common,
            cross_stack_resources=backend.exports,
        )  # fmt: skip
        stack.status = REVIEW
        backend.stacks[stack_id] = stack
        stack._add_stack_event(REVIEW, resource_status_reason="User Initiated")
    made = ChangeSet(
        change_set_type=kind, change_set_id=generate_changeset_id(given, *place.values()),
        change_set_name=given, stack=stack, template=text, parameters=parameters,
        description=response._get_param("Description"), **common,
    )  # fmt: skip
    made.changes, changed = _changes(backend, made)
    made.status = "CREATE_COMPLETE" if changed else "FAILED"
    made.execution_status = "AVAILABLE" if changed else "UNAVAILABLE"
    made.status_reason = None if changed else NO_CHANGES
    backend.change_sets[made.change_set_id] = made
    return made


def _changes(backend: Any, made: Any) -> tuple[list[Change], bool]:
    """What it changes of resources, and whether it changes anything: outputs and tags count."""
    stack = made.stack
    found, parameters = changes_of(backend, stack, made.template_dict, made.parameters)
    outputs = made.template_dict.get("Outputs") or {}
    others = outputs != (stack.template_dict.get("Outputs") or {})
    others |= bool(references(outputs) & parameters)
    others |= bool(made.tags and made.tags != stack.tags)
    return found, bool(found) or others


def changes_of(
    backend: Any, stack: Any, template: dict[str, Any], given: Mapping[str, Any]
) -> tuple[list[Change], frozenset[str]]:
    """What a template changes of a stack's resources, and which parameters change.

    NotEmulated where moto could not change what it has made: it would forget it, and say nothing.
    """
    after = templates.resource_map(backend, template, given)
    before = stack.resource_map
    old, new = before.resolved_parameters, after.resolved_parameters
    parameters = frozenset(name for name in {*old, *new} if old.get(name) != new.get(name))
    found = Comparison(before=before, after=after, parameters=parameters).changes()
    for one in found:
        if one["Action"] == "Modify" and "Properties" in one["Scope"]:
            _check_update(one["ResourceType"])
    return found, parameters


def _check_update(kind: str) -> None:
    from moto.cloudformation.parsing import resource_class_from_type

    update = getattr(resource_class_from_type(kind), "update_from_cloudformation_json", None)
    if getattr(update, "__isabstractmethod__", False):
        raise _not_emulated(f"an update of a resource of type {kind}")


def _begin(backend: Any, one: Any) -> None:
    """Make the stack that was reviewed."""
    stack = one.stack
    stack.template, stack.parameters = one.template, one.parameters
    stack.tags, stack.role_arn = one.tags or {}, one.role_arn
    stack._parse_template()
    stack._add_stack_event("CREATE_IN_PROGRESS", resource_status_reason="User Initiated")
    stack.resource_map = stack._create_resource_map()
    stack.output_map = stack._create_output_map()
    backend._validate_export_uniqueness(stack)
    for export in stack.exports:
        backend.exports[export.name] = export
    stack.create_resources()


def _error(code: str, message: str) -> Any:
    from moto.cloudformation.exceptions import CloudFormationError

    error = CloudFormationError(message)
    error.code = code
    return error


def _not_emulated(what: str) -> Refused:
    why = "is not emulated by the local cloud: nobody has built it"
    return Refused("NotEmulated", f"{what} {why}", status=501)
