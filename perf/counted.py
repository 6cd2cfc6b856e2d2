"""Does a real model learn to conclude from a teacher who counts aloud? Not a speed: what a few rows teach, both ways.

`python perf/counted.py [--rows 80] [--learning-rate 2e-4]`. SmolLM2-135M-Instruct from its package learns rows of the
miniature world as the scale `bridge` would, once from plain and once from counted feedback. Then it reads unseen rows
up to the decision, and the probability of the right one is taken: 0.2 (a score) and 0.5 (a pair) are chance. About ten
minutes for each way and format on one core.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402

from prometheus_lib import data, training  # noqa: E402
from prometheus_lib.data.counting import counted_row  # noqa: E402
from prometheus_lib.parallel import use_one_thread  # noqa: E402
from prometheus_lib.scale import load_scale  # noqa: E402

REAL = "HuggingFaceTB/SmolLM2-135M-Instruct"
FORMATS = {
    "direct": (data.feedback_rows, data.direct_example, (" 1", " 2", " 3", " 4", " 5")),
    "pairwise": (data.preference_rows, data.pairwise_example, (" A", " B")),
}
UNSEEN, TESTED = 77, 12  # the seed of the rows that it is tested on, and how many


def decided(model: Any, rows: list[dict[str, Any]], choices: list[int]) -> tuple[float, float]:
    """Return the share of rows whose decision is the most probable one, and the mean probability of the right one."""
    right, probabilities = 0, 0.0
    for row in rows:
        ids = row["input_ids"]
        place = max(n for n, token in enumerate(ids) if token in choices)
        with torch.inference_mode():
            found = model(torch.tensor([ids[:place]]), logits_to_keep=1).logits[0, -1].softmax(-1)[choices]
        wanted = choices.index(ids[place])
        right += int(found.argmax()) == wanted
        probabilities += float(found[wanted])
    return right / len(rows), probabilities / len(rows)


def learned(format: str, count: int, rate: float, counts: bool) -> tuple[float, float]:
    """Train on `count` rows of a format and return what is decided on unseen ones."""
    make, example, choices = FORMATS[format]
    settings = replace(load_scale("bridge").training, learning_rate=rate)
    base = training.local_base(REAL)
    tokenizer, model = AutoTokenizer.from_pretrained(base), training.load_model(base, settings)

    def tokens(seed: int, wanted: int) -> list[dict[str, Any]]:
        apart = 5 if seed == UNSEEN and format == "pairwise" else 1  # pairs of several instructions are tested
        rows = make(seed, wanted)[::apart][:wanted]
        rows = [counted_row(row) if counts else row for row in rows]
        return list(training.tokenise(tokenizer, list(map(example, rows)), settings.max_length)[0])

    with tempfile.TemporaryDirectory() as folder:
        training.fine_tune(model, tokenizer, tokens(42, count), settings, 42, Path(folder))
    model.eval()
    ids = [tokenizer.encode(choice, add_special_tokens=False)[-1] for choice in choices]
    return decided(model, tokens(UNSEEN, TESTED), ids)


def main() -> None:
    """Train each way, print a table, and print one JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=80)
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    given = parser.parse_args()
    use_one_thread()
    figures = {"rows": given.rows}
    for format in FORMATS:
        for name, counts in (("plain", False), ("counted", True)):
            share, probability = learned(format, given.rows, given.learning_rate, counts)
            figures |= {
                f"{format}_{name}_right": round(share, 2),
                f"{format}_{name}_probability": round(probability, 2),
            }
            print(f"{format:<10}{name:<10}{share:>8.0%} right, probability {probability:.2f}", flush=True)
    better = all(figures[f"{name}_counted_probability"] > figures[f"{name}_plain_probability"] for name in FORMATS)
    print(json.dumps({"name": "counted", "figures": figures, "targets": {}, "ok": better}))


if __name__ == "__main__":
    main()
