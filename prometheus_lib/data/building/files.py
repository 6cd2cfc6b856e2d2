"""Collections on disk: Parquet with a data card, which `datasets.load_dataset` opens and one call pushes to the hub.

`build_pairs` makes pairs of more rows than memory holds: rows are spooled into buckets by instruction, so that what
belongs together meets in one bucket, and buckets are paired one after the other. Memory is that of one bucket.
"""

from __future__ import annotations

import os
import pickle
import shutil
import struct
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ... import artifacts
from ...records import DataError, write_text_atomic
from ..collections import FEEDBACK_FIELDS
from .hashing import digest, group_key, instruction_key, repeated_digest
from .pairing import (
    MOST,
    PAIR_COLUMNS,
    Graded,
    Group,
    OddGaps,
    PairCounts,
    Sign,
    graded_response,
    merged,
    odd_gaps,
    odd_signs,
    pair_rows,
    pairs_of,
    shared_texts,
)
from .schema import Row, half_character

BUCKETS = 128
ROWS_AT_ONCE = 4096  # rows of a Parquet row group, and of what is in memory
ROWS_PER_FILE = 100_000
CARD = "README.md"
_KINDS = ("texts", "grades")  # of a bucket's two files
_BESIDES_ID = ("id", "orig_preference", "orig_feedback")  # what an id does not stand for
_GRADE = struct.Struct("8s8sd")
_DESCRIPTIONS = {
    "id": "stands for instruction, criterion, reference answer and the two responses in either order",
    "orig_instruction": "what the responses answer",
    "orig_response": "the response to assess",
    "orig_response_A": "the response shown first",
    "orig_response_B": "the response shown second",
    "orig_reference_answer": "an answer that would get a 5",
    "orig_criteria": "what is assessed",
    "orig_feedback": "the verbal feedback, without the decision",
    "orig_score": 'the score, a text: "1" to "5"',
    "orig_preference": 'the better response: "A" or "B"',
    "orig_score_A": "the score of response A, a text", "orig_score_B": "the score of response B, a text",
    "orig_feedback_A": "the feedback on response A alone", "orig_feedback_B": "the feedback on response B alone",
    **{f"orig_score{n}_description": f"what a score of {n} means" for n in range(1, 6)},
}  # fmt: skip


@dataclass(frozen=True)
class Card:
    """What a data card says that the rows do not: where they come from, and under which terms they may be used.

    `sources` are lines such as "Vicuna Bench, GPT-4's scores and feedback"; `licence` is an identifier that the hub
    knows ("cc-by-4.0", "other"), and `terms` says the rest. `settings` are seeds and rules.
    """

    title: str
    sources: Sequence[str]
    licence: str
    terms: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Statistics:
    """Table 1 counted while rows pass by, and a fingerprint that does not depend on their order."""

    instances: int = 0
    feedback: int = 0
    distinct: dict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    decisions: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _sum: int = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Count one row."""
        self.instances += 1
        self.feedback += bool(row["orig_feedback"])
        self.distinct["criteria"].add(repeated_digest(row["orig_criteria"]))
        self.distinct["instructions"].add(instruction_key(row))
        self.distinct["reference answers"].add(repeated_digest(row.get("orig_reference_answer") or ""))
        self.decisions[row.get("orig_preference") or row["orig_score"]] += 1
        whole = row.values() if "id" not in row else (row[name] for name in _BESIDES_ID)
        self._sum += int.from_bytes(digest(*map(str, whole)))

    @property
    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits for the rows, in whatever order they came."""
        return artifacts.text_hash(self.instances, self._sum % 2**64)

    def table_1(self) -> dict[str, int]:
        """Return the rows of Table 1."""
        sizes = {name: len(self.distinct[name]) for name in ("criteria", "instructions", "reference answers")}
        return {
            "# Evaluation Criteria": sizes["criteria"], "# Instructions": sizes["instructions"],
            "# Reference Answer": sizes["reference answers"], "# Instances": self.instances,
            "# Verbal Feedback": self.feedback,
        }  # fmt: skip


# --- writing ---------------------------------------------------------------------------------------------------------


def write_collection(folder: str | Path, rows: Iterable[Row], card: Card) -> Statistics:
    """Write rows as Parquet files with a data card; the folder appears when it is whole and replaces an older one.

    The columns are those of the first row's collection. Raises DataError for rows that Parquet cannot hold, and when
    there are none.
    """
    folder, statistics = Path(folder), Statistics()
    with _replacing(folder) as building:
        _write_parquet(building / "data", _counted(rows, statistics, folder))
        if not statistics.instances:
            raise DataError(f"{folder}: there is no row to write.")
        write_text_atomic(building / CARD, card_text(building, card, statistics))
    return statistics


def _counted(rows: Iterable[Row], statistics: Statistics, folder: Path) -> Iterator[Row]:
    for number, row in enumerate(rows, start=1):
        try:
            statistics.add(row)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{folder}, row {number}: not a row of a collection ({error!r}); check it first."
            ) from error
        yield row


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """Give a new folder to fill; it takes the old one's place when nothing went wrong."""
    building = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        yield building
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(building, folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def columns_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns of the collection that a row belongs to: those of pairs only where they are there."""
    return tuple(name for name in PAIR_COLUMNS if name in row) if "orig_preference" in row else FEEDBACK_FIELDS


def _write_parquet(folder: Path, rows: Iterable[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir()
    schema, writer, written, writing = None, None, 0, None
    with ExitStack() as files, ThreadPoolExecutor(1) as background:  # one block is compressed while the next is made
        for block in _blocks(rows, ROWS_AT_ONCE):
            schema = schema or pa.schema([(name, pa.string()) for name in columns_of(block[0])])
            if written % ROWS_PER_FILE < len(block):
                path = folder / f"train-{written // ROWS_PER_FILE:05d}.parquet"
                writer = files.enter_context(
                    pq.ParquetWriter(path, schema, compression="zstd", dictionary_pagesize_limit=1 << 23)
                )
            table = _table(pa, schema, block)
            if writing:
                writing.result()
            writing = background.submit(writer.write_table, table)
            written += len(block)
        if writing:
            writing.result()


def _table(pa: Any, schema: Any, block: Sequence[Row]) -> Any:
    try:
        return pa.table([pa.array([row.get(name) for row in block], pa.string()) for name in schema.names], schema)
    except (pa.ArrowException, UnicodeEncodeError) as error:
        wrong = next(
            (f"row {row.get('id', '')!r}, {name}" for row in block for name in schema.names
             if isinstance(row.get(name), str) and half_character(row[name]) is not None), "a row",
        )  # fmt: skip
        raise DataError(f"{wrong}: Parquet cannot hold this ({error}); set the row aside (schema.checked).") from error


def _blocks(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    block: list[Row] = []
    for row in rows:
        block.append(row)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block


# --- the card --------------------------------------------------------------------------------------------------------


def card_text(folder: Path, card: Card, statistics: Statistics) -> str:
    """Return a data card in the hub's form: settings for machines, then counts, columns, terms and fingerprints."""
    columns = _columns_written(folder)
    described = "".join(f"| `{name}` | text | {_DESCRIPTIONS[name]} |\n" for name in columns)
    counts = "".join(f"| {name.removeprefix('# ')} | {count:,} |\n" for name, count in statistics.table_1().items())
    decisions = ", ".join(f"{name}: {count:,}" for name, count in sorted(statistics.decisions.items()))
    files = "".join(f"- `{p.relative_to(folder)}`: sha256 `{artifacts.file_hash(p)}`\n" for p in _parquet_files(folder))
    sources = "".join(f"- {source}\n" for source in card.sources)
    settings = "".join(f"- {name}: {value}\n" for name, value in card.settings.items())
    return (
        f"{_front_matter(card, statistics.instances)}\n# {card.title}\n\n"
        f"Rows in the form of the Feedback and Preference Collections of Prometheus 2 (section 3.3).\n\n"
        f"## Sources\n\n{sources}\n"
        f"## Counts\n\n| | |\n|---|---|\n{counts}| Decisions | {decisions} |\n\n"
        f"## Columns\n\n| column | type | meaning |\n|---|---|---|\n{described}\n"
        f"## Settings\n\n{settings or '- none'}\n\n"
        f"## Terms of use\n\n{card.terms or card.licence}\n\n"
        f"## Fingerprints\n\n- rows, in any order: `{statistics.fingerprint}`\n{files}"
    )


def _front_matter(card: Card, rows: int) -> str:
    import yaml

    bounds = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
    names = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "n>10M")
    size = names[sum(rows >= bound for bound in bounds)]
    data_files = [{"split": "train", "path": "data/train-*.parquet"}]
    matter = {
        "license": card.licence, "pretty_name": card.title, "size_categories": [size],
        "task_categories": ["text-generation"], "configs": [{"config_name": "default", "data_files": data_files}],
    }  # fmt: skip
    return f"---\n{yaml.safe_dump(matter, sort_keys=False, allow_unicode=True)}---\n"


def _parquet_files(folder: Path) -> list[Path]:
    return sorted((folder / "data").glob("train-*.parquet"))


def _columns_written(folder: Path) -> list[str]:
    import pyarrow.parquet as pq

    return pq.read_schema(_parquet_files(folder)[0]).names


def push(folder: str | Path, repository: str, private: bool = True, endpoint: str | None = None) -> str:
    """Push a collection's folder to the hub as a data set of your own ("name/of-it") and return its address.

    The token is the one of `huggingface-cli login` or HF_TOKEN. Raises DataError for a folder without card or data, and
    when the hub refuses.
    """
    from huggingface_hub import HfApi

    folder = Path(folder)
    if not (folder / CARD).is_file() or not _parquet_files(folder):
        raise DataError(f"{folder}: no data card or no data; write it with write_collection first.")
    try:
        hub = HfApi(endpoint=endpoint)
        hub.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        return str(hub.upload_folder(repo_id=repository, repo_type="dataset", folder_path=folder))
    except Exception as error:  # the hub client raises many unrelated types
        raise DataError(
            f"{repository}: could not be pushed ({type(error).__name__}: {error}); log in with a token that may write."
        ) from error


# --- pairs of more rows than memory holds ----------------------------------------------------------------------------


def build_pairs(
    rows: Iterable[Row], folder: str | Path, card: Card, seed: int = 42, most: int | None = MOST
) -> tuple[PairCounts, Statistics]:
    """Pair graded rows of any number and write the pairs as a collection; return the counts and Table 1.

    The pairs are those of `pairing.pair_up`. They are written by instruction, in an order that depends on the texts
    only. Beside the data folder, the rows lie on disk once more while this runs.
    """
    counts, folder = PairCounts(), Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as spool:
        _spool(rows, Path(spool))
        signs = _plan(Path(spool), seed, most)
        pairs = _paired(Path(spool), signs, seed, most, counts)
        settings = {**card.settings, "seed": seed, "most pairs for an instruction": most}
        return counts, write_collection(folder, pairs, replace(card, settings=settings))


def _spool(rows: Iterable[Row], folder: Path) -> None:
    """Write each bucket's responses with their texts, and beside them the keys and grades alone."""
    with ExitStack() as files:
        buckets = [
            [files.enter_context(open(folder / f"{n:03d}.{kind}", "wb")) for kind in _KINDS] for n in range(BUCKETS)
        ]
        for row in rows:
            key, response = group_key(row), graded_response(row)
            texts, grades = buckets[key[0] % BUCKETS]
            pickle.dump(
                (key, shared_texts(row), (response.text, response.key, response.grade, response.feedback)),
                texts,
                protocol=5,
            )
            grades.write(_GRADE.pack(key, response.key, response.grade))


def _plan(folder: Path, seed: int, most: int | None) -> dict[bytes, dict[float, Sign]]:
    """Return the signs of the odd pairs (see `pairing.odd_signs`), which need to know all instructions."""
    odd: dict[bytes, OddGaps] = {}
    alike: dict[OddGaps, OddGaps] = {}  # one object for all instructions with the same gaps
    for bucket in sorted(folder.glob("*.grades")):
        groups: dict[bytes, list[Graded]] = defaultdict(list)
        for key, response, grade in _GRADE.iter_unpack(bucket.read_bytes()):
            groups[key].append(Graded("", response, grade, ""))
        for key, responses in groups.items():
            gaps = odd_gaps(pairs_of(merged(responses, PairCounts()), seed, most, PairCounts()))
            odd[key] = alike.setdefault(gaps, gaps)
    return odd_signs(odd, seed)


def _paired(
    folder: Path, signs: Mapping[bytes, Mapping[float, Sign]], seed: int, most: int | None, counts: PairCounts
) -> Iterator[Row]:
    for bucket in sorted(folder.glob("*.texts")):
        for key, group in sorted(_groups(bucket).items()):
            pairs = pairs_of(merged(group.responses, counts), seed, most, counts)
            yield from pair_rows(key, group.texts, pairs, signs[key], counts)


def _groups(bucket: Path) -> dict[bytes, Group]:
    groups: dict[bytes, Group] = {}
    with open(bucket, "rb") as file:
        while file.peek(1):
            key, texts, response = pickle.load(file)
            groups.setdefault(key, Group(texts)).responses.append(Graded(*response))
    return groups
