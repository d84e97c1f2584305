"""What jobs read and write: looked for when they are made, listed by manifests, or their own."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.kits.local_cloud import (
    BUCKET,
    ROLE,
    Cloud,
    process,
    refusal,
    s3_input,
    s3_output,
    train,
    trusted_role,
)

INPUT = "/opt/ml/processing/input"


@pytest.fixture(scope="module")
def s3(cloud: Cloud) -> Any:
    client = cloud.client("s3")
    for key in ("rows/a", "rows/b", "rows/deep/c"):
        client.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    listed = [{"prefix": f"s3://{BUCKET}/rows/"}, "b", "deep/c"]
    client.put_object(Bucket=BUCKET, Key="lists/some.json", Body=json.dumps(listed).encode())
    return client


def channel(uri: str, name: str = "train", kind: str = "S3Prefix") -> dict[str, Any]:
    source = {"S3DataType": kind, "S3Uri": uri}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def nothing(uri: str, bucket: str, role: str = ROLE) -> str:
    """AWS's words, as CreateTrainingJob and CreateTransformJob were seen to say them."""
    return (
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that '
        "the bucket exists in the selected region (us-east-1), that objects exist under that S3 "
        f'prefix, and that the role "{role}" has "s3:ListBucket" permissions on bucket "{bucket}".'
    )


@pytest.mark.parametrize("bucket", [BUCKET, "no-such-bucket-here"])
def test_a_training_job_over_nothing_is_refused_and_not_made(sm: Any, s3: Any, bucket: str) -> None:
    uri = f"s3://{bucket}/nothing-here/"
    given = [channel(f"s3://{BUCKET}/rows/"), channel(uri, "validation")]
    name = f"over-nothing-{bucket[:2]}"
    told = refusal(train, sm=sm, name=name, code="pass", InputDataConfig=given)
    assert told[:2] == ("ValidationException", nothing(uri, bucket))
    assert refusal(sm.describe_training_job, TrainingJobName=name)[1] == (
        "Requested resource not found."
    )


def test_a_role_that_may_not_list_is_told_the_same(cloud: Cloud, sm: Any, s3: Any) -> None:
    trusted_role(cloud.client("iam"), "reads-alone", Action="s3:GetObject")
    role = ROLE.replace(ROLE.rpartition("/")[2], "reads-alone")
    uri = f"s3://{BUCKET}/rows/"
    told = refusal(
        train, sm=sm, name="unlisted", code="pass", InputDataConfig=[channel(uri)], RoleArn=role
    )
    assert told[1] == nothing(uri, BUCKET, role)


def test_channels_are_not_called_the_same_nor_inputs_put_in_one_folder(sm: Any, s3: Any) -> None:
    uri = f"s3://{BUCKET}/rows/"
    told = refusal(
        train, sm=sm, name="twice", code="pass", InputDataConfig=[channel(uri), channel(uri)]
    )
    assert told[:2] == ("ValidationException", "ChannelName must be unique, got ['train', 'train']")
    inputs = [s3_input(uri, INPUT), {**s3_input(uri, INPUT), "InputName": "other"}]
    told = refusal(process, sm=sm, name="twice", code="pass", ProcessingInputs=inputs)
    assert told[0] == "ValidationException" and told[1].startswith("LocalPath of ProcessingInputs")


LISTS = "import os; print(sorted(f for _, _, fs in os.walk('{}') for f in fs))"


def log(cloud: Cloud, job: str) -> str:
    return (cloud.home / "local" / "jobs" / job / "log.txt").read_text().strip()


def test_a_manifest_says_which_objects_are_brought(cloud: Cloud, sm: Any, s3: Any) -> None:
    uri = f"s3://{BUCKET}/lists/some.json"
    folder = "/opt/ml/input/data/train"
    trained = train(
        sm,
        "listed",
        LISTS.format(folder) + f"; print(open('{folder}/deep/c').read())",
        InputDataConfig=[channel(uri, kind="ManifestFile")],
    )
    assert trained["TrainingJobStatus"] == "Completed", trained
    assert log(cloud, "listed").splitlines() == ["['b', 'c']", "rows/deep/c"]
    given = s3_input(uri, INPUT)
    given["S3Input"]["S3DataType"] = "ManifestFile"
    processed = process(sm, "listed-too", LISTS.format(INPUT), ProcessingInputs=[given])
    assert processed["ProcessingJobStatus"] == "Completed", processed
    assert log(cloud, "listed-too") == "['b', 'c']"


def statuses(job: Mapping[str, Any]) -> list[str]:
    return [one["Status"] for one in job["SecondaryStatusTransitions"]]


def test_a_training_job_says_how_far_it_is(sm: Any) -> None:
    way = ["Starting", "Downloading", "Training", "Uploading"]
    done = train(sm, "says-how-far", "print(1)")
    assert statuses(done) == [*way, "Completed"]
    ends = [one["EndTime"] for one in done["SecondaryStatusTransitions"][:-1]]
    begins = [one["StartTime"] for one in done["SecondaryStatusTransitions"][1:]]
    assert ends == begins
    assert statuses(train(sm, "fails-far", "raise SystemExit(3)")) == [*way, "Failed"]


def test_what_the_program_manages_is_left_to_it(sm: Any, s3: Any) -> None:
    """AppManaged: neither brought nor taken away; a feature group is only written so."""
    unread = {**s3_input(f"s3://{BUCKET}/nothing-here", INPUT), "AppManaged": True}
    outputs = s3_output(f"s3://{BUCKET}/managed", "/opt/ml/processing/output")["Outputs"]
    outputs[0]["AppManaged"] = True
    to_group = {"OutputName": "group", "FeatureStoreOutput": {"FeatureGroupName": "weather"}}
    given = {
        "ProcessingInputs": [unread],
        "ProcessingOutputConfig": {"Outputs": [*outputs, {**to_group, "AppManaged": True}]},
    }
    code = (
        "import os; os.makedirs('/opt/ml/processing/output', exist_ok=True);"
        "open('/opt/ml/processing/output/f', 'w').write('x');"
        f"assert not os.path.exists('{INPUT}')"
    )
    job = process(sm, "manages", code, **given)
    assert job["ProcessingJobStatus"] == "Completed", job
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="managed")["KeyCount"] == 0
    told = refusal(
        process, sm=sm, name="group", code="pass", ProcessingOutputConfig={"Outputs": [to_group]}
    )
    assert told[:2] == (
        "ValidationException",
        "FeatureStoreOutput is only supported when AppManaged is specified",
    )
