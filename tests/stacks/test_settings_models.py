"""Settings of what is trained and served, and what they compose to."""

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from infra.component import ComponentArgs
from policies.offline import evaluate
from stacks.composition.compose import default_tags
from stacks.composition.workload import build
from stacks.contract import FoundationContract, stand_in
from stacks.definitions import TRACKING_APP, placeholder
from stacks.policy_config import policy_config
from stacks.settings import models as settings
from stacks.settings.foundation import ENDPOINTS
from stacks.settings.load import load_foundation, load_workload
from stacks.settings.model import FoundationSettings, WorkloadSettings
from stacks.synth import recorded
from tests.infra.test_infra import by_type
from tests.kits.stacks import fields_of, named, synth

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
    given = fields_of(load_workload(named("prod.flight_delay")))
    chosen = WorkloadSettings.model_validate({**given, **EVERYTHING})
    found = synth("prod.flight_delay", chosen)
    kinds = [item.type.rpartition(":")[2] for item in found]
    assert kinds.count("Endpoint") == 4
    subjects = {item.inputs.get("resourceId") for item in found if item.type.endswith(":Target")}
    own = "plinth-prod-flight-delay"
    assert subjects == {
        f"endpoint/{own}-realtime/variant/champion",
        f"endpoint/{own}-realtime/variant/challenger",
        f"endpoint/{own}-async/variant/champion",
        f"inference-component/{own}-assistant",
    }
    findings = evaluate(found, policy_config(chosen))
    assert [found for found in findings if found.blocks or found.status == "error"] == []


def test_a_tracking_server_passes_the_policies_of_production() -> None:
    given = fields_of(load_foundation("prod"))
    chosen = FoundationSettings.model_validate({**given, "tracking": {"kind": "server"}})
    found = synth("prod.foundation", chosen)
    assert len(by_type(found, ":MlflowTrackingServer")) == 1
    findings = evaluate(found, policy_config(chosen))
    assert [found for found in findings if found.blocks or found.status == "error"] == []


def test_without_tracking_the_steps_get_no_address() -> None:
    stack, text = named("dev.flight_delay"), placeholder(TRACKING_APP)
    chosen, offered = load_workload(stack), stand_in(named("dev.foundation"))
    assert isinstance(offered, FoundationContract)
    untracked = replace(offered, tracking_kind="none", tracking_arn="")
    common = ComponentArgs(names=chosen.names, tags=default_tags(stack, chosen))
    definition = f'{{"Version": "2020-12-01", "Steps": [], "Tracking": "{text}"}}'

    def program() -> None:
        build(common, chosen, {"training": definition}, untracked, None)

    found = recorded(program)
    [pipeline] = by_type(found, "pipeline:Pipeline")
    assert json.loads(pipeline["pipelineDefinition"])["Tracking"] == ""
    [job] = [item for item in found if item.name == "access-allow-job"]
    assert "Mlflow" not in job.inputs.value["policy"]


def test_an_environment_without_tracking_has_no_mlflow() -> None:
    given = fields_of(load_foundation("dev"))
    chosen = FoundationSettings.model_validate({**given, "tracking": {"kind": "none"}})
    assert by_type(synth("dev.foundation", chosen), ":MlflowApp") == []
    assert len(by_type(synth("dev.foundation"), ":MlflowApp")) == 1


def test_tracking_that_jobs_could_not_reach_is_refused() -> None:
    given = fields_of(load_foundation("dev"))
    closed = {**given["network"].model_dump(), "nat_gateways": "none"}
    closed |= {"interface_endpoints": list(ENDPOINTS)}
    with pytest.raises(ValidationError, match=r"tracking\.kind must be none .*, got 'app': .* NAT"):
        FoundationSettings.model_validate({**given, "network": closed})
    untracked = {**given, "network": closed, "tracking": {"kind": "none"}}
    assert FoundationSettings.model_validate(untracked).network.nat_gateways == "none"


def test_a_model_is_served_by_a_workload_that_has_one() -> None:
    given = fields_of(load_workload(named("dev.weather")))
    with pytest.raises(ValidationError, match="must be of a workload with a model, got one of no"):
        WorkloadSettings.model_validate({**given, "endpoint": {"model_package_arn": PACKAGE}})


def test_an_instance_type_without_a_row_is_refused() -> None:
    for name in ("ml.m9.huge", "m5.large"):
        with pytest.raises(ValidationError, match=rf"row in infra/instances\.py .*, got '{name}'"):
            settings.Pipeline(instance_type=name)
