"""What belongs to an endpoint in a stack: its configuration, variants, models, alarms, scaling."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from policies.data import Data, Resource, Unknown
from policies.rule import Scope, identities

CONFIGURATION = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
ENDPOINT = "aws:sagemaker/endpoint:Endpoint"
MODEL = "aws:sagemaker/model:Model"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
TARGET = "aws:appautoscaling/target:Target"
SCALING = "aws:appautoscaling/policy:Policy"
CLOUD_CONTROL = "aws:cloudcontrol/resource:Resource"
"""Makes inference components, which pulumi-aws has no resource for."""

VARIANTS = ("productionVariants", "shadowProductionVariants")
_GPU = re.compile(r"ml\.(g|gr|p)\d")
"""SageMaker's instance types with GPUs: families g, gr and p ("Amazon SageMaker pricing")."""


def on_instances(configuration: Data) -> list[Data]:
    """The variants that run on instances."""
    return [
        variant
        for key in VARIANTS
        for variant in configuration.each(key)
        if not variant.has("serverlessConfig")
    ]


def instance_types(configuration: Data) -> list[Data]:
    """The instance types of all variants that run on instances."""
    return [
        Data(variant.get("instanceType"), f"{variant.path}.instanceType")
        for variant in on_instances(configuration)
    ]


def is_gpu(instance_type: str) -> bool:
    """Whether instances of this type have GPUs."""
    return bool(_GPU.match(instance_type))


def has_gpu(configuration: Data) -> bool:
    """Whether a variant runs on GPUs."""
    return any(is_gpu(str(each.value)) for each in instance_types(configuration))


def hosts_components(configuration: Data) -> bool:
    """Whether the instances are for inference components: then no variant names a model."""
    variants = configuration.each("productionVariants")
    return not any(variant.keys() & {"modelName"} for variant in variants)


def configuration_of(endpoint: Resource, scope: Scope) -> Data | None:
    """The configuration of an endpoint; None where it is not in the stack."""
    found = scope.named_by(endpoint, CONFIGURATION, "endpointConfigName")
    return found[0].outputs if found else None


def name_of(resource: Resource) -> str:
    """The name of an endpoint or a model; unknown where the provider makes one up."""
    name = resource.outputs.get("name")
    if name is None:
        raise Unknown("name")
    return str(name)


def matching(found: list[Resource], test: Callable[[Resource], bool]) -> list[Resource]:
    """The resources that pass a test; unknown only where none does and one cannot be decided."""
    passed: list[Resource] = []
    unknown: list[str] = []
    for resource in found:
        try:
            if test(resource):
                passed.append(resource)
        except Unknown as error:
            unknown.extend(f"{resource.name}.{path}" for path in error.paths)
    if unknown and not passed:
        raise Unknown(*unknown)
    return passed


def scaling(endpoint: Resource, scope: Scope, token: str) -> list[Resource]:
    """The targets or policies of Application Auto Scaling for variants of an endpoint."""

    def scales(resource: Resource) -> bool:
        if endpoint.urn in resource.dependencies.get("resourceId", ()):
            return True
        scaled = str(resource.outputs.get("resourceId"))
        return scaled.startswith(f"endpoint/{name_of(endpoint)}/")

    return matching(scope.of_type(token), scales)


def components_of(endpoint: Resource, scope: Scope) -> set[str]:
    """The names of the inference components that Cloud Control makes on an endpoint."""
    found = set()
    for resource in scope.of_type(CLOUD_CONTROL):
        if resource.outputs.get("typeName") == "AWS::SageMaker::InferenceComponent":
            state = json.loads(resource.outputs.get("desiredState"))
            if state.get("EndpointName") == name_of(endpoint):
                found.add(str(state.get("InferenceComponentName")))
    return found


def metrics(alarm: Resource) -> list[Data]:
    """The metrics that an alarm looks at, its own or those of its queries."""
    queries = [
        Data(query.get("metric"), f"{query.path}.metric")
        for query in alarm.outputs.each("metricQueries")
        if query.has("metric")
    ]
    return [alarm.outputs, *queries]


def acts(alarm: Resource) -> bool:
    """Whether somebody or something is told when the alarm goes off.

    An action that is not known yet is still an action.
    """
    return bool(alarm.outputs.each("alarmActions"))


def serving(model: Resource, scope: Scope) -> list[Data]:
    """The variants of the stack that run a model."""
    found = []
    for configuration in scope.of_type(CONFIGURATION):
        for key in VARIANTS:
            for variant in configuration.outputs.each(key):
                try:
                    runs = variant.get("modelName") in identities(model)
                except Unknown:
                    runs = model.urn in configuration.dependencies.get(key, ())
                if runs:
                    found.append(variant)
    return found


def is_serverless(model: Resource, scope: Scope) -> bool:
    """Whether only serverless variants run a model."""
    variants = serving(model, scope)
    return bool(variants) and all(variant.has("serverlessConfig") for variant in variants)


def containers(model: Data) -> list[Data]:
    """The containers of a model."""
    found = model.each("containers")
    if model.has("primaryContainer"):
        found.append(Data(model.value["primaryContainer"], "primaryContainer"))
    return found
