"""The contract of the hourly weather at the airports of origin."""

from pipelines.toolkit.contract import Contract, expect
from pipelines.toolkit.flights import ORIGINS

MEASURED = ("temp", "dewp", "humid", "wind_speed", "precip", "visib")

WEATHER = Contract(
    name="weather",
    texts=("origin", "time_hour"),
    numbers=(
        *("year", "month", "day", "hour"),
        *(*MEASURED, "wind_dir", "wind_gust", "pressure"),
    ),
    rows_per_day=60,  # 72 when no station misses an hour
    days_missing=1,  # 2013 ends on December 30
    expectations=(
        expect("column_values_to_be_in_set", column="origin", value_set=ORIGINS),
        *(
            expect("column_values_to_not_be_null", column=column, mostly=0.99)
            for column in MEASURED
        ),
        expect("column_values_to_be_between", column="temp", min_value=-40, max_value=130),
        expect("column_values_to_be_between", column="humid", min_value=0, max_value=100),
        # one reading of 2013 says 1048 miles per hour; features drop such values
        expect(
            "column_values_to_be_between",
            column="wind_speed",
            min_value=0,
            max_value=150,
            mostly=0.99,
        ),
        expect("column_values_to_be_between", column="precip", min_value=0, max_value=10),
        expect("column_values_to_be_between", column="pressure", min_value=850, max_value=1100),
        expect("compound_columns_to_be_unique", column_list=["origin", "time_hour"]),
    ),
)
