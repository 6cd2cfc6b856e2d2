"""What a committed run must not show: texts of real data, which are read from a user's folder and not ours to publish.

Executed notebooks print items. In a run that is written below the committed outputs, an output that holds so many words
in a row of a real text is replaced by a note; judgments carry ids and the judge's own words, tables hold numbers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from .. import prompts
from ..data import minibench
from ..data.building.leakage import GRAM, runs
from ..data.building.loading import data_files
from ..data.building.vicuna import renamed
from ..records import DirectItem, read_jsonl
from ..scale import Scale, committed_outputs

REAL_TEXTS = ("benchmarks", "vicuna_gpt4_pairs", "feedback_collection_samples")  # folders of the folder of real data
NOTE = "[not kept here: this output shows text of the real data; run the notebook to see it]\n"
_LETTER = re.compile(r"[^\W\d_]")
_TAG = re.compile(r"<[^>]+>")


def withheld_files(scale: Scale, real_data: str) -> list[Path]:
    """Return the files whose texts must not stand in the run's executed notebooks: none for a run of one's own.

    >>> from prometheus_lib.scale import load_scale
    >>> withheld_files(load_scale("mini"), "my_data")
    []
    """
    if committed_outputs() not in scale.paths.root.parents:
        return []
    folders = [Path(real_data) / name for name in REAL_TEXTS] if real_data else []
    rows = [] if scale.miniature else [scale.paths.rows("feedback"), scale.paths.rows("preference")]
    return [file for place in folders if place.is_dir() for file in data_files(place)] + rows


def known_runs(files: Iterable[Path]) -> set[int]:
    """Return the hashes of all runs of GRAM words in the texts of files, but for those of our own prompts.

    Numbers alone are no text: any table may hold "5 5 5 ...". A file is read again only when it has changed. Hashes
    hold in this process alone.

    >>> known_runs([Path("no/such/file.jsonl")])
    set()
    """
    states = ((file, file.stat()) for file in files if file.is_file())
    return set().union(*(_runs_of(file, state.st_size, state.st_mtime_ns) for file, state in states)) - _own_runs()


@lru_cache(maxsize=128)
def _runs_of(file: Path, size: int, time: int) -> frozenset[int]:
    """Return a file's runs; its size and the time of its last change tell whether they are still the same."""
    found = (run for text in real_texts(file) for run in runs(text, GRAM))
    return frozenset(hash(run) for run in found if run.count(" ") == GRAM - 1 and _LETTER.search(run))


@cache
def _own_runs() -> frozenset[int]:
    return frozenset(hash(run) for text in _own_texts() for run in runs(text, GRAM))


def real_texts(file: Path) -> Iterator[str]:
    """Yield every text in a JSON or JSON Lines file, and reviews also as they are trained on."""
    whole = file.read_text(encoding="utf-8")
    try:
        rows = json.loads(whole)
    except json.JSONDecodeError:
        rows = read_jsonl(file)
    for text in _strings(rows):
        yield text
        if "ssistant" in text:
            yield from (renamed(text, exchanged) for exchanged in (False, True))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)


def _own_texts() -> Iterator[str]:
    """Yield what stands in every prompt: ours to show, though released prompts hold it too."""
    for name in ("mini_flask", "mini_autoj_eval"):
        item = minibench.build(name, 1, 0.1)[0]
        shows = (True, False) if isinstance(item, DirectItem) else (False,)
        render = prompts.render_direct if isinstance(item, DirectItem) else prompts.render_pairwise
        yield from (render(item, with_reference) for with_reference in shows)
    yield from (prompts.DIRECT_SYSTEM_PROMPT, prompts.PAIRWISE_SYSTEM_PROMPT)


def shows(text: str, known: set[int]) -> bool:
    """Tell whether a text holds one of the known runs of words; tags of HTML do not part them.

    >>> real = " ".join(f"word{n}" for n in range(20))
    >>> known = {hash(run) for run in runs(real, GRAM)}
    >>> shows(f"<td>{real[20:110]}</td>", known), shows("A judge's own words.", known)
    (True, False)
    """
    return any(hash(run) in known for run in runs(_TAG.sub(" ", text).replace("\\n", " "), GRAM))


def withhold(notebook: dict[str, Any], known: set[int]) -> int:
    """Replace a notebook's outputs that show known texts by a note, in place; return how many there were."""
    count = 0
    for cell in notebook["cells"]:
        for place, output in enumerate(cell.get("outputs", [])):
            if shows(" ".join(output_texts(output)), known):
                cell["outputs"][place] = {"output_type": "stream", "name": "stdout", "text": [NOTE]}
                count += 1
    return count


def output_texts(output: dict[str, Any]) -> list[str]:
    """Return the texts of a cell's output, without pictures."""
    shown = [output.get("text", "")]
    shown += [value for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
    return ["".join(value) if isinstance(value, Sequence) else json.dumps(value) for value in shown]
