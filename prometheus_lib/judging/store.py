"""The judgment store: one append-only JSON Lines file per judge, safe to kill at any moment.

A judgment's key identifies model, prompt, decoding settings and draw. What is in the file is never generated again,
and a last line that a kill cut short is taken off with a message. Two processes may append to one file. It opens in
pandas with `pandas.read_json(path, lines=True)`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock

from ..records import DataError, Judgment, as_row, parse_line, read_jsonl, write_bytes_atomic, write_text_atomic
from .policy import Policy, label_of

Place = tuple[str, str, str]
Question = tuple[str, str, str, str, bool, str]  # judge, benchmark, item, format, with reference, order
QUESTION = ("judge", "benchmark", "item_id", "format", "with_reference", "order")
COLUMNS = tuple(field.name for field in fields(Judgment))
TOO_LONG = "too long"  # status of what was not asked, as its prompt leaves no room for an answer
ADDED_LATER = {"policy": "once", "prompt_hash": ""}  # fields that files of earlier versions lack, and what they mean


class Asked(NamedTuple):
    """Which answers to a question are meant: those with these keys, by this model, to this prompt."""

    fingerprint: str
    prompt_hash: str
    keys: tuple[str, ...]


def judgment_keys(
    fingerprint: str, prompt: str, decoding: dict[str, Any], format: str, order: str, draws: int
) -> list[str]:
    """Return the keys under which the draws of one prompt are stored: `artifacts.text_hash` of all that decides each.

    >>> from prometheus_lib.artifacts import text_hash
    >>> one = text_hash("model", "prompt", {"temperature": 1.0}, "direct", "ab", 1)
    >>> judgment_keys("model", "prompt", {"temperature": 1.0}, "direct", "ab", draws=2)[1] == one
    True
    """
    shared = json.dumps((fingerprint, prompt, decoding, format, order), sort_keys=True, default=str)[:-1]
    begun = hashlib.sha256(shared.encode())  # the draws differ in their number only: a long prompt is hashed once
    keys = []
    for draw in range(draws):
        whole = begun.copy()
        whole.update(f", {draw}]".encode())
        keys.append(whole.hexdigest()[:16])
    return keys


def repair_tail(path: Path) -> int:
    """Cut off a damaged last line (cut short, or not JSON) and return the number of bytes removed.

    A last line that only lacks its newline is whole, and gets it.
    """
    with open(path, "rb+") as file:
        size = file.seek(0, os.SEEK_END)
        ended = _line_start(file, size) == size
        start = _line_start(file, size - 1)
        if _is_json(file, start, size):
            if not ended:
                file.seek(size)
                file.write(b"\n")
            return 0
        file.truncate(start)
    warnings.warn(
        f"{path}: the last line was damaged and has been removed ({size - start} bytes); "
        "its judgment will be collected again.",
        stacklevel=3,
    )
    return size - start


def _line_start(file: Any, end: int) -> int:
    """Search backwards from `end` for a newline and return the position behind it (0 when there is none)."""
    position, block = end, 1 << 16
    while position > 0:
        start = max(0, position - block)
        file.seek(start)
        found = file.read(position - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        position = start
    return 0


def _is_json(file: Any, start: int, end: int) -> bool:
    file.seek(start)
    try:
        json.loads(file.read(end - start) or b"0")
    except ValueError:
        return False
    return True


def place_of(row: dict[str, Any]) -> Place:
    """Return what makes a judgment's row one of a kind: its key, benchmark and item."""
    return row["key"], row.get("benchmark", ""), row.get("item_id", "")


def question_of(row: Mapping[str, Any]) -> Question:
    """Return what a judgment's row answers: who was asked about which item, and how."""
    return tuple(row.get(name) for name in QUESTION)


class JudgmentStore:
    """The judgments of one judge in one file, shared by any number of processes.

    `places` tells what is there: key, benchmark and item id, because two items can have the same prompt and so the
    same key. `unasked` are those of them whose prompts did not fit: an answer takes their place once they do. `failed`
    maps the places of answers that hold no decision to their texts; `answers` gives the keys and draws of the first
    answers to each question, `fingerprints` the models they are of. All follow the file: what another process has
    appended is read before anything is written.

    >>> import tempfile
    >>> said = Judgment("j", "f", "b", "1", "direct", True, "ab", 0, 4, "Good.", "ok", 1, 9, "key")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = JudgmentStore(f"{folder}/j.jsonl")
    ...     store.append([said]), store.append([said]), store.keys
    (1, 0, {'key'})
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if self.path.suffix != ".jsonl" or self.path.is_dir():
            raise DataError(f"{self.path}: judgments are collected in a file whose name ends in .jsonl.")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.places: set[Place] = set()
        self.unasked: set[Place] = set()
        self.failed: dict[Place, str] = {}
        self.fingerprints: set[str] = set()
        self.answers: dict[Question, dict[str, int]] = {}
        self._bytes = self._lines = 0
        self._lock = FileLock(self.path.with_name(f".{self.path.name}.lock"))
        self.refresh()

    @property
    def keys(self) -> set[str]:
        """Return the keys of all judgments in the file."""
        return {place[0] for place in self.places}

    def refresh(self) -> None:
        """Read what this or another process has appended since the last look."""
        with self._lock:
            self._read_on()

    def append(self, judgments: Iterable[Judgment]) -> int:
        """Append whole lines in one write and wait until they are on disk; known ones are left out.

        Raises DataError when the disk is full; the file is then as it was before.
        """
        judgments = list(judgments)
        with self._lock:
            self._read_on()
            new = {place_of(as_row(judgment)): judgment for judgment in judgments}
            new = {place: judgment for place, judgment in new.items() if self._is_new(place, judgment)}
            data = "".join(json.dumps(as_row(judgment), ensure_ascii=False) + "\n" for judgment in new.values())
            if data:
                self._write(data.encode("utf-8", "replace"), len(new))  # half an emoji, cut by a limit, is no text
                self._read_on()
        return len(new)

    def _is_new(self, place: Place, judgment: Judgment) -> bool:
        return place not in self.places or (place in self.unasked and judgment.status != TOO_LONG)

    def ask(self, asked: Mapping[Question, Asked]) -> None:
        """Record beside the file which answers were asked for last, for questions with answers of more than one kind.

        A question is answered in several ways when the prompt, the model or the settings have changed since. Nothing
        is written while every stored answer is one of those asked for.
        """
        with self._lock:
            self._read_on()
            known = read_asked(self.path)
            new = {question: kind for question, kind in asked.items() if self._has_others(question, kind)}
            if any(known.get(question) != kind for question, kind in new.items()):
                _write_asked(self.path, known | new)

    def _has_others(self, question: Question, kind: Asked) -> bool:
        return not self.answers.get(question, {}).keys() <= set(kind.keys)

    def _read_on(self) -> None:
        if not self.path.exists() or self.path.stat().st_size == self._bytes:
            return
        if not self._bytes:
            self._check_kind()
        repair_tail(self.path)
        with open(self.path, "rb") as file:
            file.seek(self._bytes)
            for line in file:
                self._lines += 1
                self._bytes += len(line)
                if line.strip():
                    self._remember(self._parsed(self._lines, line))

    def _check_kind(self) -> None:
        """Raise DataError when the first whole line is no judgment, before anything in the file is changed."""
        with open(self.path, "rb") as file:
            first = file.readline()
        if first.endswith(b"\n") and first.strip():
            self._parsed(1, first)

    def _parsed(self, number: int, line: bytes) -> dict[str, Any]:
        row = parse_line(self.path, number, line)
        if "key" not in row:
            raise DataError(f"{self.path}, line {number}: this judgment has no key; remove the line or the file.")
        return row

    def _remember(self, row: dict[str, Any]) -> None:
        place, status = place_of(row), row.get("status", "ok")
        if status != TOO_LONG:
            self.unasked.discard(place)
        elif place not in self.places:
            self.unasked.add(place)
        self.places.add(place)
        self.fingerprints.add(row.get("fingerprint", ""))
        if row.get("policy", "once") == "once":
            self.answers.setdefault(question_of(row), {})[row["key"]] = row.get("draw", 0)
        if status not in ("ok", TOO_LONG):  # a prompt that does not fit has no answer that could be repaired
            self.failed[place] = row.get("feedback", "")

    def _write(self, data: bytes, count: int) -> None:
        size = self.path.stat().st_size if self.path.exists() else 0
        try:
            _write_synced(self.path, data)
        except OSError as error:
            if self.path.exists():
                os.truncate(self.path, size)
            raise DataError(
                f"{self.path}: {count} judgments could not be appended ({error.strerror}); "
                "free space and start again: everything collected before is kept."
            ) from error


def _write_synced(path: Path, data: bytes) -> None:
    with open(path, "ab", buffering=0) as file:
        written = 0
        while written < len(data):
            written += file.write(data[written:])
        os.fsync(file.fileno())


def asked_file(path: str | Path) -> Path:
    """Return where it is recorded what was asked last of a judgment file: `linear.asked.json` for `linear.jsonl`."""
    path = Path(path)
    return path.with_name(f"{path.name.partition('.jsonl')[0]}.asked.json")


def read_asked(path: str | Path) -> dict[Question, Asked]:
    """Return what was asked last, for the questions of a judgment file with answers of more than one kind."""
    path = asked_file(path)
    if not path.is_file():
        return {}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        kinds = [Asked(row["fingerprint"], row["prompt_hash"], tuple(row["keys"])) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: damaged ({error!r}); delete it and collect the judgments again: what is stored is kept."
        ) from error
    return {question_of(row): kind for row, kind in zip(rows, kinds, strict=True)}


def _write_asked(path: Path, asked: Mapping[Question, Asked]) -> None:
    rows = [{**dict(zip(QUESTION, question)), **kind._asdict()} for question, kind in asked.items()]
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    write_text_atomic(asked_file(path), f"[\n{lines}\n]\n")


def judgment_files(folder: str | Path) -> list[Path]:
    """Return one file per judge: `<judge>.jsonl`, or `<judge>.jsonl.gz` where only the recorded file is there.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("linear.jsonl", "linear.jsonl.gz", "base.jsonl.gz", "notes.txt"):
    ...         Path(folder, name).touch()
    ...     [path.name for path in judgment_files(folder)]
    ['base.jsonl.gz', 'linear.jsonl']
    """
    folder = Path(folder)
    live = {path.name.removesuffix(".jsonl"): path for path in folder.glob("*.jsonl")}
    recorded = {path.name.removesuffix(".jsonl.gz"): path for path in folder.glob("*.jsonl.gz")}
    return [path for _, path in sorted((recorded | live).items())]


def start_from_recorded(path: Path) -> None:
    """Write a judge's file from the recorded `.jsonl.gz` beside it, if only that is there."""
    recorded = Path(f"{path}.gz")
    if recorded.is_file() and not path.exists():
        write_bytes_atomic(path, gzip.decompress(recorded.read_bytes()))


def _warn_of_recorded(path: Path) -> None:
    """Warn when a judge's file holds less than what is recorded beside it: it stands in the recorded file's place."""
    recorded = Path(f"{path}.gz")
    if not recorded.is_file():
        return
    lines, before = path.read_bytes().count(b"\n"), gzip.decompress(recorded.read_bytes()).count(b"\n")
    if lines < before:
        warnings.warn(
            f"{path}: {lines:,} judgments are read, and the {before:,} of {recorded.name} beside it are not; "
            "finish collecting, or delete the smaller file.",
            stacklevel=3,
        )


def load_judgments(folder: str | Path, judges: Sequence[str] | None = None, policy: str | Policy | None = None) -> Any:
    """Return all judgments in a folder, or of one file, as a pandas DataFrame with one column per field of Judgment.

    An answer without a decision appears as the policy left it (see `with_policy`): "once", "redraw", "finish", or the
    policy it was collected with. Without one the first answers are returned, with a warning if others are there. Where
    a judge was asked again with another prompt, other weights or settings, all of its answers are there: `reading` has
    what keeps those meant. Raises DataError for an unknown policy, when the folder has no judgment file, or when a row
    lacks a field.

    >>> import tempfile
    >>> from prometheus_lib.records import Judgment
    >>> said = Judgment("j", "f", "b", "1", "direct", True, "ab", 0, 4, "Good.", "ok", 1, 9, "key")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     added = JudgmentStore(f"{folder}/j.jsonl").append([said])
    ...     load_judgments(folder)[["judge", "item_id", "decision"]].values.tolist()
    [['j', '1', 4]]
    """
    import pandas as pd

    files = [Path(folder)] if Path(folder).is_file() else judgment_files(folder)
    if not files:
        raise DataError(f"{folder}: no judgment files (*.jsonl or *.jsonl.gz); collect judgments first.")
    rows = []
    for path in files:
        _warn_of_recorded(path)
        for number, row in enumerate(read_jsonl(path), start=1):
            row = {**ADDED_LATER, **row}
            missing = [column for column in COLUMNS if column not in row]
            if missing:
                raise DataError(f"{path}, line {number}: fields {missing} are missing from this judgment.")
            if judges is None or row["judge"] in judges:
                rows.append(row)
    return with_policy(pd.DataFrame(_answered(rows), columns=list(COLUMNS)), policy)


def _answered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows without those "too long" whose prompts have been answered since, as the limit has grown."""
    if not (long := {(row["judge"], *place_of(row)) for row in rows if row["status"] == TOO_LONG}):
        return rows
    since = long & {(row["judge"], *place_of(row)) for row in rows if row["status"] != TOO_LONG}
    return [row for row in rows if row["status"] != TOO_LONG or (row["judge"], *place_of(row)) not in since]


def with_policy(judgments: Any, policy: str | Policy | None) -> Any:
    """Return one row per draw: the first answer, or what `policy` made of it where it held no decision.

    The first answers are always kept, so all policies can be read from the same file. Attempts and tokens are those of
    first answer and repair together. DataError for a name that is no policy's (see `policy.label_of`).

    >>> import pandas as pd
    >>> row = dict(judge="j", key="k", benchmark="b", item_id="1", status="unparsed", attempts=1, tokens=9)
    >>> first = row | dict(policy="once", decision=None)
    >>> repaired = row | dict(policy="finish", decision=4, key="k:finish", status="ok", tokens=1)
    >>> table = pd.DataFrame([first, repaired], dtype=object)
    >>> with_policy(table, "finish")[["decision", "tokens", "attempts"]].values.tolist()
    [[4, 10, 2]]
    """
    import pandas as pd

    stored = set(judgments["policy"])
    label = "once" if policy is None else label_of(policy, stored)
    first = judgments[judgments["policy"] == "once"]
    if policy is None and (others := sorted(stored - {"once"})):
        warnings.warn(
            f"these are the first answers; what became of {(first['status'] != 'ok').sum()} without a decision is read "
            f"with policy={others[0]!r}{''.join(f' or {name!r}' for name in others[1:])} (policy='once' says no).",
            stacklevel=3,
        )
    if label == "once":
        return first.reset_index(drop=True)
    repaired = judgments[judgments["policy"] == label]
    _warn_of_unrepaired(first, set(repaired["judge"]), label)
    place = ["judge", "key", "benchmark", "item_id"]
    repaired = repaired.assign(key=[key.partition(":")[0] for key in repaired["key"]]).set_index(place)
    places = pd.MultiIndex.from_frame(first[place])
    replaced = places.isin(repaired.index)
    if not replaced.any():
        return first.reset_index(drop=True)
    new = repaired.loc[places[replaced]].reset_index()
    for count in ("attempts", "tokens"):
        new[count] += first.loc[replaced, count].to_numpy()
    result = first.astype(object)
    result.loc[replaced, list(new.columns)] = new.to_numpy(dtype=object)
    return result.astype(first.dtypes.drop("decision").to_dict()).reset_index(drop=True)


def _warn_of_unrepaired(first: Any, repaired: set[str], label: str) -> None:
    """Say whose answers without a decision a policy was never applied to: they are shown as they were first given."""
    failed = first.loc[(first["status"] != "ok") & ~first["judge"].isin(repaired), "judge"]
    if len(failed):
        counts = "; ".join(f"{count} of {judge}" for judge, count in failed.value_counts(sort=False).items())
        warnings.warn(
            f"no answer of these judges was ever repaired by {label!r}, so those without a decision are first answers: "
            f"{counts}; collect with that policy.",
            stacklevel=4,
        )


def compress(folder: str | Path) -> list[Path]:
    """Write each judge's file as `.jsonl.gz` beside it, sorted by benchmark, format, item and draw; return the paths.

    Equal judgments give equal bytes: sorted rows, no time in the gzip header.

    >>> import tempfile
    >>> said = Judgment("j", "f", "b", "1", "direct", True, "ab", 0, 4, "Good.", "ok", 1, 9, "key")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     added = JudgmentStore(f"{folder}/j.jsonl").append([said])
    ...     [path.name for path in compress(folder)]
    ['j.jsonl.gz']
    """
    packed = []
    for path in sorted(Path(folder).glob("*.jsonl")):
        rows = sorted(read_jsonl(path), key=_order)
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        packed.append(write_bytes_atomic(Path(f"{path}.gz"), gzip.compress(text.encode(), 9, mtime=0)))
    return packed


def _order(row: dict[str, Any]) -> tuple:
    place = row["benchmark"], row["format"], row["with_reference"], row["order"], row["item_id"], row["draw"]
    return *place, row.get("policy", "once")
