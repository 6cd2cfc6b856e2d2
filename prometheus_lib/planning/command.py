"""What would a run take? `python -m prometheus_lib plan --scale 7b`: nothing is downloaded and nothing is trained."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from math import isnan

from ..scale import Scale, add_scale_options, load_scale
from ..training.sizing import shape_of
from .estimate import PAPER_HOURS, UNKNOWN, Plan, make_plan
from .machines import describe_machine, this_machine
from .speed import earlier_speed, probe_speed
from .work import work_of


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    found = argparse.ArgumentParser(prog="python -m prometheus_lib plan", description=__doc__)
    add_scale_options(found)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the plan of a scale; return 0 where it fits this machine, else 1."""
    given = parser().parse_args(arguments)
    plan = plan_of(load_scale(given.scale, given.outputs, given.base_model, given.rows))
    print(shown(plan))
    return 0 if plan.fits else 1


def plan_of(scale: Scale) -> Plan:
    """Plan a run on this machine; a CPU's speed is that of an earlier run, else measured now where the run fits."""
    shape, work = shape_of(scale.base_model, scale.training.lora), work_of(scale)
    machine, speed = this_machine(scale.paths.root), None
    if scale.training.use_cpu:
        speed = earlier_speed(scale, describe_machine())
    plan = make_plan(scale, machine, speed, shape, work)
    if plan.speed is not UNKNOWN or not plan.fits:
        return plan
    speed = probe_speed(scale.base_model, scale.training, work, scale.batch_size)
    return make_plan(scale, machine, speed, shape, work)


def shown(plan: Plan) -> str:
    """Return a plan as text: a table of notebooks, what it rests on, GPUs that would do, and the verdict."""
    from tabulate import tabulate

    heads = ["notebook", "tokens", "GPU GB each", "RAM GB", "disk GB", "engine starts", "hours"]
    rows = [
        [
            n.notebook,
            f"{n.tokens:,.0f}",
            f"{n.gpu:.1f}",
            f"{n.memory:.1f}",
            f"{n.disk:.1f}",
            n.starts,
            _or_unknown(n.hours, 2),
        ]
        for n in plan.notebooks
    ]
    shape, work = plan.shape, plan.work
    lines = [
        f"Scale {plan.scale.name}, base model {plan.scale.base_name}: {shape.parameters / 1e6:,.1f} "
        f"million parameters, {shape.trained / 1e6:,.1f} million trained.",
        tabulate(rows, heads, tablefmt="github", colalign=("left", *["right"] * 6), disable_numparse=True),
        f"In all {_or_unknown(plan.hours, 1)} hours and {work.judgments:,.0f} judgments by {len(plan.scale.judges)} "
        f"judges. Tokens: {work.source}. Speed: {plan.speed.source}; each {plan.worker} trains "
        f"{_or_unknown(plan.speed.training)}, reads {_or_unknown(plan.speed.reading)} or writes "
        f"{_or_unknown(plan.speed.writing)} tokens/s.",
        *([_offers(plan)] if plan.offers else []),
        f"The plan {plan.verdict}",
    ]
    return "\n\n".join(lines)


def _or_unknown(number: float, digits: int = 0) -> str:
    return "?" if isnan(number) else f"{number:,.{digits}f}"


def _offers(plan: Plan) -> str:
    from tabulate import tabulate

    rows = [
        [o.gpu.name, o.count, o.launcher, f"{o.hours:,.1f}", f"{o.count * o.hours:,.0f}", f"{o.dollars:,.0f}",
         f"{o.count * o.hours / PAPER_HOURS:.0%}", o.gpu.source]
        for o in plan.offers
    ]  # fmt: skip
    heads = ["GPU", "count", "launcher", "hours", "GPU hours", "dollars", f"of the paper's {PAPER_HOURS}", "price"]
    table = tabulate(rows, heads, tablefmt="github", disable_numparse=True)
    return f"On rented GPUs (estimated; the fewest of a kind that hold it):\n\n{table}"
