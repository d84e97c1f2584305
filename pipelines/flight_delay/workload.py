"""Will a flight arrive 15 or more minutes late, asked an hour before its departure?"""

from pipelines.flight_delay.feature_groups import FLIGHTS
from pipelines.workload import Model, Pipeline, Workload

WORKLOAD = Workload(
    name="flight_delay",
    owner="flight-delay",
    description="Probability that a flight arrives 15 or more minutes late",
    feature_groups={"flights": FLIGHTS},
    uses={"weather": ("hourly",)},
    stream_groups=("flights",),
    pipelines={
        "training": Pipeline(
            description="Ingests and checks flights, makes features, trains, gates, registers",
            build="pipelines.flight_delay.training:build",
            calls_aws={
                "Ingest": "reads the months of its window from the bucket",
                "Features": "writes to the feature store and reads it back",
                "Evaluate": "records the run in MLflow",
            },
            parameters={
                "TrainStart": "2013-01-01",
                "TrainEnd": "2013-03-01",
                "EvaluationDays": 14,
                "AucThreshold": 0.65,
            },
        )
    },
    model=Model(
        description="Will a flight arrive 15 or more minutes late, asked an hour before departure",
        kind="classification",
        card={
            "purpose": "Warn travellers and crews of a likely delay while they can still act on it",
            "intended_uses": "Ranking departures by risk. Not for compensation claims, and not for "
            "airports, carriers or years that the training window does not cover",
            "limits": "Holidays and rare weather are few in the window; diverted and cancelled "
            "flights are not in it",
            "risk_rating": "Low",
            "risk_explanation": "A wrong answer costs attention; no decision about a person rests "
            "on it",
        },
    ),
    holdout="pipelines.flight_delay.holdout:holdout",
    score="pipelines.flight_delay.score:score",
)
