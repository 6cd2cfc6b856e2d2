"""What a scale decides, in numbers, and where every file of a run lies. Scales are read from files: see `reading`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from ..artifacts import hub_name
from ..data.catalogue import BENCHMARKS, DIRECT_BENCHMARKS, PAIR_BENCHMARKS, SEED_BENCHMARKS, UNSEEN_BENCHMARKS
from ..judging.tasks import Decoding
from ..merging.catalogue import ALPHAS, RUNS, SECOND_RUN, all_merges, alpha_judge, paper_merges
from ..merging.spec import Merge
from ..training.settings import EMBEDDED_BASE, TrainingSettings

PAPER_BASES = ("Mistral-7B-Instruct-v0.2", "Mixtral-8x7B-Instruct-v0.1")
STUDIES = ("formats", "reference", "position", "rubric", "attacks")  # beside the benchmarks: Tables 13, 16, biases


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
    """One model to train: the formats it learns and how many examples of each (a float is a share, None is all).

    >>> Expert("joint", ("direct", "pairwise"), 4000).seed
    42
    """

    name: str
    formats: tuple[str, ...]
    examples: int | float | None
    seed: int = 42


@dataclass(frozen=True)
class Scale:
    """Everything that differs between scales; `load_scale` reads it from a file.

    `benchmarks` are those of the paper that the scale has, of each at most `benchmark_items` items (0: all), and
    `studies` what the main judges are asked beside them. `only_merges` names the merges that are made; without it all
    are whose experts are trained. `without_hub` names the rows to train on where the hub cannot be reached, and on
    `loss_rows` rows of each format losses are measured between and around the experts. Judges have the number format
    of training unless `judging_dtype` says another; GPUs that lack bfloat16 take float16 in its place.

    >>> from prometheus_lib.scale import load_scale
    >>> load_scale("mini").judges[:4]
    ('base', 'direct', 'pairwise', 'direct-seed2')
    """

    name: str
    base_model: str
    miniature: bool
    collection_instructions: int
    training: TrainingSettings
    experts: tuple[Expert, ...]
    density: float
    scaling: float
    engine: str
    batch_size: int
    workers: int
    benchmark_share: float
    resamples: int
    paths: Paths
    decoding: Decoding = Decoding()
    pairwise_with_reference: bool = False
    main_judges: tuple[str, ...] = (
        "base", "direct", "pairwise", "joint", "linear", "task-arithmetic-default", "dare-linear",
    )  # fmt: skip
    merged_judge: str = "linear"
    seed: int = 42
    draws: int = 3
    sample_share: float = 1.0  # of each benchmark's instructions, for judges other than the main ones; see `sampled`
    sample_draws: int = 0  # 0: as many as the others
    hardware: str = ""
    in_place: bool = True
    launcher: str = "none"  # training in worker processes; "auto" chooses one of `training.LAUNCHERS` for the GPUs
    processes: int = 0  # that train one expert together (0: as many as fit)
    benchmarks: tuple[str, ...] = BENCHMARKS
    benchmark_items: int = 0
    studies: tuple[str, ...] = STUDIES
    only_merges: tuple[str, ...] = ()
    without_hub: str = ""
    loss_rows: int = 30
    keep_merges: bool = True  # False: all but the merged judge are written when they are judged, and then removed
    counted_feedback: bool = False  # the miniature's teacher counts aloud what is right (`data.counting`)
    judging_dtype: str = ""  # of the judges' weights: bfloat16, float32, or "auto" (what the machine is fast in)

    def benchmark_name(self, name: str) -> str:
        """Return the name under which this scale knows a benchmark of the paper."""
        return f"mini_{name}" if self.miniature else name

    @property
    def base_name(self) -> str:
        """Return the base model's name without its place, where it was fetched too; "embedded" for the library's own.

        >>> from prometheus_lib.scale import load_scale
        >>> [load_scale(name).base_name for name in ("mini", "small")]
        ['embedded', 'SmolLM2-135M-Instruct']
        """
        if self.base_model == str(EMBEDDED_BASE):
            return "embedded"
        return hub_name(self.base_model).rstrip("/").rpartition("/")[2]

    @property
    def schooled(self) -> bool:
        """Tell whether the base model was schooled to judge: the stand-in, or one that was rebuilt as it was.

        A rebuilt one carries the stand-in's card. What training adds to such a base is our choice.

        >>> from prometheus_lib.scale import load_scale
        >>> [load_scale(name).schooled for name in ("mini", "bridge")]
        [True, False]
        """
        card = Path(self.base_model) / "README.md"
        return card.is_file() and card.read_bytes() == (EMBEDDED_BASE / "README.md").read_bytes()

    @property
    def measurement(self) -> str:
        """Return what this scale's numbers measure, beside the paper's: a model is small that is trained on a CPU.

        >>> from prometheus_lib.scale import load_scale
        >>> load_scale("small").measurement
        'real items, small model: a third measurement'
        """
        if self.miniature:
            return "generated stand-ins for the benchmarks (mini_...), known truth"
        if self.base_name in PAPER_BASES:
            return "the paper's items and base model"
        model = "small model" if self.training.use_cpu else "another base model"
        return f"real items, {model}: a third measurement"

    @property
    def merges(self) -> tuple[Merge, ...]:
        """Return the merges of Tables 5, 6 and 17, each a model folder."""
        return self._made(paper_merges(self.density, self.scaling, self.seed))

    @property
    def sweep(self) -> tuple[Merge, ...]:
        """Return the further merges: Figure 3's alphas, further pairs of experts, a second mask, Table 10's recipe.

        They are judged without a model folder, except where weights cannot be changed in place (`in_place` is False:
        mixtures of experts).
        """
        own = {merge.name for merge in paper_merges(self.density, self.scaling, self.seed)}
        every = all_merges(self.density, self.scaling, self.seed)
        return self._made(merge for merge in every if merge.name not in own)

    def _made(self, merges: Iterable[Merge]) -> tuple[Merge, ...]:
        """Return those of the merges whose experts are trained and that the scale does not leave out."""
        trained = {expert.name for expert in self.experts}
        return tuple(
            merge
            for merge in merges
            if {merge.first, merge.second} <= trained and (not self.only_merges or merge.name in self.only_merges)
        )

    @property
    def merge_folders(self) -> tuple[Merge, ...]:
        """Return the merges that are written as model folders, and stay."""
        passing = {merge.name for merge in self.passing}
        return tuple(merge for merge in self._in_folders if merge.name not in passing)

    @property
    def passing(self) -> tuple[Merge, ...]:
        """Return the merges that lie in a folder only while they are judged (see `keep_merges`).

        >>> from prometheus_lib.scale import load_scale
        >>> load_scale("7b").passing, [merge.name for merge in load_scale("8x7b").merge_folders]
        ((), ['linear'])
        """
        return () if self.keep_merges else tuple(m for m in self._in_folders if m.name != self.merged_judge)

    @property
    def _in_folders(self) -> tuple[Merge, ...]:
        return self.merges if self.in_place else (*self.merges, *self.sweep)

    @property
    def judges(self) -> tuple[str, ...]:
        """Return the names of all judges: base, experts, merges."""
        return ("base", *[expert.name for expert in self.experts], *[m.name for m in (*self.merges, *self.sweep)])

    def replicas(self, judge: str) -> tuple[str, ...]:
        """Return a judge and those that differ from it in the seed of training only (for a merge: of its experts).

        Only these tell the luck of a training run, which an interval over items does not know.

        >>> from prometheus_lib.scale import load_scale
        >>> load_scale("mini").replicas("linear"), load_scale("mini").replicas("base")
        (('linear', 'linear-seed2', 'linear-seed3'), ('base',))
        """
        known = self.judges
        return tuple(f"{judge}{run}" for run in RUNS if f"{judge}{run}" in known)

    def main_benchmarks(self, judge: str) -> tuple[str, ...]:
        """Return the benchmarks that a judge is asked in any case: those of the scale that are among the paper's eight,
        or fewer outside the paper's tables.

        Replicas of the main judges, and merges of one format (Table 6), are asked those outside the training domain.
        """
        further = {merge.name for merge in self.sweep} - {alpha_judge(alpha) for alpha in ALPHAS}
        asked = SEED_BENCHMARKS if judge in further else (*DIRECT_BENCHMARKS, *PAIR_BENCHMARKS)
        asked = UNSEEN_BENCHMARKS if judge in self._compared_unseen else asked
        return tuple(name for name in asked if name in self.benchmarks)

    @property
    def _compared_unseen(self) -> set[str]:
        """Replicas of the main judges, and merges of two experts of one format."""
        replicas = {replica for main in self.main_judges for replica in self.replicas(main)[1:]}
        return replicas | {merge.name for merge in self.merges if merge.second == f"{merge.first}{SECOND_RUN}"}

    @property
    def sampled(self) -> tuple[str, ...]:
        """Return the judges that are asked a part of each benchmark only: `sample_share` and `sample_draws` of it.

        Not the main judges, their replicas, and the merges of one format (Table 6). None where a part is the whole.

        >>> from prometheus_lib.scale import load_scale
        >>> load_scale("mini").sampled[:3], load_scale("7b").sampled
        (('slerp', 'task-arithmetic', 'ties'), ())
        """
        if self.sample_share == 1 and self.sample_draws in (0, self.draws):
            return ()
        whole = {*self.main_judges, *self._compared_unseen}
        return tuple(judge for judge in self.judges if judge not in whole)

    def of_one_format(self, judge: str) -> bool:
        """Tell whether a judge is an expert that was taught one format only: it is not compared across formats.

        >>> from prometheus_lib.scale import load_scale
        >>> [load_scale("mini").of_one_format(judge) for judge in ("direct", "joint", "linear", "base")]
        [True, False, False, False]
        """
        return any(expert.name == judge and len(expert.formats) == 1 for expert in self.experts)

    def model_folder(self, judge: str) -> str:
        """Return the model folder (or hub id) of a judge that has one."""
        if judge == "base":
            return self.base_model
        kind = self.paths.experts if judge in {expert.name for expert in self.experts} else self.paths.merged
        return str(kind / judge)
