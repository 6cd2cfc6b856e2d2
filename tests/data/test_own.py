"""A user's own items: what becomes an item, which id it has, what is refused, and what is said about the rest."""

from __future__ import annotations

import json
import random
import warnings

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus_lib import prompts
from prometheus_lib.data.own import read_own_items
from prometheus_lib.records import DataError, DirectItem, PairItem, Rubric

RUBRIC = Rubric("Is it right?", ("one", "two", "three", "four", "five"))
LEVELS = {f"score_{score}": f"level {score}" for score in range(1, 6)}
OWN = Rubric("Short?", tuple(LEVELS.values()))
TURNS = [
    {"role": "user", "content": "Name a prime."},
    {"role": "assistant", "content": "7"},
    {"role": "user", "content": "Another?"},
]


def put(folder, text, name="mine.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def read_in_silence(*arguments, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_own_items(*arguments, **more)


# --- what becomes an item --------------------------------------------------------------------------------------------


def test_rows_become_items_with_their_own_rubric_or_that_of_all(tmp_path):
    rows = [
        {"id": 7, "instruction": "Do it.", "response": "1, done", "reference_answer": ""},
        {
            "id": "b",
            "instruction": "Do it.",
            "response": "2",
            "reference_answer": "two",
            "criteria": "Short?",
            **LEVELS,
        },
    ]
    first, second = read_in_silence(
        put(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "mine.jsonl"), RUBRIC
    )
    assert first == DirectItem("7", "Do it.", "1, done", None, RUBRIC, cluster=first.cluster)
    assert second == DirectItem("b", "Do it.", "2", "two", OWN, cluster=first.cluster)
    pd.DataFrame(rows).to_csv(tmp_path / "items.csv", index=False)
    for source in (tmp_path / "items.csv", rows, pd.DataFrame(rows)):
        assert read_in_silence(source, RUBRIC) == [first, second]


def test_pairs_need_criteria_only_and_no_label(tmp_path):
    text = "instruction,response_a,response_b,criteria,label\nDo it.,one,two,Kind?,\nDo it.,one,two,,b\n"
    first, second = read_in_silence(put(tmp_path, text), RUBRIC)
    assert (first.criteria, first.rubric, first.label) == ("Kind?", None, "")
    assert (second.criteria, second.rubric, second.label) == (RUBRIC.criteria, RUBRIC, "B")
    third = read_in_silence(put(tmp_path, text), "Which is kinder?")[1]
    assert third == PairItem(second.id, "Do it.", "one", "two", None, "Which is kinder?", "B", cluster=second.cluster)
    assert "Kind?" in prompts.render_pairwise(first)


@pytest.mark.parametrize(
    "rubric",
    [
        OWN,
        {"criteria": "Short?", "descriptions": list(LEVELS.values())},
        {"criteria": "Short?", **LEVELS},
        {"criteria": "Short?", **{f"score{n}_description": text for n, text in enumerate(LEVELS.values(), 1)}},
        json.dumps({"criteria": "Short?", "descriptions": list(LEVELS.values())}),
        prompts.render_rubric(OWN),
    ],
)
def test_a_rubric_in_one_cell(rubric):
    (item,) = read_in_silence([{"instruction": "Do it.", "response": "done", "rubric": rubric}])
    assert item.rubric == OWN


@pytest.mark.parametrize("form", ["score{}_description", "Score {}", "score{}", "score_{}_description"])
def test_descriptions_are_known_by_other_names_too(form):
    texts = {form.format(score): text for score, text in enumerate(LEVELS.values(), 1)}
    (item,) = read_in_silence([{"instruction": "Do it.", "response": "done", "criteria": "Short?", **texts}])
    assert item.rubric == OWN
    whole = {"criteria": "Short?", "descriptions": list(LEVELS.values())}
    assert read_in_silence([{"instruction": "Do it.", "response": "done"}], whole)[0].rubric == OWN


def test_a_conversation_is_an_instruction(tmp_path):
    text = "User: Name a prime.\n\nAssistant: 7\n\nUser: Another?"
    rows = [{"id": 1, "instruction": TURNS, "response": "11"}, {"id": 2, "instruction": TURNS[:1], "response": "7"}]
    pd.DataFrame(rows).to_parquet(tmp_path / "rows.parquet")
    pd.DataFrame(rows).to_csv(tmp_path / "python.csv", index=False)
    pd.DataFrame(rows).assign(instruction=[json.dumps(row["instruction"]) for row in rows]).to_csv(
        tmp_path / "json.csv", index=False
    )
    for source in (rows, pd.DataFrame(rows), *sorted(tmp_path.iterdir())):
        assert [item.instruction for item in read_in_silence(source, RUBRIC)] == [text, "Name a prime."]
    odd = [{"role": "narrator", "content": "Once."}]
    with pytest.raises(DataError, match="the list, row 1: instruction: message 1: role 'narrator' is none of"):
        read_own_items([{"instruction": odd, "response": "x"}], RUBRIC)
    with pytest.raises(DataError, match="row 1: instruction: message 1: the content is 'None', which is no text"):
        read_own_items([{"instruction": [{"role": "user", "content": None}], "response": "x"}], RUBRIC)


def test_a_text_that_is_only_like_a_conversation_stays_as_it_is():
    for text in ('[{"role": "user"}]', "[1, 2]", "[not JSON", '{"role": "user", "content": "x"}'):
        (item,) = read_own_items([{"instruction": text, "response": text}], RUBRIC)
        assert item.instruction == item.response == text


def test_numbers_are_texts_and_texts_stay(tmp_path):
    text = "instruction,response\nName a prime,7.0\nName one,\n"
    with pytest.warns(UserWarning, match="1 row with an empty response is judged as it stands"):
        items = read_own_items(put(tmp_path, text), RUBRIC)
    assert [item.response for item in items] == ["7.0", ""]
    frame = pd.read_csv(put(tmp_path, "instruction,response\nName a prime,7\nName one,\n"))
    with pytest.warns(UserWarning, match="empty response"):
        items = read_own_items(frame, RUBRIC)  # pandas has made 7.0 of 7
    assert [item.response for item in items] == ["7", ""]


@pytest.mark.parametrize("response", [["7"], {"0": "7"}, True, TURNS])
@pytest.mark.parametrize("field", ["response", "instruction", "reference_answer", "id", "criteria"])
def test_what_is_no_text_is_named_by_row_and_field(response, field):
    if field == "instruction" and response is TURNS:
        return
    row = {"id": "1", "instruction": "Do it.", "response": "x"}
    with pytest.raises(DataError, match=rf"the list, row 2: {field} is .*, which is no text; write it as one"):
        read_own_items([row, {**row, "id": "2", field: response}], RUBRIC)


def test_empty_responses_are_judged_and_blank_rows_are_counted(tmp_path):
    text = "id,instruction,response\n1,Do it.,\n,,\n2,Do it.,  \n3,Do it.,done\n,,\n"
    with pytest.warns(UserWarning) as said:
        items = read_own_items(put(tmp_path, text), RUBRIC)
    assert [item.response for item in items] == ["", "  ", "done"]
    assert [str(each.message).split(": ", 1)[1] for each in said] == [
        "2 rows without any value are left out (line 3, line 6).",
        "2 rows with an empty response are judged as it stands (line 2, line 4).",
    ]
    assert said[0].filename == __file__
    with pytest.warns(UserWarning, match="1 row with an empty response"):
        (pair,) = read_own_items([{"instruction": "x", "response_a": None, "response_b": "b"}], "Kind?")
    assert pair.response_a == ""


# --- what people said ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["human", "Human", "human_score", "label"])
def test_human_scores_come_with_the_item(tmp_path, name):
    items = read_in_silence(put(tmp_path, f"instruction,response,{name}\na,x,4\na,y,2.5\na,z,\n"), RUBRIC)
    assert [item.scores for item in items] == [{"human": [4]}, {"human": [2.5]}, {}]


def test_several_raters_and_draws():
    rows = [{"instruction": "a", "response": "x", "human": [4, 5], "human_anna": "3", "human_ben": 3.0}]
    (item,) = read_in_silence(rows, RUBRIC)
    assert item.scores == {"human": [4, 5], "human_anna": [3], "human_ben": [3]}


def test_a_mapping_says_what_other_words_mean():
    rows = [{"instruction": "a", "response": "x", "human": said} for said in ("good", "bad", "3.5", "skipped")]
    meaning = {"Good": 5, "bad": 1, "skipped": None}
    found = [item.scores.get("human") for item in read_in_silence(rows, RUBRIC, mapping=meaning)]
    assert found == [[5], [1], [3.5], None]
    pairs = [{"instruction": "a", "response_a": "x", "response_b": "y", "label": said} for said in (1, "2")]
    assert [item.label for item in read_in_silence(pairs, "Kind?", mapping={1: "A", 2: "B"})] == ["A", "B"]


def test_human_labels_of_pairs():
    rows = [
        {"instruction": "a", "response_a": "x", "response_b": "y", "human": said} for said in ("model_a", "tie", None)
    ]
    assert [item.label for item in read_in_silence(rows, RUBRIC)] == ["A", "tie", ""]


# --- ids -------------------------------------------------------------------------------------------------------------


def test_a_row_keeps_its_id_wherever_it_stands(tmp_path):
    lines = [f"Do it {n}.,answer {n}\n" for n in range(12)]
    header = "instruction,response\n"
    before = {item.response: item.id for item in read_in_silence(put(tmp_path, header + "".join(lines)), RUBRIC)}
    assert len(set(before.values())) == 12
    taken = lines.pop(3)
    after = {item.response: item.id for item in read_in_silence(put(tmp_path, header + "".join(lines)), RUBRIC)}
    assert after.items() <= before.items() and len(after) == 11
    lines.append(taken)
    random.Random(0).shuffle(lines)
    other = Rubric("Another?", RUBRIC.descriptions)
    again = {item.response: item.id for item in read_in_silence(put(tmp_path, header + "".join(lines)), other)}
    assert again == before


def test_an_id_hangs_on_what_the_judge_reads_and_on_nothing_else():
    row = {"instruction": "Do it.", "response": "done", "reference_answer": "Done."}
    (plain,) = read_in_silence([row], RUBRIC)
    assert read_in_silence([{**row, "human": 3}], RUBRIC)[0].id == plain.id
    for change in (
        {"instruction": "Do it"},
        {"response": "done."},
        {"reference_answer": None},
        {"criteria": "x", **LEVELS},
    ):
        assert read_in_silence([{**row, **change}], RUBRIC)[0].id != plain.id


def test_equal_rows_are_numbered_in_their_order():
    row = {"instruction": "Do it.", "response": "done"}
    ids = [item.id for item in read_in_silence([row, {**row, "id": "mine"}, row, row], RUBRIC)]
    assert ids == [ids[0], "mine", f"{ids[0]}-2", f"{ids[0]}-3"]


def test_rows_of_one_instruction_are_one_cluster():
    rows = [{"instruction": text, "response": str(n)} for n, text in enumerate("aab")]
    first, second, third = (item.cluster for item in read_in_silence(rows, RUBRIC))
    assert first == second != third
    named = [{**row, "cluster": "all", "group": "easy"} for row in rows]
    assert {(item.cluster, item.group) for item in read_in_silence(named, RUBRIC)} == {("all", "easy")}


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8"))), max_size=6
    )
)
def test_ids_are_distinct_and_follow_the_content(texts):
    rows = [{"instruction": f"Do {a}", "response": f"r{b}"} for a, b in texts] + [{"instruction": "x", "response": "y"}]
    items = read_in_silence(rows, RUBRIC)
    assert len({item.id for item in items}) == len(rows)
    backwards = read_in_silence(rows[::-1], RUBRIC)
    assert {(i.instruction, i.response, i.id) for i in items} == {(i.instruction, i.response, i.id) for i in backwards}


# --- what is refused, and what is said -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,response\n1,x\n", "the columns instruction are missing; found id, response"),
        ("instruction,response_a\nx,y\n", "the columns response_b are missing"),
        (
            "instruction,output\nx,y\n",
            r'missing; found instruction, output. Rename .*columns=\{"their name": \'response\'\}',
        ),
        ("instruction,response\n,y\n", "line 2: instruction is blank"),
        ("instruction,response\nx,y\n", "line 2: no rubric; fill in criteria and score_1"),
        ("instruction,response,criteria\nx,y,z\n", "line 2: no rubric"),
        ("instruction,response_a,response_b\nx,y,z\n", "line 2: no criteria"),
        (
            "instruction,response_a,response_b,criteria,label\nx,y,z,c,C\n",
            "line 2: label: decision 'C' is none of A, B, tie",
        ),
        (
            "id,instruction,response_a,response_b,criteria\n1,x,y,z,c\n1,x,y,z,c\n",
            "line 3: the id '1' is already that of .*line 2",
        ),
        ("instruction,response,response\nx,y,z\n", "the column 'response' is there 2 times"),
        ("instruction,response,Response\nx,y,z\n", "'response' and 'Response' are both 'response'"),
        ("instruction,responce\nx,y\n", "column 'responce' looks like 'response'"),
        ("instruction,response,criterion\nx,y,z\n", "column 'criterion' looks like 'criteria'"),
        ("instruction,responseA,responseB\nx,y,z\n", "column 'responseA' looks like 'response_a'"),
        ("instruction,response_1,response_2\nx,y,z\n", "'response_1' is not read, only response_a, response_b"),
        ("instruction,response,ref_answer\nx,y,z\n", "column 'ref_answer' looks like 'reference_answer'"),
        ("instruction,response,score_10\nx,y,z\n", "'score_10' is not read, only score_1"),
        ("instruction,response_a,response_b,response_c\nx,y,z,w\n", "column 'response_c' is not read, only response_a"),
        ("instruction,response,response_a,response_b\nx,y,z,w\n", "response stands beside response_a or response_b"),
        ("instruction,response,human,label\nx,y,3,4\n", "human and label mean the same; keep one"),
        ("instruction,response,human\nx,y,7\n", "line 2: human is '7', wanted a number from 1 to 5, or blank"),
        ("instruction,response,human\nx,y,good\n", "line 2: human is 'good', wanted .*mapping="),
        ("instruction,response,score_1\nx,y,z\n", "line 2: score_1 is filled in and criteria is blank"),
        ("instruction,response,criteria,score_1\nx,y,c,z\n", "line 2: score_2, score_3, score_4, score_5 is blank"),
        ("instruction,response,rubric\nx,y,short\n", r"line 2: not a whole rubric \(the rubric has no"),
        ("instruction,response,rubric,criteria\nx,y,z,w\n", "line 2: rubric stands beside criteria; keep one"),
        ('instruction,response\nName a prime,"7 is one\nName another,8\n', "line 2: a quotation mark is opened here"),
    ],
)
def test_rows_that_are_no_items_are_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=f"mine.csv.*{message}"):
        read_own_items(put(tmp_path, text))


def test_other_rows_that_are_no_items():
    row = {"instruction": "x", "response": "y"}
    with pytest.raises(DataError, match="the list, row 2: no field 'response'; add it, null where a response is empty"):
        read_own_items([row, {"instruction": "x"}], RUBRIC)
    with pytest.raises(DataError, match="row 1: no rubric"):
        read_own_items([row], "Is it kind?")
    with pytest.raises(DataError, match=r"row 1: not a whole rubric \(rubric 'x': 3 score descriptions, wanted 5"):
        read_own_items([{**row, "rubric": {"criteria": "x", "descriptions": ["1", "2", "3"]}}])
    five = {"criteria": "x", **{f"score_{score}": "text" for score in range(1, 6)}}
    assert read_own_items([{**row, "rubric": five}])[0].rubric.descriptions == ("text",) * 5
    for more, said in (("score_6", "score_6 in it is not read"), ("descriptions", "score_1, score_2, .* not read")):
        with pytest.raises(DataError, match=rf"row 1: not a whole rubric \({said}"):
            read_own_items([{**row, "rubric": {**five, more: ["text"] * 5}}])
    with pytest.raises(DataError, match=r"not a whole rubric \(it describes 4 scores\)"):
        read_own_items([{**row, "rubric": {name: text for name, text in five.items() if name != "score_3"}}])
    with pytest.raises(DataError, match="row 1: no rubric, for criteria is filled in and score_1 to score_5 are not"):
        read_own_items([{**row, "criteria": "Kind?"}], RUBRIC)
    with pytest.raises(DataError, match="row 1: rubric is int; use the columns criteria"):
        read_own_items([{**row, "rubric": 5}])


def test_columns_that_are_not_read_are_named_in_one_warning(tmp_path):
    text = "instruction,response,model,Response time,uid\nx,y,m,3,1\n"
    with pytest.warns(UserWarning) as said:
        read_own_items(put(tmp_path, text), RUBRIC)
    assert len(said) == 1 and str(said[0].message).endswith(
        "mine.csv: columns that are not read: model, Response time, uid."
    )


def test_columns_of_another_name_are_renamed(tmp_path):
    rows = [{"instruction": "x", "output": "y", "generator": "m"}]  # the form of AlpacaEval's outputs
    with pytest.warns(UserWarning, match="columns that are not read: generator"):
        (item,) = read_own_items(put(tmp_path, json.dumps(rows, indent=2), "m.json"), RUBRIC, {"output": "response"})
    assert item.response == "y"


def test_half_an_emoji_does_not_stop_the_others(tmp_path):
    text = '{"instruction": "x", "response": "cut \\ud83d"}\n{"instruction": "x", "response": "whole"}\n'
    with pytest.warns(UserWarning, match=r"mine.jsonl: 1 value with a lone surrogate .*U\+FFFD \(line 1, response\)"):
        items = read_own_items(put(tmp_path, text, "mine.jsonl"), RUBRIC)
    assert [item.response for item in items] == ["cut \ufffd", "whole"]
