"""Flights with known outcomes from days that no run has seen: what a deployed model is asked."""

import io
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def holdout(*, start: str, days: int, s3: Any, bucket: str) -> "pd.DataFrame":
    """The model's features and the label of every flight of these local days that arrived.

    The records come from the landing data through the code of the Features step, but not from the
    feature store: the store is filled by runs of the pipeline, and these days belong to none yet.
    """
    import pandas as pd

    from pipelines.steps import derive, landing, tables
    from pipelines.steps.feature_groups import CATEGORICAL, NUMERIC, TARGET
    from pipelines.steps.window import midnight, months

    first = date.fromisoformat(start)
    after = first + timedelta(days=days)
    objects = landing.fetch(s3, bucket, months(first, after))

    def table(dataset: str) -> pd.DataFrame:
        parts = [
            tables.read(io.BytesIO(content))
            for key, content in objects.items()
            if key == landing.key(dataset) or key.startswith(f"landing/{dataset}/")
        ]
        return pd.concat(parts, ignore_index=True)

    raw = table("flights")
    asked = derive.questions(raw)
    begin, end = (midnight(day) - derive.ASKED_BEFORE for day in (first, after))
    known = derive.answer(
        asked[(asked["at"] >= begin) & (asked["at"] < end)],
        derive.flights(raw, table("planes"), table("airports")),
        derive.weather(table("weather")),
    )
    return known[[*NUMERIC, *CATEGORICAL, TARGET]]
