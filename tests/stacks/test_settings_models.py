"""Settings of what is trained and served, and what they compose to."""

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from infra.errors import UserError
from policies.offline import evaluate
from stacks import contract
from stacks.composition.workload import check_reach
from stacks.contract import FoundationContract
from stacks.definitions import TRACKING_APP, placeholder
from stacks.policy_config import policy_config
from stacks.settings import models as settings
from stacks.settings.foundation import ENDPOINTS
from stacks.settings.load import load_foundation, load_workload
from stacks.settings.model import FoundationSettings
from stacks.stack_name import StackName
from stacks.synth import synthesize
from tests.infra.test_infra import by_type
from tests.kits.stacks import named, synth

PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/g/1"


def test_autoscaling_aims_at_a_part_of_what_was_measured() -> None:
    chosen = settings.Autoscaling(
        min_instances=2, max_instances=4, measured_requests_per_second=40, safety_factor=0.5
    )
    assert chosen.calls_per_minute == 1200


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"challenger": {}, "shadow": {}}, "either a challenger or a shadow"),
        (
            {"challenger": {}, "traffic_routing": "ROLLING"},
            "needs an endpoint without a challenger",
        ),
        ({"instance_count": 5, "autoscaling": (1, 4)}, "instance_count must be 1 to 4"),
        ({"autoscaling": (5, 4)}, "min_instances <= max_instances must hold, got 5, 4"),
        ({"canary_percent": 51}, "less than or equal to 50"),
        ({"linear_percent": 9}, "greater than or equal to 10"),
    ],
)
def test_an_endpoint_that_sagemaker_would_refuse_is_refused_in_its_settings(
    given: dict[str, Any], told: str
) -> None:
    values: dict[str, Any] = {}
    for key, value in given.items():
        values[key] = value
        if value == {}:
            values[key] = {"model_package_arn": PACKAGE}
        elif isinstance(value, tuple):
            low, high = value
            values[key] = {
                "min_instances": low, "max_instances": high, "measured_requests_per_second": 1,
            }  # fmt: skip
    with pytest.raises(ValidationError, match=told):
        settings.Endpoint.model_validate(values)


EVERYTHING = {
    "endpoint": {
        "model_package_arn": PACKAGE,
        "instance_count": 2,
        "traffic_routing": "LINEAR",
        "capture_percent": 20,
        "challenger": {"model_package_arn": f"{PACKAGE}7", "weight": 0.1, "instance_count": 2},
        "autoscaling": {
            "min_instances": 2, "max_instances": 4, "measured_requests_per_second": 40,
        },
    },
    "endpoints": {"asynchronous": {}, "serverless": {}},
    "llm": {
        "image_uri": "333333333333.dkr.ecr.us-east-1.amazonaws.com/lmi@sha256:" + "0" * 64,
        "model_data_prefix": "weights/assistant",
    },
}  # fmt: skip


def test_everything_at_once_passes_the_policies_of_production() -> None:
    chosen = load_workload(named("prod.flight_delay"))
    parts: dict[str, Any] = {
        "endpoint": settings.Endpoint, "endpoints": settings.Endpoints, "llm": settings.Llm,
    }  # fmt: skip
    changed = {name: parts[name].model_validate(value) for name, value in EVERYTHING.items()}
    assert changed.keys() <= type(chosen).model_fields.keys()
    chosen = chosen.model_copy(update=changed)
    found = synth("prod.flight_delay", chosen)
    kinds = [item.type.rpartition(":")[2] for item in found]
    assert kinds.count("Endpoint") == 4
    subjects = {item.inputs.get("resourceId") for item in found if item.type.endswith(":Target")}
    assert subjects == {
        "endpoint/plinth-prod-flight-delay-realtime/variant/champion",
        "endpoint/plinth-prod-flight-delay-realtime/variant/challenger",
        "endpoint/plinth-prod-flight-delay-async/variant/champion",
        "inference-component/plinth-prod-flight-delay-assistant",
    }
    findings = evaluate(found, policy_config(chosen))
    assert [found for found in findings if found.blocks or found.status == "error"] == []


def foundation(**tracking: Any) -> FoundationSettings:
    found = load_foundation("dev")
    return found.model_copy(update={"tracking": settings.Tracking(**tracking)})


def offered(**changes: Any) -> contract.Source:
    """What the stacks below offer, but for these values."""

    def source(stack: StackName) -> contract.Contract:
        return replace(contract.stand_in(stack), **changes)

    return source


def test_without_tracking_the_steps_get_no_address() -> None:
    text = f'{{"Version": "2020-12-01", "Steps": [], "Tracking": "{placeholder(TRACKING_APP)}"}}'
    stack = named("dev.flight_delay")
    untracked = offered(tracking_kind="none", tracking_arn="")
    found = synthesize(stack, load_workload(stack), {"training": text}, untracked)
    [pipeline] = by_type(found, ":Pipeline")
    assert json.loads(pipeline["pipelineDefinition"])["Tracking"] == ""
    platform = synth("dev.foundation", foundation(kind="none"))
    assert by_type(platform, ":MlflowApp") == []
    assert len(by_type(synth("dev.foundation"), ":MlflowApp")) == 1


def test_mlflow_must_be_reached_through_a_gateway() -> None:
    network, tracked = load_foundation("prod").network, settings.Tracking()
    closed = network.model_copy(update={"nat_gateways": "none"})
    settings.check_tracking(network, tracked)
    settings.check_tracking(closed, settings.Tracking(kind="none"))
    with pytest.raises(ValueError, match=r"tracking\.kind must be none .*, got 'app'"):
        settings.check_tracking(closed, tracked)


def test_jobs_that_could_not_do_their_work_in_the_vpc_are_refused() -> None:
    stack = named("prod.flight_delay")
    chosen = load_workload(stack)
    below = contract.stand_in(stack.sibling("foundation"))
    assert isinstance(below, FoundationContract)
    check_reach(chosen, below)
    check_reach(chosen, replace(below, reaches_internet=False))
    blind = replace(below, reaches_internet=False, interface_endpoints=["sts"])
    with pytest.raises(UserError, match=r"sagemaker\.api, sagemaker\.featurestore-runtime"):
        check_reach(chosen, blind)


def test_the_file_of_a_closed_environment_is_refused_where_it_says_so() -> None:
    whole = load_foundation("dev").model_dump()
    whole["network"] |= {"nat_gateways": "none", "interface_endpoints": list(ENDPOINTS)}
    with pytest.raises(ValidationError, match=r"reach MLflow through a NAT gateway"):
        FoundationSettings.model_validate(whole)


def test_an_instance_type_without_a_row_is_refused() -> None:
    for name in ("ml.m9.huge", "m5.large"):
        with pytest.raises(ValidationError, match=rf"row in infra/instances\.py .*, got '{name}'"):
            settings.Pipeline(instance_type=name)
