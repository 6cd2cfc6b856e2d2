"""What the main judges are asked beyond the benchmarks: attacked responses, the other order, another rubric.

The items and texts are those of `data.attacks` and `data.biases`; here they become tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .. import prompts
from ..data.attacks import ATTACKS, BENCHMARK, CLEAN, Item, attacked, trial_id
from ..data.biases import RUBRICS, rubric_couples
from ..prompts.wording import Variant
from ..records import DirectItem, PairItem
from .tasks import Task, direct_tasks, pairwise_tasks

# --- attacks ---------------------------------------------------------------------------------------------------------


def attack_tasks(items: Iterable[Item], kind: str, variant: Variant = "paper-code") -> list[Task]:
    """Return one task per item, attacked in one way and rendered in one variant; kind "clean" attacks nothing.

    All tasks carry the benchmark name "attacks" and ids "<kind>:<variant>:<item>", so that a judge can take them in
    large batches.
    """
    items = list(items)
    shown = items if kind == CLEAN else attacked(items, kind)
    return [_attack_task(item, trial_id(kind, variant, item.id), variant) for item in shown]


def _attack_task(item: Item, item_id: str, variant: Variant) -> Task:
    """Decoding is greedy, so that a change of decision comes from the text."""
    direct = isinstance(item, DirectItem)
    with_reference = direct and bool(item.reference_answer)
    render = prompts.render_direct if direct else prompts.render_pairwise
    prompt = render(item, with_reference, variant=variant)
    format = "direct" if direct else "pairwise"
    return Task(BENCHMARK, item_id, format, with_reference, "ab", 1, prompt, item, temperature=0.0)


def attack_suite(items: Sequence[Item], kinds: Iterable[str] = tuple(ATTACKS)) -> list[Task]:
    """Return all tasks about attacks; a prompt that neutralising does not change is asked once, as `paper-code`."""
    tasks = attack_tasks(items, CLEAN)
    for kind in kinds:
        plain = attack_tasks(items, kind)
        safe = attack_tasks(items, kind, "corrected")
        tasks += plain + [new for old, new in zip(plain, safe, strict=True) if old.prompt != new.prompt]
    return tasks


# --- biases ----------------------------------------------------------------------------------------------------------


def position_tasks(benchmark: str, items: Iterable[PairItem]) -> list[Task]:
    """Return the pairs of a benchmark in the other order; the benchmark's own judgments are the other half."""
    return pairwise_tasks(benchmark, items, order="ba")


def rubric_tasks(items: Sequence[DirectItem], share: float, draws: int) -> list[Task]:
    """Return responses under a rubric that is in no benchmark; none where the benchmark has them under several."""
    new = [other for _, other in rubric_couples(items, share) if other.id.startswith(f"{RUBRICS}/")]
    return direct_tasks(RUBRICS, new, True, draws)
