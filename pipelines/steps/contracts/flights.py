"""The contract of the flights: who flew where, when it was scheduled, how late it was."""

from pipelines.steps.contracts.contract import Contract, expect

ORIGINS = ["EWR", "JFK", "LGA"]
KEY = ["year", "month", "day", "carrier", "flight", "origin"]
REQUIRED = ("carrier", "flight", "origin", "dest", "distance", "sched_dep_time", "sched_arr_time")

FLIGHTS = Contract(
    name="flights",
    texts=("carrier", "dest", "origin", "tailnum", "time_hour"),
    numbers=(
        *("year", "month", "day", "hour", "minute", "flight", "distance", "air_time"),
        *("sched_dep_time", "dep_time", "dep_delay", "sched_arr_time", "arr_time", "arr_delay"),
    ),
    rows_per_day=700,
    expectations=(
        *(expect("column_values_to_not_be_null", column=column) for column in REQUIRED),
        # cancelled flights have no arrival: 1 to 6 % in a month
        expect("column_values_to_not_be_null", column="arr_delay", mostly=0.8),
        expect("column_values_to_match_regex", column="carrier", regex="^[A-Z0-9]{2}$"),
        expect("column_values_to_match_regex", column="dest", regex="^[A-Z]{3}$"),
        expect("column_values_to_be_in_set", column="origin", value_set=ORIGINS),
        expect("column_values_to_be_between", column="distance", min_value=1, max_value=6000),
        expect("column_values_to_be_between", column="hour", min_value=0, max_value=23),
        expect("column_values_to_be_between", column="minute", min_value=0, max_value=59),
        # clock times as hours and minutes, HHMM
        expect("column_values_to_be_between", column="sched_dep_time", min_value=0, max_value=2359),
        expect("column_values_to_be_between", column="sched_arr_time", min_value=0, max_value=2400),
        expect("column_values_to_be_between", column="dep_time", min_value=0, max_value=2400),
        expect("column_values_to_be_between", column="arr_time", min_value=0, max_value=2400),
        expect("column_values_to_be_between", column="arr_delay", min_value=-180, max_value=2880),
        expect("compound_columns_to_be_unique", column_list=KEY),
    ),
)
