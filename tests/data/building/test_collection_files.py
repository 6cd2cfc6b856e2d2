"""Collections on disk: Parquet that `datasets` opens, the data card, pairs of many rows in little memory, pushing."""

from __future__ import annotations

import json
import threading
import tracemalloc
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from prometheus_lib import artifacts
from prometheus_lib.data import building, collections
from prometheus_lib.data.building import files
from prometheus_lib.records import DataError

CARD = building.Card("Test pairs", ["a test"], "cc-by-4.0", "Only for tests.", {"seed": 7})
ROWS = collections.feedback_rows(1, 30)


@pytest.fixture(autouse=True)
def few_buckets(monkeypatch):
    monkeypatch.setattr(files, "BUCKETS", 5)


def opened(folder, tmp_path):
    """What a user of the hub's library sees."""
    from datasets import load_dataset

    return load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))


def test_a_collection_opens_with_datasets_and_reads_back(tmp_path):
    statistics = building.write_collection(tmp_path / "feedback", ROWS, CARD)
    data = opened(tmp_path / "feedback", tmp_path)
    assert data.to_list() == ROWS and all(feature.dtype == "string" for feature in data.features.values())
    assert building.load_collection("feedback", tmp_path / "feedback") == ROWS
    assert statistics.table_1() == {
        "# Evaluation Criteria": 30, "# Instructions": 30, "# Reference Answer": 30, "# Instances": 150,
        "# Verbal Feedback": 150,
    }  # fmt: skip


def test_the_card_says_what_is_there(tmp_path):
    folder = tmp_path / "feedback"
    statistics = building.write_collection(folder, ROWS, CARD)
    text = (folder / "README.md").read_text()
    matter = yaml.safe_load(text.split("---")[1])
    assert matter["license"] == "cc-by-4.0" and matter["size_categories"] == ["n<1K"]
    assert matter["configs"][0]["data_files"] == [{"split": "train", "path": "data/train-*.parquet"}]
    for said in (
        "- a test",
        "Only for tests.",
        "- seed: 7",
        "| Instances | 150 |",
        "1: 30, 2: 30",
        "`orig_score5_description`",
    ):
        assert said in text, said
    (file,) = (folder / "data").iterdir()
    assert artifacts.file_hash(file) in text and statistics.fingerprint in text


def test_the_fingerprint_stands_for_the_rows_in_any_order(tmp_path):
    first, turned = (building.write_collection(tmp_path / "f", rows, CARD) for rows in (ROWS, ROWS[::-1]))
    other = building.write_collection(tmp_path / "f", [*ROWS[:-1], {**ROWS[-1], "orig_feedback": "other"}], CARD)
    assert first.fingerprint == turned.fingerprint != other.fingerprint


def test_many_files_when_there_are_many_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "ROWS_AT_ONCE", 16)
    monkeypatch.setattr(files, "ROWS_PER_FILE", 64)
    building.write_collection(tmp_path / "feedback", ROWS, CARD)
    assert [file.name for file in sorted((tmp_path / "feedback" / "data").iterdir())] == [
        "train-00000.parquet", "train-00001.parquet", "train-00002.parquet",
    ]  # fmt: skip
    assert opened(tmp_path / "feedback", tmp_path).to_list() == ROWS


def test_what_goes_wrong_leaves_the_old_collection(tmp_path):
    folder = tmp_path / "feedback"
    building.write_collection(folder, ROWS, CARD)
    half = json.loads('"\\ud83d"')
    bad = {"orig_response": [ROWS[0], {**ROWS[0], "orig_response": half}], "no row to write": [], "row 1": [{"a": 1}]}
    for said, rows in bad.items():
        with pytest.raises(DataError, match=said):
            building.write_collection(folder, rows, CARD)
    assert opened(folder, tmp_path).num_rows == 150 and [p.name for p in tmp_path.glob(".*")] == []


@pytest.mark.parametrize(
    "files",
    [["thesis.txt"], ["README.md"], ["README.md", "data/train-00000.parquet", "data/mine.csv"], ["data/x.parquet"]],
)
def test_no_folder_but_a_collection_is_replaced(tmp_path, monkeypatch, files):
    for name in files:
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).write_text("years of work")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for folder in (tmp_path / "mine", "../mine/", "."):
        with pytest.raises(DataError, match="not built here|the working folder"):
            building.write_collection(folder, ROWS, CARD)
    assert sorted(p.read_text() for p in tmp_path.rglob("*") if p.is_file()) == ["years of work"] * len(files)
    assert building.write_collection("new", ROWS, CARD).instances == 150
    (tmp_path / "work" / "new" / ".DS_Store").write_text("")
    assert building.write_collection("new", ROWS[:5], CARD).instances == 5


def test_rows_set_aside_replace_no_other_file(tmp_path):
    file = tmp_path / "rejects.jsonl"
    for _ in range(2):
        with building.Rejects(file) as rejects:
            rejects.add("row 1", "orig_score is missing", {})
    file.write_text("years of work")
    with pytest.raises(DataError, match="rejects.jsonl: this file holds something else, which would be lost"):
        building.Rejects(file).__enter__()
    assert file.read_text() == "years of work"


# --- pairs of many rows ----------------------------------------------------------------------------------------------


def test_streamed_pairs_are_those_of_memory(tmp_path):
    rows = [{**row, "orig_response": row["orig_response"] + extra} for row in ROWS for extra in ("", " again")]
    counts, statistics = building.build_pairs(iter(rows), tmp_path / "pairs", CARD, seed=3)
    pairs, in_memory = building.pair_up(rows, seed=3)
    by_id = sorted(pairs, key=lambda row: row["id"])
    assert sorted(opened(tmp_path / "pairs", tmp_path).to_list(), key=lambda row: row["id"]) == by_id
    assert counts == in_memory and counts.beyond == 30 * 30 and statistics.table_1()["# Instances"] == 300
    assert [path.name for path in tmp_path.glob(".*")] == []
    text = (tmp_path / "pairs" / "README.md").read_text()
    assert "- seed: 3" in text and "- most pairs for an instruction: 10" in text
    assert "| Verbal Feedback | 0 |" in text and "A: 150, B: 150" in text


def test_the_order_of_rows_changes_no_byte(tmp_path):
    for name, rows in (("a", ROWS), ("b", ROWS[::-1])):
        building.build_pairs(rows, tmp_path / name, CARD)
    hashes = [artifacts.file_hash(tmp_path / name / "data" / "train-00000.parquet") for name in "ab"]
    assert hashes[0] == hashes[1]


def test_memory_stays_flat_while_pairing(tmp_path, monkeypatch):
    """What is in memory is one bucket, one block of rows, and a few bytes for each instruction."""
    monkeypatch.setattr(files, "ROWS_AT_ONCE", 64)
    monkeypatch.setattr(files, "BUCKETS", 50)
    peaks = []
    for instructions in (200, 800):
        graded = (
            {**ROWS[0], "orig_instruction": f"{n}", "orig_response": f"{n} {score} " * 500, "orig_score": score}
            for n in range(instructions)
            for score in "12345"
        )
        tracemalloc.start()
        building.build_pairs(graded, tmp_path / "pairs", CARD)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (peaks[1] - peaks[0]) / 600 < 1000  # bytes for an instruction, whose rows hold 15,000


# --- pushing ---------------------------------------------------------------------------------------------------------


class Hub(BaseHTTPRequestHandler):
    """The few calls that an upload makes; files are sent inside the commit."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls.append((self.path, body, self.headers["Authorization"]))
        if self.headers["Authorization"] != "Bearer right":
            return self.answer({"error": "no"}, 401)
        if self.path.endswith("/preupload/main"):
            names = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(body)["files"]
            ]
            return self.answer({"files": names})
        url = "https://huggingface.co/datasets/me/pairs"
        return self.answer({"url": url, "commitUrl": f"{url}/commit/1", "commitOid": "1", "name": "me/pairs"})

    def do_GET(self):
        self.answer({"sha": "0", "id": "me/pairs", "siblings": []} if "right" in self.headers["Authorization"] else {})

    def answer(self, body, status=200):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.calls = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_one_call_pushes_a_collection(tmp_path, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "right")
    building.write_collection(tmp_path / "pairs", ROWS, CARD)
    endpoint = f"http://127.0.0.1:{hub.server_address[1]}"
    assert "me/pairs" in building.push(tmp_path / "pairs", "me/pairs", endpoint=endpoint)
    commits = [body.decode() for path, body, _ in hub.calls if path.endswith("/commit/main")]
    assert len(commits) == 1 and "README.md" in commits[0] and "data/train-00000.parquet" in commits[0]
    created = next(json.loads(body) for path, body, _ in hub.calls if path.endswith("/repos/create"))
    assert created["type"] == "dataset" and created.get("visibility", created.get("private")) in (True, "private")


def test_a_hub_that_refuses_is_explained(tmp_path, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "wrong")
    building.write_collection(tmp_path / "pairs", ROWS, CARD)
    with pytest.raises(DataError, match="me/pairs: could not be pushed .*log in with a token"):
        building.push(tmp_path / "pairs", "me/pairs", endpoint=f"http://127.0.0.1:{hub.server_address[1]}")
    with pytest.raises(DataError, match="no data card"):
        building.push(tmp_path, "me/pairs")
