"""Members of the requests about monitoring: what is kept and shown only, and what is refused.

A definition has the same parts by its own name and inside of a schedule, under other words.
"""

from collections.abc import Mapping

from stacks.local.aws.sagemaker.monitoring_definitions import KINDS
from stacks.local.aws.sagemaker.reasons import KEY, MACHINE

ANALYZER = "the analyzers that read it are not here"
OF_INPUTS: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "FeaturesAttribute",
            "ExcludeFeaturesAttribute",
        ),
        ANALYZER,
    ),
    "S3InputMode": "files are there before the job begins",
    "S3DataDistributionType": MACHINE,
}
ONE_MACHINE = "a local job is one process on one machine"
INLINE = "MonitoringScheduleConfig.MonitoringJobDefinition"


def _recorded(inputs: str, outputs: str, cluster: str) -> dict[str, str]:
    of_inputs = {
        f"{inputs}.{source}.{member}": why
        for source in ("EndpointInput", "BatchTransformInput")
        for member, why in OF_INPUTS.items()
    }
    of_outputs = {
        f"{outputs}.KmsKeyId": KEY,
        f"{outputs}.MonitoringOutputs[].S3Output.S3UploadMode": "results are uploaded at the end",
    }
    return {**of_inputs, **of_outputs, f"{cluster}.InstanceType": MACHINE}


IN_SCHEDULE = _recorded(
    f"{INLINE}.MonitoringInputs[]",
    f"{INLINE}.MonitoringOutputConfig",
    f"{INLINE}.MonitoringResources.ClusterConfig",
)
TOO_MANY = {f"{INLINE}.MonitoringResources.ClusterConfig.InstanceCount > `1`": ONE_MACHINE}

RECORDED: Mapping[str, Mapping[str, str]] = {
    "CreateMonitoringSchedule": IN_SCHEDULE,
    "UpdateMonitoringSchedule": IN_SCHEDULE,
    **{
        f"Create{kind}JobDefinition": {
            **_recorded(f"{kind}JobInput", f"{kind}JobOutputConfig", "JobResources.ClusterConfig"),
            f"{kind}BaselineConfig.BaseliningJobName": "what it wrote is named by its address",
        }
        for kind in KINDS
    },
}
REFUSED: Mapping[str, Mapping[str, str]] = {
    "CreateMonitoringSchedule": TOO_MANY,
    "UpdateMonitoringSchedule": TOO_MANY,
    **{
        f"Create{kind}JobDefinition": {
            "JobResources.ClusterConfig.InstanceCount > `1`": ONE_MACHINE
        }
        for kind in KINDS
    },
}
