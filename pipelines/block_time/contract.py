"""The data contract of flown minutes: the schedule, and how long flights were in the air."""

from pipelines.toolkit.contract import expect
from pipelines.toolkit.flights import SCHEDULE

FLIGHTS = SCHEDULE.extended(
    numbers=("air_time", "dep_delay"),
    expectations=(
        # cancelled and diverted flights have none: 1 to 6 % in a month
        expect("column_values_to_not_be_null", column="air_time", mostly=0.8),
        expect("column_values_to_be_between", column="air_time", min_value=10, max_value=900),
        expect("column_values_to_be_between", column="dep_delay", min_value=-180, max_value=2880),
    ),
)
