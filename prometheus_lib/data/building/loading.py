"""Loading the training collections at full size: streamed, checked row by row, limited by whole instructions.

The Feedback Collection is one JSON array of 1 GB (99,952 rows), the Preference Collection six Parquet files (199,760
rows). JSON arrays, JSON Lines (both also through gzip), Parquet and Arrow files are read a piece at a time, so memory
stays flat. A file that is damaged (cut short, not JSON, not UTF-8) stops the reading with an error that names the
place; a whole row that does not follow the schema is set aside (see `schema`).
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...records import DataError
from .hashing import instruction_key, place
from .schema import Collection, Rejects, Row, checked

SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz", ".parquet", ".arrow")
BATCH = 512  # rows of a Parquet or Arrow file in memory at one time
BLOCK = 1 << 20  # characters of a JSON array read at one time
LONGEST_ROW = 64 << 20  # characters of one row; beyond it something is wrong with the file
_WHITE = re.compile(r"[ \t\r\n]*")
_DAMAGED = "the file is damaged, get it again"


@dataclass(frozen=True)
class HubSource:
    """A data set on the hub at a fixed commit: later edits there change nothing here."""

    repository: str
    revision: str
    files: str
    licence: str

    @property
    def address(self) -> str:
        """Return the page of this very version."""
        return f"https://huggingface.co/datasets/{self.repository}/tree/{self.revision}"


HUB: dict[Collection, HubSource] = {
    "feedback": HubSource(
        "prometheus-eval/Feedback-Collection", "22a339f961c40b07261bea44ec10849c7440b75f",
        "new_feedback_collection.json", "CC-BY-4.0; written by GPT-4, subject to OpenAI's terms of use",
    ),
    "preference": HubSource(
        "prometheus-eval/Preference-Collection", "b408d139e6a22b5a2fc8cc9be8fd85436c292b2d",
        "data/train-*.parquet", "CC-BY-4.0; written by GPT-4, subject to OpenAI's terms of use",
    ),
}  # fmt: skip


def reachable(collection: Collection) -> bool:
    """Tell, after ten seconds at most, whether the hub answers about a published collection."""
    from huggingface_hub import HfApi

    try:
        HfApi().dataset_info(HUB[collection].repository, revision=HUB[collection].revision, timeout=10)
    except Exception:  # the hub client raises many unrelated types
        return False
    return True


def fetch(collection: Collection, cached_only: bool = False) -> Path:
    """Download a published collection at its pinned revision into the hub's cache and return its folder.

    Raises DataError when it cannot be had, with what to do by hand; with `cached_only` it is not asked for.
    """
    from huggingface_hub import snapshot_download

    source = HUB[collection]
    try:
        return Path(
            snapshot_download(
                source.repository,
                repo_type="dataset",
                revision=source.revision,
                allow_patterns=source.files,
                local_files_only=cached_only,
            )
        )
    except Exception as error:  # the hub client raises many unrelated types
        raise DataError(
            f"{source.repository}: could not be fetched ({type(error).__name__}: {error}); check the network, or get "
            f"{source.files} by hand from {source.address} and give its folder."
        ) from error


def stream_collection(
    collection: Collection, source: str | Path | None = None, rejects: Rejects | None = None, rows: int | None = None,
    seed: int = 42,
) -> Iterator[Row]:  # fmt: skip
    """Yield the rows of a collection that follow its schema, in file order, without holding them.

    `source` is a file or a folder of files; without one the published collection is fetched. Rows that fail go to
    `rejects`. `rows` takes whole instructions, drawn by `seed`, until no further one fits; that reads the files twice.
    Raises DataError for a missing or damaged file, and when no row is left.
    """
    source = Path(source) if source else fetch(collection)
    rejects = rejects if rejects is not None else Rejects()
    chosen = None if rows is None else _chosen(collection, source, rows, seed)
    found = 0
    for _, row in checked(read_rows(source), collection, rejects):
        if chosen is None or instruction_key(row) in chosen:
            found += 1
            yield row
    if not found:
        raise DataError(f"{source}: no usable row of the {collection} collection; {rejects.summary()}.")


def load_collection(collection: Collection, source: str | Path | None = None, **options: Any) -> list[Row]:
    """Return what `stream_collection` yields as a list: about 1 GB for the published Feedback Collection."""
    return list(stream_collection(collection, source, **options))


def _chosen(collection: Collection, source: Path, rows: int, seed: int) -> set[bytes]:
    sizes = Counter(instruction_key(row) for _, row in checked(read_rows(source), collection, Rejects()))
    return choose_instructions(sizes, rows, seed)


def choose_instructions(sizes: Counter[bytes], rows: int, seed: int) -> set[bytes]:
    """Return the instructions that a seeded order takes until the next would go beyond `rows`; one at least.

    >>> sizes = Counter({b"a": 5, b"b": 5, b"c": 5})
    >>> len(choose_instructions(sizes, 12, seed=1)), len(choose_instructions(sizes, 1, seed=1))
    (2, 1)
    """
    if rows < 1:
        raise DataError(f"rows={rows}: ask for at least one row, or for all with rows=None.")
    taken: set[bytes] = set()
    total = 0
    for key in sorted(sizes, key=lambda key: place(seed, key)):
        total += sizes[key]
        if taken and total > rows:
            break
        taken.add(key)
    return taken


# --- files -----------------------------------------------------------------------------------------------------------


def read_rows(source: str | Path) -> Iterator[tuple[str, Row]]:
    """Yield (where, row) for a data file, or for all data files below a folder; rows are counted from 1.

    What a file is, is seen from its first bytes. Raises DataError naming file and row.
    """
    files = data_files(Path(source))
    for file in files:
        for number, row in enumerate(_rows_of(file), start=1):
            if not isinstance(row, dict):
                raise DataError(f"{file}, row {number}: expected an object, found {type(row).__name__}; {_DAMAGED}.")
            yield f"{file}, row {number}", row


def data_files(source: Path) -> list[Path]:
    """Return the file itself, or the data files below a folder in the order of their names."""
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise DataError(f"{source}: there is no such file or folder; correct the path.")
    found = sorted(file for file in source.rglob("*") if file.is_file() and file.name.endswith(SUFFIXES))
    if not found:
        raise DataError(f"{source}: this folder holds no data file ({', '.join(SUFFIXES)}).")
    return found


def _rows_of(file: Path) -> Iterator[Any]:
    with open(file, "rb") as opened:
        head = opened.read(64)
    if head.startswith(b"version https://git-lfs"):
        raise DataError(f"{file}: a Git LFS pointer, not the data; run `git lfs pull` in the clone it came from.")
    if head.startswith(b"PAR1"):
        yield from _parquet(file)
    elif head.startswith(b"ARROW1") or head.startswith(b"\xff\xff\xff\xff"):
        yield from _arrow(file)
    else:
        yield from _json_rows(file, head.startswith(b"\x1f\x8b"))


def _parquet(file: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as table:
            for batch in table.iter_batches(BATCH):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file}: not a whole Parquet file ({error}); {_DAMAGED}.") from error


def _arrow(file: Path) -> Iterator[Row]:
    import pyarrow as pa

    try:
        with pa.memory_map(str(file)) as data:
            whole = bytes(data.read(6)) == b"ARROW1"
            data.seek(0)
            for batch in _arrow_batches(pa, data, whole):
                for start in range(0, batch.num_rows, BATCH):
                    yield from batch.slice(start, BATCH).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file}: not a whole Arrow file ({error}); {_DAMAGED}.") from error


def _arrow_batches(pa: Any, data: Any, whole: bool) -> Iterator[Any]:
    """Yield the record batches of an Arrow file (`whole`), or of a stream, as the library datasets writes them."""
    if whole:
        reader = pa.ipc.open_file(data)
        yield from (reader.get_batch(number) for number in range(reader.num_record_batches))
    else:
        yield from pa.ipc.open_stream(data)


def _json_rows(file: Path, packed: bool) -> Iterator[Any]:
    """Yield the rows of a JSON array or of JSON Lines. Lines end at newlines only, as the texts hold other breaks."""
    opened = gzip.open if packed else open
    try:
        with opened(file, "rt", encoding="utf-8-sig", newline="\n") as text:
            first = _first_character(text)
            if first == "":
                raise DataError(f"{file}: the file is empty; get it again.")
        with opened(file, "rt", encoding="utf-8-sig", newline="\n") as text:
            yield from _array(file, text) if first == "[" else _lines(file, text)
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8 text ({error.reason} at byte {error.start}); {_DAMAGED}.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file}: could not be read ({error}); {_DAMAGED}.") from error


def _first_character(text: Any) -> str:
    while block := text.read(BLOCK):
        if shown := block.lstrip():
            return shown[0]
    return ""


def _lines(file: Path, text: Iterable[str]) -> Iterator[Any]:
    for number, line in enumerate(text, start=1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise DataError(f"{file}, line {number}: not valid JSON ({error}); {_DAMAGED}.") from error


def _array(file: Path, text: Any) -> Iterator[Any]:
    """Yield the elements of a JSON array, one whole element at a time, however long the array is.

    Python's own decoder reads each of them: of half an emoji ("\\ud83d") it makes what stands there, where faster
    incremental readers write a question mark and say nothing.
    """
    decode = json.JSONDecoder().raw_decode
    buffer = text.read(BLOCK).lstrip()
    at, number, comma = 1, 0, True  # behind the bracket
    while True:
        at = _WHITE.match(buffer, at).end()
        mark = buffer[at : at + 1]
        if not mark:
            buffer, at = text.read(BLOCK), 0
            if buffer:
                continue
        if mark == "," and not comma:
            at, comma = at + 1, True
            continue
        if not comma or mark in ("]", ""):
            break
        try:
            row, at = decode(buffer, at)
        except ValueError as error:
            buffer, at = buffer[at:] + _more(file, text, len(buffer) - at, number, error), 0
            continue
        number, comma = number + 1, False
        yield row
    if mark != "]" or (comma and number) or (buffer[at + 1 :] + text.read(BLOCK)).strip():
        raise DataError(f"{file}, after row {number}: the array does not end or go on as it should; {_DAMAGED}.")


def _more(file: Path, text: Any, held: int, number: int, error: ValueError) -> str:
    """Read on, because an element is not whole yet; DataError at the end of the file, or when it never ends."""
    more = text.read(max(BLOCK, held)) if held < LONGEST_ROW else ""
    if not more:
        raise DataError(
            f"{file}, row {number + 1}: not valid JSON ({error.args[0]}), or cut short; {_DAMAGED}."
        ) from error
    return more
