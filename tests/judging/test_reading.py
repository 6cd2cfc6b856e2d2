"""Reading judgments: what was asked decides, not what was written last."""

from __future__ import annotations

import dataclasses
import json
import warnings

import pandas as pd
import pytest

from prometheus_lib import judging
from prometheus_lib.judging import Completion, Decoding, Judge, collect, direct_tasks, reading
from prometheus_lib.judging.store import JudgmentStore, asked_file, compress, load_judgments, start_from_recorded
from prometheus_lib.records import DataError, DirectItem, Rubric

WARM = Decoding()
TEXTS = ("no", "hardly", "half", "mostly", "yes")
A, B = Rubric("Is it right?", TEXTS), Rubric("Is it polite?", TEXTS)
IDS = ("1", "10", "11", "2")


class Teller(Judge):
    """A judge that decides what `score` says of a task and draw."""

    name, batch_size = "teller", 100

    def __init__(self, fingerprint, score):
        self.fingerprint, self.score = fingerprint, score

    def generate(self, tasks, decoding, seed):
        return [[Completion("", 1, True, self.score(task, draw)) for draw in range(task.draws)] for task in tasks]


FIRST, SECOND = Teller("weights 1", lambda task, draw: 5), Teller("weights 2", lambda task, draw: 1)
BY_RUBRIC = Teller("weights 1", lambda task, draw: 5 if "right?" in task.prompt else 1)


def tasks(rubric=A, draws=1, ids=IDS, benchmark="mine"):
    items = [DirectItem(id, "Add 2 and 2.", f"It is {id}.", None, rubric) for id in ids]
    return direct_tasks(benchmark, items, with_reference=False, draws=draws)


@pytest.fixture
def ask(tmp_path):
    """Collect tasks as a later process would: with a store of its own."""

    def ask(judge, asked, decoding=WARM):
        return collect(judge, asked, JudgmentStore(tmp_path / "teller.jsonl"), decoding)

    return ask


def scores(folder, match=None):
    """Return item id to decisions, in order, as a table without tasks would read them."""
    with warnings.catch_warnings() if match is None else pytest.warns(UserWarning, match=match):
        if match is None:
            warnings.simplefilter("error")
        found = reading.current_judgments(folder)
    return {name: part["decision"].tolist() for name, part in found.groupby("item_id", sort=False)}


def test_the_rubric_asked_last_counts_also_when_nothing_was_left_to_judge(tmp_path, ask):
    assert (ask(BY_RUBRIC, tasks(A)), ask(BY_RUBRIC, tasks(B))) == (4, 4)
    assert scores(tmp_path, "4 of teller to another prompt") == dict.fromkeys(IDS, [1])
    assert ask(BY_RUBRIC, tasks(A)) == 0
    assert scores(tmp_path, "4 of teller to another prompt") == dict.fromkeys(IDS, [5])
    assert ask(BY_RUBRIC, tasks(B)) == 0
    assert scores(tmp_path, "4 of teller to another prompt") == dict.fromkeys(IDS, [1])


def test_the_weights_asked_last_count(tmp_path, ask):
    for judge, added, score in ((FIRST, 4, 5), (SECOND, 4, 1), (FIRST, 0, 5), (SECOND, 0, 1)):
        assert ask(judge, tasks()) == added
        if (judge, added) != (FIRST, 4):
            assert scores(tmp_path, "4 of teller by other model weights") == dict.fromkeys(IDS, [score])


def test_the_settings_asked_last_count(tmp_path, ask):
    greedy = Decoding(temperature=0.0)
    judge = Teller("weights", lambda task, draw: 3)
    for decoding in (WARM, greedy, WARM):
        ask(judge, tasks(), decoding)
    assert scores(tmp_path, "4 of teller with other decoding settings") == dict.fromkeys(IDS, [3])


def test_draws_of_two_prompts_are_never_mixed(tmp_path, ask):
    ask(BY_RUBRIC, tasks(A, draws=3))
    ask(BY_RUBRIC, tasks(B))
    assert scores(tmp_path, "12 of teller to another prompt") == dict.fromkeys(IDS, [1])
    ask(BY_RUBRIC, tasks(A, draws=3))
    assert scores(tmp_path, "4 of teller") == dict.fromkeys(IDS, [5, 5, 5])
    ask(BY_RUBRIC, tasks(A))  # fewer draws of the same: the others still answer it
    assert scores(tmp_path, "4 of teller") == dict.fromkeys(IDS, [5, 5, 5])


def test_draws_that_are_added_later_belong_together(tmp_path, ask):
    ask(BY_RUBRIC, tasks(A))
    ask(BY_RUBRIC, tasks(B, draws=2))
    ask(BY_RUBRIC, tasks(A, draws=3))
    assert scores(tmp_path, "8 of teller to another prompt") == dict.fromkeys(IDS, [5, 5, 5])


def test_only_the_items_asked_again_change(tmp_path, ask):
    ask(BY_RUBRIC, tasks(A))
    ask(BY_RUBRIC, tasks(B, ids=("10",)))
    assert scores(tmp_path, "1 of teller to another prompt") == {"1": [5], "11": [5], "2": [5], "10": [1]}
    ask(BY_RUBRIC, tasks(B, ids=("10",), benchmark="others"))
    found = reading.current_judgments(tmp_path)
    assert len(found) == 5 and found["benchmark"].tolist().count("others") == 1


def test_older_answers_do_not_stand_in_for_those_still_to_come(tmp_path, ask):
    class Stopped(Teller):
        batch_size = 2

        def generate(self, tasks, decoding, seed):
            if tasks[0].item_id not in ("1", "2"):
                raise KeyboardInterrupt
            return super().generate(tasks, decoding, seed)

    ask(FIRST, tasks())
    with pytest.raises(KeyboardInterrupt):
        ask(Stopped("weights 2", lambda task, draw: 1), tasks())
    assert scores(tmp_path, "4 of teller by other model weights") == {"1": [1], "2": [1]}


def test_nothing_is_recorded_where_nothing_is_ambiguous(tmp_path, ask):
    for draws in (1, 3, 2):
        ask(BY_RUBRIC, tasks(A, draws=draws))
    assert scores(tmp_path) == dict.fromkeys(IDS, [5, 5, 5])
    assert not asked_file(tmp_path / "teller.jsonl").exists()


def test_a_packed_file_is_read_like_the_live_one(tmp_path, ask):
    for rubric in (A, B, A):
        ask(BY_RUBRIC, tasks(rubric))
    compress(tmp_path)
    (tmp_path / "teller.jsonl").unlink()
    assert scores(tmp_path, "to another prompt") == dict.fromkeys(IDS, [5])
    start_from_recorded(tmp_path / "teller.jsonl")
    assert ask(BY_RUBRIC, tasks(B)) == 0
    assert scores(tmp_path, "to another prompt") == dict.fromkeys(IDS, [1])


def test_judgments_of_tasks_are_those_of_the_tasks_in_their_order(tmp_path, ask):
    for rubric in (A, B):
        ask(BY_RUBRIC, tasks(rubric, draws=2))
    for rubric, score in ((A, 5), (B, 1), (A, 5)):
        with pytest.warns(UserWarning, match="8 of teller to another prompt"):
            found = reading.judgments_of(BY_RUBRIC, tasks(rubric, draws=2), tmp_path, WARM)
        assert found["item_id"].tolist() == [id for id in IDS for _ in range(2)]
        assert found["draw"].tolist() == [0, 1] * 4 and (found["decision"] == score).all()
        assert list(found.columns) == list(load_judgments(tmp_path).columns)
    with pytest.warns(UserWarning, match="teller: 8 of 8 judgments are not there yet"):
        found = reading.judgments_of(SECOND, tasks(draws=2), tmp_path / "teller.jsonl", WARM)
    assert found.empty


def test_further_draws_of_the_same_question_are_called_so(tmp_path, ask):
    ask(BY_RUBRIC, tasks(A, draws=3))
    ask(BY_RUBRIC, tasks(A, draws=2), Decoding(temperature=0.5))
    with pytest.warns(UserWarning, match="8 of teller in further draws; 8 of teller with other decoding settings"):
        found = reading.judgments_of(BY_RUBRIC, tasks(A), tmp_path, WARM)
    assert found["decision"].tolist() == [5] * 4 and set(found["draw"]) == {0}


def test_another_judges_file_in_the_folder_is_not_read(tmp_path, ask):
    ask(FIRST, tasks())
    other = Teller("weights 1", lambda task, draw: 1)
    other.name = "other"
    collect(other, tasks(), JudgmentStore(tmp_path / "other.jsonl"), WARM)
    assert set(reading.judgments_of(FIRST, tasks(), tmp_path, WARM)["decision"]) == {5}


def test_two_prompts_for_one_item_are_two_tables(tmp_path, ask):
    for rubric in (A, B):
        ask(BY_RUBRIC, tasks(rubric))
    with pytest.raises(DataError, match="4 items are asked for more than once: mine/1, .* by themselves"):
        reading.judgments_of(BY_RUBRIC, [*tasks(A), *tasks(B)], tmp_path, WARM)
    both = [*tasks(A), *tasks(B, benchmark="polite")]
    ask(BY_RUBRIC, both)
    with pytest.warns(UserWarning, match="4 of teller to another prompt"):
        found = reading.judgments_of(BY_RUBRIC, both, tmp_path, WARM)
    assert found["decision"].tolist() == [5] * 4 + [1] * 4


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fingerprint": "weights 2"}, "by other model weights"),
        ({"prompt_hash": "another"}, "to another prompt"),
        ({}, "with other decoding settings"),
    ],
)
def test_files_that_do_not_say_what_is_meant_are_refused(tmp_path, ask, change, reason):
    ask(FIRST, tasks())
    lines = (tmp_path / "teller.jsonl").read_text().splitlines()
    more = [{**json.loads(line), **change, "key": f"other {n}"} for n, line in enumerate(lines)]
    (tmp_path / "teller.jsonl").write_text("\n".join([*lines, *map(json.dumps, more)]))
    with pytest.raises(DataError, match=f"'teller': 4 items of mine have answers of .*{reason}.*'1'"):
        reading.current_judgments(tmp_path)
    assert ask(FIRST, tasks()) == 0  # asking again tells
    assert scores(tmp_path, f"4 of teller {reason}") == dict.fromkeys(IDS, [5])


def test_files_without_hashes_are_told_apart_by_their_keys(tmp_path, ask):
    ask(BY_RUBRIC, tasks(A, draws=2))
    path = tmp_path / "teller.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({k: v for k, v in row.items() if k != "prompt_hash"}) + "\n" for row in rows))
    assert scores(tmp_path) == dict.fromkeys(IDS, [5, 5])
    ask(BY_RUBRIC, tasks(A, draws=3))
    assert scores(tmp_path) == dict.fromkeys(IDS, [5, 5, 5])
    ask(BY_RUBRIC, tasks(B))
    assert scores(tmp_path, "8 of teller to another prompt or with other") == dict.fromkeys(IDS, [1])
    assert ask(BY_RUBRIC, tasks(A, draws=3)) == 0
    assert scores(tmp_path, "4 of teller") == dict.fromkeys(IDS, [5, 5, 5])


def test_a_line_that_stands_there_twice_counts_once(tmp_path, ask):
    ask(FIRST, tasks())
    path = tmp_path / "teller.jsonl"
    path.write_text(path.read_text() * 2)
    assert scores(tmp_path) == dict.fromkeys(IDS, [5])


def test_a_damaged_record_is_named(tmp_path, ask):
    for judge in (FIRST, SECOND):
        ask(judge, tasks())
    asked_file(tmp_path / "teller.jsonl").write_text('[{"judge": "teller"')
    with pytest.raises(DataError, match="teller.asked.json: damaged .* delete it and collect"):
        reading.current_judgments(tmp_path)


def test_both_temperatures_of_one_question_are_not_one_table(tmp_path, ask):
    cold = [dataclasses.replace(task, temperature=0.0) for task in tasks()]
    ask(FIRST, [*tasks(), *cold])
    with pytest.raises(DataError, match="more than one kind"):
        reading.current_judgments(tmp_path)
    ask(FIRST, cold)
    assert len(scores(tmp_path, "with other decoding settings")) == 4


def test_a_complete_job_is_asked_without_starting_a_judge(tmp_path):
    out = tmp_path / "judgments" / "model.jsonl"
    folder = tmp_path / "model"
    folder.mkdir()

    def run(text):
        (folder / "model.safetensors").write_text(text)
        job = judging.JudgingJob("model", str(folder), tuple(tasks()), str(out), WARM)
        judge = Teller(judging.job_fingerprint(job), lambda task, draw: int(text))
        judge.name = "model"
        return judging.run_judge(job, start=lambda _: judge)

    assert (run("5"), run("1"), run("5")) == (4, 4, 0)
    assert scores(out.parent, "4 of model by other model weights") == dict.fromkeys(IDS, [5])


def test_a_policys_answers_are_read_with_the_first_ones(tmp_path, ask):
    unsure = Teller("weights 1", lambda task, draw: None)
    unsure.generate = lambda tasks, decoding, seed: [[Completion("Hm.", 1, True)] * t.draws for t in tasks]
    ask(unsure, tasks())
    with pytest.warns(UserWarning, match="was ever repaired by 'redraw-2', .*: 4 of teller; collect with that policy"):
        found = reading.judgments_of(unsure, tasks(), tmp_path, WARM, policy="redraw-2")
    assert isinstance(found, pd.DataFrame) and found["decision"].isna().all() and len(found) == 4


def test_answers_of_earlier_weights_are_left_out_where_they_were_not_asked_again(tmp_path, ask):
    ask(FIRST, [*tasks(), *tasks(benchmark="others")])
    ask(SECOND, tasks())
    with pytest.warns(UserWarning, match=r"'teller' has answers of more than one model's weights: .* asked for last"):
        found = reading.current_judgments(tmp_path)
    assert found["benchmark"].unique().tolist() == ["mine"] and found["decision"].tolist() == [1] * 4
    ask(SECOND, tasks(benchmark="others"))
    assert scores(tmp_path, "8 of teller by other model weights") == dict.fromkeys(IDS, [1, 1])


def test_two_models_under_one_name_are_named_where_nothing_says_which_is_meant(tmp_path, ask):
    ask(FIRST, tasks())
    ask(SECOND, tasks(benchmark="others"))
    with pytest.warns(UserWarning, match=r"4 by weights .*mine.*; 4 by weights .*others.*all are read"):
        assert len(reading.current_judgments(tmp_path)) == 8


class Reader(Teller):
    """A judge that reads so many characters; the limit is no part of its fingerprint."""

    def __init__(self, limit):
        super().__init__("weights", lambda task, draw: 4)
        self.limit = limit

    def too_long(self, tasks, decoding):
        return [task for task in tasks if len(task.prompt) > self.limit]


def test_what_was_too_long_is_asked_once_there_is_room(tmp_path):
    short, long = tasks(ids=("1",)), tasks(ids=("1" * 500,), draws=2)
    room = len(short[0].prompt) + 100

    def collected(judge, skip_long=True):
        return collect(judge, [*short, *long], JudgmentStore(tmp_path / "teller.jsonl"), WARM, skip_long=skip_long)

    with pytest.warns(UserWarning, match="1 prompts leave no room"):
        assert collected(Reader(room)) == 3
    assert collected(Reader(room)) == 0, "what still does not fit is not asked, nor recorded, again"
    assert sorted(load_judgments(tmp_path)["status"]) == ["ok", "too long", "too long"]
    assert collected(Reader(10**6), skip_long=False) == 2
    for _ in range(2):
        assert scores(tmp_path) == {"1": [4], "1" * 500: [4, 4]}
        assert collected(Reader(room)) == 0, "an answer is never given up for a smaller limit"
        compress(tmp_path)
        (tmp_path / "teller.jsonl").unlink(missing_ok=True)
        start_from_recorded(tmp_path / "teller.jsonl")
    assert not JudgmentStore(tmp_path / "teller.jsonl").unasked


def test_a_finished_judge_is_started_again_only_where_something_fits_now(tmp_path, monkeypatch):
    long = tasks(ids=("1" * 500,))
    job = judging.JudgingJob("teller", "here", tuple(long), f"{tmp_path}/teller.jsonl", WARM, "teller", skip_long=True)
    limit, started = [100], []

    class Limited(Reader):
        @classmethod
        def identify(cls, source, bf16=False):
            return ("weights",)

        @classmethod
        def start(cls, name, source, batch_size, bf16=False, **engine):
            started.append(limit[0])
            return cls(limit[0])

        @classmethod
        def has_room(cls, source, tasks, decoding):
            return any(len(task.prompt) <= limit[0] for task in tasks)

    monkeypatch.setitem(judging.ENGINES, "teller", Limited)
    with pytest.warns(UserWarning, match="no room"):
        added = [judging.run_judge(job) for _ in range(2)]
    limit[0] = 10**6
    assert [*added, judging.run_judge(job), judging.run_judge(job)] == [1, 0, 1, 0] and started == [100, 10**6]
