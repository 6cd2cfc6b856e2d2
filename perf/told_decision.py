"""What is learned from feedback whose writer was told a wrong decision? An experiment in the miniature world.

`python perf/told_decision.py --full` (about 10 minutes on one core; without `--full` a look of half a minute). From the
embedded base model one pairwise expert is trained on each of four sets of the same pairs: all decisions right; 10 % and
30 % wrong, with feedback that argues for the wrong decision (as appendix H asks of a writer who is told it); and 30 %
wrong, with feedback that says what is there. All judge the same pairs of unseen instructions, whose truth is known,
greedily and with the paper's sampling. `perf/told_decision.json` has the last full run; notebook 02 reads it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from prometheus_lib import artifacts, metrics
from prometheus_lib.data import miniworld, pair_item
from prometheus_lib.data.building.told import WrongDecisions, miniature_conclusion, right_decisions, told_rows
from prometheus_lib.judging import Decoding, TransformersJudge, judgments, pairwise_tasks
from prometheus_lib.parallel import one_thread
from prometheus_lib.records import write_jsonl, write_text_atomic
from prometheus_lib.scale import load_scale
from prometheus_lib.training import EMBEDDED_BASE, ExpertJob, train_expert

ARMS = {
    "all right": WrongDecisions(0.0),
    "10 % wrong, argued for": WrongDecisions(0.1),
    "30 % wrong, argued for": WrongDecisions(0.3),
    "30 % wrong, feedback as it is": WrongDecisions(0.3, argued=False),
}
RESULTS = Path(__file__).with_name("told_decision.json")
SEED, TEST_SEED = 42, 4242
DECODINGS = {
    "greedy": Decoding(temperature=0.0, top_p=1.0, max_new_tokens=64, repetition_penalty=1.0),
    "sampled": Decoding(max_new_tokens=64),  # Table 8
}


def train(folder: Path, arm: str, instructions: int) -> str:
    """Train the arm's expert on all of its pairs and return its folder."""
    rows = told_rows(SEED, instructions, ARMS[arm])
    name = f"arm{list(ARMS).index(arm)}"
    file = write_jsonl(folder / f"{name}.jsonl", rows)
    source = ("pairwise", str(file), None, False)
    training = load_scale("mini").training
    train_expert(ExpertJob(name, str(EMBEDDED_BASE), (source,), training, SEED, str(folder / name)))
    return str(folder / name)


def judged(model: str, rows: Sequence[dict], decoding: Decoding) -> dict[str, list[float]]:
    """Judge the pairs; for each, is the decision right, is what the feedback argues for, and do the two agree?"""
    tasks = pairwise_tasks("told", [pair_item(row, row["id"]) for row in rows])
    judge = TransformersJudge("judge", model)
    found = []
    for start in range(0, len(tasks), 96):
        batch = tasks[start : start + 96]
        answers = judge.generate(batch, decoding, SEED)
        found += [judgments(judge, task, ["key"], draws)[0] for task, draws in zip(batch, answers, strict=True)]
    decisions = [judgment.decision for judgment in found]
    said = [miniature_conclusion(judgment.feedback) for judgment in found]
    return {
        "decision": right_decisions(decisions, rows),
        "feedback": right_decisions(said, rows),
        "agree": [float(one == two) for one, two in zip(decisions, said, strict=True)],
    }


def summary(found: dict[str, list[float]], all_right: dict[str, list[float]], clusters: Sequence[str]) -> dict:
    """Return shares with intervals over instructions, and how far decisions are behind the arm that is all right."""
    lines = {name: interval(values, clusters) for name, values in found.items()}
    lost = [own - best for own, best in zip(found["decision"], all_right["decision"], strict=True)]
    return {**lines, "decision minus all right": interval(lost, clusters)}


def interval(values: Sequence[float], clusters: Sequence[str]) -> dict[str, float]:
    """Return a mean with its interval and number."""
    share = metrics.bootstrap_mean(values, clusters=clusters)
    return {"mean": share.estimate, "low": share.low, "high": share.high, "n": len(values)}


def main() -> None:
    """Train and judge every arm, print a table, and keep the results of a full run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="all pairs; without it the numbers mean nothing")
    quick = not parser.parse_args().full
    instructions, tested = (20, 5) if quick else (400, 60)
    test = told_rows(TEST_SEED, tested, WrongDecisions(), miniworld.UNSEEN)
    clusters = [row["orig_instruction"] for row in test]
    found: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as folder, one_thread():
        for arm in [*ARMS, "base model"]:
            model = str(EMBEDDED_BASE) if arm == "base model" else train(Path(folder), arm, instructions)
            found[arm] = {name: judged(model, test, decoding) for name, decoding in DECODINGS.items()}
    results = {
        arm: {name: summary(said, found["all right"][name], clusters) for name, said in by_decoding.items()}
        for arm, by_decoding in found.items()
    }
    for arm, name in itertools.product(results, DECODINGS):
        line = results[arm][name]["decision"]
        print("{:>30}, {:>8}: right {mean:.3f} [{low:.3f}, {high:.3f}], n {n}".format(arm, name, **line))
    figures = {"training_pairs": 10 * instructions, "test_instructions": tested, "arms": results}
    figures["base"] = artifacts.model_fingerprint(EMBEDDED_BASE)
    record = {"name": "told_decision", "figures": figures, "targets": {}, "ok": True}
    if not quick:
        write_text_atomic(RESULTS, json.dumps(record, indent=1) + "\n")
    print(json.dumps(record))


if __name__ == "__main__":
    main()
