"""Operations on what is only recorded that are no create, describe, list, update or delete."""

from collections.abc import Callable, Mapping
from typing import Any

from stacks.local.aws.emulator import Emulator
from stacks.local.aws.sagemaker import crud, unrun_jobs
from stacks.local.aws.sagemaker.errors import ApiError, invalid
from stacks.local.aws.sagemaker.recorded_types import (
    CLUSTER,
    EDGE_PLAN,
    FLEET,
    stage_of,
)
from stacks.local.aws.sagemaker.resource_type import Request
from stacks.local.aws.sagemaker.resource_types import BY_NAME
from stacks.local.aws.store import Resource

Answer = dict[str, Any]
DEVICE = "device"


def _update_software(emulator: Emulator, request: Request) -> Answer:
    return {"ClusterArn": crud.get(emulator, CLUSTER, request["ClusterName"]).arn}


def _list_nodes(emulator: Emulator, request: Request) -> Answer:
    """Nothing runs in a cluster that is only recorded, so it has no nodes."""
    crud.get(emulator, CLUSTER, request["ClusterName"])
    return {"ClusterNodeSummaries": []}


# Devices of a fleet, which come and go in lists


def _register(emulator: Emulator, request: Request) -> Answer:
    fleet = crud.get(emulator, FLEET, request["DeviceFleetName"])
    for device in request["Devices"]:
        name = f"{fleet.name}/{device['DeviceName']}"
        if emulator.store.find(DEVICE, name):
            raise ApiError("ResourceInUse", f"device {name} is registered already")
        arn = f"{fleet.arn}/device/{device['DeviceName']}"
        fields = {**device, "DeviceFleetName": fleet.name, "DeviceArn": arn}
        emulator.store.add(Resource(kind=DEVICE, name=name, arn=arn, fields=fields))
        crud.tag(emulator, arn, request.get("Tags", ()))
    return {}


def _device(emulator: Emulator, fleet: str, name: str) -> Resource:
    item = emulator.store.find(DEVICE, f"{fleet}/{name}")
    if item is None:
        raise ApiError("ResourceNotFound", f"No device with name {name} found in fleet {fleet}.")
    return item


def _describe_device(emulator: Emulator, request: Request) -> Answer:
    item = _device(emulator, request["DeviceFleetName"], request["DeviceName"])
    return crud.answer("DescribeDevice", item)


def _update_devices(emulator: Emulator, request: Request) -> Answer:
    for device in request["Devices"]:
        _device(emulator, request["DeviceFleetName"], device["DeviceName"]).set(**device)
    return {}


def _deregister(emulator: Emulator, request: Request) -> Answer:
    fleet = crud.get(emulator, FLEET, request["DeviceFleetName"])
    for name in request["DeviceNames"]:
        item = emulator.store.find(DEVICE, f"{fleet.name}/{name}")
        if item is not None:
            emulator.store.remove(item)
    return {}


def _list_devices(emulator: Emulator, request: Request) -> Answer:
    fleet = request.get("DeviceFleetName")
    found = [
        item
        for item in emulator.store.all(DEVICE)
        if fleet in (None, item.fields["DeviceFleetName"])
    ]
    return crud.page("ListDevices", found, request)


def _add_stages(emulator: Emulator, request: Request) -> Answer:
    plan = crud.get(emulator, EDGE_PLAN, request["EdgeDeploymentPlanName"])
    known = {stage["StageName"] for stage in plan.fields["Stages"]}
    if taken := sorted(known & {stage["StageName"] for stage in request["Stages"]}):
        raise invalid(f"stages {taken} are part of {plan.arn} already")
    plan.set(Stages=[*plan.fields["Stages"], *map(stage_of, request["Stages"])])
    return {}


def _delete_stage(emulator: Emulator, request: Request) -> Answer:
    plan = crud.get(emulator, EDGE_PLAN, request["EdgeDeploymentPlanName"])
    left = [stage for stage in plan.fields["Stages"] if stage["StageName"] != request["StageName"]]
    if len(left) == len(plan.fields["Stages"]):
        raise invalid(f"{plan.arn} has no stage {request['StageName']!r}")
    plan.set(Stages=left)
    return {}


# The policy of an endpoint


def _put_policy(emulator: Emulator, request: Request) -> Answer:
    item = _endpoint(emulator, request)
    item.fields["ResourcePolicy"] = request["ResourcePolicy"]
    return {"EndpointArn": item.arn}


def _get_policy(emulator: Emulator, request: Request) -> Answer:
    return crud.answer("GetEndpointPolicy", _with_policy(emulator, request))


def _delete_policy(emulator: Emulator, request: Request) -> Answer:
    del _with_policy(emulator, request).fields["ResourcePolicy"]
    return {}


def _with_policy(emulator: Emulator, request: Request) -> Resource:
    item = _endpoint(emulator, request)
    if "ResourcePolicy" not in item.fields:
        raise ApiError("ResourceNotFound", f"Endpoint {item.arn} has no resource policy.")
    return item


def _endpoint(emulator: Emulator, request: Request) -> Resource:
    item = emulator.store.find(BY_NAME["endpoint"].name, request["EndpointName"])
    if item is None:
        arn = emulator.arn(f"endpoint/{request['EndpointName']}")
        raise ApiError("ResourceNotFound", f'Could not find endpoint "{arn}".')
    return item


RECORDED_OPERATIONS: Mapping[str, Callable[[Emulator, Request], Answer]] = {
    **unrun_jobs.OPERATIONS,
    "CreateEdgeDeploymentStage": _add_stages,
    "DeleteEdgeDeploymentStage": _delete_stage,
    "DeleteEndpointPolicy": _delete_policy,
    "DeregisterDevices": _deregister,
    "DescribeDevice": _describe_device,
    "GetEndpointPolicy": _get_policy,
    "ListClusterNodes": _list_nodes,
    "ListDevices": _list_devices,
    "PutEndpointPolicy": _put_policy,
    "RegisterDevices": _register,
    "UpdateClusterSoftware": _update_software,
    "UpdateDevices": _update_devices,
}
