"""Check every month of raw flights against the contract, and set the failing rows aside."""

from pipelines.block_time.contract import FLIGHTS
from pipelines.toolkit import job, validation


def main(argv: list[str]) -> None:
    validation.main(argv, [FLIGHTS])


if __name__ == "__main__":
    job.run(main)
