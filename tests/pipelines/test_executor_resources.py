"""Endpoint, EndpointConfig and Cleanup steps: what they create, update and delete."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pipelines.executor.model import Outcome, StepState
from pipelines.executor.plan import validate
from tests.kits.executor import FakeSageMaker, Json, definition, processing, training
from tests.pipelines import test_executor
from tests.pipelines.test_executor import EXECUTION

ROLE_VPC = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}


@dataclass
class Serving(FakeSageMaker):
    """Endpoints that become InService, or roll their update back."""

    served: dict[str, str] = field(default_factory=dict)
    rolls_back: str = ""
    ends_as: str = "InService"
    told: list[tuple[str, Json]] = field(default_factory=list)

    def create_endpoint_config(self, **request: Any) -> Json:
        self.told.append(("create config", request))
        return {"EndpointConfigArn": f"arn:config/{request['EndpointConfigName']}"}

    def describe_endpoint_config(self, EndpointConfigName: str) -> Json:
        return {"EndpointConfigName": EndpointConfigName}

    def create_endpoint(self, **request: Any) -> Json:
        self.told.append(("create", request))
        self.served[request["EndpointName"]] = request["EndpointConfigName"]
        return {"EndpointArn": "arn:endpoint"}

    def update_endpoint(self, **request: Any) -> Json:
        self.told.append(("update", request))
        if not self.rolls_back:
            self.served[request["EndpointName"]] = request["EndpointConfigName"]
        return {"EndpointArn": "arn:endpoint"}

    def describe_endpoint(self, EndpointName: str) -> Json:
        if EndpointName not in self.served:
            error = {"Code": "ValidationException", "Message": "Could not find endpoint"}
            raise ClientError({"Error": error}, "DescribeEndpoint")
        reason = {"FailureReason": self.rolls_back} if self.rolls_back else {}
        config = self.served[EndpointName]
        return {"EndpointStatus": self.ends_as, "EndpointConfigName": config, **reason}


@dataclass
class Objects:
    """A bucket's objects; those of `kept` cannot be deleted."""

    keys: list[str]
    kept: Sequence[str] = ()

    def list_objects_v2(self, Bucket: str, Prefix: str) -> Json:
        return {"Contents": [{"Key": key} for key in self.keys if key.startswith(Prefix)]}

    def delete_object(self, Bucket: str, Key: str) -> None:
        if Key in self.kept:
            error = {"Code": "AccessDenied", "Message": f"{Key} stays"}
            raise ClientError({"Error": error}, "DeleteObject")
        self.keys.remove(Key)


def execute(
    *steps: Json, sagemaker: FakeSageMaker, s3: Any = None
) -> tuple[Outcome, dict[str, StepState]]:
    done = test_executor.execute(steps, sagemaker, s3=s3)
    return done.outcome, {state.name: state for state in done.states}


def endpoint(**more: Any) -> list[Json]:
    variant = {"VariantName": "AllTraffic", "ModelName": "m"}
    config = {"EndpointConfigName": "c2", "ProductionVariants": [variant]}
    name = {"Get": "Steps.C.EndpointConfigName"}
    return [
        {"Name": "E", "Type": "Endpoint", "Arguments": {
            "EndpointName": "e", "EndpointConfigName": name, **more}},
        {"Name": "C", "Type": "EndpointConfig", "Arguments": config},
    ]  # fmt: skip


def test_an_endpoint_is_created_with_the_configuration_before_it() -> None:
    fake = Serving()
    outcome, states = execute(*endpoint(), sagemaker=fake)
    assert outcome.status == "Succeeded"
    assert [what for what, _ in fake.told] == ["create config", "create"]
    assert fake.served == {"e": "c2"}
    assert states["E"].metadata == {"Endpoint": {"Arn": "arn:endpoint"}}
    assert states["C"].metadata == {"EndpointConfig": {"Arn": "arn:config/c2"}}


def test_an_endpoint_that_exists_is_updated() -> None:
    fake = Serving(served={"e": "c1"})
    outcome, _ = execute(*endpoint(Tags=[]), sagemaker=fake)
    assert outcome.status == "Succeeded"
    assert fake.told[1] == ("update", {"EndpointName": "e", "EndpointConfigName": "c2"})


def test_an_update_that_was_rolled_back_is_a_failure_with_its_reason() -> None:
    fake = Serving(served={"e": "c1"}, rolls_back="the alarm fired")
    outcome, states = execute(*endpoint(), sagemaker=fake)
    assert outcome.status == "Failed"
    assert states["E"].failure_reason == "c2 is not served: the alarm fired"


def test_an_endpoint_that_fails_fails_its_step() -> None:
    outcome, states = execute(*endpoint(), sagemaker=Serving(ends_as="Failed"))
    assert (outcome.status, states["E"].status) == ("Failed", "Failed")


def cleanup(*sources: Json, needs: Sequence[Any] = ()) -> Json:
    resources = {"Resources": {"S3": list(sources)}}
    return {"Name": "Clean", "Type": "Cleanup", "Arguments": resources, "DependsOn": list(needs)}


class Trained(FakeSageMaker):
    """A training job that says its name, as SageMaker does."""

    def describe_training_job(self, TrainingJobName: str) -> Json:
        return super().describe_training_job(TrainingJobName) | {"TrainingJobName": TrainingJobName}


def test_a_cleanup_deletes_what_its_sources_wrote_and_nothing_else() -> None:
    fake = Trained()
    uri = {"S3Uris": ["s3://b/A/one.csv"]}
    steps = [
        cleanup({"StepName": "T"}, {"StepName": "A", **uri}),
        training("T"),
        processing("A"),
    ]
    s3 = Objects(["A/one.csv", "A/two.csv", "models/other/output/model.tar.gz"])
    before = fake.create_training_job

    def writes(**request: Any) -> Json:
        s3.keys.append(f"models/{request['TrainingJobName']}/output/model.tar.gz")
        return before(**request)

    fake.create_training_job = writes  # type: ignore[method-assign]
    outcome, states = execute(*steps, sagemaker=fake, s3=s3)
    assert outcome.status == "Succeeded"
    assert s3.keys == ["A/two.csv", "models/other/output/model.tar.gz"]
    assert states["Clean"].metadata == {"Cleanup": {"CleanedSteps": ["T", "A"]}}


def test_a_cleanup_skips_what_made_no_job_and_says_what_it_left() -> None:
    fake = Trained(ends={"A": "Failed", "B": "refused"})
    sources = [
        {"StepName": name, "S3Uris": [f"s3://b/{place}/x"]}
        for name, place in (("A", "A"), ("B", "B"), ("C", "C"), ("D", "elsewhere"))
    ]
    after = [*({"Step": name, "Trigger": "Failed"} for name in "AB"), "C", "D"]
    steps = [cleanup(*sources, needs=after), *(processing(name) for name in "ABCD")]
    outcome, states = execute(*steps, sagemaker=fake, s3=Objects(["A/x", "C/x"], kept=["C/x"]))
    told = states["Clean"].metadata["Cleanup"]
    assert (told["CleanedSteps"], told["SkippedSteps"]) == (["A"], ["B"])
    assert [entry["StepName"] for entry in told["FailedSteps"]] == ["C", "D"]
    assert "C/x stays" in told["FailedSteps"][0]["ErrorMessage"]
    assert "s3://b/elsewhere/x is under no output" in told["FailedSteps"][1]["ErrorMessage"]
    assert outcome.status == "Failed"
    assert "outputs are left: C: " in states["Clean"].failure_reason


VPC = processing("A", Arguments={"NetworkConfig": {"VpcConfig": ROLE_VPC}})
ONE = {"StepName": "A", "S3Uris": ["s3://b/A/x"]}
PROBLEMS: dict[str, tuple[list[Json], str]] = {
    "nothing": ([cleanup()], "Arguments.Resources.S3 must be a list of steps"),
    "nobody": ([cleanup({"S3Uris": []})], "Resources.S3[0] must hold a StepName"),
    "a stranger": ([cleanup(ONE)], "S3[0].StepName: step 'A' is not in the definition"),
    "no objects": (
        [cleanup({"StepName": "A"}), processing("A")],
        "Resources.S3[0]: S3Uris must name what of A is meant",
    ),
    "no list": (
        [cleanup({"StepName": "A", "S3Uris": []}), processing("A")],
        "S3[0].S3Uris must be a list of S3 URIs, got []",
    ),
    "a model": (
        [cleanup({"StepName": "C"}), endpoint()[1]],
        "Resources.S3[0]: outputs of a EndpointConfig step cannot be deleted",
    ),
    "a network": ([cleanup(ONE), VPC], "A has a VpcConfig: its outputs cannot be deleted"),
    "a member": ([cleanup(ONE | {"Keys": 1}), processing("A")], "S3[0].Keys is not a member"),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_a_wrong_step_is_refused_with_its_path(case: str) -> None:
    steps, expected = PROBLEMS[case]
    found = validate(definition(*steps))
    assert [problem for problem in found if expected in problem], found


OWN_NAME = {"Get": "Execution.ProcessingJobName"}


class Named(FakeSageMaker):
    """Knows every job for one of step A."""

    def step_of(self, job: str) -> str:
        return "A"


def test_a_definition_can_say_how_the_names_of_its_jobs_begin() -> None:
    begin = {"Std:Join": {"On": "-", "Values": ["nightly", {"Get": "Execution.PipelineName"}]}}
    arguments = {"ProcessingJobName": begin, "Environment": {"Me": OWN_NAME}}
    fake = Named()
    execute(processing("A", Arguments=arguments), sagemaker=fake)
    name = fake.requests["A"]["ProcessingJobName"]
    assert name.startswith(f"nightly-demo-{EXECUTION.execution_id}-A-")
    assert fake.requests["A"]["Environment"] == {"Me": name}


@dataclass
class Tracking(FakeSageMaker):
    """Lineage by name, and inference components; those of `there` exist."""

    there: Sequence[str] = ()
    refuses: bool = False
    told: list[tuple[str, Json]] = field(default_factory=list)

    def create_action(self, **request: Any) -> Json:
        return self._made("Action", request)

    def create_artifact(self, **request: Any) -> Json:
        return self._made("Artifact", request)

    def create_context(self, **request: Any) -> Json:
        return self._made("Context", request)

    def add_association(self, **request: Any) -> Json:
        if self.refuses:
            error = {"Code": "ValidationException", "Message": "no such artifact"}
            raise ClientError({"Error": error}, "AddAssociation")
        self.told.append(("associate", request))
        return {}

    def create_inference_component(self, **request: Any) -> Json:
        return self._made("InferenceComponent", request)

    def update_inference_component(self, **request: Any) -> Json:
        self.told.append(("update", request))
        return {"InferenceComponentArn": "arn:component"}

    def describe_inference_component(self, InferenceComponentName: str) -> Json:
        made = [what for what, _ in self.told if what != "associate"]
        if InferenceComponentName not in self.there and not made:
            raise ClientError({"Error": {"Code": "ValidationException", "Message": "none"}}, "D")
        return {"InferenceComponentStatus": "InService"}

    def _made(self, kind: str, request: Json) -> Json:
        self.told.append((kind, request))
        return {f"{kind}Arn": f"arn:{kind.lower()}/{request[f'{kind}Name']}"}


SOURCE = {"SourceUri": "s3://b/model"}
RUN = {"ActionName": "run", "Source": SOURCE, "ActionType": "ModelTraining"}
MODEL = {"ArtifactName": "model", "Source": SOURCE, "ArtifactType": "Model"}
MADE = {
    "Source": {"Name": "run", "Type": "Action"},
    "Destination": {"Name": "model", "Type": "Artifact"},
    "AssociationType": "Produced",
}


def lineage(**arguments: Any) -> Json:
    whole = {"Actions": [RUN], "Artifacts": [MODEL], "Associations": [MADE], **arguments}
    return {"Name": "L", "Type": "Lineage", "Arguments": whole}


def test_lineage_is_created_and_then_associated() -> None:
    arn = {"Get": "Steps.L.ArtifactArns['model']"}
    other = {**MADE, "Source": {"Arn": "arn:other"}}
    later = processing("A", Arguments={"Environment": {"X": arn}})
    fake = Tracking()
    outcome, states = execute(lineage(Associations=[MADE, other]), later, sagemaker=fake)
    assert outcome.status == "Succeeded"
    ends = [
        {"SourceArn": source, "DestinationArn": "arn:artifact/model"}
        for source in ("arn:action/run", "arn:other")
    ]
    more = {"AssociationType": "Produced"}
    assert fake.told == [
        ("Action", RUN), ("Artifact", MODEL), *(("associate", end | more) for end in ends)
    ]  # fmt: skip
    assert fake.requests["A"]["Environment"] == {"X": "arn:artifact/model"}
    assert states["L"].metadata["Lineage"] == {
        "ActionArns": {"run": "arn:action/run"},
        "ArtifactArns": {"model": "arn:artifact/model"},
        "Associations": ends,
    }


def test_lineage_that_is_refused_says_what_there_is_already() -> None:
    _, states = execute(lineage(), sagemaker=Tracking(refuses=True))
    assert "no such artifact" in states["L"].failure_reason
    assert states["L"].metadata["Lineage"]["ActionArns"] == {"run": "arn:action/run"}


LINEAGE: dict[str, tuple[Json, str]] = {
    "nothing": (
        lineage(Actions=[], Artifacts=[], Associations=[]),
        "Arguments must hold an entity or an association",
    ),
    "too many": (lineage(Actions=[RUN] * 6), "Arguments.Actions must be a list of at most 5"),
    "half an action": (
        lineage(Actions=[RUN, {"ActionName": "b"}]),
        "Arguments.Actions[1].Source is missing: CreateAction requires it",
    ),
    "a stranger": (
        lineage(Associations=[{**MADE, "Source": {"Name": "x", "Type": "Action"}}]),
        "Associations[0].Source: the step creates no Action 'x'",
    ),
    "no end": (
        lineage(Associations=[{"Source": {"Arn": "a"}}]),
        "Associations[0].Destination must hold Arn, or Name and Type",
    ),
    "a member": (lineage(Trials=[1]), "Arguments.Trials is not a member of a Lineage step"),
}


@pytest.mark.parametrize("case", LINEAGE)
def test_wrong_lineage_is_refused_with_its_path(case: str) -> None:
    step, expected = LINEAGE[case]
    found = validate(definition(step))
    assert [problem for problem in found if expected in problem], found


@pytest.mark.parametrize(("there", "told"), [((), "InferenceComponent"), (("c",), "update")])
def test_an_inference_component_is_created_or_updated(there: Sequence[str], told: str) -> None:
    arguments = {
        "InferenceComponentName": "c",
        "EndpointName": "e",
        "VariantName": "AllTraffic",
        "RuntimeConfig": {"CopyCount": 1},
    }
    fake = Tracking(there=there)
    step = {"Name": "I", "Type": "InferenceComponent", "Arguments": arguments}
    outcome, _ = execute(step, sagemaker=fake)
    assert outcome.status == "Succeeded"
    ((what, request),) = fake.told
    assert what == told
    assert ("EndpointName" in request) == (told != "update")


def test_a_reason_fits_into_the_answer_that_holds_it() -> None:
    message = {"Std:Join": {"On": "", "Values": ["x" * 5000]}}
    step = {"Name": "F", "Type": "Fail", "Arguments": {"ErrorMessage": message}}
    outcome, states = execute(step, sagemaker=FakeSageMaker())
    assert len(states["F"].failure_reason) == 1024
    assert states["F"].failure_reason.endswith("...")
    assert len(states["F"].metadata["Fail"]["ErrorMessage"]) == 3072
    assert len(outcome.failure_reason) <= 1300
