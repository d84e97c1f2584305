"""All rules over thousands of resources, beside Checkov and beside CrossGuard running our rules.

    python tests/bench/policies.py [--resources 10000] [--pairs 5] [--stacks 1000] [--part PART]
                                   [--json] [--checkov PATH]

The resources are those that the stacks of the four environments register, repeated under other
names until there are enough. Sides of a comparison alternate, so that the load of the machine falls
on both alike; processor seconds stand beside seconds, as a busy machine disturbs them less.

evaluate    Every rule over all resources, once they are read.
checkov     The same AWS resources for both, of types that Checkov has checks for, for Checkov as a
            Terraform plan. Seconds per resource are the slope between two sizes, so no start-up
            counts: of judging alone, and with reading, which Checkov's number always contains.
            Checkov is not ours to install: python -m venv V && V/bin/pip install checkov==3.3.30,
            then --checkov V/bin/checkov
crossguard  What `pulumi preview` takes longer with the pack than without, between two sizes, and
            whether it says what the evaluator says.
mutations   Whether the SDK's analyzer and the evaluator give the same verdicts about stacks in
            which something is changed: half of them cases of single rules, half parts of
            environments.
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

# ruff: noqa: E402
from policies.config import PolicyConfig
from policies.data import Resource
from policies.offline import RuleFinding, evaluate
from policies.reading import definition, documents, secrets
from policies.rules import RULES
from stacks.policy_config import policy_config
from stacks.settings.load import load
from stacks.stack_name import StackName, stacks_of
from stacks.synth import of_json, recorded, synth_of, to_json
from tests.bench import checkov, crossguard
from tests.kits.crossguard import differences, part
from tests.policies.test_policies import CASES

ENVIRONMENTS = ("local", "dev", "staging", "prod")
SECONDS = 0.5
CHECKOV_RATIO, CROSSGUARD_RATIO = 100, 50
AWS_SIZES = (200, 1000)
PREVIEW_SIZES = (30, 150)
PART_RESOURCES = 12
"""Drawn from an environment for one mutated stack; what they depend on comes with them."""

Result = dict[str, Any]
Stacks = dict[StackName, list[Resource]]
Runs = dict[int, list[tuple[float, float]]]


def synthesized() -> Stacks:
    """What each stack of the environments registers."""
    return {stack: synth_of(stack) for env in ENVIRONMENTS for stack in stacks_of(env)}


def repeated(
    stacks: Stacks, number_of: int, wanted: Callable[[Resource], bool] = lambda item: True
) -> list[Resource]:
    """The stacks under numbered names of their own until there are enough resources."""
    texts = {stack: to_json(found) for stack, found in stacks.items()}
    named = {
        stack: re.compile(
            '"(' + "|".join(re.escape(item.name) for item in found if "-" in item.name) + ')"'
        )
        for stack, found in stacks.items()
    }
    made: list[Resource] = []
    number = 0
    while len(made) < number_of:
        for stack, text in texts.items():
            number += 1
            copy = text.replace(f"urn:pulumi:{stack}::", f"urn:pulumi:{stack}-{number}::")
            copy = copy.replace("arn:aws:mock:::", f"arn:aws:mock:::{number}-")
            copy = copy.replace(f"plinth-{stack.env}", f"plinth-{stack.env}-{number}")
            copy = named[stack].sub(rf'"{number}-\1"', copy)
            made += [item for item in of_json(copy) if wanted(item)]
    return made[:number_of]


def thresholds() -> PolicyConfig:
    """Those of `prod`, with the tags of the other environments and what any workload declares."""
    found = [policy_config(load(stack)) for env in ENVIRONMENTS for stack in stacks_of(env)]
    tags = {tag for config in found for tag in config.tag_values}
    allowed = {
        tag: tuple(value for config in found for value in config.tag_values.get(tag, ()))
        for tag in tags
    }
    calling = sorted({step for config in found for step in config.calling_steps})
    return replace(found[-1], tag_values=allowed, calling_steps=tuple(calling))


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds and processor seconds; nothing is kept from the run before.

    What else is in this process is not for the garbage collector to walk through meanwhile.
    """
    definition.parse.cache_clear()
    documents.parse.cache_clear()
    secrets._in_text.cache_clear()
    gc.collect()
    gc.freeze()
    begin, used = time.perf_counter(), time.process_time()
    work()
    taken = time.perf_counter() - begin, time.process_time() - used
    gc.unfreeze()
    return taken


def medians(pairs: Sequence[tuple[float, float]], name: str) -> Result:
    return {
        f"{name}_seconds": round(statistics.median(wall for wall, _ in pairs), 4),
        f"{name}_cpu_seconds": round(statistics.median(cpu for _, cpu in pairs), 4),
    }


def evaluated(stacks: Stacks, asked: argparse.Namespace) -> Result:
    """Every rule over all resources, beside only reading their JSON, as the floor."""
    resources = repeated(stacks, asked.resources)
    text = to_json(resources)
    config = thresholds()
    rules, floor = [], []
    for _ in range(asked.pairs):
        rules.append(timed(lambda: evaluate(resources, config)))
        floor.append(timed(lambda: json.loads(text)))
    verdicts = sum(1 for finding in evaluate(resources, config) if finding.urn)
    return {
        "resources": len(resources),
        "rules": len(RULES),
        "verdicts": verdicts,
        **medians(rules, "evaluate"),
        **medians(floor, "json_loads"),
        "passed": statistics.median(cpu for _, cpu in rules) <= SECONDS,
    }


def beside_checkov(stacks: Stacks, asked: argparse.Namespace) -> Result:
    """The same AWS resources at two sizes, one after the other."""
    config = thresholds()
    aws = [item for found in stacks.values() for item in found if item.type.startswith("aws:")]
    known = checkov.known(asked.checkov, aws)
    sizes = {size: repeated(stacks, size, lambda item: item.type in known) for size in AWS_SIZES}
    texts = {size: to_json(found) for size, found in sizes.items()}
    judged: Runs = {size: [] for size in AWS_SIZES}
    read: Runs = {size: [] for size in AWS_SIZES}
    theirs: Runs = {size: [] for size in AWS_SIZES}
    checks = {}
    for _ in range(asked.pairs):
        for size, found in sizes.items():
            judged[size].append(timed(partial(evaluate, found, config)))
            wall, cpu, checks[size] = checkov.run(asked.checkov, found)
            theirs[size].append((wall, cpu))
            read[size].append(timed(partial(read_and_judge, texts[size], config)))
    most = AWS_SIZES[-1]
    verdicts = sum(1 for finding in evaluate(sizes[most], config) if finding.urn)
    one, whole, other = slope(judged), slope(read), slope(theirs)
    return {
        "types": len(known),
        "plinth_cpu_us_per_resource": round(one[1] * 1e6, 1),
        "plinth_with_reading_cpu_us_per_resource": round(whole[1] * 1e6, 1),
        "checkov_cpu_us_per_resource": round(other[1] * 1e6, 1),
        "ratio_cpu": round(other[1] / one[1], 1),
        "ratio_cpu_with_reading": round(other[1] / whole[1], 1),
        "ratio_wall": round(other[0] / one[0], 1),
        **medians(theirs[most], f"checkov_process_{most}"),
        "plinth_verdicts_per_resource": round(verdicts / most, 2),
        "checkov_verdicts_per_resource": round(checks[most] / most, 2),
        "passed": other[1] / one[1] >= CHECKOV_RATIO,
    }


def read_and_judge(text: str, config: PolicyConfig) -> list[RuleFinding]:
    return evaluate(of_json(text), config)


def slope(runs: Runs) -> tuple[float, float]:
    """Seconds and processor seconds per resource, from the medians of two sizes."""
    (small, few), (large, many) = sorted(runs.items())
    wall, cpu = (
        (statistics.median(run[i] for run in many) - statistics.median(run[i] for run in few))
        / (large - small)
        for i in (0, 1)
    )
    return wall, cpu


def beside_crossguard(stacks: Stacks, asked: argparse.Namespace) -> Result:
    """Previews with the pack and without, of the same resources at two sizes."""
    config = thresholds()
    sizes = {
        size: repeated(stacks, size, lambda item: item.type.startswith("aws:"))
        for size in PREVIEW_SIZES
    }
    extra: Runs = {size: [] for size in PREVIEW_SIZES}
    ours: Runs = {size: [] for size in PREVIEW_SIZES}
    different = 0
    for _ in range(asked.pairs):
        for size, found in sizes.items():
            without, cpu_without, _ = crossguard.preview(found, config, pack=False)
            with_pack, cpu_with, said = crossguard.preview(found, config, pack=True)
            extra[size].append((with_pack - without, cpu_with - cpu_without))
            seen = crossguard.registered(found)
            ours[size].append(timed(partial(evaluate, seen, config)))
            different += len(said ^ crossguard.wrong(evaluate(seen, config)))
    one, other = slope(ours), slope(extra)
    most = PREVIEW_SIZES[-1]
    return {
        **medians(extra[most], f"pack_extra_{most}"),
        **medians(ours[most], f"evaluate_{most}"),
        "pack_ms_per_resource": round(other[0] * 1e3, 2),
        "evaluate_ms_per_resource": round(one[0] * 1e3, 3),
        "ratio_per_resource_wall": round(other[0] / one[0], 1),
        "ratio_per_resource_cpu": round(other[1] / one[1], 1),
        "differences": different,
        "passed": other[0] / one[0] >= CROSSGUARD_RATIO and not different,
    }


def mutations(stacks: Stacks, asked: argparse.Namespace) -> Result:
    """Stacks in which up to five things are changed, judged by both."""
    known = thresholds().to_dict()
    told = []
    for seed in range(asked.stacks):
        random = Random(seed)
        if seed % 2:
            resources = part(stacks[random.choice(list(stacks))], random, PART_RESOURCES)
            changes = known
        else:
            case = random.choice([each for each in CASES if each.status in ("pass", "fail")])
            resources = recorded(case.program, preview=case.preview)
            changes = {**case.config, "required_tags": ["owner"]}
        config = crossguard.configured(changes, production=random.random() < 0.7)
        told += [f"{seed}: {each}" for each in differences(resources, RULES, config, random)]
    for line in told[:20]:
        print(line, file=sys.stderr)
    return {"stacks": asked.stacks, "differences": len(told), "passed": not told}


PARTS = {
    "evaluate": evaluated,
    "checkov": beside_checkov,
    "crossguard": beside_crossguard,
    "mutations": mutations,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--resources", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--stacks", type=int, default=1_000)
    parser.add_argument("--part", choices=PARTS, action="append", help="Default: all of them.")
    parser.add_argument("--checkov", type=Path, help="Where its command is.")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    parts = asked.part or list(PARTS)
    if "checkov" in parts and not (asked.checkov and asked.checkov.exists()):
        parser.error("--checkov PATH must be Checkov's command; see above how to install it")
    stacks = synthesized()
    results = {}
    for name in parts:
        results[name] = PARTS[name](stacks, asked)
        if not asked.json:
            print(name, *(f"  {k}  {v}" for k, v in results[name].items()), sep="\n", flush=True)
    if asked.json:
        print(json.dumps(results))
    sys.exit(0 if all(result["passed"] for result in results.values()) else 1)


if __name__ == "__main__":
    main()
