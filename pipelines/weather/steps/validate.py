"""Check every month of observations against the contract, and set the failing rows aside."""

from pipelines.toolkit import job, validation
from pipelines.weather.contract import WEATHER


def main(argv: list[str]) -> None:
    validation.main(argv, [WEATHER])


if __name__ == "__main__":
    job.run(main)
