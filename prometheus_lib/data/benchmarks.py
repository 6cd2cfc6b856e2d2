"""The paper's benchmarks (section 4.1, Table 2): one loader each, one record type out.

Direct assessment gives `DirectItem`s: vicuna_bench, mt_bench, flask, feedback_bench, biggen_bench (Table 16).
Pairwise ranking gives `PairItem`s: hhh_alignment, mt_bench_human, autoj_eval, preference_bench.

Most released files hold a whole prompt in one string. Its sections are found by the template's own headers,
in their order, so "###" inside a response stays text. Files may be JSON arrays or JSON Lines, compressed by gzip,
with any line ends and unknown columns, and in the encodings of older copies. The loaders of flask,
mt_bench_human, feedback_bench, preference_bench and biggen_bench are written to the schemas of the original
repository and of the Hugging Face hub; their full files could not be tried here. No order of A and B depends on
a label or on a judge.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import math
import os
import re
import urllib.request
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from ..prompts.injection import restore
from ..prompts.wording import DIRECT_HEADERS, FEEDBACK_HEADER
from ..records import DataError, DirectItem, PairItem, Rubric, write_bytes_atomic, write_jsonl

Row = dict[str, Any]
Items = list[DirectItem] | list[PairItem]

DATA_VARIABLE = "PROMETHEUS_DATA_DIR"
RAW_HOST = "https://raw.githubusercontent.com"
LFS_HOST = "https://media.githubusercontent.com/media"  # where a file is if RAW_HOST only has a pointer to it
RAW_FILES = f"{RAW_HOST}/prometheus-eval/prometheus-eval/dcfb442/eval/benchmark/data"
OLDER_FILES = f"{RAW_HOST}/prometheus-eval/prometheus/f165242/evaluation/benchmark/data"  # the first Prometheus
AUTOJ_REPOSITORY = "https://github.com/GAIR-NLP/auto-j"
AUTOJ_ORDER = "e14e6c4dc075"  # digest of the first responses in file order, on which the recorded outputs depend

# The released code gives Auto-J Eval a rubric that starts with a newline and then keeps the text before the
# first newline, so its judge saw an empty criterion (variant `paper-code`). This sentence is our own.
AUTOJ_CRITERIA = "Does the response help the user: is it correct, relevant, complete and clearly written?"
AUTOJ_RUBRIC = Rubric(  # ours as well: direct-for-pairs needs score descriptions
    AUTOJ_CRITERIA,
    (
        "The response does not help, or misleads.",
        "The response helps a little, with serious errors or gaps.",
        "The response helps in part, with some errors or gaps.",
        "The response helps well, with minor flaws.",
        "The response helps fully: it is correct, relevant, complete and clear.",
    ),
)

_LFS_POINTER = re.compile(rb"version https://git-lfs.*?oid sha256:([0-9a-f]{64})", re.DOTALL)

# Score field of a file -> rater. Table 3 names GPT-4-1106, humans and, for Feedback Bench, GPT-4-0613.
_RATERS = {"gpt4_score": "gpt-4-1106", "human_score": "human"}
_FEEDBACK_RATERS = {"orig_score": "gpt-4-0613", "gpt4_score": "gpt-4-0613"}
_BIGGEN_RATERS = {
    "human_score": "human",
    "gpt4_score": "gpt-4-1106",
    "gpt4_04_turbo_score": "gpt-4-turbo-2024-04-09",
    "claude_score": "claude-3-opus",
}


@dataclass(frozen=True)
class _Source:
    """How rows become items, the accepted file names (first: the download's), where they come from."""

    build: Callable[[str, list[Row], Path], Items]
    files: tuple[str, ...]
    hub: tuple[str, str] | None = None
    sha256: str | None = None
    older_sha256: str | None = None


def load_benchmark(name: str, data_dir: str | Path | None = None, download: bool = False) -> Items:
    """Load one benchmark of the paper as direct items or pair items, in file order.

    The file is looked for in the folder `benchmarks/` (as it is, or with .gz) of `data_dir`, and there only; or,
    without `data_dir`, of the folder that PROMETHEUS_DATA_DIR names, then of the download cache. With `download`
    the cache is always looked at, and a file found nowhere is fetched into it (see `download_benchmark`).
    Raises DataError for an unknown name, a missing file (where it was looked for, where to get it) and a damaged
    file (file, row counted from 0, what to do).
    """
    source = _source(name)
    places = _places(source, data_dir, download)
    path = next((place for place in places if place.exists()), None)
    if path is None and not download:
        looked = " or ".join(str(place).replace(str(Path.home()), "~", 1) for place in places if place.suffix != ".gz")
        raise DataError(f"{name}: file not found; looked for {looked} ({DATA_VARIABLE} or data_dir); {_advice(name)}")
    path = path or download_benchmark(name)
    rows = read_rows(path)
    if not rows:
        raise DataError(f"{path}: holds no rows; {_advice(name)}")
    return source.build(name, rows, path)


def _places(source: _Source, data_dir: str | Path | None, download: bool) -> list[Path]:
    folders = [data_folder(data_dir)] + ([cache_folder()] if download or data_dir is None else [])
    files = [name for file in source.files for name in (file, f"{file}.gz")]
    return [folder / "benchmarks" / file for folder in dict.fromkeys(folders) for file in files]


def load_autoj_replay(data_dir: str | Path | None = None) -> tuple[list[str], list[str]]:
    """Return Auto-J 13B's recorded decisions on autoj_eval as two lists of "A", "B" or "tie", in item order.

    The first list saw the responses in the item's own order, the second saw them exchanged and is already
    mapped back to the item's own A and B, so equal entries mean the judge was consistent. The files name no items:
    DataError when the rows of the benchmark stand in another order than Auto-J judged them.
    """
    _check_autoj_order(data_dir)
    folder = data_folder(data_dir) / "autoj_outputs"
    first = _read_decisions(folder / "pairwise_example_output.jsonl", ("A", "B", "tie"))
    swapped = _read_decisions(folder / "pairwise_exchange_example_output.jsonl", ("B", "A", "tie"))
    if len(first) != len(swapped):
        raise DataError(f"{folder}: {len(first)} decisions in one file, {len(swapped)} in the other; get both again.")
    return first, swapped


def _check_autoj_order(data_dir: str | Path | None) -> None:
    path = next((place for place in _places(BENCHMARKS["autoj_eval"], data_dir, False) if place.is_file()), None)
    if path and _digest(*(str(row.get("response 1")) for row in read_rows(path))) != AUTOJ_ORDER:
        raise DataError(f"{path}: not the rows that Auto-J judged, or in another order; {_advice('autoj_eval')}")


def benchmark_facts(items: Items) -> dict[str, Any]:
    """Return what Table 2 states of a benchmark, counted from its items; DataError when there are none.

    Keys: format, items, instructions (distinct clusters), rubrics (distinct as a whole), criteria (distinct
    lines), judgments (items a rater judged), draws (all recorded scores or labels), labels (how often each
    score or label occurs) and reference ("Y", "N" or "some").
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


# Files: where they are, how they are read, how they are fetched ------------------------------------


def data_folder(data_dir: str | Path | None = None) -> Path:
    """Return the folder of real data: the argument, else PROMETHEUS_DATA_DIR, else the download cache."""
    chosen = data_dir or os.environ.get(DATA_VARIABLE) or cache_folder()
    return Path(chosen).expanduser()


def cache_folder() -> Path:
    """Return the folder that `download_benchmark` fills: prometheus2-notebooks in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "prometheus2-notebooks"


def download_benchmark(name: str, cache_dir: str | Path | None = None) -> Path:
    """Fetch one benchmark into the download cache and return its path.

    Files come from the paper's repository at a fixed commit, through Git LFS where it keeps a pointer only, or
    from the Hugging Face hub. The sha256 is checked where it is known. Where a file is not to be had, an older
    copy of known sha256 in the first Prometheus' repository takes its place.
    Raises DataError when no source can be reached or one sends something else; then nothing is written.
    """
    source = _source(name)
    path = Path(cache_dir or cache_folder()).expanduser() / "benchmarks" / source.files[0]
    if source.hub:
        return write_jsonl(path, _hub_rows(name, *source.hub))
    return write_bytes_atomic(path, _released_file(name, source))


def _released_file(name: str, source: _Source) -> bytes:
    try:
        return _checked(name, _raw_url(source), source.sha256)
    except DataError:
        if source.older_sha256 is None:
            raise
        return _checked(name, f"{OLDER_FILES}/{source.files[0]}", source.older_sha256)


def _raw_url(source: _Source) -> str:
    return f"{RAW_FILES}/{source.files[0]}"


def _checked(name: str, url: str, sha256: str | None) -> bytes:
    """The file behind a URL, through a Git LFS pointer if need be, with its sha256 checked where one is known."""
    data = _fetch(name, url)
    if pointer := _LFS_POINTER.match(data):
        url, sha256 = url.replace(RAW_HOST, LFS_HOST, 1), sha256 or pointer[1].decode()
        data = _fetch(name, url)
    if sha256 and hashlib.sha256(data).hexdigest() != sha256:
        raise DataError(
            f"{name}: the sha256 of {url} differs from the released file's; nothing was written. "
            "Try again, or get the file by hand and put it into the folder of real data."
        )
    return data


def _fetch(name: str, url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise DataError(
            f"{name}: {url} could not be fetched ({error}); check the network, or get it by hand."
        ) from error


def _hub_rows(name: str, dataset: str, split: str) -> Iterable[Row]:
    from datasets import load_dataset  # heavy, and only needed for a download

    try:
        return list(load_dataset(dataset, split=split))
    except Exception as error:  # the hub client raises many unrelated types
        raise DataError(f"{name}: {dataset} ({split}) could not be loaded from the hub ({error}).") from error


def _source(name: str) -> _Source:
    if name not in BENCHMARKS:
        raise DataError(f"unknown benchmark {name!r}; choose one of {', '.join(BENCHMARKS)}.")
    return BENCHMARKS[name]


def _advice(name: str) -> str:
    source = BENCHMARKS[name]
    origin = f"https://huggingface.co/datasets/{source.hub[0]}" if source.hub else _raw_url(source)
    return f"get it with prometheus_lib.benchmarks.download_benchmark({name!r}) or by hand from {origin}"


def read_rows(path: str | Path) -> list[Row]:
    """Read a JSON array of objects, an object of objects or JSON Lines, whatever the file's name says.

    The file may be compressed by gzip and may start with a byte order mark. Lines end at newlines only: the texts
    hold characters at which str.splitlines would also cut. DataError names the file and the line or row.
    """
    path = Path(path)
    text = _read_text(path)
    data = _json_lines(path, text) if _is_json_lines(text) else _json(path, text)
    rows = list(data.values()) if isinstance(data, dict) else data
    for number, row in enumerate(rows if isinstance(rows, list) else [rows]):
        if not isinstance(row, dict):
            raise DataError(
                f"{path}, row {number}: expected an object, found {type(row).__name__}; get the file again."
            )
    return rows


def _read_text(path: Path) -> str:
    if path.is_dir():
        raise DataError(f"{path}: a folder, where a file is needed; put the file there.")
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"{path}: file not found; check the folder's name or fetch the file.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text (byte {error.start}); the file is damaged, get it again.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: could not be read ({error}); the file is damaged, get it again.") from error
    if not text.strip():
        raise DataError(f"{path}: the file is empty; get it again.")
    if text.startswith("version https://git-lfs"):
        raise DataError(f"{path}: a Git LFS pointer, not the data; run `git lfs pull` in the clone it came from.")
    return text


def _is_json_lines(text: str) -> bool:
    """Is the first line an object of its own? A single line of objects by name is one JSON object of rows."""
    line, _, rest = text.strip().partition("\n")
    try:
        first = json.loads(line)
    except json.JSONDecodeError:
        return False
    return isinstance(first, dict) and (bool(rest) or not all(isinstance(value, dict) for value in first.values()))


def _json_lines(path: Path, text: str) -> list[Any]:
    lines = enumerate(text.split("\n"), start=1)
    return [_json(path, line, number) for number, line in lines if line.strip()]


def _json(path: Path, text: str, line: int = 1) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}, line {line + error.lineno - 1}: not valid JSON ({error.msg}); the file is damaged, get it again."
        ) from error


def _read_decisions(path: Path, names: tuple[str, str, str]) -> list[str]:
    if not path.is_file():
        raise DataError(f"{path}: file not found; get Auto-J's recorded outputs from {AUTOJ_REPOSITORY}.")
    return _convert(read_rows(path), path, lambda _, row: _choice(row, "output", dict(enumerate(names))))


# Prompt strings to sections ------------------------------------------------------------------------

_TAIL = re.compile(rf'{re.escape(FEEDBACK_HEADER.rstrip())} *(?:",)?\s*\Z')


def split_prompt(prompt: str) -> tuple[str, str, str | None, str]:
    """Return instruction, response, reference answer (or None) and rubric text of a direct assessment prompt.

    The instruction ends at the first response header; rubric and reference answer are searched from the end,
    so a response may contain any header. A prompt has a reference answer if its task description speaks of one.
    Marks that were neutralised on rendering (see `injection`) come back as they were written. Accepted from older
    encodings: a stray `",` and newline at the end, and line ends of Windows.
    Raises ValueError naming the section that is missing.
    """
    instruction_header, response_header, reference_header, rubric_header = DIRECT_HEADERS
    body = _canonical(prompt)
    if not body.endswith(FEEDBACK_HEADER):
        raise ValueError(f"the prompt does not end with {FEEDBACK_HEADER.rstrip()!r}")
    task, rest = _cut(body.removesuffix(FEEDBACK_HEADER), instruction_header)
    instruction, rest = _cut(rest, response_header)
    rest, rubric = _cut(rest, rubric_header, last=True)
    response, reference = _cut(rest, reference_header, last=True) if "a reference answer" in task else (rest, None)
    reference = reference and restore(reference)
    return restore(instruction), restore(response), reference, restore(rubric.removesuffix("\n\n"))


def _canonical(prompt: str) -> str:
    """The prompt as the template writes it: its own line ends, nothing after the last header."""
    if f"{DIRECT_HEADERS[0]}\r\n" in prompt:
        prompt = prompt.replace("\r\n", "\n")
    return _TAIL.sub(lambda _: FEEDBACK_HEADER, prompt)


def _cut(text: str, header: str, last: bool = False) -> tuple[str, str]:
    divider = f"\n\n{header}\n"
    before, found, after = text.rpartition(divider) if last else text.partition(divider)
    if not found:
        raise ValueError(f"the prompt has no section {header!r} where the template has it")
    return before, after


def parse_rubric(text: str) -> Rubric:
    """Parse "[criteria]" and five "Score n:" lines, as a prompt shows a rubric; else ValueError."""
    parts, rest = [], text
    for mark in ("[", "]\nScore 1: ", "\nScore 2: ", "\nScore 3: ", "\nScore 4: ", "\nScore 5: "):
        part, found, rest = rest.partition(mark)
        if not found:
            raise ValueError(f"the rubric has no {mark.strip()!r} where the template has it")
        parts.append(part)
    return Rubric(parts[1], (*parts[2:], rest))


# Rows to items -------------------------------------------------------------------------------------


def _convert(rows: list[Row], path: Path, convert: Callable[[int, Row], Any]) -> list[Any]:
    """Apply `convert(number, row)` to all rows; a fault becomes a DataError with file, row and advice."""
    converted = []
    for number, row in enumerate(rows):
        try:
            converted.append(convert(number, row))
        except KeyError as error:
            raise DataError(f"{path}, row {number}: no field {error}; repair the row or get the file again.") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{path}, row {number}: {error}; repair the row or get the file again.") from error
    return converted


def _direct_items(name: str, rows: list[Row], path: Path) -> list[DirectItem]:
    ids = _distinct(_convert(rows, path, lambda _, row: f"{name}/{_direct_key(row)}"))
    return _convert(rows, path, lambda number, row: _direct_from_prompt(ids[number], name, row, _RATERS))


def _direct_key(row: Row) -> str:
    if "idx" not in row:
        return _digest(_canonical(_text(row, "instruction")))
    return "/".join([str(row["idx"]), *([row["response_source"]] if "response_source" in row else [])])


def _direct_from_prompt(item_id: str, name: str, row: Row, raters: dict[str, str]) -> DirectItem:
    instruction, response, reference, rubric = split_prompt(_text(row, "instruction"))
    return DirectItem(
        id=item_id,
        instruction=instruction,
        response=response,
        reference_answer=reference,
        rubric=parse_rubric(rubric),
        scores=_scores(row, raters),
        group=row.get("category", ""),
        cluster=f"{name}/{row['idx'] if 'idx' in row else _digest(instruction)}",
        prompt=_canonical(row["instruction"]),
        meta={key: row[key] for key in ("response_source", "gpt4_feedback") if key in row},
    )


def _feedback_items(name: str, rows: list[Row], path: Path) -> list[DirectItem]:
    def convert(number: int, row: Row) -> DirectItem:
        item_id = f"{name}/{number:04d}"
        if "orig_instruction" not in row:
            return _direct_from_prompt(item_id, name, row, _FEEDBACK_RATERS)
        return DirectItem(
            id=item_id,
            instruction=_text(row, "orig_instruction"),
            response=_text(row, "orig_response"),
            reference_answer=_text(row, "orig_reference_answer"),
            rubric=_rubric_from_row(row, "orig_"),
            scores=_scores(row, {"orig_score": "gpt-4-0613"}),
            cluster=f"{name}/{_digest(row['orig_instruction'])}",
            meta={"orig_feedback": row["orig_feedback"]} if "orig_feedback" in row else {},
        )

    return _convert(rows, path, convert)


def _biggen_items(name: str, rows: list[Row], path: Path) -> list[DirectItem]:
    ids = _distinct(_convert(rows, path, lambda _, row: f"{name}/{row['id']}/{_biggen_model(row)}"))

    def convert(number: int, row: Row) -> DirectItem:
        return DirectItem(
            id=ids[number],
            instruction=_text(row, "input"),
            response=_text(row, "response"),
            reference_answer=_text(row, "reference_answer"),
            rubric=_rubric_from_row(row["score_rubric"], ""),
            scores=_scores(row, _BIGGEN_RATERS),
            group=row.get("capability", ""),
            cluster=f"{name}/{row['id']}",
            meta={"response_source": _biggen_model(row)} | {k: row[k] for k in ("task", "system_prompt") if k in row},
        )

    return _convert(rows, path, convert)


def _biggen_model(row: Row) -> str:
    return row.get("response_model_name") or row.get("model_name") or "unknown"


def _chosen_rejected_items(name: str, rows: list[Row], path: Path) -> list[PairItem]:
    """Build pairs from two prompts; A and B are drawn from the ids, exactly balanced (odd n: one more A)."""
    parsed = _convert(rows, path, lambda _, row: _parse_pair(row))
    ids = _distinct([f"{name}/{pair['key']}" for pair in parsed])
    chosen_first = set(sorted(ids, key=_sha256)[: (len(ids) + 1) // 2])
    triples = zip(ids, parsed, rows, strict=True)
    return [_pair_item(name, item_id, pair, row, item_id in chosen_first) for item_id, pair, row in triples]


def _parse_pair(row: Row) -> Row:
    """Split both prompts of a pair; its key comes from the sorted responses, so it cannot carry the label."""
    instruction, chosen, reference, rubric = split_prompt(_text(row, "chosen_instruction"))
    other_instruction, rejected, other_reference, other_rubric = split_prompt(_text(row, "rejected_instruction"))
    if (instruction, reference, rubric) != (other_instruction, other_reference, other_rubric):
        raise ValueError("chosen_instruction and rejected_instruction differ in more than the response")
    return {
        "key": _digest(instruction, *sorted([chosen, rejected])),
        "instruction": instruction,
        "responses": (chosen, rejected),
        "reference": reference,
        "rubric": parse_rubric(rubric),
        "prompts": (_canonical(row["chosen_instruction"]), _canonical(row["rejected_instruction"])),
        "tie": _choice({"tie": 0} | row, "tie", {0: False, 1: True}),
    }


def _pair_item(name: str, item_id: str, pair: Row, row: Row, chosen_first: bool) -> PairItem:
    step = 1 if chosen_first else -1
    response_a, response_b = pair["responses"][::step]
    prompt_a, prompt_b = pair["prompts"][::step]
    return PairItem(
        id=item_id,
        instruction=pair["instruction"],
        response_a=response_a,
        response_b=response_b,
        reference_answer=pair["reference"],
        criteria=pair["rubric"].criteria,
        label="tie" if pair["tie"] else ("A" if chosen_first else "B"),
        group=row.get("source") or row.get("category") or "",
        cluster=f"{name}/{_digest(pair['instruction'])}",
        rubric=pair["rubric"],
        prompts={"a": prompt_a, "b": prompt_b},
    )


def _autoj_items(name: str, rows: list[Row], path: Path) -> list[PairItem]:
    groups = _scenario_groups(path.parent.parent / "autoj_outputs" / "scenario_groups.json")

    def convert(number: int, row: Row) -> PairItem:
        return PairItem(
            id=f"{name}/{number:04d}",
            instruction=_text(row, "prompt"),
            response_a=_text(row, "response 1"),
            response_b=_text(row, "response 2"),
            reference_answer=None,
            criteria=AUTOJ_CRITERIA,
            label=_choice(row, "label", {0: "A", 1: "B", 2: "tie"}),
            group=groups.get(row["scenario"], row["scenario"]),
            cluster=f"{name}/{_digest(row['prompt'])}",
            rubric=AUTOJ_RUBRIC,
            meta={"scenario": row["scenario"]},
        )

    return _convert(rows, path, convert)


def _scenario_groups(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    groups = _json(path, _read_text(path))
    return {scenario: group for group, scenarios in groups.items() for scenario in scenarios}


def _preference_items(name: str, rows: list[Row], path: Path) -> list[PairItem]:
    if "chosen_instruction" in rows[0]:
        return _chosen_rejected_items(name, rows, path)

    def convert(number: int, row: Row) -> PairItem:
        return PairItem(
            id=f"{name}/{number:04d}",
            instruction=_text(row, "orig_instruction"),
            response_a=_text(row, "orig_response_A"),
            response_b=_text(row, "orig_response_B"),
            reference_answer=_text(row, "orig_reference_answer"),
            criteria=_text(row, "orig_criteria"),
            label=_choice(row, "orig_preference", {"A": "A", "B": "B"}),
            cluster=f"{name}/{_digest(row['orig_instruction'])}",
            rubric=_rubric_from_row(row, "orig_") if "orig_score1_description" in row else None,
            meta={"orig_feedback": row["orig_feedback"]} if "orig_feedback" in row else {},
        )

    return _convert(rows, path, convert)


# Fields --------------------------------------------------------------------------------------------


def _text(row: Row, field: str) -> str:
    if not isinstance(row[field], str):
        raise TypeError(f"field {field!r} should be text, found {type(row[field]).__name__}")
    return row[field]


def _rubric_from_row(row: Row, prefix: str) -> Rubric:
    descriptions = tuple(_text(row, f"{prefix}score{score}_description") for score in range(1, 6))
    return Rubric(_text(row, f"{prefix}criteria"), descriptions)


def _scores(row: Row, raters: dict[str, str]) -> dict[str, list[int]]:
    """Return each rater's draws as integers 1-5; a field that is absent, null or NaN gives no entry."""
    found = {}
    for field, rater in raters.items():
        value = row.get(field)
        draws = [_score(v) for v in (value if isinstance(value, list) else [value]) if not _is_missing(v)]
        if draws:
            found[rater] = draws
    return found


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _score(value: Any) -> int:
    number = float(value)
    if number not in (1, 2, 3, 4, 5):
        raise ValueError(f"score {value!r} is not an integer from 1 to 5")
    return int(number)


def _choice(row: Row, field: str, meanings: dict[Any, Any]) -> Any:
    """What a coded field means; a ValueError that lists the codes for any other."""
    if row[field] not in meanings:
        raise ValueError(f"field {field!r} is {row[field]!r}, which is none of {', '.join(map(repr, meanings))}")
    return meanings[row[field]]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _digest(*texts: str) -> str:
    return _sha256("\x00".join(texts))[:12]


def _distinct(ids: list[str]) -> list[str]:
    """Make repeated ids distinct, in file order: the second "x" becomes "x-2"."""
    seen: Counter[str] = Counter()
    result = []
    for item_id in ids:
        seen[item_id] += 1
        result.append(item_id if seen[item_id] == 1 else f"{item_id}-{seen[item_id]}")
    return result


BENCHMARKS: dict[str, _Source] = {
    "vicuna_bench": _Source(
        _direct_items,
        ("vicuna_eval.json",),
        sha256="131550a5815f75014a3ea71b0f534fb7ef0ca49b714c4e66935c35fdee1daacc",
    ),
    "mt_bench": _Source(
        _direct_items,
        ("mt_bench_eval.json",),
        sha256="5bf33413c34173c3b94f008499fd9098fb6338d5d1cf64f341e8e0c9b9f105cf",
    ),
    "flask": _Source(
        _direct_items,
        ("flask_eval.json",),
        older_sha256="023e2e17b0208fd31b8ec009438a6a87e0026be7cce85e61677afb58692bc137",
    ),
    "feedback_bench": _Source(
        _feedback_items,
        ("feedback_bench.jsonl", "feedback_collection_ood_test.json"),
        hub=("prometheus-eval/Feedback-Bench", "train"),
    ),
    "hhh_alignment": _Source(
        _chosen_rejected_items,
        ("hhh_alignment_eval.json",),
        sha256="fe6655dfeec99d04d582692767c736f2385b5e067f0b894d1b73a32af7be9c9e",
    ),
    "mt_bench_human": _Source(
        _chosen_rejected_items,
        ("mt_bench_human_judgement_eval.json",),
        older_sha256="63266aa8a3c6327aff814a1a7e33bb017881e849a6e0bd1749a5d813ad016f4f",
    ),
    "autoj_eval": _Source(
        _autoj_items,
        ("autoj_pairwise.json", "testdata_pairwise.jsonl"),
        sha256="56f32fad71d9b6b33bc4d51794c324981e26355bcbf3ce4908d7f8ddcc61f80e",
    ),
    "preference_bench": _Source(
        _preference_items,
        ("preference_bench.jsonl", "preference_collection_ood_test.json"),
        hub=("prometheus-eval/Preference-Bench", "train"),
    ),
    "biggen_bench": _Source(
        _biggen_items,
        ("biggen_bench.jsonl", "biggen_bench.json"),
        hub=("prometheus-eval/BiGGen-Bench-Results", "human_eval"),
    ),
}
