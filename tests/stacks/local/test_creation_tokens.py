"""A request to create that is sent again with its token makes nothing more (CreatePipeline, API
reference, ClientRequestToken)."""

import json
from typing import Any

from tests.kits.local_cloud import ROLE
from tests.kits.sagemaker_alone import Account

FAILS = {"Name": "F", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}
DEFINITION = json.dumps({"Version": "2020-12-01", "Steps": [FAILS]})
TOKEN, OTHER = "a" * 32, "b" * 32


def create(account: Account, token: str, **more: Any) -> str:
    asked = {"PipelineName": "flights", "RoleArn": ROLE, "PipelineDefinition": DEFINITION, **more}
    arn: str = account.call("CreatePipeline", **asked, ClientRequestToken=token)["PipelineArn"]
    return arn


def test_a_pipeline_is_made_once_by_one_token() -> None:
    account = Account()
    arn = create(account, TOKEN)
    account.call("UpdatePipeline", PipelineName="flights", PipelineDisplayName="Shown")
    assert create(account, TOKEN) == arn
    shown = account.call("DescribePipeline", PipelineName="flights")
    assert shown["PipelineDisplayName"] == "Shown" and "CreationToken" not in shown
    assert len(account.call("ListPipelines")["PipelineSummaries"]) == 1


def test_another_token_meets_a_name_that_is_taken() -> None:
    account = Account()
    create(account, TOKEN)
    code, message = account.refusal(
        "CreatePipeline",
        PipelineName="flights",
        RoleArn=ROLE,
        PipelineDefinition=DEFINITION,
        ClientRequestToken=OTHER,
    )
    assert (code, "already exists" in message) == ("ValidationException", True)
    assert create(account, TOKEN, PipelineName="other").endswith(":pipeline/other")
