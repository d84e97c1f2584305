"""Features out of raw observations: the hour itself, and what changed in the three hours before."""

import pandas as pd

from pipelines.toolkit.feature_group import EVENT_TIME
from pipelines.toolkit.point_in_time import instants, iso

WIND_LIMIT = 150.0
"""Miles per hour; more is an instrument's fault (the source holds one reading of 1048)."""


def hourly(raw: pd.DataFrame) -> pd.DataFrame:
    """The records of the feature group `hourly`, one per airport and hour."""
    raw = raw.assign(at=instants(raw["time_hour"])).sort_values(["origin", "at"], kind="stable")
    records = raw.rename(columns={"at": EVENT_TIME}).reset_index(drop=True)
    records["wind_speed"] = records["wind_speed"].where(records["wind_speed"] <= WIND_LIMIT)
    by_time = records.set_index(EVENT_TIME).groupby("origin", sort=True)
    records["precip_3h"] = by_time["precip"].rolling("3h").sum().to_numpy()
    earlier = records[["origin", EVENT_TIME, "pressure"]].rename(columns={"pressure": "earlier"})
    earlier[EVENT_TIME] += pd.Timedelta(hours=3)
    records = records.merge(earlier, on=["origin", EVENT_TIME], how="left")
    records["pressure_change_3h"] = records["pressure"] - records["earlier"]
    records[EVENT_TIME] = iso(records[EVENT_TIME])
    return records
