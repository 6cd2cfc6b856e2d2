"""Score, compare and rank: right values, odd inputs, going on after a stop, a real server, a page that is escaped."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai_server import OpenAIServer, completion, refusal

from prometheus_lib import judging
from prometheus_lib.__main__ import main
from prometheus_lib.data.rubrics.reading import PLAIN
from prometheus_lib.judging.own.named import SHIPPED, warn_of_foreign
from prometheus_lib.records import DataError


class Lengths(judging.Judge):
    """Scores by length and prefers the longer response; what begins with "?" it cannot read; it counts its answers."""

    engine, in_batches, samples = "lengths", False, False

    def __init__(self, name="lengths", stop_after=10**9):
        self.name, self.fingerprint, self.asked, self.stop_after = name, f"{name} 1", 0, stop_after

    def generate(self, tasks, decoding, seed):
        self.asked += sum(task.draws for task in tasks)
        if self.asked > self.stop_after:
            raise KeyboardInterrupt
        return [[judging.Completion(self.text(task), 5, True)] * task.draws for task in tasks]

    def text(self, task):
        item = task.item
        if task.format == "direct":
            return "?" if item.response.startswith("?") else f"Long. [RESULT] {min(5, 1 + len(item.response))}"
        gap = len(item.response_a) - len(item.response_b)
        if item.response_a.startswith("?"):
            return "?"
        first = gap > 0 or (gap == 0 and task.order == "ab")  # equal lengths: the first one shown, in one order
        return f"Longer. [RESULT] {'A' if first == (task.order == 'ab') else 'B'}"


def quiet(text):
    pass


def scored(rows, tmp_path, rubric="Is it long?", judge=None, **options):
    return judging.score(rows, rubric, judge=judge or Lengths(), out=tmp_path, say=quiet, **options)


ROWS = [
    {"instruction": "Say a.", "response": "", "human": 1, "model": "x", "status": "own"},
    {"instruction": "Say a.", "response": "12", "human": 4, "model": "y", "status": "own"},
    {"instruction": "Say b.", "response": "?", "human": None, "model": "x", "status": "own"},
    {"instruction": "Say b.", "response": "12345", "human": 5, "model": "y", "status": "own"},
]


@pytest.mark.filterwarnings("ignore:.*empty response")
def test_scores_stand_beside_the_own_columns(tmp_path):
    result = scored(ROWS, tmp_path, by="model")
    table = result.table
    assert table["score"].tolist()[:2] == [1, 3] and np.isnan(table["score"][2]) and table["score"][3] == 5
    assert table["draws"].tolist()[2] == [None] * 3 and table["readable"].tolist() == [3, 3, 0, 3]
    assert table["status_given"].tolist() == ["own"] * 4 and table["model"].tolist() == list("xyxy")
    assert table["feedback"][1] == "Long." and table["status"].tolist()[2] == "unparsed"
    summary = result.summary.set_index("of")
    assert summary.loc["model y", "value"] == 4 and summary.loc["all responses", ["n", "unparsed"]].tolist() == [3, 3]


@pytest.mark.filterwarnings("ignore:.*empty response")
@pytest.mark.parametrize("blank", [None, "", float("nan")])
def test_rows_without_a_value_of_the_column_have_a_summary_of_their_own(tmp_path, blank):
    rows = [*ROWS[:3], ROWS[3] | {"model": blank}]
    summary = scored(rows, tmp_path, by="model").summary.set_index("of")
    assert summary.index.tolist() == ["all responses", "model x", "model y", "without model"]
    assert summary.loc["without model", ["value", "n"]].tolist() == [5, 1] and summary["n"].tolist()[0] == 3


@pytest.mark.filterwarnings("ignore:.*empty response", "ignore:judges of this kind")
def test_another_scale_maps_scores_and_reads_labels_on_it(tmp_path):
    rows = [row | {"human": label} for row, label in zip(ROWS, ["fail", "pass", None, "Pass"])]
    result = scored(rows, tmp_path, scale="pass/fail")
    assert result.table["score"].tolist()[:2] == [0, 0.5] and result.table["level"].tolist() == [
        "fail",
        "fail",
        None,
        "pass",
    ]
    assert result.labels["human"][:2].tolist() == [0, 1] and result.summary["value"][0] == pytest.approx(0.5)
    with pytest.warns(UserWarning, match="trained on 1 to 5.*straight line"):
        scored(ROWS[1:2], tmp_path, scale="1-10")
    with pytest.raises(DataError, match="row 2: human.*not on the scale"):
        scored([*ROWS[1:2], ROWS[1] | {"human": "11"}], tmp_path, scale="1-10")


def test_several_criteria_are_judged_one_by_one_and_weighed(tmp_path):
    rubric = [
        {"name": "a", "criteria": "Is it long?", "weight": 3},
        {"name": "b", "criteria": "Is it b?", "scale": "0-8"},
    ]
    with pytest.warns(UserWarning, match=r"b \(0-8\)"):
        result = scored(ROWS[1:2], tmp_path, rubric)
    assert result.table[["a.score", "b.score", "score"]].values.tolist() == [[3, 4, 3]]
    assert result.summary["measure"].tolist() == ["mean of a", "mean of b", "mean of total"]


def test_nothing_is_judged_twice_and_a_stopped_run_goes_on(tmp_path):
    rows = [{"instruction": f"Say {n}.", "response": "x" * n} for n in range(1, 41)]
    stopping = Lengths(stop_after=96)
    with pytest.raises(KeyboardInterrupt):
        scored(rows, tmp_path, judge=stopping)
    going_on, again, said = Lengths(), Lengths(), []
    first = scored(rows, tmp_path, judge=going_on)
    assert 0 < going_on.asked < 120
    second = judging.score(rows, "Is it long?", judge=again, out=tmp_path, say=said.append)
    assert again.asked == 0 and "nothing is asked" in said[0]
    pd.testing.assert_frame_equal(first.table, second.table)
    more = Lengths()
    scored([*rows, {"instruction": "Say 0.", "response": "new"}], tmp_path, judge=more)
    assert more.asked == 3


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "xlsx"])
def test_every_kind_of_file_gives_the_same(tmp_path, ending):
    rows = pd.DataFrame(
        [{"id": f"0{n}", "instruction": "写: 😀", "response": "7" * n, "human": 3} for n in range(1, 4)]
    )
    file = tmp_path / f"mine.{ending}"
    {"csv": lambda: rows.to_csv(file, index=False), "parquet": lambda: rows.to_parquet(file),
     "jsonl": lambda: rows.to_json(file, orient="records", lines=True, force_ascii=False),
     "xlsx": lambda: rows.to_excel(file, index=False)}[ending]()  # fmt: skip
    for source in (file, str(file), rows, rows.to_dict("records"), iter(rows.to_dict("records"))):
        result = scored(source, tmp_path / "out")
        assert result.table["score"].tolist() == [2, 3, 4] and result.table["item_id"].tolist() == ["01", "02", "03"]


TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
CELLS = st.one_of(st.none(), st.just(float("nan")), TEXTS, st.integers(-99, 99), st.floats(-9, 9))


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.fixed_dictionaries({"instruction": TEXTS}, optional={"response": CELLS, "id": CELLS, "human": CELLS,
       "note": CELLS}), min_size=1, max_size=6))  # fmt: skip
def test_odd_rows_are_judged_or_refused_with_their_place(tmp_path_factory, rows):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = scored(rows, tmp_path_factory.mktemp("odd"))
        except DataError as error:
            assert re.search(r"row|list|column", str(error))
            return
    kept = [row for row in rows if any(pd.notna(v) and str(v).strip() for v in row.values())]
    assert len(result.table) == len(kept) and result.table["readable"].between(0, 3).all()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"instruction": "a"}], "response"),
        ([{"instruction": "a", "response_a": "x", "response_b": "y"}], "compare judges these rows"),
        ([{"instruction": "a", "response": "x", "id": "1"}] * 2, "the id '1' is already"),
        ([{"instruction": "a", "response": "x", "human": 3, "label": 4}], "mean the same"),
        ([{"instruction": "a", "response": "x", "criteria": "Is it?"}], "keep one of both"),
    ],
)
def test_what_cannot_be_scored_is_refused(tmp_path, rows, message):
    with pytest.raises(DataError, match=message):
        scored(rows, tmp_path)


def test_rows_may_bring_their_own_criteria_without_descriptions(tmp_path):
    result = scored([{"instruction": "a", "response": "12", "criteria": "Is it long?"}], tmp_path, rubric=None)
    assert result.table["score"].tolist() == [3]
    with pytest.raises(DataError, match="no rubric"):
        scored([{"instruction": "a", "response": "12"}], tmp_path, rubric=None)


# --- pairs and rankings ----------------------------------------------------------------------------------------------

PAIRS = [
    {"instruction": "Say a.", "response_a": "1", "response_b": "123", "label": "B"},
    {"instruction": "Say b.", "response_a": "12", "response_b": "ab", "label": "tie"},
    {"instruction": "Say c.", "response_a": "?", "response_b": "1", "label": "A"},
    {"instruction": "Say d.", "response_a": "1234", "response_b": "1", "label": None},
]


def test_pairs_are_judged_in_both_orders(tmp_path):
    result = judging.compare(PAIRS, "Is it long?", judge=Lengths(), out=tmp_path, say=quiet)
    table = result.table
    assert table["decision"].tolist() == ["B", "tie", None, "A"] and table["readable"].tolist() == [2, 2, 0, 2]
    assert table["decision_ab"].tolist()[:2] == ["B", "A"] and table["decision_ba"].tolist()[:2] == ["B", "B"]
    assert table["first_place"].tolist()[:2] == [0.5, 1.0] and table["consistent"].tolist() == [True, False, None, True]
    value = result.summary.set_index("measure")["value"]
    assert value["share of B (ties half)"] == pytest.approx(0.5) and value["same in both orders"] == pytest.approx(
        2 / 3
    )
    trust = result.trust().set_index("measure")
    assert trust.loc["accuracy (judge and people)", ["value", "n"]].tolist() == [pytest.approx(2 / 3), 3]


def test_equal_responses_are_named(tmp_path):
    rows = [{"instruction": "a", "response_a": "x", "response_b": "x"}]
    with pytest.warns(UserWarning, match="two equal responses"):
        judging.compare(rows, "Is it long?", judge=Lengths(), out=tmp_path, say=quiet)


def test_a_ranking_puts_the_longer_first_in_a_full_and_a_sparse_design(tmp_path):
    answers = {f"Say {q}.": {f"m{n}": "x" * (n + 1) for n in range(6)} for q in range(5)}
    full = judging.rank(answers, "Is it long?", judge=Lengths(), out=tmp_path, say=quiet)
    sparse = judging.rank(answers, "Is it long?", judge=Lengths("two"), out=tmp_path, say=quiet, opponents=2)
    assert full.ranking.table["player"].tolist() == [f"m{n}" for n in range(5, -1, -1)]
    assert len(full.table) == 5 * 15 and len(sparse.table) == 5 * 6
    assert sparse.ranking.table["player"].tolist()[0] == "m5" and sparse.ranking.table["player"].tolist()[-1] == "m0"
    circles = full.summary.set_index("of").loc["threes without a tie"]
    assert circles["value"] == 0 and circles["n"] == 5 * 20


def test_answers_without_names_are_ranked_for_each_instruction(tmp_path):
    answers = {"Say a.": ["1", "123", "12"], "Say b.": ["12", "1"]}
    table = judging.rank(answers, "Is it long?", judge=Lengths(), out=tmp_path, say=quiet).ranking.table
    assert table["player"].tolist() == [
        "prompt 1, answer 2", "prompt 1, answer 3", "prompt 1, answer 1", "prompt 2, answer 1", "prompt 2, answer 2",
    ]  # fmt: skip
    assert table["rank"].tolist() == [1, 2, 3, 1, 2] and table["low"].isna().all()


def test_only_answers_to_one_instruction_meet_whatever_the_clusters(tmp_path):
    """Two instructions about sums are resampled together; who wrote more about the other one decides nothing."""
    rows = [
        {"instruction": f"{topic} {n}?", "cluster": topic, "model": model, "response": "x" * length}
        for topic in ("sums", "birds")
        for n, lengths in enumerate([{"one": 3, "two": 2}, {"one": 30, "two": 20}])
        for model, length in lengths.items()
    ]
    result = judging.rank(rows, "Is it long?", judge=Lengths(), out=tmp_path, say=quiet)
    assert sorted(result.table["prompt"]) == ["birds 0?", "birds 1?", "sums 0?", "sums 1?"]
    lengths = zip(result.table["response_a"].str.len(), result.table["response_b"].str.len())
    assert sorted(map(sorted, lengths)) == [[2, 3], [2, 3], [20, 30], [20, 30]]
    assert result.ranking.table["player"].tolist() == ["one", "two"] and result.ranking.n_clusters == 2
    unnamed = [{name: value for name, value in row.items() if name != "model"} for row in rows]
    table = judging.rank(unnamed, "Is it long?", judge=Lengths("again"), out=tmp_path, say=quiet).ranking.table
    assert table["player"].tolist()[:2] == ["prompt 1, answer 1", "prompt 1, answer 2"] and len(table) == 8


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"a": {"x": "1"}}, "nothing to rank"),
        ({"a": "text"}, "give a list, or a dictionary"),
        (
            [{"instruction": "a", "model": "x", "response": str(n)} for n in range(2)],
            "answered this",
        ),
        ([{"instruction": "a", "model": m, "response": "1"} for m in ("x", None)], "model is blank"),
        ([{"instruction": "a", "model": "tie", "response": "1"}], "called 'tie'"),
    ],
)
def test_what_cannot_be_ranked_is_refused(tmp_path, answers, message):
    with pytest.raises(DataError, match=message):
        judging.rank(answers, "Is it long?", judge=Lengths(), out=tmp_path, say=quiet)


# --- trust, juries, pages --------------------------------------------------------------------------------------------


def labelled(n=60, known=40):
    rng = np.random.default_rng(0)
    lengths = rng.integers(0, 5, n)
    human = np.clip(lengths + rng.integers(0, 2, n), 1, 5)
    return [
        {"instruction": f"Say {i}.", "response": "x" * int(lengths[i]) or "-"}
        | dict.fromkeys(("human", "human_two"), int(human[i]) if i < known else None)
        for i in range(n)
    ]  # fmt: skip


def test_trust_tells_agreement_error_and_a_corrected_mean(tmp_path):
    result = scored(labelled(), tmp_path)
    trust = result.trust().set_index("measure")
    people = result.labels["human"][:40]
    error = result.table["score"].to_numpy()[:40] - people
    assert trust.loc["error (judge less people)", "value"] == pytest.approx(error.mean())
    assert trust.loc["Pearson's r (human and human_two)", "value"] == pytest.approx(1)
    corrected = trust.loc["corrected mean (people and judge)"]
    assert corrected["low"] < corrected["value"] < corrected["high"] < trust.loc["mean (judge alone)", "value"]
    assert "On 40 of them with human labels" in result.sentence() and f"{corrected['value']:.2f}" in result.sentence()
    with pytest.raises(DataError, match="nobody has labelled"):
        scored([{"instruction": "a", "response": "b"}], tmp_path).trust()


def test_a_jury_is_the_mean_or_the_vote(tmp_path):
    rows = labelled(10)
    one, two = scored(rows, tmp_path), scored(rows, tmp_path, judge="constant")
    joint = judging.jury([one, two])
    assert joint.table["score"].tolist() == ((one.table["score"] + two.table["score"]) / 2).tolist()
    assert joint.trust().loc[0, "n"] == 10
    agreement = judging.judge_agreement([one, two])
    assert agreement["measure"].tolist() == ["Krippendorff's alpha", "Pearson's r"]
    with pytest.raises(DataError, match="other items"):
        judging.jury([one, scored(rows[:3], tmp_path, judge="constant")])
    pairs = [
        judging.compare(PAIRS, "Is it long?", judge=each, out=tmp_path, say=quiet) for each in (Lengths(), "longer")
    ]
    assert judging.jury(pairs).table["decision"].tolist() == ["B", "tie", "tie", "A"]


def test_the_page_is_escaped_and_whole(tmp_path):
    rows = [{"instruction": "<script>alert(1)</script>", "response": '"><img src=x onerror=alert(2)>', "human": 3}] * 2
    page = scored(rows, tmp_path).to_html(tmp_path / "page.html").read_text()
    assert "<script>alert" not in page and "<img src=x" not in page and "&lt;script&gt;" in page
    assert not re.search(r"(src|href)=\"http", page)
    assert page.count("<tr>") >= 4 and "data-number=" in page


def test_a_threshold_fails_with_the_numbers(tmp_path):
    result = scored(ROWS, tmp_path)  # 1, 3, not readable, 5
    mean = result.summary.set_index("measure")["value"]["mean score"]
    result.check(at_least=mean, at_most=mean)
    with pytest.raises(AssertionError, match=rf"{mean:.3g} \(.*; n 3, 3 not readable\), not at least 4\.5"):
        result.check(at_least=4.5)
    with pytest.raises(AssertionError, match="no interval; .*, not with the whole interval at least"):
        result.check(at_least=0.5, surely=True)  # two instructions are too few to be sure of anything
    many = [{"instruction": f"Say {n}.", "response": "x" * (n % 5 + 1)} for n in range(20)]
    wide = scored(many, tmp_path)
    mean = wide.summary.set_index("measure")["value"]["mean score"]
    wide.check(at_least=mean - 1.5, surely=True)
    with pytest.raises(AssertionError, match="95 % interval .*, not with the whole interval at least"):
        wide.check(at_least=mean - 0.01, surely=True)
    with pytest.raises(AssertionError, match="not readable"):
        scored([{"instruction": "Say a.", "response": "?"}], tmp_path).check(at_most=5)  # nothing was read
    for wrong in ({}, {"at_least": float("nan")}, {"at_least": True}, {"at_least": 1, "of": "nobody"}):
        with pytest.raises(DataError, match="check: "):
            result.check(**wrong)
    pairs = judging.compare(PAIRS, "Is it long?", judge=Lengths(), out=tmp_path, say=quiet)
    pairs.check(at_least=0.1)
    answers = {f"Say {n}.": {"short": "1", "long": "1234"} for n in range(4)}
    ranking = judging.rank(answers, "Is it long?", judge=Lengths(), out=tmp_path, say=quiet)
    ranking.check(at_least=0.5, of="long")
    with pytest.raises(AssertionError):
        ranking.check(at_least=0.5, of="short")
    with pytest.raises(DataError, match="of='1. long'"):
        ranking.check(at_least=0.5)  # whose?


def test_a_ranking_shows_what_length_alone_wins(tmp_path):
    """A judge of length alone: the long one wins all, and about half were both equally long."""
    rng = np.random.default_rng(0)
    answers = {f"Say {n}.": {"one": "1" * a, "two": "1" * b} for n, (a, b) in enumerate(rng.integers(1, 60, (60, 2)))}
    answers |= {f"Go {n}.": {"one": "1" * 60, "two": "1" * 20} for n in range(30)}
    result = judging.rank(answers, "Is it long?", judge=Lengths(), out=tmp_path, say=quiet)
    found = result.summary.set_index(["of", "measure"])["value"]
    assert found["one", "share won"] > 0.6
    assert abs(found["one", "share won were all equally long"] - 0.5) < 0.12
    assert found["one", "share won"] + found["two", "share won"] == pytest.approx(1)


# --- judges by name, and the command ---------------------------------------------------------------------------------


def answers_in_form(body, number):
    if "n" in body:
        return refusal(400, "unknown parameter: n")
    system = body["messages"][0]["content"]
    return completion("Feedback: fine. [RESULT] A" if "compares" in system else "Feedback: fine. [RESULT] 4")


def test_a_model_behind_a_server_is_one_word(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    said = []
    with OpenAIServer(answers_in_form) as server:
        word = f"some-model@{server.url}"
        prices = judging.Prices(prompt=1.0, completion=2.0)
        result = judging.score(ROWS[1:2], "Is it kind?", judge=word, out=tmp_path, say=said.append, prices=prices)
        pairs = judging.compare(PAIRS[:1], "Is it kind?", judge=word, out=tmp_path, say=quiet)
        asked = len(server.bodies)
        judging.score(ROWS[1:2], "Is it kind?", judge=word, out=tmp_path, say=said.append)
        assert len(server.bodies) == asked == 5
        assert server.bodies[0]["model"] == "some-model" and PLAIN[0] in server.bodies[0]["messages"][-1]["content"]
    assert result.judge == "some-model" and result.table["score"].tolist() == [4]
    assert pairs.table["decision"].tolist() == ["tie"] and pairs.table["first_place"].tolist() == [1.0]
    assert "3 requests" in said[0] and "currency" in said[0] and "nothing is asked" in said[1]


def test_unknown_judges_are_told_what_there_is(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(DataError, match="miniature, smollm2"):
        judging.find_judge("no-such-judge")
    with pytest.raises(DataError, match="OPENAI_API_KEY"):
        judging.find_judge("gpt-4.1")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"lacks config\.json"):
        judging.find_judge(tmp_path / "empty")
    with pytest.raises(DataError, match="give its name"):
        judging.find_judge(7)


def test_the_miniature_says_that_it_is_a_toy_where_items_are_foreign(tmp_path):
    from prometheus_lib.data import minibench
    from prometheus_lib.training import EMBEDDED_BASE

    assert judging.find_judge(EMBEDDED_BASE).toy.startswith("a toy")  # by its folder, as a run's merged judges are
    named = judging.find_judge("miniature")
    assert named.label == "miniature (toy)" and sum(file.stat().st_size for file in SHIPPED.iterdir()) < 5e6
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not warn_of_foreign(named, minibench.build("mini_flask", 1, 0.1))
        assert not warn_of_foreign(named, minibench.build("mini_autoj_eval", 1, 0.1))
    sheet = minibench.build("mini_flask", 1, 0.15)
    rows = [
        {
            "instruction": i.instruction,
            "response": i.response,
            "reference_answer": i.reference_answer,
            "rubric": i.rubric,
        }
        for i in sheet
    ]
    true = np.array([item.meta["true_score"] for item in sheet])
    known = judging.score(rows, judge="miniature", out=tmp_path / "known", draws=1, expected=True, say=quiet).table
    assert np.corrcoef(known["score"], true)[0, 1] > 0.6  # the base model is below, a foreign one near zero
    assert known["expected"].between(1, 5).all() and np.corrcoef(known["expected"], known["score"])[0, 1] > 0.9
    mail = [
        {"instruction": "Answer the angry customer.", "response": "We apologise for the late delivery of your parcel."}
    ]
    with pytest.warns(UserWarning, match="not of the world of the judge"):
        result = judging.score(mail, "style", judge="miniature", out=tmp_path, draws=1, say=quiet)
    assert "Toy judge" in result.to_html(tmp_path / "page.html").read_text() and "toy" in result.sentence()


def test_the_command_writes_table_and_page(tmp_path, capsys):
    pd.DataFrame(labelled(12, 12)).to_csv(tmp_path / "mine.csv", index=False)
    assert main(["judge", str(tmp_path / "mine.csv"), "--rubric", "style", "--judge", "constant"]) == 0
    out = capsys.readouterr().out
    folder = tmp_path / "mine.csv-judged"
    assert "mean of style" in out and "corrected mean" in out and (folder / "score.html").is_file()
    assert pd.read_csv(folder / "score.csv")["score"].tolist() == [3] * 12
    pd.DataFrame(PAIRS).to_json(tmp_path / "pairs.jsonl", orient="records", lines=True)
    assert main(["judge", str(tmp_path / "pairs.jsonl"), "--rubric", "Is it long?", "--judge", "longer"]) == 0
    assert pd.read_csv(tmp_path / "pairs.jsonl-judged" / "compare.csv")["decision"].tolist() == ["B", "tie", "tie", "A"]
    assert main(["judge", str(tmp_path / "pairs.jsonl"), "--rubric", "style", "--judge", "longer", "--draws", "2"]) == 1
    assert main(["judge", str(tmp_path / "mine.csv"), "--rubric", "style", "--kind", "rank", "--judge", "longer"]) == 1
    assert "needs a column" in capsys.readouterr().err


def test_the_command_fails_beyond_a_threshold(tmp_path, capsys):
    pd.DataFrame(labelled(12, 0)).to_csv(tmp_path / "mine.csv", index=False)  # columns that wait for labels
    command = ["judge", str(tmp_path / "mine.csv"), "--rubric", "style", "--judge", "constant"]
    for limit, status in ((["--at-least", "3"], 0), (["--at-least", "3.5"], 1), (["--at-most", "2.9"], 1),
                          (["--at-least", "2", "--at-most", "4", "--surely"], 0)):  # fmt: skip
        assert main([*command, *limit]) == status
    said = capsys.readouterr()
    assert "all responses, mean of style by constant: 3" in said.err and "not at least 3.5" in said.err
    assert "no human labels were at hand" in said.out
    assert said.out.count("within its threshold") == 2 and said.out.count("written:") == 4
    for wrong, message in ((["--of", "somebody"], "add --at-least or --at-most"),
                           (["--at-least", "nan"], "not a number"),
                           (["--at-least", "3", "--measure", "tone"], "no one row"),
                           (["--expected"], "how probable")):  # fmt: skip
        assert main([*command, *wrong]) == 1
        assert message in capsys.readouterr().err
    pd.DataFrame(PAIRS).to_json(tmp_path / "pairs.jsonl", orient="records", lines=True)
    assert main(["judge", str(tmp_path / "pairs.jsonl"), "--rubric", "style", "--judge", "longer", "--expected"]) == 1
    assert "--expected has no meaning for compare" in capsys.readouterr().err


def test_options_of_the_commands_other_use_are_refused(tmp_path, capsys):
    pd.DataFrame(labelled(12, 0)).to_csv(tmp_path / "mine.csv", index=False)
    for options, message in ((["--rubric", "style", "--at-least", "3"], "--rubric, --at-least is for your own"),
                           (["--surely", "--on", "1-10"], "--on, --surely is for your own responses"),
                           ([str(tmp_path / "mine.csv"), "--share", "0/4"], "--share is for a scale's judges"),
                           ([str(tmp_path / "mine.csv"), "--scale", "7b"], "--scale is for a scale's")):  # fmt: skip
        assert main(["judge", "--judge", "constant", *options]) == 1
        assert message in capsys.readouterr().err
    assert not (tmp_path / "mine.csv-judged").exists()
