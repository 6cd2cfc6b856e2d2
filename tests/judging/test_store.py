"""The judgment store: nothing collected is lost, nothing half-written is taken for whole."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import signal
import time
import warnings
from dataclasses import replace

import pytest

from prometheus_lib.judging import Policy, store
from prometheus_lib.records import DataError, Judgment, read_jsonl, write_text_atomic

ONE = Judgment("j", "f", "b", "i", "direct", True, "ab", 0, 3, "Good\u2028text\r.", "ok", 1, 9, "key-0")


def judgment(number: int) -> Judgment:
    return replace(ONE, item_id=f"i{number}", key=f"key-{number}")


def test_append_and_read_back(tmp_path):
    file = store.JudgmentStore(tmp_path / "j.jsonl")
    assert file.append([judgment(n) for n in range(3)]) == 3
    assert file.append([judgment(2), judgment(3)]) == 1
    table = store.load_judgments(tmp_path)
    assert list(table["key"]) == [f"key-{n}" for n in range(4)]
    assert table.loc[0, "feedback"] == ONE.feedback
    assert store.JudgmentStore(tmp_path / "j.jsonl").keys == set(table["key"])


@pytest.mark.parametrize("cut", [2, 10, 200])
def test_a_truncated_last_line_is_cut_off_with_a_message(tmp_path, cut):
    path = tmp_path / "j.jsonl"
    store.JudgmentStore(path).append([judgment(n) for n in range(3)])
    os.truncate(path, path.stat().st_size - cut)
    with pytest.warns(UserWarning, match="damaged"):
        again = store.JudgmentStore(path)
    assert again.keys == {"key-0", "key-1"}
    again.append([judgment(2)])
    assert [row["key"] for row in read_jsonl(path)] == ["key-0", "key-1", "key-2"]


def test_a_whole_but_garbled_last_line_is_cut_off_too(tmp_path):
    path = tmp_path / "j.jsonl"
    store.JudgmentStore(path).append([judgment(n) for n in range(3)])
    with open(path, "ab") as file:
        file.write(b"\0" * 50 + b"\n")
    with pytest.warns(UserWarning, match="51 bytes"):
        again = store.JudgmentStore(path)
    assert again.keys == {"key-0", "key-1", "key-2"} == {row["key"] for row in read_jsonl(path)}


def test_a_file_cut_inside_its_only_line_becomes_empty(tmp_path):
    path = tmp_path / "j.jsonl"
    path.write_text('{"judge": "j"')
    with pytest.warns(UserWarning, match="13 bytes"):
        assert store.JudgmentStore(path).keys == set()


def test_damage_in_the_middle_names_file_and_line(tmp_path):
    path = tmp_path / "j.jsonl"
    store.JudgmentStore(path).append([judgment(n) for n in range(3)])
    lines = path.read_text(encoding="utf-8").split("\n")
    path.write_text("\n".join([lines[0], lines[1][:40], *lines[2:]]), encoding="utf-8")
    with pytest.raises(DataError, match=r"j\.jsonl, line 2: not valid JSON"):
        store.JudgmentStore(path)


def test_missing_fields_and_missing_folders_are_named(tmp_path):
    with pytest.raises(DataError, match="no judgment files"):
        store.load_judgments(tmp_path)
    (tmp_path / "x.jsonl").write_text(json.dumps({"judge": "x"}) + "\n")
    with pytest.raises(DataError, match=r"x\.jsonl, line 1: fields \['fingerprint'"):
        store.load_judgments(tmp_path)


def _write_for_ever(path: str) -> None:
    file = store.JudgmentStore(path)
    for number in range(10**9):
        file.append([judgment(number)])


def test_a_kill_at_any_moment_loses_at_most_the_line_being_written(tmp_path):
    path = tmp_path / "j.jsonl"
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_write_for_ever, args=(str(path),))
    process.start()
    deadline = time.monotonic() + 60
    while not (path.exists() and path.stat().st_size > 5000) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    keys = store.JudgmentStore(path).keys
    assert keys == {f"key-{n}" for n in range(len(keys))} and len(keys) > 5


def _write_some(path: str, numbers: range, barrier) -> None:
    file = store.JudgmentStore(path)
    barrier.wait()
    for number in numbers:
        file.append([judgment(number), judgment(number + 1)])


def test_two_processes_share_a_file_without_losing_or_repeating_a_judgment(tmp_path):
    path = tmp_path / "j.jsonl"
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    writers = [
        context.Process(target=_write_some, args=(str(path), numbers, barrier))
        for numbers in (range(0, 150), range(100, 250))
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    keys = [row["key"] for row in read_jsonl(path)]
    assert len(keys) == len(set(keys)) == 251


def test_a_store_sees_what_another_one_wrote(tmp_path):
    one, two = store.JudgmentStore(tmp_path / "j.jsonl"), store.JudgmentStore(tmp_path / "j.jsonl")
    assert one.append([judgment(0)]) == 1 and two.append([judgment(0), judgment(1)]) == 1
    one.refresh()
    assert one.keys == two.keys == {"key-0", "key-1"}


def test_policies_are_read_side_by_side_from_one_file(tmp_path):
    failed = replace(ONE, decision=None, feedback="no verdict", status="unparsed", tokens=4)
    redrawn = replace(ONE, decision=2, attempts=3, tokens=20, key="key-0:redraw-5", policy="redraw-5")
    finished = replace(ONE, decision=4, attempts=1, tokens=2, key="key-0:finish", policy="finish")
    file = store.JudgmentStore(tmp_path / "j.jsonl")
    file.append([failed, judgment(1), redrawn, finished])
    assert file.failed == {("key-0", "b", "i"): "no verdict"}
    seen = {name: store.load_judgments(tmp_path, policy=name) for name in ("once", "redraw-5", "finish")}
    assert {name: len(table) for name, table in seen.items()} == {"once": 2, "redraw-5": 2, "finish": 2}
    assert [table.loc[0, "status"] for table in seen.values()] == ["unparsed", "ok", "ok"]
    assert [table.loc[0, "decision"] for table in seen.values()][1:] == [2, 4]
    assert [table.loc[0, "attempts"] for table in seen.values()] == [1, 4, 2]
    assert [table.loc[0, "tokens"] for table in seen.values()] == [4, 24, 6]
    assert [table.loc[1, "decision"] for table in seen.values()] == [3, 3, 3]
    assert all(table.dtypes.drop("decision").equals(seen["once"].dtypes.drop("decision")) for table in seen.values())
    # By the name of the policy, or by the policy itself, as it was collected.
    for policy in ("redraw", Policy("redraw"), Policy("redraw", 5)):
        assert store.load_judgments(tmp_path, policy=policy).equals(seen["redraw-5"])
    assert store.load_judgments(tmp_path, policy=Policy("finish")).equals(seen["finish"])
    for other in ("redraw-9", Policy("redraw", 9)):
        with pytest.raises(DataError, match="policy 'redraw-9': these judgments were drawn again as redraw-5"):
            store.load_judgments(tmp_path, policy=other)
    with pytest.raises(DataError, match="unknown policy 'again'; write .*redraw-5"):
        store.load_judgments(tmp_path, policy="again")
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(DataError, match="collected in a file whose name ends in .jsonl"):
        store.JudgmentStore(tmp_path / "folder.jsonl")
    (tmp_path / "folder.jsonl").rmdir()
    (path,) = tmp_path.glob("*.jsonl")
    with pytest.warns(UserWarning, match="1 without a decision is read with policy='finish' or 'redraw-5'"):
        assert store.load_judgments(path).equals(seen["once"])
    file.append([replace(redrawn, key="key-0:redraw-2", policy="redraw-2")])
    with pytest.raises(DataError, match="drawn again as redraw-2 and redraw-5; name one"):
        store.load_judgments(tmp_path, policy="redraw")
    assert store.load_judgments(tmp_path, policy="redraw-5").equals(seen["redraw-5"])


def test_a_policy_that_was_never_applied_is_said(tmp_path):
    failed = replace(ONE, decision=None, status="unparsed")
    for name in ("j", "k"):
        store.JudgmentStore(tmp_path / f"{name}.jsonl").append([replace(failed, judge=name), judgment(1)])
    finished = replace(failed, judge="k", decision=4, key="key-0:finish", policy="finish", status="ok")
    store.JudgmentStore(tmp_path / "k.jsonl").append([finished])
    with pytest.warns(UserWarning, match="ever repaired by 'finish', .* are first answers: 1 of j; collect"):
        table = store.load_judgments(tmp_path, policy="finish")
    assert table.loc[table["status"] != "ok", "judge"].tolist() == ["j"] and 4 in set(table["decision"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.load_judgments(tmp_path, ["k"], policy="finish")


def test_policies_of_two_judges_with_equal_weights_are_kept_apart(tmp_path):
    failed = replace(ONE, decision=None, status="unparsed")
    for name in ("a", "b"):
        store.JudgmentStore(tmp_path / f"{name}.jsonl").append([replace(failed, judge=name)])
    repair = replace(ONE, decision=5, key=f"{ONE.key}:finish", policy="finish", judge="a")
    store.JudgmentStore(tmp_path / "a.jsonl").append([repair])
    table = store.load_judgments(tmp_path, policy="finish")
    assert list(table["judge"]) == ["a", "b"] and list(table["status"]) == ["ok", "unparsed"]
    store.JudgmentStore(tmp_path / "b.jsonl").append([replace(repair, judge="b", decision=1)])
    assert list(store.load_judgments(tmp_path, policy="finish")["decision"]) == [5, 1]
    assert list(store.load_judgments(tmp_path, ["b"], policy="finish")["decision"]) == [1]


def test_files_that_are_no_stores_are_left_as_they_are(tmp_path):
    packed = tmp_path / "judge.jsonl.gz"
    packed.write_bytes(gzip.compress(b"x" * 1000))
    table = tmp_path / "judge.jsonl"
    table.write_text("item,decision\n1,2\n3,4")
    for path in (packed, table):
        before = path.read_bytes()
        with pytest.raises(DataError, match=path.name):
            store.JudgmentStore(path)
        assert path.read_bytes() == before


def test_a_whole_last_line_only_lacks_its_newline(tmp_path):
    first = store.JudgmentStore(tmp_path / "j.jsonl")
    first.append([judgment(0), judgment(1)])
    first.path.write_bytes(first.path.read_bytes().rstrip(b"\n"))
    again = store.JudgmentStore(first.path)
    assert len(again.places) == 2 and again.append([judgment(2)]) == 1
    assert first.path.read_bytes().count(b"\n") == 3


def test_half_a_character_is_stored_as_a_question_mark(tmp_path):
    store.JudgmentStore(tmp_path / "j.jsonl").append([replace(ONE, feedback="bad \ud83d")])
    assert list(store.load_judgments(tmp_path)["feedback"]) == ["bad ?"]


def test_a_file_that_hides_more_recorded_judgments_is_warned_about(tmp_path):
    path = tmp_path / "j.jsonl"
    store.JudgmentStore(path).append([judgment(n) for n in range(3)])
    store.compress(tmp_path)
    assert len(store.load_judgments(tmp_path)) == 3
    path.unlink()
    store.JudgmentStore(path).append([judgment(9)])
    with pytest.warns(UserWarning, match="1 judgments are read, and the 3 of j.jsonl.gz beside it are not"):
        assert len(store.load_judgments(tmp_path)) == 1


def test_two_items_with_one_prompt_are_two_judgments(tmp_path):
    file = store.JudgmentStore(tmp_path / "j.jsonl")
    twin = replace(ONE, item_id="twin")
    assert file.append([ONE, twin, twin]) == 2 and file.append([twin]) == 0
    assert len(store.load_judgments(tmp_path)) == 2 and file.keys == {"key-0"}


def test_a_full_disk_keeps_what_was_collected(tmp_path):
    path = tmp_path / "j.jsonl"
    file = store.JudgmentStore(path)
    file.append([judgment(0)])
    resource = pytest.importorskip("resource")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 50, limit[1]))
    try:
        with pytest.raises(DataError, match="could not be appended"):
            file.append([judgment(1)])
        with pytest.raises(DataError, match="could not be written"):
            write_text_atomic(tmp_path / "big.txt", "x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert store.JudgmentStore(path).keys == {"key-0"}
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == ["j.jsonl"]
    assert not list(tmp_path.glob("*.part"))
    assert file.append([judgment(1)]) == 1


def test_compressed_files_are_equal_for_equal_judgments_and_serve_as_fallback(tmp_path):
    for folder, order in (("one", range(5)), ("two", reversed(range(5)))):
        file = store.JudgmentStore(tmp_path / folder / "j.jsonl")
        for number in order:
            file.append([judgment(number)])
    packed = [store.compress(tmp_path / folder)[0] for folder in ("one", "two")]
    assert packed[0].read_bytes() == packed[1].read_bytes()
    (tmp_path / "one" / "j.jsonl").unlink()
    assert len(store.load_judgments(tmp_path / "one")) == 5
