"""The one dial: what SCALE means in numbers, and where every file of a run lies.

`smoke` and `mini` run on a laptop in the miniature world; `7b` and `8x7b` are the paper's own recipe on GPUs. The
notebooks are the same at every scale: all differences are values in this file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .judges import Decoding
from .merging import Merge
from .records import DataError
from .training import Lora, TrainingSettings

EMBEDDED_BASE = Path(__file__).parent / "base_model_files"
DIRECT_BENCHMARKS = ("vicuna_bench", "mt_bench", "flask", "feedback_bench")
PAIR_BENCHMARKS = ("hhh_alignment", "mt_bench_human", "autoj_eval", "preference_bench")
TIE_BENCHMARKS = ("mt_bench_human", "autoj_eval")
CONSISTENCY_BENCHMARKS = ("hhh_alignment", "mt_bench_human", "autoj_eval")
REFERENCE_BENCHMARKS = ("biggen_bench", "flask")
ALPHAS = tuple(round(step / 10, 1) for step in range(11))
ALPHA_JUDGES = {0.0: "pairwise", 0.5: "linear", 1.0: "direct"}


@dataclass(frozen=True)
class Paths:
    """Every folder of a run, below `outputs/<scale>`."""

    root: Path

    def __getattr__(self, name: str) -> Path:
        if name not in ("data", "experts", "merged", "judgments", "metrics", "tables", "figures", "notebooks"):
            raise AttributeError(f"Paths has no folder {name!r}")
        return self.root / name

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

    def benchmark_name(self, name: str) -> str:
        """Return the name under which this scale knows a benchmark of the paper."""
        return f"mini_{name}" if self.miniature else name

    @property
    def merges(self) -> tuple[Merge, ...]:
        """Return every merge of the paper's Tables 6 and 17 and Figure 3."""
        return tuple(_merges(self.density, self.scaling, self.seed))

    @property
    def judges(self) -> tuple[str, ...]:
        """Return the names of all judges: base, experts, merges."""
        return ("base", *[expert.name for expert in self.experts], *[merge.name for merge in self.merges])

    def model_folder(self, judge: str) -> str:
        """Return the model folder (or hub id) of a judge."""
        if judge == "base":
            return self.base_model
        kind = self.paths.experts if judge in {expert.name for expert in self.experts} else self.paths.merged
        return str(kind / judge)


def _merges(density: float, scaling: float, seed: int) -> Iterator[Merge]:
    sparse = {"density": density, "scaling": scaling, "seed": seed}
    yield Merge("linear", "linear")
    yield Merge("slerp", "slerp")
    yield Merge("task-arithmetic", "task-arithmetic")
    yield Merge("ties", "ties", density=0.2, seed=seed)
    yield Merge("dare-ties", "dare-ties", **sparse)
    yield Merge("dare-linear", "dare-linear", **sparse)
    for method in ("task-arithmetic", "dare-ties", "dare-linear"):
        more = {} if method == "task-arithmetic" else {"density": density, "seed": seed}
        yield Merge(f"{method}-default", method, variant="mergekit-default", **more)
    yield Merge("direct+direct", "linear", "direct", "direct-seed2")
    yield Merge("pairwise+pairwise", "linear", "pairwise", "pairwise-seed2")
    for alpha in ALPHAS:
        if alpha not in ALPHA_JUDGES:
            yield Merge(f"linear-{alpha}", "linear", alpha=alpha)


def alpha_judge(alpha: float) -> str:
    """Return the judge that is the linear merge at alpha: alpha 0 and 1 are the experts themselves."""
    return ALPHA_JUDGES.get(alpha, f"linear-{alpha}")


def _experts(examples: int | None) -> tuple[Expert, ...]:
    half = 0.5 if examples is None else examples // 2
    return (
        Expert("direct", ("direct",), examples),
        Expert("pairwise", ("pairwise",), examples),
        Expert("direct-seed2", ("direct",), examples, seed=43),
        Expert("pairwise-seed2", ("pairwise",), examples, seed=43),
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
        pairwise_with_reference=True, hardware="GPUs (the paper: eight A100 40 GB)",
    )  # fmt: skip


def load_scale(name: str = "mini", outputs: str | Path | None = None) -> Scale:
    """Return the settings of a scale; `outputs` defaults to the project's outputs folder.

    Raises DataError for an unknown scale.
    """
    if name not in SCALES:
        raise DataError(f"unknown scale {name!r}; choose one of {list(SCALES)}.")
    root = Path(outputs) if outputs else project_folder() / "outputs"
    return SCALES[name](Paths(root.resolve() / name))


def project_folder() -> Path:
    """Return the folder that holds the notebooks: the checkout this library was installed from."""
    return Path(__file__).resolve().parent.parent


SCALES = {
    "smoke": lambda paths: _miniature("smoke", paths, 40, 96, 0.08, 200),
    "mini": lambda paths: _miniature("mini", paths, 800, 4000, 1.0, 2000),
    "7b": lambda paths: _paper("7b", paths, "mistralai/Mistral-7B-Instruct-v0.2", _7B_TRAINING, 1.0, 0.9),
    "8x7b": lambda paths: _paper("8x7b", paths, "mistralai/Mixtral-8x7B-Instruct-v0.1", _8X7B_TRAINING, 1.95, 0.9),
}
