"""The paper's scales rehearsed: their notebooks, unchanged, on tiny models in hub format and data in the hub's schema.

What stands in for the paper's numbers is in the scale files below; all else comes from `7b` and `8x7b`. One process
runs the notebooks of a scale that need its models, up to the collected judgments, and finds its base model under a name
of the hub, in the hub's cache. Models with random weights decide nothing, so another process runs the notebooks
that compute tables from judgments, on those of a judge that reads the labels.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest
from label_reader import LabelReader
from released_files import write_released
from tiny_models import in_hub_cache, tiny_mixtral

from prometheus_lib import judging, pipeline, tables
from prometheus_lib.artifacts import REMOVED
from prometheus_lib.scale import load_scale

HERE = Path(__file__).parent
# The paper's names with another owner: of its own models the library knows the size without looking.
BASES = {"7b": "rehearsal/Mistral-7B-Instruct-v0.2", "8x7b": "rehearsal/Mixtral-8x7B-Instruct-v0.1"}
SMALLER = """
base_model = "{base}"
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
    in_hub_cache(folder / "hub", BASES["7b"], tiny_base)
    in_hub_cache(folder / "hub", BASES["8x7b"], folder / "mixtral")
    return folder


def smaller(place: Path, like: str, name: str, more: str = "{smaller}", **values: object) -> Path:
    """Write a scale like one of the paper's but smaller; `values` fill in what SMALLER leaves open."""
    scale = place / f"{name}-{like}.toml"
    text = SMALLER.format(base=BASES[like], merges=", ".join(f'"{name}"' for name in MERGES), **values)
    scale.write_text(f'like = "{like}"\n{more.format(smaller=text)}', encoding="utf-8")
    return scale


def rehearse(place: Path, scale: Path, numbers: list[str]) -> Path:
    """Run the notebooks of these numbers; return the run's folder."""
    own = {
        "HF_HUB_CACHE": str(place / "hub"), "HF_HUB_OFFLINE": "1", "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]),
        "XDG_CACHE_HOME": str(place / "cache"),
        "MPLCONFIGDIR": matplotlib.get_cachedir(),  # its list of fonts takes seconds to make
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
    run = rehearse(place, smaller(place, "7b", "rehearsed", tokens=4, bf16="false"), numbers)
    assert {path.stem for path in (run / "metrics").glob("*.json")} >= set(numbers)
    assert len(with_weights(run / "experts")) == 6
    assert with_weights(run / "merged") == set(MERGES) - {"linear-0.3"}
    assert (run / "judgments" / "linear-0.3.jsonl").is_file()  # in place
    assert (run / "tables" / "table_02.csv").is_file()


def test_8x7b_on_a_tiny_mixtral(place):
    three = ", ".join(f'{{{{ name = "{name}", formats = {list(formats)} }}}}' for name, formats in EXPERTS.items())
    more = f"experts = [{three}]\n{{smaller}}\n[training.lora]\nrank = 4\nalpha = 8\n".replace("'", '"')
    scale = smaller(place, "8x7b", "rehearsed", more, tokens=4, bf16="true")
    run = rehearse(place, scale, ["01", "02", "03", "04", "05"])
    assert with_weights(run / "merged") == {"linear"}
    removed = {path.parent.name for path in (run / "merged").glob(f"*/{REMOVED}")}
    assert removed == set(MERGES) - {"linear"}
    assert {path.stem for path in (run / "judgments").glob("*.jsonl")} == {*MERGES, "base", *EXPERTS}
    told = json.loads((run / "metrics" / "04.json").read_text(encoding="utf-8"))
    assert set(told["largest_difference_to_mergekit"]) == {"linear"}
    assert told["positions"]["slerp"]["a"] == pytest.approx(0.5, abs=0.05)  # of a merge that has no folder yet
    config = json.loads((run / "experts" / "direct" / "config.json").read_text(encoding="utf-8"))
    assert config["output_router_logits"] is False


@pytest.mark.parametrize(("like", "merged", "base"), [("7b", 0.624, 0.417), ("8x7b", 0.670, 0.541)])
def test_the_tables_from_the_judgments_of_a_label_reader(place, like, merged, base):
    file, numbers = smaller(place, like, "recorded", tokens=4, bf16="false"), ["06", "07", "08", "09", "10"]
    scale = load_scale(file, place / "out")
    items = pipeline.build_benchmarks(scale, place / "data")
    for judge in scale.judges:
        store = judging.JudgmentStore(scale.paths.judgments / f"{judge}.jsonl")
        judging.collect(LabelReader(judge), pipeline.judging_tasks(scale, judge, items), store, scale.decoding)
    run = rehearse(place, file, numbers)
    assert {path.stem for path in (run / "metrics").glob("*.json")} >= set(numbers)
    told = json.loads((run / "metrics" / "10.json").read_text(encoding="utf-8"))
    assert told["ledger"]["C01"]["printed"] == pytest.approx(100 * (merged - base))  # of its own base model
    assert "accuracy, %" in told["what_came_out"] and (run / "REPORT.md").is_file()
    for number in ("3", "4", "5", "6", "13", "14", "15", "16", "17", "figure_3"):
        ours = tables.load_table(number, run / "tables").query("kind == 'judge'")
        assert ours["value"].notna().any(), f"Table {number} is empty"
