"""Judge the saved classifier on days it has not seen, beside the base rate, and log the run."""

from pipelines.flight_delay.feature_groups import TARGET
from pipelines.flight_delay.score import baseline, score
from pipelines.toolkit import evaluation, job
from pipelines.toolkit.evaluation import Judge

JUDGE = Judge(target=TARGET, slice_by="origin", score=score, baseline=baseline)


def main(argv: list[str]) -> None:
    evaluation.main(argv, JUDGE)


if __name__ == "__main__":
    job.run(main)
