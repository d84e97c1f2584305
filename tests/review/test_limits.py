"""Limits of an environment, to which all of its stacks add, in the review of one of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date

import pytest

from policies.config import PolicyConfig
from policies.data import Data, Resource
from policies.review.compare import compare
from policies.review.model import StackChange
from policies.review.report import Context, Report, review
from stacks.review.cost import parts
from stacks.review.gpus import ALONE, Beside
from stacks.sizing.prices.table import price_table

STACK, OTHER = "prod.cluster", "prod.flight_delay"
Make = Callable[[str, int], Resource]
"""A resource of a stack that is as large as this."""

CONTEXT = Context(config=PolicyConfig(production=True), today=date(2026, 1, 15))


def resource(stack: str, token: str, **inputs: object) -> Resource:
    data = Data(inputs)
    return Resource(
        type=token, name="one", urn=f"urn:pulumi:{stack}::plinth::{token}::one", inputs=data,
        outputs=data,
    )  # fmt: skip


def nodes(stack: str, count: int) -> Resource:
    """Nodes with four GPUs each."""
    scaling = {"minSize": count, "desiredSize": count, "maxSize": count}
    token = "aws:eks/nodeGroup:NodeGroup"
    return resource(stack, token, instanceTypes=["g6.12xlarge"], scalingConfig=scaling)


def pipeline(stack: str, hours: int) -> Resource:
    step = {"Name": "Train", "Type": "Training", "Arguments": {
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": hours * 3600}}}  # fmt: skip
    text = json.dumps({"Version": "2020-12-01", "Parameters": [], "Steps": [step]})
    return resource(stack, "aws:sagemaker/pipeline:Pipeline", pipelineDefinition=text)


def judged(
    change: StackChange, beside: Beside, *, cost: float = 1e9, gpus: int = 10**6, run: float = 1e9
) -> Report:
    spending = parts(
        price_table("us-east-1"),
        cost_usd_max=cost,
        gpus_max=gpus,
        run_usd_max=run,
        beside=beside,
    )
    return review(change, CONTEXT, spending)


def grown(*sides: Resource) -> StackChange:
    return compare(STACK, sides[:1], sides[1:])


def messages(report: Report) -> list[str]:
    return [reason.message for reason in report.reasons]


@pytest.mark.parametrize(
    ("beside", "told"),
    [
        ([], []),
        ([[nodes(OTHER, 1)]], []),
        (
            [[nodes(OTHER, 1)], [nodes(OTHER, 2)]],
            ["up to 20 GPUs could run in the environment, at most 16 are allowed"],
        ),
    ],
)
def test_gpus_of_all_stacks_count(beside: Sequence[Sequence[Resource]], told: list[str]) -> None:
    report = judged(grown(nodes(STACK, 1), nodes(STACK, 2)), beside, gpus=16)
    assert messages(report) == told
    assert report.decision == ("blocked" if told else "safe")


def test_the_price_of_all_stacks_counts_and_stands_above_that_of_one() -> None:
    change, price = grown(nodes(STACK, 1), nodes(STACK, 2)), nodes_price()
    alone = judged(change, [], cost=3 * price)
    assert (messages(alone), alone.decision) == ([], "safe")
    both = judged(change, [[nodes(OTHER, 2)]], cost=3 * price)
    [message] = messages(both)
    assert message == (
        f"the environment would cost ${4 * price:,.2f} a month, more than ${3 * price:,.2f}"
    )
    section = both.section("cost")
    assert section
    assert [row.cells[0] for row in section.rows[:2]] == ["the environment", "the stack"]
    assert section.rows[0].cells[2] == f"${4 * price:,.2f}"
    assert section.rows[1].cells[2] == f"${2 * price:,.2f}"
    assert section.data["after"]["expected"] == pytest.approx(2 * price, abs=0.01)
    assert section.data["environment"]["expected"] == pytest.approx(4 * price, abs=0.01)


def nodes_price() -> float:
    """US dollars a month of one of the nodes, to the cent."""
    section = judged(grown(nodes(STACK, 1), nodes(STACK, 1)), []).section("cost")
    assert section
    return float(section.data["after"]["expected"])


def test_runs_of_all_pipelines_count() -> None:
    change = grown(pipeline(STACK, 1), pipeline(STACK, 10))
    assert messages(judged(change, [], run=2)) == []
    [message] = messages(judged(change, [[pipeline(OTHER, 10)]], run=2))
    assert message == ("one run of every pipeline of the environment costs up to $2.30, over $2.00")


@pytest.mark.parametrize("make", [nodes, pipeline])
def test_what_does_not_grow_is_not_held_against_what_others_need(make: Make) -> None:
    beside = [[nodes(OTHER, 100), pipeline(OTHER, 1000)]]
    shrunk = grown(make(STACK, 2), make(STACK, 1))
    assert messages(judged(shrunk, beside, cost=1, gpus=1, run=0.1)) == []


@pytest.mark.parametrize(("make", "name"), [(nodes, "cost"), (nodes, "gpus"), (pipeline, "jobs")])
@pytest.mark.parametrize(("sides", "untold"), [((1, 2), True), ((2, 1), False)])
def test_without_a_look_at_the_others_a_review_says_so_where_it_matters(
    make: Make, name: str, sides: tuple[int, int], untold: bool
) -> None:
    section = judged(grown(*(make(STACK, size) for size in sides)), None).section(name)
    assert section
    assert (ALONE in section.notes) == untold


def test_what_becomes_unpriced_is_no_saving() -> None:
    unpriced = nodes(STACK, 1)
    inputs = Data({**unpriced.inputs.value, "instanceTypes": ["x99.metal"]})
    change = grown(nodes(STACK, 1), replace(unpriced, inputs=inputs, outputs=inputs))
    section = judged(change, [], cost=10**6).section("cost")
    assert section
    assert section.rows[0].cells == ("the stack", *["$0.00 or more"] * 3, *["not known"] * 2)
    assert section.data["added_expected"] is None
    assert [reason.risk for reason in section.reasons] == ["medium"]
