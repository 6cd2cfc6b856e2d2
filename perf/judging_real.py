"""Measure judging with a real language model: three draws of real prompts, as `small` asks for them.

`python perf/judging_real.py [--prompts 4] [--tokens 64]`. The model is SmolLM2-135M-Instruct from its package, the
prompts are Vicuna Bench's (PROMETHEUS_DATA_DIR). Ours is measured against transformers' own generate, each at the best
of several batch sizes, and against vLLM in its own environment (`make env-vllm`; left out where that is missing). All
compute in float32 with one thread; the ways take turns, and tokens per second count what was written.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess

os.environ["OMP_NUM_THREADS"] = "1"

import judging as parts  # noqa: E402  (perf/judging.py)

from prometheus_lib import training  # noqa: E402
from prometheus_lib.judging import Decoding, TransformersJudge, VLLMJudge  # noqa: E402

REAL = "HuggingFaceTB/SmolLM2-135M-Instruct"
TARGETS = {"times_faster_than_generate": 2.5}
SIZES = (3, 6, 12, 24)  # sequences that are written together


def best(figures: dict[str, int], name: str) -> int:
    """Return the tokens per second of a way at its best batch size."""
    return max(value for key, value in figures.items() if key.startswith(f"real_tokens_per_second_{name}"))


def vllm_speed(base: str, prompts: int, tokens: int) -> float:
    """Return vLLM's tokens per second on the same prompts, median of two rounds, the prefix cache emptied each time."""
    judge = VLLMJudge("real", base, bf16=False, enforce_eager=True, max_num_seqs=64)
    tasks, written = parts.spread(parts.vicuna_tasks(), prompts), []

    def write() -> None:
        judge.llm.reset_prefix_cache()
        found = judge.generate(tasks, Decoding(max_new_tokens=tokens), 0)
        written.append(sum(each.tokens for draws in found for each in draws))

    seconds = parts.in_turn({"vllm": write}, rounds=2)
    judge.close()
    return written[-1] / seconds["vllm"]


def of_vllm(base: str, prompts: int, tokens: int) -> dict[str, float]:
    """Measure vLLM in its own environment; nothing where that is not installed."""
    if not parts.VLLM_PYTHON.is_file():
        print("vLLM is not measured: .venv-vllm is not there (make env-vllm)")
        return {}
    command = [str(parts.VLLM_PYTHON), __file__, "--vllm", base, "--prompts", str(prompts), "--tokens", str(tokens)]
    environment = {**os.environ, **parts.VLLM_ENVIRONMENT}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return {"real_tokens_per_second_vllm": round(float(done.stdout.split()[-1]))}


def main() -> None:
    """Measure, print a table, and print one JSON object as the last line."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=64, help="new tokens of each answer")
    parser.add_argument("--vllm", help=argparse.SUPPRESS)  # the process in vLLM's environment, and its base model
    given = parser.parse_args()
    if given.vllm:
        print(vllm_speed(given.vllm, given.prompts, given.tokens))
        return
    torch.set_num_threads(1)
    base = training.local_base(REAL)
    judge, tasks = TransformersJudge("real", base), parts.spread(parts.vicuna_tasks(), given.prompts)
    figures = parts.setting(judge, tasks) | parts.measure_batches("real", judge, tasks, SIZES, given.tokens)
    ours, plain = best(figures, "judge"), best(figures, "plain")
    figures |= {"times_faster_than_generate": round(ours / plain, 2)} | of_vllm(base, given.prompts, given.tokens)
    print("".join(f"{name:<48}{value:>12,}\n" for name, value in figures.items()), end="")
    print(
        json.dumps(
            {
                "name": "judging_real",
                "figures": figures,
                "targets": TARGETS,
                "ok": ours >= TARGETS["times_faster_than_generate"] * plain,
            }
        )
    )


if __name__ == "__main__":
    main()
