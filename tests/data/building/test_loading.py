"""Loading the collections: real rows, every kind of file, flat memory; what becomes of bad rows and damaged files."""

from __future__ import annotations

import gzip
import json
import re
import tracemalloc
from collections import Counter

import pytest

from prometheus_lib.data import building, collections
from prometheus_lib.data.building import loading, schema
from prometheus_lib.data.building.hashing import instruction_key
from prometheus_lib.records import DataError

ROW = collections.feedback_rows(1, 1)[2]
PAIR = collections.preference_rows(1, 1)[0]


def write(path, rows, indent=None):
    path.write_text(json.dumps(rows, indent=indent), encoding="utf-8")
    return path


def many(count):
    return [{**ROW, "orig_instruction": f"instruction {n // 5}", "orig_score": str(1 + n % 5)} for n in range(count)]


# --- real rows -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published(data_dir):
    rows = json.loads((data_dir / "feedback_collection_samples" / "readme_rows.json").read_text(encoding="utf-8"))
    return [entry["row"] for entry in rows if entry["kind"] == "train"]


def test_the_published_rows_pass(published, tmp_path):
    feedback, preference = published
    for collection, row in (("feedback", feedback), ("preference", preference)):
        file = write(tmp_path / f"{collection}.json", [row])
        assert building.load_collection(collection, file) == [row]


def test_a_published_row_of_the_other_collection_is_set_aside(published, tmp_path):
    file, rejects = write(tmp_path / "rows.json", published), building.Rejects()
    assert building.load_collection("feedback", file, rejects=rejects) == published[:1]
    assert rejects.reasons == {"orig_response is": 1}
    assert rejects.summary().count("rows.json, row 2: orig_response is missing") == 1


def test_the_hubs_further_columns_are_left_out(published, tmp_path):
    """The published Preference Collection also holds both single scores and feedbacks, and the rendered prompt."""
    more = {"orig_score_A": "4", "orig_score_B": "2", "orig_feedback_A": "x", "orig_feedback_B": "y"}
    rendered = {"instruction": "###Task ...", "input": "", "output": "... [RESULT] A"}
    file = write(tmp_path / "rows.json", [published[1] | more | rendered])
    assert building.load_collection("preference", file) == [published[1] | more]


# --- kinds of files --------------------------------------------------------------------------------------------------


def arrow_file(path, table, stream):
    import pyarrow as pa

    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as out, make(out, table.schema) as writer:
        writer.write_table(table)


def test_every_kind_of_file_gives_the_same_rows(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = many(1300)
    table, lines = pa.Table.from_pylist(rows), "".join(json.dumps(row) + "\n" for row in rows)
    write(tmp_path / "a.json", rows)
    write(tmp_path / "b.json", rows, indent=1)
    (tmp_path / "c.jsonl").write_text(lines)
    (tmp_path / "d.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "e.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(rows).encode())
    pq.write_table(table, tmp_path / "f.parquet")
    arrow_file(tmp_path / "g.arrow", table, stream=False)
    arrow_file(tmp_path / "h.arrow", table, stream=True)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 8
    for file in files:
        assert building.load_collection("feedback", file) == rows, file.name
    assert len(building.load_collection("feedback", tmp_path)) == 8 * len(rows)


@pytest.mark.parametrize("block", [1, 7, 4096])
def test_an_array_is_read_the_same_in_pieces_of_any_size(tmp_path, monkeypatch, block):
    rows = [{"a": "x" * n, "b": [n, {"c": "]},{"}]} for n in range(9)]
    file = write(tmp_path / "rows.json", rows, indent=2)
    monkeypatch.setattr(loading, "BLOCK", block)
    assert [row for _, row in loading.read_rows(file)] == rows


def test_memory_stays_flat(tmp_path):
    """Four times the rows take no more memory."""
    peaks = []
    for count in (1500, 6000):
        file = write(tmp_path / "rows.json", [{**row, "orig_response": "word " * 800} for row in many(count)])
        tracemalloc.start()
        assert sum(1 for _ in building.stream_collection("feedback", file)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] and peaks[1] < file.stat().st_size / 3


def test_no_source_means_the_published_one_at_a_fixed_commit(monkeypatch, tmp_path):
    asked = {}

    def download(repository, **options):
        asked.update(options, repository=repository)
        write(tmp_path / "new_feedback_collection.json", many(5))
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert len(building.load_collection("feedback")) == 5
    assert asked["repository"] == "prometheus-eval/Feedback-Collection"
    assert len(asked["revision"]) == 40 and asked["allow_patterns"] == "new_feedback_collection.json"


def test_a_hub_that_cannot_be_reached_is_explained(monkeypatch):
    def fail(*arguments, **options):
        raise OSError("no route to host")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(
        DataError, match=r"no route to host.*get data/train-\*\.parquet by hand from https://.*b408d139"
    ):
        building.load_collection("preference")


# --- limits ----------------------------------------------------------------------------------------------------------


def test_a_limit_takes_whole_instructions_by_seed(tmp_path):
    rows = many(100)
    file = write(tmp_path / "rows.json", rows[::2] + rows[1::2])  # an instruction's rows lie apart
    taken = {seed: building.load_collection("feedback", file, rows=42, seed=seed) for seed in (1, 2)}
    for some in taken.values():
        assert Counter(Counter(map(instruction_key, some)).values()) == {5: 8}
    assert taken[1] == building.load_collection("feedback", file, rows=42, seed=1) != taken[2]
    turned = write(tmp_path / "turned.json", rows[::-1])
    again = building.load_collection("feedback", turned, rows=42, seed=1)
    assert {r["orig_instruction"] for r in again} == {r["orig_instruction"] for r in taken[1]}
    assert len(building.load_collection("feedback", file, rows=1)) == 5


def test_a_limit_below_one_is_refused(tmp_path):
    with pytest.raises(DataError, match="rows=0"):
        building.load_collection("feedback", write(tmp_path / "rows.json", many(5)), rows=0)


# --- bad rows --------------------------------------------------------------------------------------------------------

LONE = json.loads('"half \\ud83d emoji"')
BAD = {
    "score 6": ({"orig_score": "6"}, "orig_score is '6'"),
    "score empty": ({"orig_score": ""}, "orig_score shows nothing"),
    "score 3.0": ({"orig_score": 3.0}, r"orig_score is 3.0 \(float\), wanted text"),
    "score ' 3'": ({"orig_score": " 3"}, "orig_score is ' 3'"),
    "score true": ({"orig_score": True}, "orig_score is True"),
    "score null": ({"orig_score": None}, "orig_score is None"),
    "response empty": ({"orig_response": ""}, "orig_response shows nothing"),
    "response invisible": ({"orig_response": "\u200b"}, "orig_response shows nothing"),
    "response of invisible and blank characters": ({"orig_response": " \u200d\ufeff\u2060\n"}, "orig_response shows"),
    "half an emoji": ({"orig_response": LONE}, "orig_response holds half a character at position 5"),
    "response is a list": ({"orig_response": ["a"]}, r"orig_response is \['a'\]"),
    "verdict in the feedback": ({"orig_feedback": "Good. [RESULT] 4"}, "orig_feedback holds a verdict of its own"),
}
GOOD = {
    "headers": "a\n###Score Rubrics:\nb ###Feedback: c", "verdict": "x [RESULT] 5", "braces": "{instruction} {0} {{",
    "emoji": "fine \U0001f600", "CJK": "\u4f60\u597d\uff0c\u4e16\u754c",
    "lone carriage return": "a\rb\r", "long": "word " * 20_000, "zero": "0",
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_is_set_aside_with_its_reason(tmp_path, name):
    change, reason = BAD[name]
    file = write(tmp_path / "rows.json", [ROW, {**ROW, **change}, ROW])
    with building.Rejects(tmp_path / "set_aside.jsonl") as rejects:
        assert building.load_collection("feedback", file, rejects=rejects) == [ROW, ROW]
    (line,) = map(json.loads, (tmp_path / "set_aside.jsonl").read_text().splitlines())
    assert re.search(reason, line["reason"])
    assert line["where"] == f"{file}, row 2" and line["row"] == {**ROW, **change}
    assert rejects.count == 1 and "row 2" in rejects.summary()


@pytest.mark.parametrize("name", GOOD)
def test_an_odd_text_is_kept_byte_for_byte(tmp_path, name):
    row = {**ROW, "orig_response": GOOD[name]}
    file = write(tmp_path / "rows.json", [row])
    assert building.load_collection("feedback", file) == [row]


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"orig_preference": "tie"}, "orig_preference is 'tie'"),
        ({"orig_response_B": PAIR["orig_response_A"]}, "the same text"),
        ({"orig_score_A": "3", "orig_score_B": "3"}, "but the scores are 3 and 3"),
        ({"orig_score_A": "x", "orig_score_B": "3"}, "are 'x' and '3'"),
    ],
)
def test_a_bad_pair_is_set_aside(change, reason):
    assert reason in schema.problem({**PAIR, **change}, "preference")
    assert schema.problem(PAIR, "preference") is None


def test_a_preference_against_its_scores_is_set_aside():
    better, worse = ("5", "1") if PAIR["orig_preference"] == "A" else ("1", "5")
    assert schema.problem({**PAIR, "orig_score_A": better, "orig_score_B": worse}, "preference") is None
    assert "but the scores" in schema.problem({**PAIR, "orig_score_A": worse, "orig_score_B": better}, "preference")


def test_rejects_of_an_earlier_run_do_not_stay(tmp_path):
    file = tmp_path / "set_aside.jsonl"
    for change in ({"orig_score": "6"}, {}):
        with building.Rejects(file) as rejects:
            building.load_collection("feedback", write(tmp_path / "r.json", [ROW, {**ROW, **change}]), rejects=rejects)
    assert not file.exists() and rejects.summary() == "no row was set aside"


def test_no_usable_row_is_an_error_that_says_why(tmp_path):
    with pytest.raises(DataError, match=r"no usable row .* 1 rows were set aside .*row 1: orig_score is '9'"):
        building.load_collection("feedback", write(tmp_path / "r.json", [{**ROW, "orig_score": "9"}]))


# --- damaged files ---------------------------------------------------------------------------------------------------


def test_a_cut_file_stops_the_reading_wherever_it_was_cut(tmp_path):
    rows = [{"a": "x, y", "b": 12}, {"a": "]"}]
    text = json.dumps(rows)
    for end in range(len(text)):
        (tmp_path / "rows.json").write_text(text[:end])
        with pytest.raises(DataError, match=r"rows\.json"):
            list(loading.read_rows(tmp_path / "rows.json"))


@pytest.mark.parametrize("text", ["[{}{}]", "[,{}]", "[{},,{}]", "[{},]", "[{}] {}", "[{}]]", '{"a": 1', "nothing"])
def test_what_is_not_json_is_refused(tmp_path, text):
    (tmp_path / "rows.json").write_text(text)
    with pytest.raises(DataError, match=r"rows\.json, (after )?(row|line) \d"):
        list(loading.read_rows(tmp_path / "rows.json"))


def test_damaged_files_of_every_kind_are_named(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table, lines = pa.Table.from_pylist(many(2000)), "".join(json.dumps(row) + "\n" for row in many(2000)).encode()
    pq.write_table(table, tmp_path / "a.parquet")
    arrow_file(tmp_path / "b.arrow", table, stream=False)
    arrow_file(tmp_path / "c.arrow", table, stream=True)
    (tmp_path / "d.jsonl").write_bytes(lines)
    (tmp_path / "e.jsonl.gz").write_bytes(gzip.compress(lines))
    for file in sorted(tmp_path.iterdir()):
        file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
        with pytest.raises(DataError, match=file.name):
            list(loading.read_rows(file))


def test_files_that_are_something_else_are_named(tmp_path):
    cases = {
        "lfs.json": b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "empty.json": b" \n",
        "latin.json": '[{"a": "\u00e9"}]'.encode("latin-1"), "html.json": b"<html>", "number.json": b"[1, 2]",
    }  # fmt: skip
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=name):
            list(loading.read_rows(tmp_path / name))
    for missing in (tmp_path / "nowhere", tmp_path / "nowhere.json"):
        with pytest.raises(DataError, match="no such file or folder"):
            list(loading.read_rows(missing))
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="holds no data file"):
        list(loading.read_rows(tmp_path / "folder"))
