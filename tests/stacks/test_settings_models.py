"""Settings of what is trained and served, and what they compose to."""

import json
from typing import Any

import pytest
from pydantic import ValidationError
from stacks.workload import TRACKING_APP, placeholder

from policies.offline import evaluate
from stacks.commands.deploy import policy_config
from stacks.settings import models as settings
from stacks.settings.foundation import ENDPOINTS
from stacks.settings.load import load
from stacks.settings.model import Settings
from stacks.synth import synthesize
from tests.infra.test_infra import by_type

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
    "tracking": {"kind": "server"},
    "llm": {
        "image_uri": "333333333333.dkr.ecr.us-east-1.amazonaws.com/lmi@sha256:" + "0" * 64,
        "model_data_prefix": "weights/assistant",
    },
}  # fmt: skip


def test_everything_at_once_passes_the_policies_of_production() -> None:
    chosen = load("prod")
    known = type(chosen).model_fields
    parts: dict[str, Any] = {
        "endpoint": settings.Endpoint, "endpoints": settings.Endpoints,
        "tracking": settings.Tracking, "llm": settings.Llm,
    }  # fmt: skip
    changed = {name: parts[name].model_validate(value) for name, value in EVERYTHING.items()}
    assert changed.keys() <= known.keys()
    chosen = chosen.model_copy(update=changed)
    found = synthesize("prod", chosen, {"training": '{"Version": "2020-12-01", "Steps": []}'})
    kinds = [item.type.rpartition(":")[2] for item in found]
    assert kinds.count("Endpoint") == 4
    subjects = {item.inputs.get("resourceId") for item in found if item.type.endswith(":Target")}
    assert subjects == {
        "endpoint/plinth-prod-flight-delay/variant/champion",
        "endpoint/plinth-prod-flight-delay/variant/challenger",
        "endpoint/plinth-prod-flight-delay-async/variant/champion",
        "inference-component/plinth-prod-assistant",
    }
    findings = evaluate(found, policy_config(chosen))
    assert [found for found in findings if found.blocks or found.status == "error"] == []


def test_without_tracking_the_steps_get_no_address() -> None:
    chosen = load("dev").model_copy(update={"tracking": settings.Tracking(kind="none")})
    text = f'{{"Version": "2020-12-01", "Steps": [], "Tracking": "{placeholder(TRACKING_APP)}"}}'
    found = synthesize("dev", chosen, {"training": text})
    [pipeline] = by_type(found, ":Pipeline")
    assert json.loads(pipeline["pipelineDefinition"])["Tracking"] == ""
    assert by_type(found, ":MlflowApp") == []


def test_jobs_that_could_not_do_their_work_in_the_vpc_are_refused() -> None:
    network, tracked = load("prod").network, settings.Tracking()
    closed = network.model_copy(update={"nat_gateways": "none"})
    settings.check_jobs_reach(network, tracked)
    settings.check_jobs_reach(closed, settings.Tracking(kind="none"))
    with pytest.raises(ValueError, match=r"tracking\.kind must be none .*, got 'app'"):
        settings.check_jobs_reach(closed, tracked)
    blind = closed.model_copy(update={"interface_endpoints": ["sts"]})
    with pytest.raises(ValueError, match=r"sagemaker\.api, sagemaker\.featurestore-runtime"):
        settings.check_jobs_reach(blind, settings.Tracking(kind="none"))


def test_the_file_of_a_closed_environment_is_refused_where_it_says_so() -> None:
    whole = load("dev").model_dump()
    whole["network"] |= {"nat_gateways": "none", "interface_endpoints": list(ENDPOINTS)}
    with pytest.raises(ValidationError, match=r"reach MLflow through a NAT gateway"):
        Settings.model_validate(whole)


def test_an_instance_type_without_a_row_is_refused() -> None:
    for name in ("ml.m9.huge", "m5.large"):
        with pytest.raises(ValidationError, match=rf"row in infra/instances\.py .*, got '{name}'"):
            settings.Training(instance_type=name)
