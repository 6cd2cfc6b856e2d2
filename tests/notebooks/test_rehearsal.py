"""The paper's scales rehearsed: their notebooks, unchanged, on tiny models in hub format and data in the hub's schema.

What stands in for the paper's numbers is in the scale files below; all else comes from `7b` and `8x7b`. One process
runs the notebooks of a scale that need its models, up to the collected judgments, and finds its base model under a name
of the hub, in the hub's cache.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from released_files import write_released
from tiny_models import in_hub_cache, tiny_mixtral

from prometheus_lib.artifacts import REMOVED

HERE = Path(__file__).parent
SMALLER = """
base_model = "rehearsal/{like}"
rows = 12
benchmark_items = 3
engine = "transformers"
launcher = "none"
batch_size = 64
resamples = 20
loss_rows = 1
only_merges = [{merges}]
main_judges = ["base", "direct", "pairwise", "joint", "linear"]

[training]
batch_size = 8
rows_at_once = 8
max_length = 1024
use_cpu = true
bf16 = {bf16}

[decoding]
max_new_tokens = {tokens}
"""
EXPERTS = {"direct": ("direct",), "pairwise": ("pairwise",), "joint": ("direct", "pairwise")}
MERGES = ("linear", "slerp", "task-arithmetic", "dare-linear", "task-arithmetic-default", "linear-0.3")


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_base) -> Path:
    """A folder with released data in small, and a hub's cache with a tiny Mistral and a tiny Mixtral."""
    folder = tmp_path_factory.mktemp("rehearsal")
    write_released(folder / "data", instructions=30, items=6)
    tiny_mixtral(folder / "mixtral", 0)
    in_hub_cache(folder / "hub", "rehearsal/7b", tiny_base)
    in_hub_cache(folder / "hub", "rehearsal/8x7b", folder / "mixtral")
    return folder


def rehearse(place: Path, like: str, more: str, numbers: list[str], **values: object) -> Path:
    """Run the notebooks of these numbers; return the run's folder. `values` fill in what SMALLER leaves open."""
    scale = place / f"rehearsed-{like}.toml"
    smaller = SMALLER.format(like=like, merges=", ".join(f'"{name}"' for name in MERGES), **values)
    scale.write_text(f'like = "{like}"\n{more.format(smaller=smaller)}', encoding="utf-8")
    own = {
        "HF_HUB_CACHE": str(place / "hub"), "HF_HUB_OFFLINE": "1", "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]),
        "XDG_CACHE_HOME": str(place / "cache"),
    }  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_DATA_DIR"} | own
    command = [sys.executable, str(HERE / "rehearsing.py"), scale, place / "out", place / "data", *numbers]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=place)
    assert done.returncode == 0, done.stderr[-6000:]
    return place / "out" / scale.stem


def with_weights(folder: Path) -> set[str]:
    """Return the names of the models below a folder whose weights are there."""
    return {path.parent.name for path in folder.glob("*/model.safetensors")}


def test_7b_on_a_tiny_mistral(place):
    numbers = ["00", "01", "02", "03", "04", "05"]
    run = rehearse(place, "7b", "{smaller}", numbers, tokens=4, bf16="false")
    assert {path.stem for path in (run / "metrics").glob("*.json")} >= set(numbers)
    assert len(with_weights(run / "experts")) == 6
    assert with_weights(run / "merged") == set(MERGES) - {"linear-0.3"}
    assert (run / "judgments" / "linear-0.3.jsonl").is_file()  # in place
    assert (run / "tables" / "table_02.csv").is_file()


def test_8x7b_on_a_tiny_mixtral(place):
    three = ", ".join(f'{{{{ name = "{name}", formats = {list(formats)} }}}}' for name, formats in EXPERTS.items())
    more = f"experts = [{three}]\n{{smaller}}\n[training.lora]\nrank = 4\nalpha = 8\n".replace("'", '"')
    run = rehearse(place, "8x7b", more, ["01", "02", "03", "04", "05"], tokens=4, bf16="true")
    assert with_weights(run / "merged") == {"linear"}
    removed = {path.parent.name for path in (run / "merged").glob(f"*/{REMOVED}")}
    assert removed == set(MERGES) - {"linear"}
    assert {path.stem for path in (run / "judgments").glob("*.jsonl")} == {*MERGES, "base", *EXPERTS}
    told = json.loads((run / "metrics" / "04.json").read_text(encoding="utf-8"))
    assert set(told["largest_difference_to_mergekit"]) == {"linear"}
    assert told["positions"]["slerp"]["a"] == pytest.approx(0.5, abs=0.05)  # of a merge that has no folder yet
    config = json.loads((run / "experts" / "direct" / "config.json").read_text(encoding="utf-8"))
    assert config["output_router_logits"] is False
