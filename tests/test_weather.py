"""The programs of the workload weather: features, and a whole run."""

from pathlib import Path

import numpy as np
import pytest

from pipelines.weather import derive
from pipelines.weather.feature_groups import HOURLY
from tests.pipelines_kit import NAMES, Jobs, month
from tests.steps_kit import client, deploy, publish_weather, report


def test_records_fit_the_schema_of_their_group() -> None:
    assert set(HOURLY.features) <= set(derive.hourly(month("weather", "2013-01")))


def test_weather_looks_back_by_the_clock_and_not_by_rows() -> None:
    raw = month("weather", "2013-01")
    raw = raw[(raw["origin"] == "JFK") & (raw["day"] == 16)].reset_index(drop=True)
    raw["precip"], raw["pressure"] = np.arange(len(raw), dtype=float), 1000.0 + np.arange(len(raw))
    gap = raw.drop(index=[9, 10])
    derived = derive.hourly(gap).set_index("hour")
    at = raw["hour"]
    assert derived.loc[at[8], "precip_3h"] == 8 + 7 + 6
    assert derived.loc[at[11], "precip_3h"] == 11
    assert derived.loc[at[8], "pressure_change_3h"] == 3
    assert np.isnan(derived.loc[at[12], "pressure_change_3h"])


def test_wind_faster_than_any_hurricane_is_no_wind() -> None:
    wind = derive.hourly(month("weather", "2013-02"))["wind_speed"]
    assert month("weather", "2013-02")["wind_speed"].max() > 1000
    assert wind.max() < 60


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, moto: str) -> Jobs:
    deploy(moto)
    return publish_weather(tmp_path_factory.mktemp("weather"), moto, "2013-02")


def test_a_run_fills_the_offline_store(run: Jobs) -> None:
    assert report(run, "validate", "report", "report.json")["suites"] == ["weather"]
    s3 = client("s3", run.endpoint_url)
    found = s3.get_paginator("list_objects_v2").paginate(
        Bucket=NAMES.bucket("data"), Prefix="features/plinth-test-weather-hourly/"
    )
    keys = [entry["Key"] for page in found for entry in page.get("Contents", [])]
    days = {key.partition("/year=")[2].partition("/hour=")[0] for key in keys}
    manifest = report(run, "ingest", "raw", "manifest.json")
    assert manifest["started"] == {"commit": "abc", "reason": "a test"}
    assert len(days) == 31 + 28 + 1  # in UTC, the last hours are the first of March


def test_a_month_that_is_not_there_ends_the_run(run: Jobs, tmp_path: Path) -> None:
    jobs = Jobs(workload="weather", folder=tmp_path, endpoint_url=run.endpoint_url)
    printed = jobs.run(
        *("ingest", "--data-bucket", NAMES.bucket("data")),
        *("--first-month", "2013-12", "--last-month", "2014-01"),
        expect=1,
    )
    assert "landing/weather/2014-01.csv" in printed.splitlines()[-1]
