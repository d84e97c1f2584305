"""SageMaker's SDK of the second version, used as its documentation shows it."""

import io
import os
import sys
import tarfile
import time
from pathlib import Path

import boto3
import numpy as np
import pandas as pd
import sagemaker
from cases import case, run
from sagemaker import image_uris
from sagemaker.async_inference import AsyncInferenceConfig
from sagemaker.deserializers import CSVDeserializer, JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.experiments.run import Run, load_run
from sagemaker.feature_store.feature_group import FeatureGroup
from sagemaker.inputs import TrainingInput
from sagemaker.model import Model, ModelPackage
from sagemaker.model_monitor import (
    CronExpressionGenerator,
    DataCaptureConfig,
    DefaultModelMonitor,
)
from sagemaker.model_monitor.dataset_format import DatasetFormat
from sagemaker.predictor import Predictor
from sagemaker.processing import ProcessingInput, ProcessingOutput, ScriptProcessor
from sagemaker.s3 import S3Downloader
from sagemaker.serializers import CSVSerializer, JSONSerializer
from sagemaker.serverless import ServerlessInferenceConfig
from sagemaker.sklearn.estimator import SKLearn
from sagemaker.sklearn.model import SKLearnModel
from sagemaker.sklearn.processing import SKLearnProcessor
from sagemaker.tuner import ContinuousParameter, HyperparameterTuner

ROLE = os.environ["ROLE"]
MACHINE = "ml.m5.large"
session = sagemaker.Session()
BUCKET = session.default_bucket()
sm = boto3.client("sagemaker")
WORK = Path(os.environ["HOME"]) / "work"
WORK.mkdir(exist_ok=True)
os.chdir(WORK)

TRAIN = """
import argparse, os, pathlib
import joblib, pandas
from sklearn.linear_model import LinearRegression

parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float, default=0.0)
parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
parser.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])
asked = parser.parse_args()
rows = pandas.concat(pandas.read_csv(p, header=None) for p in pathlib.Path(asked.train).iterdir())
model = LinearRegression().fit(rows[[0]], rows[1])
print(f"rmse={asked.alpha};", flush=True)
joblib.dump(model, os.path.join(asked.model_dir, "model.joblib"))

def model_fn(folder):
    return joblib.load(os.path.join(folder, "model.joblib"))
"""


def script(name: str, text: str) -> str:
    path = WORK / name
    path.write_text(text)
    return str(path)


def training_script() -> str:
    """The script with its training behind `if __name__`, for serving imports it."""
    head, body = TRAIN.split("parser = ", 1)
    body, tail = ("parser = " + body).split("def model_fn", 1)
    indented = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return f'{head}def model_fn{tail}\nif __name__ == "__main__":\n{indented}'


def rows() -> str:
    """Where y = 2x lies in S3."""
    pd.DataFrame({"x": range(20), "y": [2 * x for x in range(20)]}).to_csv(
        WORK / "rows.csv", header=False, index=False
    )
    return session.upload_data(str(WORK / "rows.csv"), key_prefix="v2/rows")


def estimator(**more: object) -> SKLearn:
    return SKLearn(
        entry_point=script("train.py", training_script()),
        framework_version="1.2-1",
        role=ROLE,
        instance_type=MACHINE,
        sagemaker_session=session,
        metric_definitions=[{"Name": "rmse", "Regex": "rmse=([0-9.]+);"}],
        **more,
    )


def trained_model() -> SKLearnModel:
    """What the case before the first use of this trained."""
    data = sm.describe_training_job(TrainingJobName="v2-sklearn")["ModelArtifacts"]
    return SKLearnModel(
        data["S3ModelArtifacts"],
        ROLE,
        script("train.py", training_script()),
        framework_version="1.2-1",
        sagemaker_session=session,
    )


@case
def session_uploads_lists_and_downloads() -> None:
    place = rows()
    assert place == f"s3://{BUCKET}/v2/rows/rows.csv", place
    assert session.list_s3_files(BUCKET, "v2/rows") == ["v2/rows/rows.csv"]
    session.download_data(str(WORK / "down"), BUCKET, "v2/rows/rows.csv")
    assert (WORK / "down" / "rows.csv").read_text().startswith("0,0\n1,2\n")
    assert session.read_s3_file(BUCKET, "v2/rows/rows.csv").startswith("0,0")


@case
def session_asks_aws_s_own_sts_who_it_is() -> None:
    assert session.account_id() == "123456789012"


@case
def sklearn_trains_with_logs_and_metrics() -> None:
    made = estimator(hyperparameters={"alpha": 0.5})
    made.fit({"train": rows()}, logs="All", job_name="v2-sklearn")
    told = made.latest_training_job.describe()
    assert told["TrainingJobStatus"] == "Completed"
    assert told["FinalMetricDataList"][0]["Value"] == 0.5
    assert made.model_data.endswith("/output/model.tar.gz")
    frame = sagemaker.TrainingJobAnalytics("v2-sklearn", metric_names=["rmse"]).dataframe()
    assert list(frame["value"]) == [0.5], frame


@case
def sklearn_deploys_and_predicts() -> None:
    made = SKLearn.attach("v2-sklearn", sagemaker_session=session)
    predictor = made.deploy(1, MACHINE, endpoint_name="v2-real")
    assert np.allclose(predictor.predict(np.array([[3.0], [5.0]])), [6, 10])
    other = Predictor(
        "v2-real", session, serializer=CSVSerializer(), deserializer=JSONDeserializer()
    )
    assert np.allclose(other.predict("4"), [8])
    json_one = Predictor("v2-real", session, JSONSerializer(), CSVDeserializer())
    assert np.allclose([float(x) for x in np.ravel(json_one.predict([[7.0]]))], [14])
    predictor.delete_model()
    predictor.delete_endpoint(delete_endpoint_config=True)


@case
def endpoint_is_updated_and_captures() -> None:
    capture = DataCaptureConfig(True, sampling_percentage=100, sagemaker_session=session)
    predictor = trained_model().deploy(
        1, MACHINE, endpoint_name="v2-up", data_capture_config=capture
    )
    predictor.predict(np.array([[1.0]]))
    predictor.update_endpoint(initial_instance_count=2, instance_type=MACHINE, wait=True)
    shown = sm.describe_endpoint(EndpointName="v2-up")
    assert shown["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    predictor.disable_data_capture()
    predictor.delete_endpoint()


@case
def serverless_and_async_endpoints() -> None:
    for name, how in (
        ("serverless", {"serverless_inference_config": ServerlessInferenceConfig(2048, 2)}),
        (
            "async",
            {
                "async_inference_config": AsyncInferenceConfig(f"s3://{BUCKET}/v2/async"),
                "initial_instance_count": 1,
                "instance_type": MACHINE,
            },
        ),
    ):
        predictor = trained_model().deploy(endpoint_name=f"v2-{name}", **how)
        answer = predictor.predict(np.array([[2.0]]))
        assert np.allclose(answer, [4]), answer
        predictor.delete_endpoint()


@case
def processors_run_scripts() -> None:
    text = (
        "import pathlib, sys\np = pathlib.Path('/opt/ml/processing')\n"
        "lines = (p / 'in/rows.csv').read_text().split()\n"
        "(p / 'out/n.txt').write_text(str(len(lines)) + sys.argv[1])"
    )
    given = [ProcessingInput(source=rows(), destination="/opt/ml/processing/in")]
    taken = [ProcessingOutput(output_name="n", source="/opt/ml/processing/out")]
    processor = SKLearnProcessor(
        "1.2-1", ROLE, 1, MACHINE, sagemaker_session=session, base_job_name="v2-process"
    )
    processor.run(script("count.py", text), given, taken, arguments=["!"], logs=True)
    output = processor.latest_job.describe()["ProcessingOutputConfig"]["Outputs"][0]
    assert (
        session.read_s3_file(BUCKET, output["S3Output"]["S3Uri"].split("/", 3)[3] + "/n.txt")
        == "20!"
    )
    own = ScriptProcessor(
        ROLE,
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/own:1",
        ["python3"],
        1,
        MACHINE,
        sagemaker_session=session,
        env={"A": "b"},
    )
    own.run(script("env.py", "import os; assert os.environ['A'] == 'b'"), logs=False)


@case
def transformer_transforms() -> None:
    made = SKLearn.attach("v2-sklearn", sagemaker_session=session)
    transformer = made.transformer(
        1, MACHINE, assemble_with="Line", accept="text/csv", output_path=f"s3://{BUCKET}/v2/t"
    )
    (WORK / "x.csv").write_text("1\n2\n")
    place = session.upload_data(str(WORK / "x.csv"), key_prefix="v2/x")
    transformer.transform(place, content_type="text/csv", split_type="Line", logs=False)
    found = session.read_s3_file(BUCKET, "v2/t/x.csv.out").split()
    assert np.allclose([float(x) for x in found], [2, 4]), found


@case
def tuner_finds_the_best() -> None:
    tuner = HyperparameterTuner(
        estimator(),
        "rmse",
        {"alpha": ContinuousParameter(0.1, 0.9)},
        objective_type="Minimize",
        metric_definitions=[{"Name": "rmse", "Regex": "rmse=([0-9.]+);"}],
        max_jobs=3,
        max_parallel_jobs=3,
        base_tuning_job_name="v2-tune",
    )
    tuner.fit({"train": rows()}, wait=True)
    frame = tuner.analytics().dataframe()
    best = frame.loc[frame["FinalObjectiveValue"].idxmin()]
    assert tuner.best_training_job() == best["TrainingJobName"]
    assert len(frame) == 3


@case
def registry_versions_are_deployed() -> None:
    model = trained_model()
    package = model.register(
        content_types=["text/csv"],
        response_types=["text/csv"],
        inference_instances=[MACHINE],
        transform_instances=[MACHINE],
        model_package_group_name="v2-group",
        approval_status="PendingManualApproval",
        description="one",
    )
    sm.update_model_package(
        ModelPackageArn=package.model_package_arn, ModelApprovalStatus="Approved"
    )
    approved = ModelPackage(
        ROLE, model_package_arn=package.model_package_arn, sagemaker_session=session
    )
    approved.deploy(1, MACHINE, endpoint_name="v2-package")
    predictor = Predictor("v2-package", session, CSVSerializer(), CSVDeserializer())
    assert np.allclose([float(x) for x in np.ravel(predictor.predict("4"))], [8])
    predictor.delete_endpoint()


@case
def feature_group_ingests_and_is_read() -> None:
    frame = pd.DataFrame(
        {
            "id": pd.Series(["a", "b"], dtype="string"),
            "v": [1.5, 2.5],
            "t": pd.Series([time.time()] * 2),
        }
    )
    group = FeatureGroup("v2-features", sagemaker_session=session)
    group.load_feature_definitions(data_frame=frame)
    group.create(
        s3_uri=f"s3://{BUCKET}/v2/offline",
        record_identifier_name="id",
        event_time_feature_name="t",
        role_arn=ROLE,
        enable_online_store=True,
    )
    while group.describe()["FeatureGroupStatus"] == "Creating":
        time.sleep(1)
    group.ingest(data_frame=frame, max_workers=2, wait=True)
    read = {one["FeatureName"]: one["ValueAsString"] for one in group.get_record("a")}
    assert float(read["v"]) == 1.5, read
    assert group.as_hive_ddl().startswith("CREATE EXTERNAL TABLE")
    assert group.list_tags() == []
    query = group.athena_query()
    query.run(f'SELECT id, v FROM "{query.table_name}" WHERE v > 2', f"s3://{BUCKET}/v2/queries/")
    query.wait()
    assert query.as_dataframe().to_dict("records") == [{"id": "b", "v": 2.5}]
    group.delete()


@case
def monitor_makes_a_baseline_and_a_schedule() -> None:
    monitor = DefaultModelMonitor(ROLE, instance_type=MACHINE, sagemaker_session=session)
    (WORK / "base.csv").write_text("a,b\n" + "".join(f"{n},{n * 2}\n" for n in range(50)))
    monitor.suggest_baseline(
        str(WORK / "base.csv"),
        DatasetFormat.csv(header=True),
        output_s3_uri=f"s3://{BUCKET}/v2/baseline",
        wait=True,
        logs=False,
    )
    features = monitor.baseline_statistics().body_dict["features"]
    assert [one["name"] for one in features] == ["a", "b"]
    assert monitor.suggested_constraints().body_dict["features"]


@case
def monitor_checks_what_an_endpoint_captured() -> None:
    capture = DataCaptureConfig(
        True, 100, f"s3://{BUCKET}/v2/captured", csv_content_types=["text/csv"],
        sagemaker_session=session,
    )  # fmt: skip
    predictor = trained_model().deploy(
        1, MACHINE, CSVSerializer(), JSONDeserializer(), endpoint_name="v2-watched",
        data_capture_config=capture,
    )  # fmt: skip
    for number in (3, 2.5):
        predictor.predict(f"{number}")
    while not S3Downloader.list(f"s3://{BUCKET}/v2/captured", sagemaker_session=session):
        time.sleep(1)
    monitor = DefaultModelMonitor(ROLE, instance_type=MACHINE, sagemaker_session=session)
    (WORK / "seen.csv").write_text("y,x\n" + "".join(f"{2.0 * n},{n}\n" for n in range(50)))
    monitor.suggest_baseline(
        str(WORK / "seen.csv"), DatasetFormat.csv(header=True),
        output_s3_uri=f"s3://{BUCKET}/v2/seen", wait=True, logs=False,
    )  # fmt: skip
    monitor.create_monitoring_schedule(
        monitor_schedule_name="v2-watch",
        endpoint_input="v2-watched",
        output_s3_uri=f"s3://{BUCKET}/v2/reports",
        statistics=monitor.baseline_statistics(),
        constraints=monitor.suggested_constraints(),
        schedule_cron_expression=CronExpressionGenerator.now(),
        data_analysis_start_time="-PT1H",
        data_analysis_end_time="-PT0H",
    )
    while not (found := monitor.list_executions()) or found[-1].describe()[
        "ProcessingJobStatus"
    ] in ("InProgress", "Starting"):
        time.sleep(1)
    told = monitor.latest_monitoring_constraint_violations().body_dict["violations"]
    assert "x" in {one["feature_name"] for one in told}, told  # one is no integer
    monitor.delete_monitoring_schedule()
    predictor.delete_endpoint()


@case
def tracker_of_experiments_logs() -> None:
    with Run(experiment_name="v2-exp", run_name="one", sagemaker_session=session) as tracked:
        tracked.log_parameter("depth", 3)
        tracked.log_parameters({"eta": 0.1})
        for step in range(3):
            tracked.log_metric("loss", 1 / (step + 1), step=step)
    with load_run("v2-exp", "one", sagemaker_session=session) as tracked:
        tracked.log_parameter("again", "yes")
    frame = sagemaker.analytics.ExperimentAnalytics(
        experiment_name="v2-exp", sagemaker_session=session
    ).dataframe()
    assert frame["depth"].iloc[0] == 3, frame.T


@case
def own_image_runs_its_command() -> None:
    made = Estimator(
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/own:1",
        ROLE,
        1,
        MACHINE,
        sagemaker_session=session,
        output_path=f"s3://{BUCKET}/v2/own",
        container_entry_point=["bash", "-c"],
        container_arguments=["echo 1 > /opt/ml/model/w"],
    )
    made.fit({"train": TrainingInput(rows(), content_type="text/csv")}, logs=False)
    assert made.jobs[-1].describe()["TrainingJobStatus"] == "Completed"


@case
def built_in_algorithm_says_that_it_has_no_program() -> None:
    image = image_uris.retrieve("linear-learner", "us-east-1")
    made = Estimator(
        image, ROLE, 1, MACHINE, sagemaker_session=session, output_path=f"s3://{BUCKET}/v2/own"
    )
    try:
        made.fit({"train": rows()}, logs=False)
    except sagemaker.exceptions.UnexpectedStatusException as error:
        assert "no row says how to train" in str(error), error
    else:
        raise AssertionError("it trained")


@case
def model_without_a_framework_serves_a_person_s_code() -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        text = b"def model_fn(d):\n    return 3\n\ndef predict_fn(rows, k):\n    return rows * k\n"
        member = tarfile.TarInfo("code/inference.py")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    boto3.client("s3").put_object(Bucket=BUCKET, Key="v2/m.tar.gz", Body=packed.getvalue())
    model = Model(
        image_uris.retrieve("sklearn", "us-east-1", "1.2-1"),
        f"s3://{BUCKET}/v2/m.tar.gz",
        ROLE,
        env={"SAGEMAKER_PROGRAM": "inference.py"},
        sagemaker_session=session,
        predictor_cls=Predictor,
        name="v2-plain",
    )
    predictor = model.deploy(
        1,
        MACHINE,
        endpoint_name="v2-plain",
        serializer=CSVSerializer(),
        deserializer=JSONDeserializer(),
    )
    assert np.allclose(predictor.predict("1,2"), [3, 6])
    predictor.delete_endpoint()


if __name__ == "__main__":
    run(sys.argv[1:])
