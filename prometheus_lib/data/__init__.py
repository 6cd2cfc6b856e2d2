"""What is judged and what is learned from: training collections, benchmarks, recorded judgments and a user's own items.

>>> from prometheus_lib import data
>>> row = data.feedback_rows(seed=1, instructions=1)[0]
>>> data.direct_example(row).completion.endswith(f"[RESULT] {row['orig_score']}")
True
"""

from .aligned import by_item
from .benchmarks import benchmark_facts, download_benchmark, load_autoj_replay, load_benchmark
from .building.of_scale import check_unseen, held_out_rows, load_feedback_rows, load_preference_rows, seen_items
from .collections import (
    FEEDBACK_FIELDS,
    PREFERENCE_FIELDS,
    Example,
    check_rows,
    direct_example,
    direct_item,
    feedback_rows,
    pair_item,
    pair_orders,
    pairwise_example,
    preference_rows,
    response_pairs,
)
from .decisions import read_decision
from .download import DATA_VARIABLE, data_folder
from .own import read_own_items
from .recorded import read_recorded
from .rubrics.reading import Criterion, read_rubric, rubric_library
from .rubrics.scales import OrderedScale, read_scale
from .samples import sample_file
from .votes import expert_pairs, gpt4_against_experts, read_votes

__all__ = [
    "Criterion",
    "DATA_VARIABLE",
    "Example",
    "FEEDBACK_FIELDS",
    "OrderedScale",
    "PREFERENCE_FIELDS",
    "benchmark_facts",
    "by_item",
    "check_unseen",
    "check_rows",
    "data_folder",
    "direct_example",
    "direct_item",
    "download_benchmark",
    "expert_pairs",
    "feedback_rows",
    "gpt4_against_experts",
    "held_out_rows",
    "load_autoj_replay",
    "load_benchmark",
    "load_feedback_rows",
    "load_preference_rows",
    "pair_item",
    "pair_orders",
    "pairwise_example",
    "preference_rows",
    "read_decision",
    "read_own_items",
    "read_recorded",
    "read_rubric",
    "read_scale",
    "read_votes",
    "response_pairs",
    "seen_items",
    "rubric_library",
    "sample_file",
]
