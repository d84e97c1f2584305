"""The online store of a feature group: the newest record of each key, for who asks right now."""

from typing import Any

import pandas as pd

from pipelines.toolkit.feature_group import FeatureGroup
from pipelines.toolkit.point_in_time import newest


def put_newest(
    sagemaker: Any, runtime: Any, name: str, group: FeatureGroup, records: pd.DataFrame
) -> int:
    """Write the newest record of each key; how many, and none where the group is offline only."""
    if not sagemaker.describe_feature_group(FeatureGroupName=name).get("OnlineStoreConfig"):
        return 0
    latest = newest(records, group.record_identifier)[list(group.features)]
    for record in latest.to_dict("records"):
        runtime.put_record(
            FeatureGroupName=name, Record=_as_record(record), TargetStores=["OnlineStore"]
        )
    return len(latest)


def _as_record(values: dict[Any, Any]) -> list[dict[str, str]]:
    """A record in the runtime's form; a null is a feature left out."""
    return [
        {"FeatureName": str(name), "ValueAsString": str(value)}
        for name, value in values.items()
        if pd.notna(value)
    ]
