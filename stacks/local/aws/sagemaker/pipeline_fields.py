"""Members of the requests about pipelines: what acts and what is kept and shown only."""

from collections.abc import Mapping

from stacks.local.aws.sagemaker.reasons import ACCESS, ACCOUNTING

FIELDS: Mapping[str, frozenset[str]] = {
    "CreatePipeline": frozenset(
        {
            "PipelineName",
            "PipelineDisplayName",
            "PipelineDefinition",
            "PipelineDefinitionS3Location",
            "ParallelismConfiguration",
            "Tags",
            "ClientRequestToken",
        }
    ),
    "DescribePipeline": frozenset({"PipelineName", "PipelineVersionId"}),
    "DescribePipelineDefinitionForExecution": frozenset({"PipelineExecutionArn"}),
    "DescribePipelineExecution": frozenset({"PipelineExecutionArn"}),
    "ListPipelineExecutionSteps": frozenset(
        {"PipelineExecutionArn", "NextToken", "MaxResults", "SortOrder"}
    ),
    "ListPipelineExecutions": frozenset(
        {
            "PipelineName",
            "CreatedAfter",
            "CreatedBefore",
            "SortBy",
            "SortOrder",
            "NextToken",
            "MaxResults",
        }
    ),
    "ListPipelineParametersForExecution": frozenset(
        {"PipelineExecutionArn", "NextToken", "MaxResults"}
    ),
    "ListPipelineVersions": frozenset(
        {
            "PipelineName",
            "CreatedAfter",
            "CreatedBefore",
            "SortOrder",
            "NextToken",
            "MaxResults",
        }
    ),
    "RetryPipelineExecution": frozenset(
        {"PipelineExecutionArn", "ClientRequestToken", "ParallelismConfiguration"}
    ),
    "SendPipelineExecutionStepFailure": frozenset(
        {"CallbackToken", "FailureReason", "ClientRequestToken"}
    ),
    "SendPipelineExecutionStepSuccess": frozenset(
        {"CallbackToken", "OutputParameters", "ClientRequestToken"}
    ),
    "StartPipelineExecution": frozenset(
        {
            "PipelineName",
            "PipelineExecutionDisplayName",
            "PipelineParameters",
            "PipelineExecutionDescription",
            "ClientRequestToken",
            "ParallelismConfiguration",
            "PipelineVersionId",
            "SelectiveExecutionConfig",
        }
    ),
    "StopPipelineExecution": frozenset({"PipelineExecutionArn"}),
    "UpdatePipeline": frozenset(
        {
            "PipelineName",
            "PipelineDisplayName",
            "PipelineDefinition",
            "PipelineDefinitionS3Location",
            "ParallelismConfiguration",
        }
    ),
    "UpdatePipelineExecution": frozenset(
        {
            "PipelineExecutionArn",
            "PipelineExecutionDisplayName",
            "PipelineExecutionDescription",
            "ParallelismConfiguration",
        }
    ),
    "UpdatePipelineVersion": frozenset(
        {
            "PipelineArn",
            "PipelineVersionId",
            "PipelineVersionDisplayName",
            "PipelineVersionDescription",
        }
    ),
}
"""Operation -> members that act."""

RECORDED: Mapping[str, Mapping[str, str]] = {
    "CreatePipeline": {
        "PipelineDescription": ACCOUNTING,
        "RoleArn": ACCESS,
    },
    "DeletePipeline": {"ClientRequestToken": "a second delete finds nothing"},
    "StartPipelineExecution": {"RoleArn": ACCESS},
    "StopPipelineExecution": {"ClientRequestToken": "a second stop changes nothing"},
    "UpdatePipeline": {"PipelineDescription": ACCOUNTING, "RoleArn": ACCESS},
}
"""Operation -> member -> why it is kept without effect."""
