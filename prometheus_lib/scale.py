"""The one dial: what SCALE means in numbers, and where every file of a run lies.

`smoke` and `mini` run on a laptop in the miniature world; `7b` and `8x7b` are the paper's own recipe on GPUs. The
notebooks are the same at every scale: all differences are values in this file. Names stand elsewhere: benchmarks in
`data.catalogue`, merges in `merging.catalogue`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from .artifacts import project_folder
from .data.catalogue import DIRECT_BENCHMARKS, PAIR_BENCHMARKS, SEED_BENCHMARKS
from .judging.tasks import Decoding
from .merging.catalogue import ALPHAS, SECOND_RUN, alpha_judge, further_merges, paper_merges
from .merging.spec import Merge
from .records import DataError
from .training.settings import EMBEDDED_BASE, Lora, TrainingSettings

COMMITTED_OUTPUTS, OWN_OUTPUTS = "outputs", "my-outputs"


@dataclass(frozen=True)
class Paths:
    """Every folder of a run.

    >>> Paths.below(Path("outputs/mini")).benchmark("flask").as_posix()
    'outputs/mini/data/benchmarks/flask.jsonl'
    """

    root: Path
    data: Path
    experts: Path
    merged: Path
    judgments: Path
    metrics: Path
    tables: Path
    figures: Path
    notebooks: Path

    @classmethod
    def below(cls, root: Path) -> Paths:
        """Return the folders of a run that lies in `root` (`my-outputs/<scale>`)."""
        return cls(root, *(root / field.name for field in fields(cls)[1:]))

    def rows(self, collection: str) -> Path:
        """Return the file of a training collection ("feedback" or "preference")."""
        return self.data / f"{collection}_collection.jsonl"

    def benchmark(self, name: str) -> Path:
        """Return the file of a benchmark's items."""
        return self.data / "benchmarks" / f"{name}.jsonl"


@dataclass(frozen=True)
class Expert:
    """One model to train: the formats it learns and how many examples of each (a float is a share, None is all)."""

    name: str
    formats: tuple[str, ...]
    examples: int | float | None
    seed: int = 42


@dataclass(frozen=True)
class Scale:
    """Everything that differs between scales."""

    name: str
    base_model: str
    miniature: bool
    collection_instructions: int
    training: TrainingSettings
    experts: tuple[Expert, ...]
    density: float
    scaling: float
    decoding: Decoding
    engine: str
    batch_size: int
    workers: int
    benchmark_share: float
    resamples: int
    paths: Paths
    pairwise_with_reference: bool = False
    main_judges: tuple[str, ...] = (
        "base", "direct", "pairwise", "joint", "linear", "task-arithmetic-default", "dare-linear",
    )  # fmt: skip
    merged_judge: str = "linear"
    seed: int = 42
    draws: int = 3
    hardware: str = ""
    in_place: bool = True

    def benchmark_name(self, name: str) -> str:
        """Return the name under which this scale knows a benchmark of the paper."""
        return f"mini_{name}" if self.miniature else name

    @property
    def merges(self) -> tuple[Merge, ...]:
        """Return the merges of Tables 5, 6 and 17, each a model folder."""
        return tuple(paper_merges(self.density, self.scaling, self.seed))

    @property
    def sweep(self) -> tuple[Merge, ...]:
        """Return the further merges: the alphas of Figure 3, a second pair of experts and mask, Table 10's recipe.

        They are judged without a model folder, except where weights cannot be changed in place (`in_place` is False:
        mixtures of experts).
        """
        return tuple(further_merges(self.merges))

    @property
    def merge_folders(self) -> tuple[Merge, ...]:
        """Return the merges that are written as model folders."""
        return self.merges if self.in_place else (*self.merges, *self.sweep)

    @property
    def judges(self) -> tuple[str, ...]:
        """Return the names of all judges: base, experts, merges."""
        return ("base", *[expert.name for expert in self.experts], *[m.name for m in (*self.merges, *self.sweep)])

    def main_benchmarks(self, judge: str) -> tuple[str, ...]:
        """Return the benchmarks that a judge is asked in any case: all eight, or fewer outside the paper's tables."""
        shown = {alpha_judge(alpha) for alpha in ALPHAS}
        further = {merge.name for merge in self.sweep} - shown
        return SEED_BENCHMARKS if judge in further else (*DIRECT_BENCHMARKS, *PAIR_BENCHMARKS)

    def model_folder(self, judge: str) -> str:
        """Return the model folder (or hub id) of a judge that has one."""
        if judge == "base":
            return self.base_model
        kind = self.paths.experts if judge in {expert.name for expert in self.experts} else self.paths.merged
        return str(kind / judge)


def _experts(examples: int | None) -> tuple[Expert, ...]:
    half = 0.5 if examples is None else examples // 2
    return (
        Expert("direct", ("direct",), examples),
        Expert("pairwise", ("pairwise",), examples),
        Expert(f"direct{SECOND_RUN}", ("direct",), examples, seed=43),
        Expert(f"pairwise{SECOND_RUN}", ("pairwise",), examples, seed=43),
        Expert("joint", ("direct", "pairwise"), examples),
        Expert("joint-half", ("direct", "pairwise"), half),
    )


_MINI_TRAINING = TrainingSettings(
    learning_rate=5e-4, batch_size=32, max_length=512, warmup=0.1, adam_beta2=0.98, schedule="cosine"
)
_7B_TRAINING = TrainingSettings(1e-5, 4, 4096, bf16=True, gradient_checkpointing=True, use_cpu=False)
_8X7B_TRAINING = TrainingSettings(
    1e-5, 8, 4096, bf16=True, gradient_checkpointing=True, use_cpu=False,
    lora=Lora(256, 512, 0.1, ("q_proj", "k_proj", "v_proj", "o_proj", "w1", "w2", "w3")),
)  # fmt: skip


def _miniature(name: str, paths: Paths, instructions: int, examples: int, share: float, resamples: int) -> Scale:
    return Scale(
        name, str(EMBEDDED_BASE), True, instructions, _MINI_TRAINING, _experts(examples), density=0.9, scaling=1.0,
        decoding=Decoding(max_new_tokens=64), engine="transformers", batch_size=192, workers=2,
        benchmark_share=share, resamples=resamples, paths=paths, hardware="2 CPU cores",
    )  # fmt: skip


def _paper(name: str, paths: Paths, base: str, training: TrainingSettings, scaling: float, density: float) -> Scale:
    return Scale(
        name, base, False, 20_000, training, _experts(None), density=density, scaling=scaling, decoding=Decoding(),
        engine="vllm", batch_size=4096, workers=1, benchmark_share=1.0, resamples=10_000, paths=paths,
        pairwise_with_reference=True, hardware="GPUs (the paper: eight A100 40 GB)", in_place=training.lora is None,
    )  # fmt: skip


def load_scale(name: str = "mini", outputs: str | Path | None = None) -> Scale:
    """Return the settings of a scale whose run lies in `outputs`/<name>; the default is the project's `my-outputs`.

    The committed runs lie in `outputs`, where nothing is written unless that folder is named. Raises DataError for an
    unknown scale.

    >>> load_scale("smoke", "elsewhere").paths.tables.relative_to(Path.cwd()).as_posix()
    'elsewhere/smoke/tables'
    """
    if name not in SCALES:
        raise DataError(f"unknown scale {name!r}; choose one of {list(SCALES)}.")
    root = Path(outputs).expanduser() if outputs else project_folder() / OWN_OUTPUTS
    return SCALES[name](Paths.below(root.resolve() / name))


def committed_outputs() -> Path:
    """Return the folder of the committed runs: `outputs` in a checkout of the project."""
    return project_folder() / COMMITTED_OUTPUTS


def stored_scale(name: str = "mini", outputs: str | Path | None = None) -> Scale:
    """Return a scale whose run is only read: the committed one, else your own, or that of the folder named.

    >>> stored_scale("mini").paths.root == committed_outputs() / "mini"
    True
    """
    committed = committed_outputs()
    return load_scale(name, outputs or (committed if (committed / name).is_dir() else None))


SCALES = {
    "smoke": lambda paths: _miniature("smoke", paths, 40, 96, 0.08, 200),
    "mini": lambda paths: _miniature("mini", paths, 800, 4000, 1.0, 2000),
    "7b": lambda paths: _paper("7b", paths, "mistralai/Mistral-7B-Instruct-v0.2", _7B_TRAINING, 1.0, 0.9),
    "8x7b": lambda paths: _paper("8x7b", paths, "mistralai/Mixtral-8x7B-Instruct-v0.1", _8X7B_TRAINING, 1.95, 0.9),
}
