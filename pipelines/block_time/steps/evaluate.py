"""Judge the saved quantiles on days they have not seen, beside the route's own, and log the run."""

from pipelines.block_time.feature_groups import TARGET
from pipelines.block_time.score import baseline, score
from pipelines.toolkit import evaluation, job
from pipelines.toolkit.evaluation import Judge

JUDGE = Judge(target=TARGET, slice_by="origin", score=score, baseline=baseline)


def main(argv: list[str]) -> None:
    evaluation.main(argv, JUDGE)


if __name__ == "__main__":
    job.run(main)
