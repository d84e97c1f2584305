"""What stands for an image: our own, AWS's frameworks in script mode, a person's, or nothing."""

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stacks.local.runtime import images
from stacks.local.runtime.frameworks import serve
from stacks.local.runtime.frameworks import train as script_mode
from stacks.paths import ENVIRONMENTS
from stacks.settings import load
from tests.kits.endpoints import settled
from tests.kits.local_cloud import BUCKET, ROLE, Cloud, refusal, until

AWS = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
SCIKIT = f"{AWS}/sagemaker-scikit-learn:1.4-2-cpu-py3"
XGBOOST = f"{AWS}/sagemaker-xgboost:1.7-1"
STRANGER = "123456789012.dkr.ecr.us-east-1.amazonaws.com/churn:7"
OURS = "123456789012.dkr.ecr.us-east-1.amazonaws.com/plinth-local-images@sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("uri", "purpose", "runs"),
    [
        (OURS, "train", "train"),
        (OURS, "serve", "serve"),
        (SCIKIT, "train", "sklearn"),
        (SCIKIT, "serve", "sklearn"),
        (XGBOOST, "train", "xgboost"),
        ("763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.3-cpu", "train", "torch"),
        ("763104351884.dkr.ecr.eu-west-1.amazonaws.com/huggingface-pytorch-training:2", "train",
         "transformers"),
        ("763104351884.dkr.ecr.cn-north-1.amazonaws.com.cn/tensorflow-training:2", "train",
         "tensorflow"),
    ],
)  # fmt: skip
def test_an_image_is_a_row_of_the_table(uri: str, purpose: images.Purpose, runs: str) -> None:
    row = images.find(uri, own=[])
    assert row is not None and getattr(row, purpose)[-1] == runs
    assert row.ours == (uri == OURS)


@pytest.mark.parametrize(
    "uri",
    [STRANGER, "", "image", "serving", f"{AWS}/linear-learner:1", "me/sagemaker-scikit-learn:1"],
)
def test_nothing_stands_for_any_other_image(uri: str) -> None:
    assert images.find(uri, own=[]) is None
    for purpose in ("train", "serve", "process"):
        with pytest.raises(images.NoProgram, match="images: ") as refused:
            images.command(uri, purpose)
        assert uri in str(refused.value)


def test_a_person_s_row_wins_and_names_command_and_requirements(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = (ENVIRONMENTS / "local.yaml").read_text()
    row = {"image": "churn", "train": ["python3", "/churn/train.py"], "requirements": ["lightgbm"]}
    (tmp_path / "local.yaml").write_text(f"{text}\nimages: {json.dumps([row])}\n")
    read = load.load_environment
    monkeypatch.setattr(load, "load_environment", lambda env: read(env, tmp_path))
    told = images.command(STRANGER, "train")
    assert told[-4:] == ("lightgbm", "--", "python3", "/churn/train.py")
    with pytest.raises(images.NoProgram, match="serve"):
        images.command(STRANGER, "serve")


def test_jobs_and_models_of_an_unknown_image_are_refused_with_the_row_to_add(sm: Any) -> None:
    asked = (
        (sm.create_training_job, training("stranger", STRANGER, {}), "train"),
        (sm.create_model, model("stranger", STRANGER), "serve"),
    )
    for call, request, purpose in asked:
        code, message, status = refusal(call, **request)
        assert (code, status) == ("ValidationException", 400)
        assert message.startswith(f"Requested image {STRANGER} not found")
        assert f"images: [{{image: 'churn', {purpose}: [" in message


LINEAR = "382416733822.dkr.ecr.us-east-1.amazonaws.com/linear-learner:1"
"""Of AWS's own: it is taken, as AWS would, and what runs it fails."""


def test_jobs_of_an_image_that_cannot_be_looked_up_fail_with_the_row_to_add(
    cloud: Cloud, sm: Any
) -> None:
    cloud.client("s3").put_object(Bucket=BUCKET, Key="rows/train.csv", Body=b"0,0\n")
    failed = trained(sm, training("elsewhere", LINEAR, {}))
    assert failed["TrainingJobStatus"] == "Failed"
    assert f"Requested image {LINEAR} not found" in failed["FailureReason"]
    assert "train: [" in failed["FailureReason"]
    sm.create_processing_job(**processing(STRANGER))
    name = processing(STRANGER)["ProcessingJobName"]
    ended = until(lambda: sm.describe_processing_job(ProcessingJobName=name), "ProcessingJobStatus")
    assert ended["ProcessingJobStatus"] == "Failed"
    assert "process: [" in ended["FailureReason"]


def test_an_endpoint_of_such_an_image_fails_with_the_row_to_add(sm: Any) -> None:
    sm.create_model(**model("elsewhere", LINEAR))
    variant = {"VariantName": "a", "ModelName": "elsewhere", "InstanceType": "ml.m5.large",
               "InitialInstanceCount": 1}  # fmt: skip
    sm.create_endpoint_config(EndpointConfigName="elsewhere", ProductionVariants=[variant])
    sm.create_endpoint(EndpointName="elsewhere", EndpointConfigName="elsewhere")
    ended = settled(sm, "elsewhere")
    assert ended["EndpointStatus"] == "Failed" and "serve: [" in ended["FailureReason"]


def test_a_script_in_a_framework_image_gets_its_contract_and_its_model_answers(
    cloud: Cloud, sm: Any
) -> None:
    """As `sagemaker.sklearn.SKLearn(entry_point=...)` of the SDK asks for it, and deploys it."""
    s3 = cloud.client("s3")
    s3.put_object(Bucket=BUCKET, Key="rows/train.csv", Body=b"0,0\n1,10\n2,20\n3,30\n")
    s3.put_object(Bucket=BUCKET, Key="code/sourcedir.tar.gz", Body=packed({"train.py": TRAIN}))
    job = trained(
        sm,
        training(
            "scikit",
            SCIKIT,
            {
                "sagemaker_program": '"train.py"',
                "sagemaker_submit_directory": f'"s3://{BUCKET}/code/sourcedir.tar.gz"',
                "sagemaker_region": '"us-east-1"',
                "_tuning_objective_metric": "auc",
                "alpha": "0.5",
                "n": '"text"',
            },
        ),
    )
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    name = "scikit"
    sm.create_model(
        **model(name, SCIKIT, job["ModelArtifacts"]["S3ModelArtifacts"], SAGEMAKER_PROGRAM="inf.py")
    )
    variant = {
        "VariantName": "all",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sm.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sm.create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert settled(sm, name)["EndpointStatus"] == "InService", settled(sm, name)
    ask = cloud.client("sagemaker-runtime").invoke_endpoint
    csv = ask(EndpointName=name, ContentType="text/csv", Accept="text/csv", Body=b"4\n5\n")
    assert [round(float(line)) for line in csv["Body"].read().split()] == [40, 50]
    told = ask(EndpointName=name, ContentType="application/json", Body=b"[[6]]")
    assert [round(value) for value in json.loads(told["Body"].read())] == [60]
    sm.delete_endpoint(EndpointName=name)


TRAIN = """
import argparse, json, os, pathlib, sys
import joblib, numpy as np
from sklearn.linear_model import LinearRegression
parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float)
parser.add_argument("-n")
parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
parser.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])
args = parser.parse_args()
assert (args.alpha, args.n) == (0.5, "text"), args
assert json.loads(os.environ["SM_HPS"]) == {"alpha": 0.5, "n": "text"}
assert json.loads(os.environ["SM_CHANNELS"]) == ["train"]
assert os.environ["SM_HP_ALPHA"] == "0.5" and os.environ["SM_CURRENT_HOST"] == "algo-1"
assert pathlib.Path.cwd() == pathlib.Path(__file__).parent
rows = np.genfromtxt(args.train + "/train.csv", delimiter=",")
model = LinearRegression().fit(rows[:, :1], rows[:, 1])
joblib.dump(model, args.model_dir + "/model.joblib")
code = pathlib.Path(args.model_dir) / "code"
code.mkdir()
(code / "inf.py").write_text('''
import joblib
def model_fn(model_dir):
    return joblib.load(model_dir + "/model.joblib")
''')
"""


def test_a_script_that_fails_says_so_as_the_toolkit_does(cloud: Cloud, sm: Any) -> None:
    code = packed({"train.py": "raise ValueError('no rows')"})
    cloud.client("s3").put_object(Bucket=BUCKET, Key="code/fails.tar.gz", Body=code)
    cloud.client("s3").put_object(Bucket=BUCKET, Key="rows/train.csv", Body=b"0,0\n")
    told = {
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": f"s3://{BUCKET}/code/fails.tar.gz",
    }
    reason = trained(sm, training("fails", SCIKIT, told))["FailureReason"]
    assert reason.startswith(
        'AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "ValueError: no rows"'
    )
    assert "exit code: 1" in reason


def test_xgboost_is_an_algorithm_where_its_library_is(tmp_path: Path) -> None:
    library = pytest.importorskip("xgboost")
    for folder in ("input/config", "input/data/train", "model"):
        (tmp_path / folder).mkdir(parents=True)
    rows = "".join(f"{n % 2},{n % 2},{n}\n" for n in range(100))
    (tmp_path / "input/data/train/rows.csv").write_text(rows)
    told = {
        "num_round": "5",
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "_tuning_objective_metric": "validation:error",
    }
    (tmp_path / "input/config/hyperparameters.json").write_text(json.dumps(told))
    done = subprocess.run(
        [sys.executable, "-m", "stacks.local.runtime.frameworks.train", "xgboost"],
        env={"OPT_ML": str(tmp_path), "PYTHONPATH": str(Path(library.__file__).parents[1])},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout + done.stderr
    assert "train-logloss" in printed and "train-error" in printed
    serving = serve.Serving("xgboost", tmp_path / "model")
    for body, kind in ((b"1,5\n0,4\n", "text/csv"), (b"0:1 1:5\n0:0 1:4\n", "text/libsvm")):
        answer, media = serving.answer(body, kind, "text/csv")
        high, low = [float(line) for line in answer.split()]
        assert media == "text/csv" and high > 0.5 > low


@pytest.mark.parametrize(
    ("written", "means"),
    [('"a"', "a"), ("3", 3), ("0.5", 0.5), ("true", True), ("a b", "a b"), ('{"a": 1}', {"a": 1})],
)
def test_hyperparameters_are_json_where_they_can_be(written: str, means: Any) -> None:
    assert script_mode.hyperparameters({"name": written}) == {"name": means}


def test_hyperparameters_become_arguments_by_name() -> None:
    own = {"layers": [1, 2], "b": 3, "alpha": None}
    assert script_mode.command_line(own) == ["--alpha", "", "-b", "3", "--layers", "[1, 2]"]


def packed(files: Mapping[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return out.getvalue()


def training(name: str, image: str, hyperparameters: Mapping[str, str]) -> dict[str, Any]:
    rows = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/rows"}
    machine = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
    return {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "HyperParameters": dict(hyperparameters),
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": rows}}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/models"},
        "ResourceConfig": machine,
        "StoppingCondition": {"MaxRuntimeInSeconds": 120},
    }


def trained(sm: Any, request: Mapping[str, Any]) -> Mapping[str, Any]:
    sm.create_training_job(**request)
    name = request["TrainingJobName"]
    return until(lambda: sm.describe_training_job(TrainingJobName=name), "TrainingJobStatus")


def model(name: str, image: str, data: str = "", **variables: str) -> dict[str, Any]:
    own = {"Image": image, "Environment": variables, **({"ModelDataUrl": data} if data else {})}
    return {"ModelName": name, "ExecutionRoleArn": ROLE, "PrimaryContainer": own}


def processing(image: str) -> dict[str, Any]:
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
    return {
        "ProcessingJobName": "stranger",
        "RoleArn": ROLE,
        "AppSpecification": {"ImageUri": image},
        "ProcessingResources": {"ClusterConfig": cluster},
    }
