"""How long will a flight be in the air, asked an hour before its departure?"""

from pipelines.block_time.feature_groups import FLIGHTS, ROUTES
from pipelines.workload import Model, Pipeline, Workload

WORKLOAD = Workload(
    name="block_time",
    owner="block-time",
    description="Minutes that a flight is in the air, with the range that 8 of 10 keep to",
    feature_groups={"flights": FLIGHTS, "routes": ROUTES},
    uses={"weather": ("hourly",)},
    stream_groups=("routes",),
    pipelines={
        "training": Pipeline(
            description="Ingests and checks flights, makes features, trains, gates, registers",
            build="pipelines.block_time.training:build",
            calls_aws={
                "Ingest": "reads the months of its window from the bucket",
                "Features": "writes to the feature store and reads it back",
                "Evaluate": "records the run in MLflow",
            },
            parameters={
                "TrainStart": "2013-01-01",
                "TrainEnd": "2013-03-01",
                "EvaluationDays": 14,
                "MaxMae": 7.5,
                "MaxPinball": 2.5,
            },
        )
    },
    model=Model(
        description="Minutes in the air between take-off and landing, asked an hour before "
        "departure",
        kind="regression",
        card={
            "purpose": "Plan crews, gates and connections by how long flights will really take",
            "intended_uses": "Planning by ranges of minutes. Not for fuel or separation, and not "
            "for airports and routes that the training window does not cover",
            "limits": "Winds aloft are in it as the latest flights felt them; cancelled and "
            "diverted flights are not in it. About 7 of 10 flights keep to the range, and not 8, "
            "when the season turns",
            "risk_rating": "Low",
            "risk_explanation": "A wrong answer costs minutes of a plan; nothing flies by it",
        },
    ),
    holdout="pipelines.block_time.holdout:holdout",
    score="pipelines.block_time.score:score",
)
