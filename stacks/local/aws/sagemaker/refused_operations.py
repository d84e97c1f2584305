"""Operations of SageMaker that the local cloud refuses, and why."""

import re

REASONS = (
    (r"(LabelingJob|Workteam)", "nobody labels here"),
    (r"(AutoML)", "no search for models is built; run a training job or a tuning job"),
    (r"(InferenceRecommendations|ScalingConfigurationRec|AIBenchmark|AIRecommendation)",
     "one machine says nothing of instance types"),
    (r"(Compilation|Optimization|EdgePackaging)", "no model is compiled for other hardware"),
    (r"(EdgeDeploymentStage|StageDevices|FleetReport)", "no device is reached from here"),
    (r"(HubContentReference|HubContentPresigned|ListModelMetadata|ResourceCatalogs)",
     "there is no public hub"),
    (r"(Cluster)", "a recorded cluster has no nodes"),
    (r"(TrainingPlan|ReservedCapacity|UltraServer)", "capacity is neither sold nor reserved here"),
    (r"(InferenceExperiment)", "give the endpoint configuration a shadow variant instead"),
    (r"(PresignedDomain|PresignedNotebook|PartnerAppPresigned|StartSession)",
     "nothing stands behind the address"),
    (r"(RenderUiTemplate|SubscribedWorkteam)", "nobody works on a template here"),
    (r"(MonitoringAlert)", "a monitor raises no alert here"),
    (r"ModelCardExportJob", "no PDF is made here"),
    (r"InferenceRouter", "no router runs here; name the endpoint, or weigh its variants"),
    (r"(TrainingSession|^[A-Z][a-z]+Jobs?$|JobSchemaVersion)",
     "no foundation model is tuned here; run a training job"),
    (r"UpdateTrainingJob", "a local job is neither profiled nor kept warm"),
)  # fmt: skip
"""Pattern of an operation's name -> why it is not done."""


def reason(operation: str) -> str:
    """Why an operation is not answered."""
    return next((why for form, why in REASONS if re.search(form, operation)), "nobody has built it")
