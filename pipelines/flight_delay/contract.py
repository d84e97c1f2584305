"""The data contract of flight delays: the schedule, and how late flights were."""

from pipelines.toolkit.contract import expect
from pipelines.toolkit.flights import SCHEDULE

FLIGHTS = SCHEDULE.extended(
    numbers=("air_time", "dep_time", "dep_delay", "arr_time", "arr_delay"),
    expectations=(
        # cancelled flights have no arrival: 1 to 6 % in a month
        expect("column_values_to_not_be_null", column="arr_delay", mostly=0.8),
        expect("column_values_to_be_between", column="dep_time", min_value=0, max_value=2400),
        expect("column_values_to_be_between", column="arr_time", min_value=0, max_value=2400),
        expect("column_values_to_be_between", column="arr_delay", min_value=-180, max_value=2880),
    ),
)
