"""A run: the judgments and benchmark items that every table is computed from."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import artifacts, metrics
from ..data import benchmarks
from ..data.catalogue import PAIR_BENCHMARKS, REAL_NAMES
from ..data.votes import read_votes
from ..judging.reading import check_one_kind, current_judgments
from ..metrics import Floats
from ..records import DataError, DirectItem, MissingFile, PairItem, first_instructions, read_items

if TYPE_CHECKING:
    from ..scale import Scale

Items = Sequence[DirectItem] | Sequence[PairItem]
Objects = NDArray[np.object_]

_SEEDS = {  # of the resamples, given once: a benchmark keeps its own whatever is added or moved (others: by name)
    "vicuna_bench": 0, "mt_bench": 1, "flask": 2, "feedback_bench": 3, "hhh_alignment": 4, "mt_bench_human": 5,
    "autoj_eval": 6, "preference_bench": 7, "biggen_bench": 8,
}  # fmt: skip
_SAME_TABLE = ["judge", "benchmark", "format", "with_reference", "order"]


@dataclass(frozen=True)
class Run:
    """What the tables are computed from: `items` and `real` by the paper's benchmark name ("vicuna_bench", ...).

    `replay` holds Auto-J 13B's recorded decisions on the real Auto-J Eval (item order, swapped order mapped back),
    `votes` the human votes and GPT-4's decisions on MT-Bench answers (see `votes.read_votes`). `left_out` says of
    each file that was not there ("vicuna_bench", "vicuna_bench (real)", "replay (real)") where it was looked for.
    `draws` is the number of draws of a direct score that count (None: all).

    >>> from prometheus_lib.tables import example_run
    >>> run = example_run()
    >>> len(run.items["flask"]), run.scores("linear", "flask").shape, run.scores("nobody", "flask")
    (32, (32, 3), None)
    """

    scale: Scale
    judgments: pd.DataFrame
    items: dict[str, Items]
    real: dict[str, Items] = field(default_factory=dict)
    replay: tuple[list[str], list[str]] | None = None
    votes: pd.DataFrame | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    draws: int | None = None

    def describe_left_out(self) -> str:
        """Return one line for people: which files were not there, and which command fetches what may be fetched."""
        if not self.left_out:
            return "left out: nothing"
        return f"left out, as their files are not there: {', '.join(self.left_out)} (`make data` fetches released ones)"

    def scores(self, judge: str, name: str, with_reference: bool = True) -> Floats | None:
        """Return a judge's direct scores (items, draws), NaN for unparsed; None when there are none."""
        return _floats(self._draws(judge, name, "direct", with_reference))

    def choices(self, judge: str, name: str, order: str = "ab") -> Objects | None:
        """Return a judge's pairwise decisions (items,): "A", "B", "tie" or None (unparsed); None when there are none.

        With order "ba", those made with response B shown first, mapped back to the item's own A and B.
        """
        table = self._draws(judge, name, "pairwise", False, order)
        return None if table is None else table[:, 0]

    def pair_scores(self, judge: str, name: str) -> tuple[Floats, Floats] | None:
        """Return the direct scores (items, draws) of each pair's response A and response B."""
        sides = [_floats(self._draws(judge, name, "direct", False, side=f"#{side}")) for side in "ab"]
        return None if any(side is None for side in sides) else (sides[0], sides[1])

    def answers(self, judge: str, name: str) -> tuple[NDArray, int] | None:
        """Return one answer per item, mean score or decision, with the number of unparsed judgments."""
        if name in PAIR_BENCHMARKS:
            choices = self.choices(judge, name)
            return None if choices is None else (choices, int(pd.isna(choices).sum()))
        scores = self.scores(judge, name)
        return None if scores is None else (metrics.mean_scores(scores), int(np.isnan(scores).sum()))

    def options(self, name: str, resamples: int | None = None) -> dict[str, int]:
        """Return bootstrap options: a seed of its own for each benchmark, so that averages resample independently."""
        own = _SEEDS[name] if name in _SEEDS else int(artifacts.text_hash(name), 16) % 10**6 + len(_SEEDS)
        return {"n_resamples": resamples or self.scale.resamples, "seed": self.scale.seed + own}

    def present(self, names: Iterable[str]) -> list[str]:
        """Return those of the benchmarks that this run has."""
        return [name for name in names if name in self.items]

    def of(self, *judges: str) -> Run:
        """Return what all these judges were asked: this run, or the part of it that the scale's `sampled` ones are.

        Judges are compared on the same instructions by as many draws each.

        >>> from prometheus_lib.tables import example_run
        >>> run = example_run()
        >>> part = replace(run, scale=replace(run.scale, sample_share=0.5, sample_draws=1)).of("linear", "ties")
        >>> len(part.choices("linear", "hhh_alignment")), part.draws, run.of("linear", "ties") is run
        (13, 1, True)
        """
        if not set(judges) & set(self.scale.sampled):
            return self
        if "part" not in self.memory:
            items = {name: first_instructions(each, self.scale.sample_share) for name, each in self.items.items()}
            scale = replace(self.scale, sample_share=1.0, sample_draws=0)
            self.memory["part"] = replace(self, scale=scale, items=items, draws=self.scale.sample_draws or None)
        return self.memory["part"]

    def asked(self, names: Iterable[str]) -> list[str]:
        """Return those of the benchmarks that this run's scale has: an average over them is its average."""
        return [name for name in names if name in self.scale.benchmarks]

    def on_real(self) -> Run:
        """Return a run over the real benchmark files without judges: `with_judgments` brings them in."""
        scale = replace(self.scale, miniature=False, main_judges=())
        return Run(scale, self.judgments.iloc[:0], dict(self.real), votes=self.votes, left_out=self.left_out)

    def with_judgments(self, rows: pd.DataFrame) -> Run:
        """Return the run with recorded judgments (`recorded.read_recorded`), their judges among the main judges.

        `rows` name a benchmark as this run does ("vicuna_bench", also at the miniature scales). Raises DataError for
        a benchmark or item that the run does not have, and for a judge that has already answered there.
        """
        names = {self.scale.benchmark_name(name): self.scale.benchmark_name(name) for name in self.items}
        names |= {name: self.scale.benchmark_name(name) for name in self.items}
        unknown = sorted(set(rows["benchmark"]) - names.keys())
        if unknown:
            raise DataError(f"benchmark {unknown[0]!r} is not in this run; it has {sorted(self.items)}.")
        added = rows.assign(benchmark=rows["benchmark"].map(names))
        _check_new(self.judgments, added)
        judges = dict.fromkeys([*self.scale.main_judges, *added["judge"]])
        judgments = pd.concat([part for part in (self.judgments, added) if len(part)] or [added], ignore_index=True)
        return replace(self, judgments=judgments, scale=replace(self.scale, main_judges=tuple(judges)))

    @cached_property
    def _groups(self) -> dict[tuple, pd.DataFrame]:
        """Judgments by judge, benchmark and way of asking; DataError where a table would mix two kinds of answers."""
        check_one_kind(self.judgments)
        return dict(list(self.judgments.groupby(_SAME_TABLE, sort=False)))

    @cached_property
    def memory(self) -> dict[tuple, Any]:
        """What was worked out for one table and is needed for others; new with every run."""
        return {}

    def _draws(
        self, judge: str, name: str, format: str, with_reference: bool, order: str = "ab", side: str = ""
    ) -> Objects | None:
        """Decisions (items, draws), None where unparsed or missing; read once, as many tables ask for the same."""
        key = (judge, self.scale.benchmark_name(name), format, with_reference, order)
        if (key, side) not in self.memory:
            found = self._groups.get(key) if name in self.items else None
            ids = [f"{item.id}{side}" for item in self.items.get(name, ())]
            if found is not None and self.draws is not None:
                found = found[found["draw"] < self.draws]
            self.memory[key, side] = None if found is None else _decision_table(found, ids, f"{judge}, {name}")
        return self.memory[key, side]


def _decision_table(found: pd.DataFrame, ids: list[str], who: str) -> Objects | None:
    """Decisions (items, draws) of one judge's rows; a missing judgment is warned about and counts as unparsed."""
    rows, draws = pd.Index(ids).get_indexer(found["item_id"]), found["draw"].to_numpy(int)
    known = rows >= 0
    if not known.any():
        return None
    table = np.full((len(ids), int(draws.max()) + 1), None, dtype=object)
    table[rows[known], draws[known]] = found["decision"].to_numpy(object)[known]
    if known.sum() < table.size:
        warnings.warn(
            f"{who} ({found['format'].iloc[0]}): {table.size - known.sum()} of {table.size} judgments are missing and "
            "count as unparsed; collect judgments to the end, or complete the recorded file.",
            stacklevel=4,
        )
    return table


def _check_new(judgments: pd.DataFrame, added: pd.DataFrame) -> None:
    clash = added[_SAME_TABLE].drop_duplicates().merge(judgments[_SAME_TABLE].drop_duplicates())
    if len(clash):
        judge, benchmark = clash.iloc[0][["judge", "benchmark"]]
        raise DataError(
            f"judge {judge!r} already has judgments on {benchmark}; give the recorded judge a name of its own."
        )


def load_run(scale: Scale, data_dir: str | Path | None = None, real: bool = True) -> Run:
    """Read judgments and benchmark items of a scale and, with `real`, the real benchmarks.

    Judgments are those of what was asked last (`judging.current_judgments`, which warns of others). A file that is
    missing is named in `Run.left_out`; a damaged one is a DataError, as is a run without judgments or benchmarks. Real
    data is looked for in `data_dir`, else PROMETHEUS_DATA_DIR, else the download cache.

    >>> from prometheus_lib.scale import load_scale
    >>> load_run(load_scale("mini", "no such folder"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    prometheus_lib.records.DataError: ...no judgment files...
    """
    judgments = current_judgments(scale.paths.judgments, policy="once")
    loaders = {name: _items_loader(scale, name, judgments, data_dir) for name in scale.benchmarks}
    items, left_out = _load_each(loaders)
    if not items:
        raise DataError(f"{scale.paths.data / 'benchmarks'}: no benchmark files; build and judge the benchmarks first.")
    if not real:
        return Run(scale, judgments, items, left_out=left_out)
    found, missing = _load_each({name: partial(benchmarks.load_benchmark, name, data_dir) for name in REAL_NAMES})
    others, missing_too = _load_each(
        {
            "replay": partial(benchmarks.load_autoj_replay, data_dir),
            "votes": lambda: read_votes(benchmarks.data_folder(data_dir)),
        }
    )
    left_out |= {f"{name} (real)": reason for name, reason in (missing | missing_too).items()}
    return Run(scale, judgments, items, found, others.get("replay"), others.get("votes"), left_out)


def _items_loader(scale: Scale, name: str, judgments: pd.DataFrame, data_dir: str | Path | None) -> Callable[[], Items]:
    """Return what reads a benchmark's items: from the run's file, else from the released file those that were judged.

    A committed run on real items keeps their ids only.
    """
    known = scale.benchmark_name(name)
    file = scale.paths.benchmark(known)
    if scale.miniature or file.is_file():
        return partial(read_items, file)
    judged = set(judgments.loc[judgments["benchmark"] == known, "item_id"].str.partition("#")[0])
    return lambda: [item for item in benchmarks.load_benchmark(name, data_dir) if item.id in judged]


def _load_each(loaders: Mapping[str, Callable[[], Any]]) -> tuple[dict[str, Any], dict[str, str]]:
    """What could be loaded, and for what is not there the reason."""
    found, missing = {}, {}
    for name, load in loaders.items():
        try:
            found[name] = load()
        except MissingFile as error:
            missing[name] = str(error)
    return found, missing


def once_per_run(table: Callable[[Run], pd.DataFrame]) -> Callable[[Run], pd.DataFrame]:
    """Let a table be worked out once for a run: called again, it returns a copy of what it returned before.

    >>> from prometheus_lib.tables import example_run
    >>> @once_per_run
    ... def judges(run):
    ...     print("working")
    ...     return run.judgments[["judge"]].drop_duplicates()
    >>> run = example_run()
    >>> len(judges(run)) == len(judges(run))
    working
    True
    """

    @wraps(table)
    def remembered(run: Run) -> pd.DataFrame:
        key = (table.__module__, table.__qualname__)
        if key not in run.memory:
            run.memory[key] = table(run)
        return run.memory[key].copy()

    return remembered


def _floats(table: Objects | None) -> Floats | None:
    return None if table is None else table.astype(float)
