"""The paper's benchmarks (section 4.1, Table 2): one loader each, one record type out.

Direct assessment gives `DirectItem`s: vicuna_bench, mt_bench, flask, feedback_bench, biggen_bench (Table 16).
Pairwise ranking gives `PairItem`s: hhh_alignment, mt_bench_human, autoj_eval, preference_bench.

The loaders of flask, mt_bench_human, feedback_bench, preference_bench and biggen_bench are written to the schemas of
the original repository and of the Hugging Face hub; their full files could not be tried here.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

from ..records import DataError, DirectItem, MissingFile, PairItem
from .download import DATA_VARIABLE, Source, cache_folder, data_folder, fetch, origin, places
from .files import read_rows
from .released_rows import (
    autoj_items,
    biggen_items,
    choice,
    chosen_rejected_items,
    digest,
    direct_items,
    each_row,
    feedback_items,
    preference_items,
)

Items = list[DirectItem] | list[PairItem]

AUTOJ_REPOSITORY = "https://github.com/GAIR-NLP/auto-j"
AUTOJ_ORDER = "e14e6c4dc075"  # digest of the first responses in file order, on which the recorded outputs depend

SOURCES: dict[str, Source] = {
    "vicuna_bench": Source(
        direct_items,
        ("vicuna_eval.json",),
        sha256="131550a5815f75014a3ea71b0f534fb7ef0ca49b714c4e66935c35fdee1daacc",
    ),
    "mt_bench": Source(
        direct_items,
        ("mt_bench_eval.json",),
        sha256="5bf33413c34173c3b94f008499fd9098fb6338d5d1cf64f341e8e0c9b9f105cf",
    ),
    "flask": Source(
        direct_items,
        ("flask_eval.json",),
        older_sha256="023e2e17b0208fd31b8ec009438a6a87e0026be7cce85e61677afb58692bc137",
    ),
    "feedback_bench": Source(
        feedback_items,
        ("feedback_bench.jsonl", "feedback_collection_ood_test.json"),
        hub=("prometheus-eval/Feedback-Bench", "train"),
    ),
    "hhh_alignment": Source(
        chosen_rejected_items,
        ("hhh_alignment_eval.json",),
        sha256="fe6655dfeec99d04d582692767c736f2385b5e067f0b894d1b73a32af7be9c9e",
    ),
    "mt_bench_human": Source(
        chosen_rejected_items,
        ("mt_bench_human_judgement_eval.json",),
        older_sha256="63266aa8a3c6327aff814a1a7e33bb017881e849a6e0bd1749a5d813ad016f4f",
    ),
    "autoj_eval": Source(
        autoj_items,
        ("autoj_pairwise.json", "testdata_pairwise.jsonl"),
        sha256="56f32fad71d9b6b33bc4d51794c324981e26355bcbf3ce4908d7f8ddcc61f80e",
    ),
    "preference_bench": Source(
        preference_items,
        ("preference_bench.jsonl", "preference_collection_ood_test.json"),
        hub=("prometheus-eval/Preference-Bench", "train"),
    ),
    "biggen_bench": Source(
        biggen_items,
        ("biggen_bench.jsonl", "biggen_bench.json"),
        hub=("prometheus-eval/BiGGen-Bench-Results", "human_eval"),
    ),
}


def load_benchmark(name: str, data_dir: str | Path | None = None, download: bool = False) -> Items:
    """Load one benchmark of the paper as direct items or pair items, in file order.

    The file is looked for in the folder `benchmarks/` (as it is, or with .gz) of `data_dir`, and there only; or,
    without `data_dir`, of the folder that PROMETHEUS_DATA_DIR names, then of the download cache. With `download`
    the cache is always looked at, and a file found nowhere is fetched into it (see `download_benchmark`).
    Raises DataError for an unknown name, a missing file (where it was looked for, where to get it) and a damaged
    file (file, row counted from 1, what to do).

    >>> items = load_benchmark("vicuna_bench", download=True)  # doctest: +SKIP
    """
    source = _source(name)
    looked_at = places(source, data_dir, download)
    path = next((place for place in looked_at if place.exists()), None)
    if path is None and not download:
        raise _not_found(name, looked_at)
    path = path or download_benchmark(name)
    rows = read_rows(path)
    if not rows:
        raise DataError(f"{path}: holds no rows; {_advice(name)}")
    return source.build(name, rows, path)


def _not_found(name: str, looked_at: list[Path]) -> MissingFile:
    shown = [str(place).replace(str(Path.home()), "~", 1) for place in looked_at if place.suffix != ".gz"]
    looked = " or ".join(shown)
    return MissingFile(f"{name}: file not found; looked for {looked} ({DATA_VARIABLE} or data_dir); {_advice(name)}")


def download_benchmark(name: str, cache_dir: str | Path | None = None) -> Path:
    """Fetch one benchmark into the download cache and return its path.

    Files come from the paper's repository at a fixed commit, through Git LFS where it keeps a pointer only, or
    from the Hugging Face hub. The sha256 is checked where it is known. Where a file is not to be had, an older
    copy of known sha256 in the first Prometheus' repository takes its place.
    Raises DataError when no source can be reached or one sends something else; then nothing is written.

    >>> path = download_benchmark("vicuna_bench")  # doctest: +SKIP
    """
    source = _source(name)
    return fetch(name, source, Path(cache_dir or cache_folder()).expanduser() / "benchmarks" / source.files[0])


def _source(name: str) -> Source:
    if name not in SOURCES:
        raise DataError(f"unknown benchmark {name!r}; choose one of {', '.join(SOURCES)}.")
    return SOURCES[name]


def _advice(name: str) -> str:
    return f"get it with prometheus_lib.data.download_benchmark({name!r}) or by hand from {origin(SOURCES[name])}"


def load_autoj_replay(data_dir: str | Path | None = None) -> tuple[list[str], list[str]]:
    """Return Auto-J 13B's recorded decisions on autoj_eval as two lists of "A", "B" or "tie", in item order.

    The first list saw the responses in the item's own order, the second saw them exchanged and is already
    mapped back to the item's own A and B, so equal entries mean the judge was consistent. The files name no items:
    DataError when the rows of the benchmark stand in another order than Auto-J judged them.

    >>> first, swapped = load_autoj_replay("my_data")  # doctest: +SKIP
    """
    folder = data_folder(data_dir) / "autoj_outputs"
    first = _recorded_decisions(folder / "pairwise_example_output.jsonl", ("A", "B", "tie"))
    swapped = _recorded_decisions(folder / "pairwise_exchange_example_output.jsonl", ("B", "A", "tie"))
    _check_autoj_order(data_dir)
    if len(first) != len(swapped):
        raise DataError(f"{folder}: {len(first)} decisions in one file, {len(swapped)} in the other; get both again.")
    return first, swapped


def _check_autoj_order(data_dir: str | Path | None) -> None:
    path = next((place for place in places(SOURCES["autoj_eval"], data_dir, False) if place.is_file()), None)
    if path and digest(*(str(row.get("response 1")) for row in read_rows(path))) != AUTOJ_ORDER:
        raise DataError(f"{path}: not the rows that Auto-J judged, or in another order; {_advice('autoj_eval')}")


def _recorded_decisions(path: Path, names: tuple[str, str, str]) -> list[str]:
    if not path.is_file():
        raise MissingFile(f"{path}: file not found; get Auto-J's recorded outputs from {AUTOJ_REPOSITORY}.")
    return each_row(read_rows(path), path, lambda _, row: choice(row, "output", dict(enumerate(names))))


def benchmark_facts(items: Items) -> dict[str, Any]:
    """Return what Table 2 states of a benchmark, counted from its items; DataError when there are none.

    Keys: format, items, instructions (distinct clusters), rubrics (distinct as a whole), criteria (distinct
    lines), judgments (items a rater judged), draws (all recorded scores or labels), labels (how often each
    score or label occurs) and reference ("Y", "N" or "some").

    >>> from prometheus_lib.data import minibench
    >>> facts = benchmark_facts(minibench.build("mini_autoj_eval", 42))
    >>> facts["format"], facts["items"]
    ('pairwise', 174)
    """
    if not items:
        raise DataError("no items to describe; load a benchmark first")
    pairwise = isinstance(items[0], PairItem)
    labels = [[item.label] if pairwise else list(chain(*item.scores.values())) for item in items]
    with_reference = sum(bool(item.reference_answer) for item in items)
    return {
        "format": "pairwise" if pairwise else "direct",
        "items": len(items),
        "instructions": len({item.cluster for item in items}),
        "rubrics": len({item.criteria if pairwise else item.rubric for item in items}),
        "criteria": len({item.criteria if pairwise else item.rubric.criteria for item in items}),
        "judgments": sum(bool(found) for found in labels),
        "draws": sum(len(found) for found in labels),
        "labels": dict(sorted(Counter(chain(*labels)).items())),
        "reference": {0: "N", len(items): "Y"}.get(with_reference, "some"),
    }
