"""Measure how much room the miniature leaves: base, experts, joint and merges on unseen items, by the truth.

`python perf/room.py` (about ten minutes on a quiet core; `--quick` trains on 640 rows and asks 60 items). Experts are
trained as scale `mini` trains them, asked greedily about nouns, rubrics and styles that neither they nor the base model
have seen, and compared with the truth; beside a pair's share of right decisions stands what an oracle reaches that
knows every word.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd

from prometheus_lib import judging, merging, parallel, pipeline, prompts
from prometheus_lib.data import collections, oracle
from prometheus_lib.experiment.world import unseen_items
from prometheus_lib.merging import Merge
from prometheus_lib.records import write_jsonl
from prometheus_lib.scale import load_scale

EXPERTS = ("direct", "pairwise", "joint")
MERGES = (Merge("linear", "linear"), Merge.mergekit_default("task-arithmetic", "task-arithmetic"))
WINDOWS = {"direct": (75, 92), "pairwise": (70, 90)}  # percent: of the exact scores, and of what the oracle reaches


def trained(folder: Path, rows: int) -> dict[str, str]:
    """Train the experts and merge them below `folder`; return every judge's model folder."""
    scale = load_scale("mini", folder, rows=rows)
    for name, make in (("feedback", collections.feedback_rows), ("preference", collections.preference_rows)):
        write_jsonl(scale.paths.rows(name), make(scale.seed, scale.collection_instructions))
    few = replace(scale, experts=tuple(expert for expert in scale.experts if expert.name in EXPERTS))
    pipeline.train_experts(few)
    found = {"base": scale.base_model} | {name: str(scale.paths.experts / name) for name in EXPERTS}
    for merge in MERGES:
        found[merge.name] = str(scale.paths.merged / merge.name)
        merging.merge_experts(merge, scale.base_model, scale.paths.experts, found[merge.name])
    return found


def measured(name: str, folder: str, count: int) -> dict[str, float]:
    """Ask one judge greedily about the unseen items; percent right, and percent with a readable decision."""
    direct, pairs = unseen_items(count)
    scale, judge = load_scale("mini"), judging.TransformersJudge(name, folder)
    greedy = replace(scale.decoding, temperature=0.0)
    tasks = [*judging.direct_tasks("room", direct, True, draws=1), *judging.pairwise_tasks("room", pairs)]
    truth = {item.id: item.meta["true_score"] for item in direct}, {pair.id: pair.label for pair in pairs}
    row = {}
    for format, right in zip(("direct", "pairwise"), truth):
        asked = [task for task in tasks if task.format == format]
        texts = [drawn[0].text for drawn in judge.generate(asked, greedy, seed=0)]
        parsed = [prompts.PARSERS[format](text).decision for text in texts]
        row[f"{format} right"] = 100 * sum(d == right[t.item_id] for d, t in zip(parsed, asked)) / count
        row[f"{format} parsed"] = 100 * sum(d is not None for d in parsed) / count
    return row


def main() -> int:
    """Train, merge, ask, print the table and, as the last line, the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="640 rows and 60 items: only to see that it runs")
    quick = parser.parse_args().quick
    parallel.use_one_thread()
    count, rows = (60, 640) if quick else (300, 0)
    with tempfile.TemporaryDirectory() as folder:
        judges = trained(Path(folder), rows)
        table = pd.DataFrame({name: measured(name, place, count) for name, place in judges.items()}).T
    _, pairs = unseen_items(count)
    best = 100 * sum(found == pair.label for found, pair in zip(oracle.oracle_decisions(pairs), pairs)) / count
    print(f"{count} unseen instructions, percent; an oracle ranks {best:.1f} % of the pairs rightly\n")
    print(table.round(1).to_string())
    shares = {"direct": table.loc["direct", "direct right"]}
    shares["pairwise"] = 100 * table.loc["pairwise", "pairwise right"] / best
    ok = quick or all(low <= shares[name] <= high for name, (low, high) in WINDOWS.items())
    figures = {"oracle": best, "pairwise_of_oracle": shares["pairwise"], **table.T.to_dict()}
    print(json.dumps({"name": "room", "figures": figures, "targets": WINDOWS, "ok": bool(ok)}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
