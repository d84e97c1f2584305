"""Flights with known outcomes from days that no run has seen: what a deployed model is asked."""

from pipelines.holdout import Holdout, Source, spans, to_records, within


def holdout(source: Source, days: int) -> Holdout:
    """Every flight that arrived in the days after the evaluation days.

    Flights come from the landing data through the code of the Features step, and not from the
    feature store: runs fill the store, and these days belong to none yet. The weather is read as
    the step reads it.
    """
    from pipelines.flight_delay import derive
    from pipelines.flight_delay.feature_groups import COLUMNS, TARGET, WEATHER
    from pipelines.flight_delay.score import baseline
    from pipelines.toolkit import flights, landing, used_features
    from pipelines.toolkit.offline_store import OfflineStore

    s3, window = source.client("s3"), source.window()
    months = window.months(further_days=days)
    objects = landing.fetch(s3, source.data_bucket, months, flights.WANTED)
    raw, planes, airports = (landing.table(objects, n) for n in ("flights", "planes", "airports"))
    asked = spans(window, days, flights.ASKED_BEFORE)
    begin, end = asked.held_out
    name = source.feature_groups["weather.hourly"]
    store = OfflineStore.of(source.client("sagemaker"), s3, name, WEATHER)
    observed = used_features.read(
        store, begin - derive.WEATHER_MAX_AGE, end, pipeline="pipeline ingest of workload weather"
    )
    questions, records = derive.questions(raw), derive.flights(raw, planes, airports)
    known = derive.answer(within(questions, asked.held_out), records, observed)
    trained = within(questions, asked.trained)
    return Holdout(
        records=to_records(known[[*COLUMNS.numeric, *COLUMNS.categorical]]),
        truth=known[TARGET].tolist(),
        baseline=baseline(trained, known),
    )
