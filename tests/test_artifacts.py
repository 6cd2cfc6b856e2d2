"""Folders appear only when whole, and building one loses nothing that somebody else made."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prometheus_lib import artifacts
from prometheus_lib.records import DataError


def build(text="new", inputs=(), out="out", stamp=None):
    """Build a folder with one file."""
    stamp = stamp or artifacts.stamp_of({}, {"text": text})
    return artifacts.build_folder(out, stamp, lambda folder: (folder / "model.txt").write_text(text), inputs)


def snapshot(root: Path) -> dict[str, bytes | None]:
    """Return all files below a folder with their bytes, links as links."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
        for path in sorted(root.rglob("*"))
    }  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder with two inputs in `models/` and somebody's notes."""
    for name in ("direct", "pairwise"):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "weights").write_text(name)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("years of work")
    (tmp_path / "rows.jsonl").write_text("{}\n")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- what may not be built over --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("models/direct", "is or holds the input models/direct"),
        ("models/direct/", "is or holds the input models/direct"),
        ("models", "is or holds the input models/direct"),
        ("work/../models", "is or holds the input models/direct"),
        ("models/direct/merged", "lies inside the input models/direct"),
        ("models/direct/a/b/c", "lies inside the input models/direct"),
        ("link", "is or holds the input models/direct"),
        ("link/direct", "is or holds the input models/direct"),
        ("link/direct/new", "lies inside the input models/direct"),
        ("notes", "is not empty, and what it holds was not built here"),
        (".", "is the working folder or holds it"),
        ("", "is the working folder or holds it"),
        ("..", "is the working folder or holds it"),
        ("/", "is the working folder or holds it"),
        ("rows.jsonl", "this is a file"),
        ("rows.jsonl/out", "could not be written"),
        ("loop", "cannot be used"),
    ],
)
def test_nothing_is_lost_or_written(place, out, message):
    (place / "link").symlink_to("models")
    (place / "loop").symlink_to("loop")
    before = snapshot(place)
    for given in (out, place / out) if out else (out,):
        with pytest.raises(DataError, match=message):
            build(out=given, inputs=["models/direct", "models/pairwise", "owner/name"])
    assert snapshot(place) == before


def test_inputs_may_be_links_files_and_absolute_paths(place):
    (place / "link").symlink_to(place / "models" / "direct")
    (place / "elsewhere").mkdir()
    (place / "elsewhere" / "weights").write_text("shared")
    (place / "models" / "linked").mkdir()
    (place / "models" / "linked" / "weights").symlink_to(place / "elsewhere" / "weights")
    (place / "elsewhere" / artifacts.STAMP).write_text('{"inputs": {}, "settings": {}}')  # it looks like ours
    before = snapshot(place)
    for out, input in (
        ("models", "link"), ("models/direct", place / "link"), (".", "rows.jsonl"), ("elsewhere", "models/linked"),
    ):  # fmt: skip
        with pytest.raises(DataError):
            build(out=out, inputs=[input])
    assert snapshot(place) == before


def test_a_foreign_file_named_like_a_stamp_is_no_stamp(place):
    for text in ("{}", "[]", "", "hello", '{"settings": 1}', "\xff"):
        (place / "notes" / artifacts.STAMP).write_text(text)
        with pytest.raises(DataError, match="was not built here"):
            build(out="notes")


def test_what_was_added_to_a_result_is_not_removed_with_it(place):
    assert build("one")
    (place / "out" / ".DS_Store").write_text("")
    (place / "out" / "notes").mkdir()
    (place / "out" / "notes" / "mine.txt").write_text("kept")
    assert not build("one")  # current: nothing is touched
    with pytest.raises(DataError, match="notes/mine.txt would be lost"):
        build("two")
    assert (place / "out" / "model.txt").read_text() == "one"
    shutil.move("out/notes", "kept")
    assert build("two") and sorted(os.listdir("out")) == ["model.txt", "stamp.json"]


def test_our_own_results_are_replaced_wherever_they_are(place):
    (place / "empty").mkdir()
    assert build("one", out="empty") and build("two", out="empty/") and not build("two", out="work/../empty")
    (place / "link").symlink_to("empty")
    assert build("three", out="link")
    assert (place / "link").is_symlink() and (place / "empty" / "model.txt").read_text() == "three"
    (place / "dangling").symlink_to("not/yet/there")
    assert build("four", out="dangling") and (place / "not/yet/there/model.txt").read_text() == "four"
    assert build("five", out="deep/er/out", inputs=["models/direct", "no/such/input"])
    assert not list(place.rglob(".*.part")) + list(place.rglob(".*.old"))


def test_results_of_earlier_versions_without_a_list_of_files_are_replaced(place):
    (place / "out").mkdir()
    (place / "out" / artifacts.STAMP).write_text('{"inputs": {"direct": "ab"}, "settings": {"seed": 1}}')
    assert artifacts.is_current("out", {"inputs": {"direct": "ab"}, "settings": {"seed": 1}})
    assert build("new")


def test_a_build_that_fails_leaves_the_earlier_result(place):
    build("one")

    def fail(folder):
        (folder / "half").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        artifacts.build_folder("out", artifacts.stamp_of({}, {"text": "two"}), fail, [])
    assert (place / "out" / "model.txt").read_text() == "one" and not list(place.glob(".out*"))


# --- killed builds ---------------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys, time
from prometheus_lib import artifacts

def build(folder):
    (folder / "half").write_text("half")
    print("building", flush=True)
    time.sleep(60)

artifacts.build_folder("out", artifacts.stamp_of({}, {"text": "slow"}), build, [])
"""
BETWEEN = """
import os, signal
from prometheus_lib import artifacts

rename = os.rename
def stop(source, target):
    if os.path.basename(source).endswith(".part"):
        os.kill(os.getpid(), signal.SIGKILL)
    rename(source, target)
os.rename = stop
artifacts.build_folder("out", artifacts.stamp_of({}, {"text": "two"}), lambda folder: None, [])
"""


def start(code) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(artifacts.project_folder())}
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment)


def test_parts_of_dead_builds_go_and_those_of_living_ones_stay(place):
    process = start(KILLED)
    assert process.stdout.readline() == b"building\n"
    part = place / f".out.{process.pid}.part"
    others = [place / ".out.2.1.part", place / ".out2.1.part", place / ".other.999999999.part", place / "out.1.part"]
    for other in others:
        other.mkdir()
    (place / ".out.999999999.part").mkdir()
    assert build("one") and part.is_dir() and not (place / ".out.999999999.part").exists()
    process.send_signal(signal.SIGKILL)
    while part.exists():  # not waited for: a dead child of ours is a zombie now
        build("one")
        time.sleep(0.01)
    process.wait()
    assert all(other.is_dir() for other in others)


def test_a_number_that_went_to_a_later_process_does_not_protect(place):
    with subprocess.Popen(["sleep", "60"]) as process:
        part = place / f".out.{process.pid}.part"
        part.mkdir()
        assert build("one") and part.is_dir()
        os.utime(part, (1e9, 1e9))  # long before that process began
        assert not build("one") and not part.exists()
        process.kill()


def test_a_kill_between_the_two_renames_loses_nothing(place):
    build("one")
    process = start(BETWEEN)
    assert process.wait() == -signal.SIGKILL
    assert not (place / "out").exists() and (place / f".out.{process.pid}.old" / "model.txt").read_text() == "one"
    assert not build("one")  # it is back, and current
    assert (place / "out" / "model.txt").read_text() == "one" and not list(place.glob(".out*"))


def test_an_earlier_result_that_was_not_yet_removed_is(place):
    build("two")
    (place / ".out.999999999.old").mkdir()
    assert not build("two") and not list(place.glob(".out*"))


# --- stamps ----------------------------------------------------------------------------------------------------------


def test_inputs_of_one_name_are_told_apart_and_so_is_their_order(place):
    for run, text in (("run1", "a"), ("run2", "b")):
        (place / run).mkdir()
        (place / run / "final").write_text(text)
    roles = {"first": "run1/final", "second": "run2/final"}
    stamp = artifacts.stamp_of(roles, {})
    assert len(stamp["inputs"]) == 2
    assert stamp != artifacts.stamp_of(dict(zip(roles, reversed(roles.values()), strict=True)), {})
    (place / "run1" / "final").write_text("trained again")
    assert stamp != artifacts.stamp_of(roles, {})


def test_a_vocabulary_counts_where_it_is_the_tokenizer(place):
    folder = place / "models" / "direct"
    (folder / "config.json").write_text("{}")
    (folder / "vocab.json").write_text('{"a": 0}')
    before = artifacts.model_fingerprint(folder)
    (folder / "vocab.json").write_text('{"a": 1}')
    assert artifacts.model_fingerprint(folder) != before
    (folder / "tokenizer.json").write_text("{}")
    before = artifacts.model_fingerprint(folder)
    (folder / "vocab.json").write_text('{"a": 2}')
    assert artifacts.model_fingerprint(folder) == before
