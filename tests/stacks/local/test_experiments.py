"""Experiments, metrics and lineage of the local cloud: what people say of runs and what jobs do."""

import itertools
import time
from typing import Any

import pytest

from stacks.local.aws.sagemaker import experiments, lineage
from stacks.local.aws.sagemaker.resource_type import ResourceType
from tests.kits.answers import request
from tests.kits.local_cloud import (
    BUCKET,
    Cloud,
    process,
    refusal,
    s3_input,
    s3_output,
    train,
)
from tests.kits.sagemaker_alone import Account

TYPES = (*experiments.TYPES, *lineage.TYPES)


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_each_is_made_once_shown_listed_changed_and_deleted(
    kind: ResourceType, account: Account
) -> None:
    made = account.made(kind)
    code, message = account.refusal(kind.create, **request(kind.create))
    assert code == "ValidationException" and "already exists" in message
    name = {kind.name_field: made[kind.name_field]}
    arn = account.call(kind.describe, **name)[kind.arn_field]
    account.call(kind.update, **name)
    (rows,) = [v for v in account.call(kind.list).values() if isinstance(v, list)]
    assert [row[kind.arn_field] for row in rows] == [arn]
    account.call(kind.delete, **name)
    assert account.refusal(kind.describe, **name)[0] == "ResourceNotFound"


def test_what_is_part_of_a_trial_holds_it_and_its_experiment(account: Account) -> None:
    account.call("CreateExperiment", ExperimentName="flights")
    assert account.refusal("CreateTrial", TrialName="none", ExperimentName="gone")[0] == (
        "ResourceNotFound"
    )
    account.call("CreateTrial", TrialName="first", ExperimentName="flights")
    account.call("CreateTrial", TrialName="empty", ExperimentName="flights")
    for name in ("train", "other"):
        account.call("CreateTrialComponent", TrialComponentName=name)
    account.call("AssociateTrialComponent", TrialName="first", TrialComponentName="train")

    def components(**where: str) -> list[str]:
        found = account.call("ListTrialComponents", **where)["TrialComponentSummaries"]
        return [row["TrialComponentName"] for row in found]

    assert components(TrialName="first") == components(ExperimentName="flights") == ["train"]
    assert components(TrialName="empty") == []
    found = account.call("ListTrials", TrialComponentName="train")["TrialSummaries"]
    assert [row["TrialName"] for row in found] == ["first"]
    assert account.refusal("DeleteExperiment", ExperimentName="flights")[0] == "ValidationException"
    assert account.refusal("DeleteTrial", TrialName="first")[0] == "ValidationException"
    assert account.refusal("DeleteTrialComponent", TrialComponentName="train")[0] == (
        "ValidationException"
    )
    account.call("DisassociateTrialComponent", TrialName="first", TrialComponentName="train")
    assert components(ExperimentName="flights") == []
    account.call("DeleteTrialComponent", TrialComponentName="train")
    for trial in ("first", "empty"):
        account.call("DeleteTrial", TrialName=trial)
    account.call("DeleteExperiment", ExperimentName="flights")


def test_a_component_gains_and_loses_parameters_and_artifacts(account: Account) -> None:
    account.call(
        "CreateTrialComponent",
        TrialComponentName="run",
        Parameters={"depth": {"NumberValue": 3}, "loss": {"StringValue": "l2"}},
        InputArtifacts={"data": {"Value": "s3://b/data"}},
    )
    account.call(
        "UpdateTrialComponent",
        TrialComponentName="run",
        Parameters={"depth": {"NumberValue": 4}, "rate": {"NumberValue": 0.1}},
        ParametersToRemove=["loss"],
        InputArtifactsToRemove=["data"],
        Status={"PrimaryStatus": "Completed"},
    )
    found = account.call("DescribeTrialComponent", TrialComponentName="run")
    assert found["Parameters"] == {"depth": {"NumberValue": 4}, "rate": {"NumberValue": 0.1}}
    assert found["InputArtifacts"] == {} and found["Status"] == {"PrimaryStatus": "Completed"}


# Lineage: raw -> prepare -> data -> train -> model -> deploy


@pytest.fixture
def chain(account: Account) -> dict[str, str]:
    def artifact(uri: str, kind: str, **properties: str) -> str:
        source = {"SourceUri": f"s3://b/{uri}"}
        made = account.call(
            "CreateArtifact", Source=source, ArtifactType=kind, Properties=properties
        )
        return str(made["ArtifactArn"])

    def component(name: str) -> str:
        made = account.call("CreateTrialComponent", TrialComponentName=name)
        return str(made["TrialComponentArn"])

    deployed = account.call(
        "CreateAction",
        ActionName="deploy",
        ActionType="ModelDeployment",
        Source={"SourceUri": "endpoint"},
    )
    arns = {
        "raw": artifact("raw", "DataSet"),
        "prepare": component("prepare"),
        "data": artifact("data", "DataSet", month="may"),
        "train": component("train"),
        "model": artifact("model", "Model"),
        "deploy": deployed["ActionArn"],
    }
    names = list(arns)
    for source, destination in itertools.pairwise(names):
        how = "Produced" if destination in ("data", "model") else "ContributedTo"
        account.call(
            "AddAssociation",
            SourceArn=arns[source],
            DestinationArn=arns[destination],
            AssociationType=how,
        )
    return arns


@pytest.mark.parametrize(
    ("start", "asked", "found"),
    [
        ("data", {"Direction": "Ascendants"}, "raw prepare data"),
        ("data", {"Direction": "Descendants"}, "data train model deploy"),
        ("data", {}, "raw prepare data train model deploy"),
        ("data", {"MaxDepth": 1}, "prepare data train"),
        ("model", {"Filters": {"Properties": {"month": "may"}}}, "data train model"),
    ],
)
def test_a_query_follows_associations(
    start: str, asked: dict[str, Any], found: str, account: Account, chain: dict[str, str]
) -> None:
    """With the way to what fits, in which every step is an edge."""
    answer = account.call("QueryLineage", StartArns=[chain[start]], **asked)
    names = {arn: name for name, arn in chain.items()}
    assert {names[vertex["Arn"]] for vertex in answer["Vertices"]} == set(found.split())
    edges = {(names[e["SourceArn"]], names[e["DestinationArn"]]) for e in answer["Edges"]}
    assert edges == set(itertools.pairwise(found.split()))


@pytest.mark.parametrize(
    ("start", "filters", "found"),
    [
        ("model", {"Types": ["DataSet"]}, "raw data"),
        ("raw", {"LineageTypes": ["Action", "TrialComponent"]}, "prepare train deploy"),
        ("raw", {"CreatedBefore": 1_000_000}, ""),
        ("raw", {"ModifiedAfter": 1_000_000}, "prepare data train model deploy"),
    ],
)
def test_a_query_without_edges_finds_what_fits_alone(
    start: str, filters: dict[str, Any], found: str, account: Account, chain: dict[str, str]
) -> None:
    answer = account.call(
        "QueryLineage", StartArns=[chain[start]], Filters=filters, IncludeEdges=False
    )
    names = {arn: name for name, arn in chain.items()}
    assert {names[vertex["Arn"]] for vertex in answer["Vertices"]} == set(found.split())
    assert answer["Edges"] == []


def test_a_circle_ends(account: Account, chain: dict[str, str]) -> None:
    account.call("AddAssociation", SourceArn=chain["deploy"], DestinationArn=chain["raw"])
    found = account.call("QueryLineage", StartArns=[chain["data"]], Direction="Descendants")
    assert len(found["Vertices"]) == len(found["Edges"]) == len(chain)


def test_an_association_is_made_once_between_what_is_there(
    account: Account, chain: dict[str, str]
) -> None:
    ends = {"SourceArn": chain["raw"], "DestinationArn": chain["prepare"]}
    assert account.refusal("AddAssociation", **ends)[0] == "ValidationException"
    gone = chain["raw"][:-1] + "x"
    assert account.refusal("AddAssociation", **{**ends, "SourceArn": gone})[0] == "ResourceNotFound"
    assert account.refusal("DeleteArtifact", ArtifactArn=chain["raw"])[0] == "ValidationException"
    (row,) = account.call("ListAssociations", SourceArn=chain["raw"])["AssociationSummaries"]
    assert row["DestinationName"] == "prepare" and row["SourceType"] == "DataSet"
    assert account.call("ListAssociations", DestinationType="none")["AssociationSummaries"] == []
    account.call("DeleteAssociation", **ends)
    assert account.refusal("DeleteAssociation", **ends)[0] == "ResourceNotFound"
    account.call("DeleteArtifact", Source={"SourceUri": "s3://b/raw"})


def test_properties_of_an_artifact_are_replaced_and_it_is_found_by_its_source(
    account: Account, chain: dict[str, str]
) -> None:
    account.call(
        "UpdateArtifact", ArtifactArn=chain["data"], Properties={"rows": "9", "month": "june"}
    )
    account.call("UpdateArtifact", ArtifactArn=chain["data"], PropertiesToRemove=["rows"])
    found = account.call("DescribeArtifact", ArtifactArn=chain["data"])
    assert found["Properties"] == {"month": "june"}
    (row,) = account.call("ListArtifacts", SourceUri="s3://b/data")["ArtifactSummaries"]
    assert row["ArtifactArn"] == chain["data"]
    models = account.call("ListArtifacts", ArtifactType="Model")["ArtifactSummaries"]
    assert [row["ArtifactArn"] for row in models] == [chain["model"]]


# Jobs and metrics, over HTTP


def test_a_job_is_a_component_of_its_trial_with_its_lineage(cloud: Cloud, sm: Any) -> None:
    cloud.client("s3").put_object(Bucket=BUCKET, Key="in/x.csv", Body=b"1")
    sm.create_experiment(ExperimentName="delays")
    source = {"S3Uri": f"s3://{BUCKET}/in", "S3DataType": "S3Prefix"}
    done = train(
        sm,
        "tracked",
        "import pathlib; pathlib.Path('/opt/ml/model/m').write_text('m'); print('auc=0.75')",
        HyperParameters={"depth": "3", "loss": "l2"},
        InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        ExperimentConfig={"ExperimentName": "delays", "TrialComponentDisplayName": "Train"},
    )
    assert done["TrainingJobStatus"] == "Completed"
    (row,) = sm.list_trial_components(SourceArn=done["TrainingJobArn"])["TrialComponentSummaries"]
    found = sm.describe_trial_component(TrialComponentName=row["TrialComponentName"])
    assert found["DisplayName"] == "Train" and found["Status"]["PrimaryStatus"] == "Completed"
    assert found["Parameters"]["depth"] == {"NumberValue": 3.0}
    assert found["Parameters"]["loss"] == {"StringValue": "l2"}
    assert found["Metrics"][0]["MetricName"] == "auc" and found["Metrics"][0]["Last"] == 0.75
    model = done["ModelArtifacts"]["S3ModelArtifacts"]
    assert found["OutputArtifacts"] == {"SageMaker.ModelArtifact": {"Value": model}}
    (trial,) = sm.list_trials(ExperimentName="delays")["TrialSummaries"]
    assert sm.list_trial_components(TrialName=trial["TrialName"])["TrialComponentSummaries"]
    (artifact,) = sm.list_artifacts(SourceUri=model)["ArtifactSummaries"]
    asked = {"StartArns": [artifact["ArtifactArn"]], "Direction": "Ascendants"}
    types = {vertex["Type"] for vertex in sm.query_lineage(**asked)["Vertices"]}
    assert types == {"Model", "SageMakerTrainingJob", "DataSet", "Image"}


def test_what_one_job_writes_and_another_reads_connects_them(cloud: Cloud, sm: Any) -> None:
    there = f"s3://{BUCKET}/between"
    write = "import pathlib; pathlib.Path('/opt/ml/processing/out/x').write_text('1')"
    outputs = s3_output(there, "/opt/ml/processing/out")
    process(sm, "writes", write, ProcessingOutputConfig=outputs)
    inputs = [s3_input(there, "/opt/ml/processing/in")]
    done = process(sm, "reads", "pass", ProcessingInputs=inputs)
    (row,) = sm.list_trial_components(SourceArn=done["ProcessingJobArn"])["TrialComponentSummaries"]
    asked = {"StartArns": [row["TrialComponentArn"]], "Direction": "Ascendants"}
    arns = {vertex["Arn"].rpartition("/")[2] for vertex in sm.query_lineage(**asked)["Vertices"]}
    assert "writes-aws-processing-job" in arns


def test_a_job_of_an_experiment_that_is_not_there_is_refused(sm: Any) -> None:
    code, message, _ = refusal(
        lambda **more: process(sm, "nowhere", "pass", **more),
        ExperimentConfig={"ExperimentName": "no-such"},
    )
    assert code == "ResourceNotFound" and "no-such" in message
    assert refusal(sm.describe_processing_job, ProcessingJobName="nowhere")[0] == (
        "ValidationException"
    )


def test_metrics_are_put_summed_up_and_read_again(cloud: Cloud, sm: Any) -> None:
    metrics = cloud.client("sagemaker-metrics")
    arn = sm.create_trial_component(TrialComponentName="measured")["TrialComponentArn"]
    now = int(time.time())
    points = [
        {"MetricName": "loss", "Timestamp": now + step, "Step": step, "Value": value}
        for step, value in enumerate((3.0, 2.0, 1.0))
    ]
    put = metrics.batch_put_metrics(TrialComponentName="measured", MetricData=points)
    assert "Errors" not in put
    (loss,) = sm.describe_trial_component(TrialComponentName="measured")["Metrics"]
    assert {name: loss[name] for name in ("Min", "Max", "Avg", "Last", "Count")} == {
        "Min": 1.0, "Max": 3.0, "Avg": 2.0, "Last": 1.0, "Count": 3,
    }  # fmt: skip
    query = {"MetricName": "loss", "ResourceArn": arn, "MetricStat": "Last"}
    by_step = {**query, "Period": "IterationNumber", "XAxisType": "IterationNumber"}
    by_hour = {**query, "MetricStat": "Count", "Period": "OneHour", "XAxisType": "Timestamp"}
    gone = {**by_step, "ResourceArn": arn + "x"}
    asked = metrics.batch_get_metrics(MetricQueries=[by_step, by_hour, gone])
    steps, hours, nothing = asked["MetricQueryResults"]
    assert (steps["XAxisValues"], steps["MetricValues"]) == ([0, 1, 2], [3.0, 2.0, 1.0])
    assert sum(hours["MetricValues"]) == 3
    assert nothing["Status"] == "ValidationError"
    wrong = metrics.batch_put_metrics(TrialComponentName="none", MetricData=points)
    assert [error["MetricIndex"] for error in wrong["Errors"]] == [0, 1, 2]


@pytest.mark.parametrize(
    ("resource", "name", "value", "found"),
    [
        ("Experiment", "ExperimentName", "searched", 1),
        ("ExperimentTrial", "ExperimentName", "searched", 1),
        ("ExperimentTrialComponent", "Parents.TrialName", "attempt", 1),
        ("ExperimentTrialComponent", "Parameters.depth", "7", 1),
        ("ExperimentTrialComponent", "Tags.team", "flights", 1),
        ("ExperimentTrialComponent", "Parameters.depth", "8", 0),
    ],
)
def test_experiments_are_searched(
    resource: str, name: str, value: str, found: int, account: Account
) -> None:
    account.call("CreateExperiment", ExperimentName="searched")
    account.call("CreateTrial", TrialName="attempt", ExperimentName="searched")
    tags = [{"Key": "team", "Value": "flights"}]
    depth = {"depth": {"NumberValue": 7}}
    account.call("CreateTrialComponent", TrialComponentName="c", Parameters=depth, Tags=tags)
    account.call("AssociateTrialComponent", TrialName="attempt", TrialComponentName="c")
    one = {"Name": name, "Operator": "Equals", "Value": value}
    answer = account.call("Search", Resource=resource, SearchExpression={"Filters": [one]})
    assert len(answer["Results"]) == found == answer["TotalHits"]["Value"]


def test_components_are_searched_and_sorted_by_a_metric(cloud: Cloud, sm: Any) -> None:
    metrics = cloud.client("sagemaker-metrics")
    for name, value in (("good", 0.9), ("bad", 0.1)):
        sm.create_trial_component(TrialComponentName=name)
        point = {"MetricName": "f1", "Timestamp": int(time.time()), "Value": value}
        metrics.batch_put_metrics(TrialComponentName=name, MetricData=[point])
    above = {"Name": "Metrics.f1.Max", "Operator": "GreaterThan", "Value": "0.5"}
    answer = sm.search(Resource="ExperimentTrialComponent", SearchExpression={"Filters": [above]})
    names = [row["TrialComponent"]["TrialComponentName"] for row in answer["Results"]]
    assert names == ["good"]
    has = {"Name": "Metrics.f1.max", "Operator": "Exists"}
    answer = sm.search(
        Resource="ExperimentTrialComponent",
        SearchExpression={"Filters": [has]},
        SortBy="Metrics.f1.max",
        SortOrder="Ascending",
    )
    names = [row["TrialComponent"]["TrialComponentName"] for row in answer["Results"]]
    assert names == ["bad", "good"]


def test_names_to_search_by_are_suggested(account: Account) -> None:
    tags = [{"Key": "team", "Value": "flights"}, {"Key": "stage", "Value": "dev"}]
    account.call("CreateExperiment", ExperimentName="tagged", Tags=tags)

    def suggested(hint: str) -> list[str]:
        query = {"PropertyNameQuery": {"PropertyNameHint": hint}}
        answer = account.call("GetSearchSuggestions", Resource="Experiment", SuggestionQuery=query)
        return [row["PropertyName"] for row in answer["PropertyNameSuggestions"]]

    assert suggested("Tags") == ["Tags.stage", "Tags.team"]
    assert suggested("TEA") == ["Tags.team"] and suggested("Metrics") == []
