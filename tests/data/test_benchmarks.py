"""Benchmark loaders: counts and traps of the real files, older and damaged files, the hub's schemas."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import json
import random
import re
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus_lib.data import download, getting
from prometheus_lib.data.attacks import first_by_hash
from prometheus_lib.data.benchmarks import (
    SOURCES,
    benchmark_facts,
    download_benchmark,
    load_autoj_replay,
    load_benchmark,
)
from prometheus_lib.data.download import cache_folder, data_folder
from prometheus_lib.data.files import read_rows
from prometheus_lib.data.prompt_sections import parse_rubric, split_prompt
from prometheus_lib.data.released_rows import AUTOJ_CRITERIA
from prometheus_lib.prompts.wording import (
    DIRECT_HEADERS,
    FEEDBACK_HEADER,
    render_direct,
    render_pairwise,
    render_rubric,
)
from prometheus_lib.records import DataError, DirectItem, PairItem, Rubric, read_items, write_items

GPT4 = "gpt-4-1106"
HASHES = [64, 154, 155, 527, 559, 866, 917, 983, 1036, 1042, 1045, 1046, 1109, 1327, 1328, 1339]
ODD_CHARACTERS = {
    "brace": r"\{",
    "tab": r"\t",
    "carriage return": r"\r",
    "emoji": "[\U0001f300-\U0001faff]",
    "CJK": "[\u4e00-\u9fff]",
    "private use": "[\ue000-\uf8ff]",
}
RUBRIC = Rubric("Is it kind?", ("Rude.", "Cold.", "Neutral.", "Warm.", "Very kind."))
TEXTS = st.text(st.characters(codec="utf-8"), max_size=60)


@pytest.fixture(scope="module")
def vicuna(data_dir):
    return load_benchmark("vicuna_bench", data_dir)


@pytest.fixture(scope="module")
def mt_bench(data_dir):
    return load_benchmark("mt_bench", data_dir)


@pytest.fixture(scope="module")
def hhh(data_dir):
    return load_benchmark("hhh_alignment", data_dir)


@pytest.fixture(scope="module")
def autoj(data_dir):
    return load_benchmark("autoj_eval", data_dir)


def put(folder: Path, file: str, text: str) -> Path:
    """Write a benchmark file below a data folder and return that folder."""
    (folder / "benchmarks").mkdir(parents=True, exist_ok=True)
    (folder / "benchmarks" / file).write_bytes(text.encode("utf-8"))
    return folder


def put_rows(folder: Path, file: str, rows: list[dict]) -> Path:
    return put(folder, file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def prompt(response: str = "Hello!", instruction: str = "Say hello.", reference: str | None = None) -> str:
    """A prompt as the files hold them: texts stand in it as they are."""
    item = DirectItem("x", instruction, response, reference, RUBRIC)
    return render_direct(item, with_reference=reference is not None, variant="paper-code")


# The real files: counts and facts ----------------------------------------------------------------


def test_facts_of_the_direct_benchmarks(vicuna, mt_bench):
    common = {
        "format": "direct",
        "items": 320,
        "instructions": 80,
        "judgments": 320,
        "draws": 960,
        "reference": "Y",
    }
    for items, rubrics in ((vicuna, 46), (mt_bench, 71)):
        facts = benchmark_facts(items)
        assert facts | common | {"rubrics": rubrics} == facts
        assert set(facts["labels"]) == {1, 2, 3, 4, 5}


def test_facts_of_the_pairwise_benchmarks(hhh, autoj):
    facts = benchmark_facts(hhh)
    assert facts | {"items": 221, "instructions": 102, "rubrics": 4, "reference": "N"} == facts
    assert facts["labels"] == {"A": 111, "B": 110}
    assert Counter(item.group for item in hhh) == {"helpful": 59, "harmless": 58, "honest": 61, "other": 43}
    facts = benchmark_facts(autoj)
    assert facts | {"format": "pairwise", "items": 1392, "instructions": 1182, "judgments": 1392} == facts
    assert facts["labels"] == {"A": 520, "B": 499, "tie": 373}
    assert len({item.meta["scenario"] for item in autoj}) == 58
    assert Counter(item.group for item in autoj)["Code"] == 120


def test_ids_are_unique_and_name_the_question_and_its_answerer(vicuna, mt_bench, hhh, autoj):
    for items in (vicuna, mt_bench, hhh, autoj):
        assert len({item.id for item in items}) == len(items)
    assert vicuna[0].id == "vicuna_bench/1/vicuna"
    assert mt_bench[0].id == "mt_bench/83/llama2_chat_13b"
    assert [autoj[n].id for n in (0, 1391)] == ["autoj_eval/0000", "autoj_eval/1391"]
    assert Counter(Counter(item.cluster for item in vicuna).values()) == {4: 80}
    assert Counter(Counter(item.cluster for item in mt_bench).values()) == {4: 80}


def test_gpt4_gives_three_draws_and_its_feedback(vicuna, mt_bench):
    for items in (vicuna, mt_bench):
        assert {len(item.scores[GPT4]) for item in items} == {3}
        assert {len(item.meta["gpt4_feedback"]) for item in items} == {3}
    assert vicuna[0].scores == {GPT4: [5, 5, 5]}
    assert mt_bench[0].scores == {GPT4: [3, 2, 3]}
    assert mt_bench[0].meta["response_source"] == "llama2_chat_13b"
    assert (vicuna[0].group, mt_bench[0].group) == ("generic", "writing")


def test_all_direct_prompts_are_rendered_back_byte_for_byte(data_dir, vicuna, mt_bench):
    for items, file in ((vicuna, "vicuna_eval.json"), (mt_bench, "mt_bench_eval.json")):
        originals = [row["instruction"] for row in json.loads((data_dir / "benchmarks" / file).read_bytes())]
        assert [render_direct(item, with_reference=True) for item in items] == originals
        assert [item.prompt for item in items] == originals


def test_all_hhh_prompts_are_rendered_back_byte_for_byte(data_dir, hhh):
    rows = json.loads((data_dir / "benchmarks/hhh_alignment_eval.json").read_bytes())
    for item, row in zip(hhh, rows, strict=True):
        chosen, rejected = ("a", "b") if item.label == "A" else ("b", "a")
        responses = {"a": item.response_a, "b": item.response_b}
        for side, field in ((chosen, "chosen_instruction"), (rejected, "rejected_instruction")):
            one = DirectItem(f"{item.id}#{side}", item.instruction, responses[side], None, item.rubric)
            assert render_direct(one, with_reference=False) == item.prompts[side] == row[field]


def test_mt_bench_instructions_keep_their_trailing_turn(mt_bench):
    assert sum(item.instruction.endswith("\n\nAssistant: ") for item in mt_bench) == 320


def test_pair_criteria_are_the_criterion_line_only(hhh, autoj):
    for item in hhh:
        assert item.criteria == item.rubric.criteria
        assert "\n" not in item.criteria and not item.criteria.startswith("[")
        assert len(item.rubric.descriptions) == 5
    assert {item.criteria for item in autoj} == {AUTOJ_CRITERIA}
    assert AUTOJ_CRITERIA.strip() and "\n" not in AUTOJ_CRITERIA


# The real files: traps -----------------------------------------------------------------------------


def test_autoj_rows_with_template_characters_keep_their_text(data_dir, autoj):
    rows = read_rows(data_dir / "benchmarks/autoj_pairwise.json")
    assert [n for n, row in enumerate(rows) if any("###" in str(value) for value in row.values())] == HASHES
    for item, row in zip(autoj, rows, strict=True):
        assert (item.instruction, item.response_a, item.response_b) == (
            row["prompt"],
            row["response 1"],
            row["response 2"],
        )


def test_any_autoj_text_survives_the_direct_template(autoj):
    """Braces, "###", empty texts, carriage returns: what goes into a direct prompt comes out of it again."""
    for item in autoj:
        for response in (item.response_a, item.response_b):
            one = DirectItem(item.id, item.instruction, response, item.response_a or "none", RUBRIC)
            assert split_prompt(render_direct(one, variant="paper-code")) == (
                one.instruction,
                response,
                one.reference_answer,
                render_rubric(RUBRIC),
            )


def test_autoj_odd_responses_are_kept(autoj):
    assert [n for n, item in enumerate(autoj) if "" in (item.response_a, item.response_b)] == [568]
    assert [n for n, item in enumerate(autoj) if "\u200b" in (item.response_a, item.response_b)] == [1122]
    triples = [(item.instruction, item.response_a, item.response_b) for item in autoj]
    repeated = [n for n, triple in enumerate(triples) if triples.count(triple) > 1]
    assert repeated == [1272, 1273, 1279]
    assert [autoj[n].label for n in repeated] == ["tie", "tie", "B"]
    assert len({autoj[n].cluster for n in repeated}) == 1 and len({autoj[n].id for n in repeated}) == 3
    texts = ["\n".join(triple) for triple in triples]
    found = {name: sum(bool(re.search(mark, text)) for text in texts) for name, mark in ODD_CHARACTERS.items()}
    assert found == {"brace": 93, "tab": 48, "carriage return": 3, "emoji": 31, "CJK": 30, "private use": 2}
    for n, text in enumerate(texts):
        if n in (568, 1122, *HASHES) or re.search("|".join(ODD_CHARACTERS.values()), text):
            shown = render_pairwise(autoj[n], variant="paper-code")
            assert autoj[n].response_a in shown and autoj[n].response_b in shown


def test_gpt4s_feedback_is_kept_with_its_stray_endings(vicuna, mt_bench):
    """The stored score counts, whatever number the text names."""
    texts = [
        (text, score)
        for item in vicuna + mt_bench
        for text, score in zip(item.meta["gpt4_feedback"], item.scores[GPT4], strict=True)
    ]
    assert sum(text.rstrip().endswith("###Feedback:") for text, _ in texts) == 7
    assert [(text[-19:], score) for text, score in texts if "[RESULT]" in text] == [(" [RESULT] Score: 1.", 1)]
    named = [(int(match[1]), score) for text, score in texts if (match := re.search(r"score of (\d)", text))]
    assert (len(named), sum(number != score for number, score in named)) == (20, 5)


def test_items_survive_their_own_file(tmp_path, vicuna, hhh, autoj):
    for items in (vicuna, hhh, autoj):
        assert read_items(write_items(tmp_path / "items.jsonl", items)) == items


@pytest.mark.parametrize("count", [10, 20, 40, 110])
def test_a_part_of_hhh_chosen_by_hash_has_both_labels(hhh, count):
    """The label followed the hash by which a scale's part of the items is chosen: always A was right in all of them."""
    part = first_by_hash(hhh, count)
    share = sum(item.label == "A" for item in part) / count
    assert abs(share - 0.5) < 2.6 * (0.25 / count) ** 0.5, share


def test_hhh_order_is_balanced_and_follows_the_id_alone(tmp_path, data_dir, hhh):
    rows = read_rows(data_dir / "benchmarks/hhh_alignment_eval.json")
    swapped = [
        {
            **row,
            "chosen_instruction": row["rejected_instruction"],
            "rejected_instruction": row["chosen_instruction"],
        }
        for row in rows
    ]
    mirrored = load_benchmark("hhh_alignment", put_rows(tmp_path / "mirrored", "hhh_alignment_eval.json", swapped))
    assert [item.id for item in mirrored] == [item.id for item in hhh]
    assert [item.label for item in mirrored] == [item.label for item in hhh]
    random.Random(0).shuffle(rows)
    shuffled = load_benchmark("hhh_alignment", put_rows(tmp_path / "shuffled", "hhh_alignment_eval.json", rows))
    assert {item.id: item for item in shuffled} == {item.id: item for item in hhh}


def test_autoj_replay_gives_the_published_agreement(data_dir, autoj):
    first, swapped = load_autoj_replay(data_dir)
    labels = [item.label for item in autoj]
    groups = [item.group for item in autoj]
    table = list(zip(first, swapped, labels, groups, strict=True))
    assert sum(a == label for a, _, label, _ in table) == 835
    assert 100 * sum(a == b for a, b, _, _ in table) / 1392 == pytest.approx(83.41, abs=0.005)
    assert 100 * sum(a == b == label for a, b, label, _ in table) / 1392 == pytest.approx(54.96, abs=0.005)
    code = [(a, b, label) for a, b, label, group in table if group == "Code"]
    both, consistent = sum(a == b == label for a, b, label in code), sum(a == b for a, b, _ in code)
    rates = [100 * count / 120 for count in (both, consistent, sum(a == label for a, _, label in code))]
    assert rates == pytest.approx([47.50, 75.83, 54.17], abs=0.005)


# Older encodings -------------------------------------------------------------------------------------


def old_prompt(text: str) -> str:
    return text.removesuffix(FEEDBACK_HEADER) + FEEDBACK_HEADER + '",\n'


def test_older_direct_encoding_gives_the_same_sections(tmp_path, data_dir, mt_bench):
    rows = read_rows(data_dir / "benchmarks/mt_bench_eval.json")
    older = [
        {
            **{k: row[k] for k in ("idx", "response_source", "category")},
            "instruction": old_prompt(row["instruction"]),
        }
        for row in reversed(rows)
    ]
    items = load_benchmark("mt_bench", put_rows(tmp_path, "mt_bench_eval.json", older))
    expected = {
        item.id: replace(item, scores={}, meta={"response_source": item.meta["response_source"]}) for item in mt_bench
    }
    assert {item.id: item for item in items} == expected


def test_older_encoding_without_identifiers_still_names_items_by_content(tmp_path, vicuna):
    older = [{"instruction": old_prompt(item.prompt)} for item in vicuna]
    items = load_benchmark("vicuna_bench", put_rows(tmp_path / "older", "vicuna_eval.json", older))
    plain = [{"instruction": item.prompt} for item in reversed(vicuna)]
    again = load_benchmark("vicuna_bench", put_rows(tmp_path / "plain", "vicuna_eval.json", plain))
    assert {item.id: item for item in items} == {item.id: item for item in again}
    assert len({item.id for item in items}) == 320 and len({item.cluster for item in items}) == 80
    assert [(i.instruction, i.response, i.rubric) for i in items] == [
        (i.instruction, i.response, i.rubric) for i in vicuna
    ]


def test_older_hhh_encoding_gives_the_same_items(tmp_path, data_dir, hhh):
    rows = read_rows(data_dir / "benchmarks/hhh_alignment_eval.json")
    older = [{k: old_prompt(v) if k.endswith("instruction") else v for k, v in row.items()} for row in rows]
    assert load_benchmark("hhh_alignment", put_rows(tmp_path, "hhh_alignment_eval.json", older)) == hhh


def test_autoj_as_an_array_gives_the_same_items(tmp_path, data_dir, autoj):
    rows = read_rows(data_dir / "benchmarks/autoj_pairwise.json")
    items = load_benchmark("autoj_eval", put(tmp_path, "autoj_pairwise.json", json.dumps(rows, indent=4)))
    assert [replace(item, group="") for item in items] == [replace(item, group="") for item in autoj]
    assert items[0].group == items[0].meta["scenario"] == "post_summarization"


FILES = {
    "vicuna_bench": "vicuna_eval.json",
    "mt_bench": "mt_bench_eval.json",
    "hhh_alignment": "hhh_alignment_eval.json",
    "autoj_eval": "autoj_pairwise.json",
}


def lines(rows: list[dict], **options) -> str:
    return "".join(json.dumps(row, **options) + "\n" for row in rows)


ENCODINGS = {
    "JSON Lines": lambda rows: lines(rows).encode(),
    "JSON Lines without a last newline": lambda rows: lines(rows).rstrip("\n").encode(),
    "JSON Lines, Windows": lambda rows: lines(rows, ensure_ascii=False).replace("\n", "\r\n").encode(),
    "JSON Lines between blank lines": lambda rows: ("\n" + lines(rows).replace("\n", "\n\n")).encode(),
    "array, Windows": lambda rows: json.dumps(rows, indent=1).replace("\n", "\r\n").encode(),
    "byte order mark": lambda rows: lines(rows).encode("utf-8-sig"),
    "array with a byte order mark": lambda rows: json.dumps(rows).encode("utf-8-sig"),
    "gzip": lambda rows: gzip.compress(lines(rows).encode()),
    "rows by name": lambda rows: json.dumps({str(n): row for n, row in enumerate(rows)}).encode(),
    "more columns": lambda rows: lines([{"": 0, **row, "extra": {"a": [None]}} for row in rows]).encode(),
    "no escapes": lambda rows: json.dumps(rows, ensure_ascii=False).encode(),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", FILES)
def test_any_encoding_of_a_file_gives_the_same_items(tmp_path, data_dir, name, encoding):
    rows = read_rows(data_dir / "benchmarks" / FILES[name])[:60]
    plain = load_benchmark(name, put_rows(tmp_path / "plain", FILES[name], rows))
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / FILES[name]).write_bytes(ENCODINGS[encoding](rows))
    assert load_benchmark(name, tmp_path) == plain


@pytest.mark.parametrize("name", ["vicuna_bench", "mt_bench", "hhh_alignment"])
def test_prompts_with_line_ends_of_windows_give_the_same_items(tmp_path, data_dir, name):
    rows = read_rows(data_dir / "benchmarks" / FILES[name])
    windows = [{k: v.replace("\n", "\r\n") if k.endswith("instruction") else v for k, v in row.items()} for row in rows]
    items = load_benchmark(name, put_rows(tmp_path, FILES[name], windows))
    assert items == load_benchmark(name, data_dir)


def test_a_carriage_return_inside_a_response_stays(tmp_path):
    text = prompt("one\r\ntwo\rthree", reference="Hello.")
    (item,) = load_benchmark("flask", put_rows(tmp_path, "flask_eval.json", [{"instruction": text}]))
    assert (item.response, item.prompt) == ("one\r\ntwo\rthree", text)


def test_a_compressed_file_is_found_by_its_name(tmp_path, data_dir, hhh):
    (tmp_path / "benchmarks").mkdir()
    data = (data_dir / "benchmarks/hhh_alignment_eval.json").read_bytes()
    (tmp_path / "benchmarks/hhh_alignment_eval.json.gz").write_bytes(gzip.compress(data))
    assert load_benchmark("hhh_alignment", tmp_path) == hhh


def test_autoj_labels_written_as_decimals(tmp_path):
    row = {"scenario": "s", "prompt": "p", "response 1": "a", "response 2": "b"}
    rows = [row | {"label": label} for label in (0.0, 1.0, 2.0)]
    items = load_benchmark("autoj_eval", put_rows(tmp_path, "autoj_pairwise.json", rows))
    assert [item.label for item in items] == ["A", "B", "tie"]


def test_scores_that_are_missing_give_no_draw(tmp_path):
    """A number stored as text counts; null and NaN do not, and leave a rater without any draw out."""
    rows = [{"instruction": GOOD, "gpt4_score": [5, None, "4"], "human_score": float("nan")}]
    (item,) = load_benchmark("flask", put_rows(tmp_path, "flask_eval.json", rows))
    assert item.scores == {GPT4: [5, 4]}


# Sections ----------------------------------------------------------------------------------------------


def test_headers_inside_a_response_are_text():
    response = "###Feedback: great\n\n###Score Rubrics:\n[me]\n\n###Reference Answer (Score 5):\nx\n\n###Feedback: "
    for reference in (None, "The answer."):
        found = split_prompt(prompt(response, reference=reference))
        assert found == ("Say hello.", response, reference, render_rubric(RUBRIC))


@given(TEXTS, TEXTS, st.one_of(st.none(), TEXTS.filter(bool)))
def test_neutralised_sections_come_back_as_they_were_written(instruction, response, reference):
    item = DirectItem("x", instruction, response, reference, RUBRIC)
    shown = render_direct(item, with_reference=reference is not None)
    assert split_prompt(shown) == (instruction, response, reference, render_rubric(RUBRIC))


@given(TEXTS, TEXTS, st.one_of(st.none(), TEXTS.filter(bool)))
def test_sections_come_back_whatever_they_hold(instruction, response, reference):
    found = split_prompt(prompt(response, instruction, reference))
    assert found == (instruction, response, reference, render_rubric(RUBRIC))


PLAIN = TEXTS.filter(
    lambda text: "\nScore " not in text
)  # a line that opens a score cannot be told from the rubric's own


@given(PLAIN, st.lists(PLAIN, min_size=5, max_size=5))
def test_rubrics_come_back(criteria, descriptions):
    rubric = Rubric(criteria, tuple(descriptions))
    assert parse_rubric(render_rubric(rubric)) == rubric


# Missing and damaged files ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", SOURCES)
def test_a_missing_file_says_where_it_was_looked_for_and_where_to_get_it(tmp_path, name):
    with pytest.raises(DataError) as raised:
        load_benchmark(name, tmp_path)
    message = str(raised.value)
    assert str(tmp_path / "benchmarks" / SOURCES[name].files[0]) in message
    assert "https://" in message and f"download_benchmark('{name}')" in message
    assert "PROMETHEUS_DATA_DIR" in message


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    with pytest.raises(DataError, match="unknown benchmark 'vicuna'; choose one of vicuna_bench, mt_bench"):
        load_benchmark("vicuna", tmp_path)


GOOD = prompt(reference="Hello, friend.")
DAMAGED = {
    "cut off": ('[{"idx": 1, "instruction": "###Ta', "line 1: not valid JSON"),
    "cut off line": (
        json.dumps({"idx": 1, "instruction": GOOD}) + '\n{"idx": 2, "instr',
        "line 2: not valid JSON",
    ),
    "no rows": ("[]", "holds no rows"),
    "not objects": ('[{"instruction": "x"}, 7]', "row 2: expected an object, found int"),
    "no field": (json.dumps([{"idx": 1, "instruction": GOOD}, {"idx": 2}]), "row 2: no field 'instruction'"),
    "not text": (json.dumps([{"idx": 1, "instruction": None}]), "row 1: field 'instruction' should be text"),
    "no section": (
        json.dumps([{"idx": 1, "instruction": GOOD.replace("###Score Rubrics:", "###Rubric:")}]),
        "row 1: the prompt has no section '###Score Rubrics:'",
    ),
    "cut prompt": (
        json.dumps([{"idx": 1, "instruction": GOOD[:-100]}]),
        "row 1: the prompt does not end with",
    ),
    "bad rubric": (
        json.dumps([{"idx": 1, "instruction": GOOD.replace("Score 4: ", "4: ")}]),
        "no 'Score 4:'",
    ),
    "bad score": (
        json.dumps([{"idx": 1, "instruction": GOOD, "gpt4_score": [3, 7, 3]}]),
        "score 7 is not an integer",
    ),
    "half score": (
        json.dumps([{"idx": 1, "instruction": GOOD, "gpt4_score": 2.5}]),
        "score 2.5 is not an integer",
    ),
    "empty": ("", "the file is empty"),
    "blank": ("\n \n", "the file is empty"),
    "one number": ("7", "line 1: expected rows, found int"),
    "line in the middle": (
        lines([{"idx": 1, "instruction": GOOD}]) + '{"idx": 2,\n' + lines([{"idx": 3, "instruction": GOOD}]),
        "line 2: not valid JSON",
    ),
    "last row": (
        lines([{"idx": n, "instruction": GOOD} for n in range(5)] + [{"idx": 6, "instruction": GOOD[:500]}]),
        "row 6: the prompt does not end with",
    ),
    "number for a prompt": (lines([{"idx": 1, "instruction": 5}]), "field 'instruction' should be text, found int"),
    "pointer": (
        "version https://git-lfs.github.com/spec/v1\noid sha256:01de7e\nsize 2245548\n",
        "Git LFS pointer",
    ),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_names_the_file_the_place_and_what_to_do(tmp_path, kind):
    text, expected = DAMAGED[kind]
    folder = put(tmp_path, "vicuna_eval.json", text)
    with pytest.raises(DataError) as raised:
        load_benchmark("vicuna_bench", folder)
    assert str(folder / "benchmarks/vicuna_eval.json") in str(raised.value)
    assert expected in str(raised.value)
    assert any(word in str(raised.value) for word in ("get it", "get the file", "repair", "git lfs pull"))


@pytest.mark.parametrize("header", [*DIRECT_HEADERS, FEEDBACK_HEADER.rstrip()])
def test_a_header_missing_in_one_row_is_named(tmp_path, data_dir, header):
    rows = read_rows(data_dir / "benchmarks/vicuna_eval.json")[:9]
    rows[7] = rows[7] | {"instruction": rows[7]["instruction"].replace(header, header.replace("#", "=", 1))}
    folder = put_rows(tmp_path, "vicuna_eval.json", rows)
    with pytest.raises(DataError, match=rf"vicuna_eval.json, row 8: .*{re.escape(header)}.*repair the row or get"):
        load_benchmark("vicuna_bench", folder)


def test_a_folder_or_a_cut_compressed_file_is_refused(tmp_path):
    (tmp_path / "folder/benchmarks/vicuna_eval.json").mkdir(parents=True)
    with pytest.raises(DataError, match="vicuna_eval.json: a folder, where a file is needed"):
        load_benchmark("vicuna_bench", tmp_path / "folder")
    (tmp_path / "cut/benchmarks").mkdir(parents=True)
    data = gzip.compress(lines([{"idx": 1, "instruction": GOOD}]).encode())
    for kept in (len(data) - 9, 15):
        (tmp_path / "cut/benchmarks/vicuna_eval.json").write_bytes(data[:kept])
        with pytest.raises(DataError, match="vicuna_eval.json: could not be read .* the file is damaged, get it again"):
            load_benchmark("vicuna_bench", tmp_path / "cut")


@pytest.mark.parametrize("label", [3, -1, "0", "A", None, [0]])
def test_a_wrong_label_is_named(tmp_path, label):
    row = {"scenario": "chitchat", "prompt": "p", "response 1": "a", "response 2": "b"}
    folder = put_rows(tmp_path, "autoj_pairwise.json", [row | {"label": 0}, row | {"label": label}])
    with pytest.raises(DataError, match=r"autoj_pairwise.json, row 2: .*(is none of 0, 1, 2|unhashable).*; repair"):
        load_benchmark("autoj_eval", folder)


def test_facts_of_nothing_are_refused():
    with pytest.raises(DataError, match="no items"):
        benchmark_facts([])


def test_a_file_in_another_encoding_is_refused(tmp_path):
    folder = put(tmp_path, "vicuna_eval.json", "")
    (folder / "benchmarks/vicuna_eval.json").write_bytes('["caf\u00e9"]'.encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8 text"):
        load_benchmark("vicuna_bench", folder)


def test_damaged_pairs_are_refused(tmp_path):
    pair = {
        "chosen_instruction": prompt("Hi!"),
        "rejected_instruction": prompt("No.", instruction="Say bye."),
    }
    with pytest.raises(DataError, match="row 1: chosen_instruction and rejected_instruction differ"):
        load_benchmark("hhh_alignment", put_rows(tmp_path, "hhh_alignment_eval.json", [pair]))
    for tie in (2, "yes", None):
        row = {"chosen_instruction": prompt("Hi!"), "rejected_instruction": prompt("No."), "tie": tie}
        with pytest.raises(DataError, match="row 1: field 'tie' is .* none of 0, 1"):
            load_benchmark("mt_bench_human", put_rows(tmp_path, "mt_bench_human_judgement_eval.json", [row]))


def test_damaged_replay_is_refused(tmp_path):
    with pytest.raises(DataError, match="pairwise_example_output.jsonl: file not found"):
        load_autoj_replay(tmp_path)
    (tmp_path / "autoj_outputs").mkdir()
    for file, rows in (("pairwise_example_output", 2), ("pairwise_exchange_example_output", 1)):
        (tmp_path / f"autoj_outputs/{file}.jsonl").write_text('{"output": 0}\n' * rows, encoding="utf-8")
    with pytest.raises(DataError, match="2 decisions in one file, 1 in the other"):
        load_autoj_replay(tmp_path)
    (tmp_path / "autoj_outputs/pairwise_example_output.jsonl").write_text('{"output": 7}\n', encoding="utf-8")
    with pytest.raises(DataError, match="pairwise_example_output.jsonl, row 1: field 'output' is 7"):
        load_autoj_replay(tmp_path)


def test_a_replay_is_refused_for_rows_in_another_order(tmp_path, data_dir):
    rows = read_rows(data_dir / "benchmarks/autoj_pairwise.json")
    (tmp_path / "autoj_outputs").symlink_to(data_dir / "autoj_outputs")
    assert load_autoj_replay(put_rows(tmp_path, "autoj_pairwise.json", rows)) == load_autoj_replay(data_dir)
    with pytest.raises(DataError, match="not the rows that Auto-J judged, or in another order"):
        load_autoj_replay(put_rows(tmp_path, "autoj_pairwise.json", rows[::-1]))


def test_the_data_folder_is_the_argument_then_the_variable_then_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("PROMETHEUS_DATA_DIR", raising=False)
    assert data_folder() == cache_folder() == tmp_path / "cache/prometheus2-notebooks"
    monkeypatch.setenv("PROMETHEUS_DATA_DIR", str(tmp_path / "data"))
    assert data_folder() == tmp_path / "data"
    assert data_folder(tmp_path) == tmp_path
    with pytest.raises(DataError, match=f"{tmp_path}/data/benchmarks/vicuna_eval.json or {tmp_path}/cache"):
        load_benchmark("vicuna_bench")
    put_rows(tmp_path / "cache/prometheus2-notebooks", "vicuna_eval.json", [{"idx": 1, "instruction": GOOD}])
    assert [item.id for item in load_benchmark("vicuna_bench")] == ["vicuna_bench/1"]
    with pytest.raises(DataError, match="file not found"):  # a folder given by hand is taken at its word
        load_benchmark("vicuna_bench", tmp_path / "data")
    put_rows(tmp_path / "data", "vicuna_eval.json", [{"idx": 2, "instruction": GOOD}])
    assert [item.id for item in load_benchmark("vicuna_bench")] == ["vicuna_bench/2"]


# Downloads: from a server of our own, since tests use no network ------------------------------------


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A local file server in the place of the paper's repository; returns the folder it serves."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=folder)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        host = f"http://127.0.0.1:{running.server_port}"
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        for name, place in (
            ("RAW_HOST", "/raw"),
            ("LFS_HOST", "/lfs"),
            ("RAW_FILES", "/raw"),
            ("OLDER_FILES", "/raw/1"),
        ):
            monkeypatch.setattr(download, name, host + place)
        for place in ("raw/1", "lfs"):
            (folder / place).mkdir(parents=True)
        yield folder / "raw"
        running.shutdown()
        thread.join()


def test_a_download_is_what_the_loader_reads(server, tmp_path):
    text = json.dumps([{"idx": 1, "response_source": "bard", "instruction": GOOD, "gpt4_score": [5]}])
    (server / "flask_eval.json").write_text(text, encoding="utf-8")
    path = download_benchmark("flask", tmp_path / "cache")
    assert path == tmp_path / "cache/benchmarks/flask_eval.json"
    assert [item.id for item in load_benchmark("flask", tmp_path / "cache")] == ["flask/1/bard"]


def test_a_download_with_a_wrong_sha256_or_no_answer_writes_nothing(server, tmp_path):
    (server / "vicuna_eval.json").write_text("[]", encoding="utf-8")
    with pytest.raises(DataError, match="sha256 of .* differs"):
        download_benchmark("vicuna_bench", tmp_path / "cache")
    with pytest.raises(DataError, match="could not be fetched"):
        download_benchmark("mt_bench", tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_loading_with_download_fetches_once_into_the_cache(server, tmp_path, monkeypatch):
    monkeypatch.delenv("PROMETHEUS_DATA_DIR", raising=False)
    (server / "flask_eval.json").write_text(lines([{"idx": 1, "instruction": GOOD}]), encoding="utf-8")
    with pytest.raises(DataError, match=r"download_benchmark\('flask'\)"):
        load_benchmark("flask")
    items = load_benchmark("flask", tmp_path / "elsewhere", download=True)
    (server / "flask_eval.json").unlink()
    assert load_benchmark("flask", download=True) == load_benchmark("flask") == items
    assert (cache_folder() / "benchmarks/flask_eval.json").is_file()


def test_the_command_fetches_what_is_to_be_had_and_says_what_is_not(server, tmp_path, monkeypatch, capsys):
    for name in set(SOURCES) - {"flask", "mt_bench"}:  # those of the hub would ask the network
        monkeypatch.delitem(SOURCES, name)
    (server / "flask_eval.json").write_text(lines([{"idx": 1, "instruction": GOOD}]), encoding="utf-8")
    monkeypatch.setenv("PROMETHEUS_DATA_DIR", str(tmp_path / "mine"))
    assert getting.main([]) == 1
    said = capsys.readouterr().out
    assert "flask: fetched" in said and "mt_bench: not to be had: mt_bench: http" in said
    assert len(load_benchmark("flask")) == 1  # it lies where notebooks look
    monkeypatch.delitem(SOURCES, "mt_bench")
    assert getting.main([]) == 0 and "flask: there already" in capsys.readouterr().out


def test_a_file_behind_a_pointer_is_fetched_and_checked(server, tmp_path):
    """Large files stand in Git LFS: the raw address gives a pointer that names their sha256."""
    data = lines([{"idx": 1, "instruction": GOOD}]).encode()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{hashlib.sha256(data).hexdigest()}\nsize 1\n"
    (server / "flask_eval.json").write_text(pointer, encoding="utf-8")
    (server.parent / "lfs/flask_eval.json").write_bytes(data)
    assert download_benchmark("flask", tmp_path / "good").read_bytes() == data
    (server.parent / "lfs/flask_eval.json").write_bytes(data + b" ")
    with pytest.raises(DataError, match="could not be fetched|sha256"):
        download_benchmark("flask", tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def test_an_older_copy_takes_the_place_of_a_file_that_is_gone(server, tmp_path, monkeypatch):
    data = lines([{"instruction": old_prompt(GOOD)}]).encode()
    (server / "1/flask_eval.json").write_bytes(data)
    with pytest.raises(DataError, match="sha256 of .*/1/flask_eval.json differs"):
        download_benchmark("flask", tmp_path / "cache")
    known = replace(SOURCES["flask"], older_sha256=hashlib.sha256(data).hexdigest())
    monkeypatch.setitem(SOURCES, "flask", known)
    assert download_benchmark("flask", tmp_path / "cache").read_bytes() == data
    assert load_benchmark("flask", tmp_path / "cache")[0].prompt == GOOD


def test_known_sha256_are_those_of_the_real_files(data_dir):
    for source in SOURCES.values():
        if source.sha256:
            data = (data_dir / "benchmarks" / source.files[0]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == source.sha256


# Schemas of the hub and of the original repository ------------------------------------------------


@pytest.fixture(scope="module")
def readme_rows(data_dir):
    path = data_dir / "feedback_collection_samples/readme_rows.json"
    return [entry["row"] for entry in json.loads(path.read_text(encoding="utf-8"))]


def test_feedback_bench_in_the_hubs_schema(tmp_path, readme_rows):
    rows = [row for row in readme_rows if "orig_response" in row]
    items = load_benchmark("feedback_bench", put_rows(tmp_path, "feedback_bench.jsonl", rows))
    assert [item.scores for item in items] == [{"gpt-4-0613": [1]}, {}]
    assert items[0].rubric.descriptions[4] == rows[0]["orig_score5_description"]
    assert items[0].reference_answer == rows[0]["orig_reference_answer"]
    assert items[0].meta["orig_feedback"] == rows[0]["orig_feedback"]
    assert benchmark_facts(items)["judgments"] == 1
    assert f"[{rows[1]['orig_criteria']}]\nScore 1: {rows[1]['orig_score1_description']}" in render_direct(items[1])


def test_feedback_bench_in_the_original_repositorys_schema(tmp_path):
    rows = [{"instruction": GOOD, "gpt4_score": 4, "gpt4_feedback": "Kind."}]
    (item,) = load_benchmark("feedback_bench", put_rows(tmp_path, "feedback_collection_ood_test.json", rows))
    assert item.scores == {"gpt-4-0613": [4]}
    assert render_direct(item) == item.prompt == GOOD


def test_preference_bench_in_the_hubs_schema(tmp_path, readme_rows):
    real = next(row for row in readme_rows if "orig_preference" in row)
    scored = {f"orig_score{n}_description": text for n, text in enumerate(RUBRIC.descriptions, start=1)}
    rows = [real, {**real, **scored, "orig_preference": "B"}]
    items = load_benchmark("preference_bench", put_rows(tmp_path, "preference_bench.jsonl", rows))
    assert [item.label for item in items] == ["A", "B"]
    assert items[0].response_a == real["orig_response_A"]
    assert items[0].rubric is None and items[1].rubric == Rubric(real["orig_criteria"], RUBRIC.descriptions)
    assert items[0].cluster == items[1].cluster and items[0].id != items[1].id
    prompt_text = render_pairwise(items[0], with_reference=True)
    assert prompt_text.endswith(f"###Score Rubric:\n{real['orig_criteria']}\n\n###Feedback: ")
    with pytest.raises(DataError, match=r"row 1: field 'orig_preference' is 'C', which is none of 'A', 'B'"):
        load_benchmark(
            "preference_bench",
            put_rows(tmp_path, "preference_bench.jsonl", [{**real, "orig_preference": "C"}]),
        )


def test_preference_bench_in_the_original_repositorys_schema(tmp_path):
    rows = [
        {
            "chosen_instruction": prompt(f"Hi {n}!", reference="Hi."),
            "rejected_instruction": prompt(f"No {n}.", reference="Hi."),
        }
        for n in range(7)
    ]
    items = load_benchmark("preference_bench", put_rows(tmp_path, "preference_collection_ood_test.json", rows))
    assert sorted(Counter(item.label for item in items).values()) == [3, 4]
    assert {item.reference_answer for item in items} == {"Hi."}


def test_flask_in_the_original_repositorys_schema(tmp_path):
    """One question, one answerer, two skills: two items that share no id, and both raters are kept."""
    row = {"idx": 9, "response_source": "bard", "human_score": [4, 5, 4], "gpt4_score": [3, 3, 4]}
    rows = [
        {**row, "instruction": GOOD},
        {**row, "instruction": GOOD.replace("kind?", "clear?"), "human_score": [2.0]},
    ]
    items = load_benchmark("flask", put_rows(tmp_path, "flask_eval.json", rows))
    assert [item.id for item in items] == ["flask/9/bard", "flask/9/bard-2"]
    assert items[0].scores == {"human": [4, 5, 4], GPT4: [3, 3, 4]}
    assert items[1].scores["human"] == [2]
    assert {item.cluster for item in items} == {"flask/9"}
    assert render_direct(items[1]) == rows[1]["instruction"]


def test_all_flask_instructions_under_all_their_skills_survive_the_prompt(data_dir):
    """1,740 instructions with reference answers, 12 skills with rubrics: no scores, so a test of the prompt only."""
    skills = {skill["Skill"]: skill for skill in read_rows(data_dir / "flask/skillset_description.json")}
    rubrics = {
        name: Rubric(skill["Criteria"], tuple(skill["Scoring"][score] for score in "12345"))
        for name, skill in skills.items()
    }
    rows = read_rows(data_dir / "flask/flask_evaluation.jsonl")
    assert (len(rows), len(rubrics)) == (1740, 12)
    for row in rows:
        for skill in row["skill"]:
            rubric, reference = rubrics[skill.removesuffix(" ")], row["answer"] or None
            one = DirectItem("x", row["instruction"], row["answer"], reference, rubric)
            shown = render_direct(one, with_reference=reference is not None, variant="paper-code")
            assert split_prompt(shown) == (row["instruction"], row["answer"], reference, render_rubric(rubric))


def test_mt_bench_human_in_the_original_repositorys_schema(tmp_path):
    """Ties carry `tie` 1, and the same pair may be judged more than once."""
    base = {"chosen_instruction": prompt("Hi!"), "rejected_instruction": prompt("No.")}
    other = {"chosen_instruction": prompt("Hello there."), "rejected_instruction": prompt("Bye.")}
    rows = [{**base, "tie": 0}, {**base, "tie": 1}, {**other, "tie": 0}, {**other}]
    items = load_benchmark("mt_bench_human", put_rows(tmp_path, "mt_bench_human_judgement_eval.json", rows))
    assert [item.label == "tie" for item in items] == [False, True, False, False]
    assert items[1].id == f"{items[0].id}-2"
    assert sum(item.response_a in ("Hi!", "Hello there.") for item in items) == 2
    for item, row in zip(items, rows, strict=True):
        if item.label != "tie":
            assert item.prompts[item.label.lower()] == row["chosen_instruction"]


def test_biggen_bench_with_real_rubrics(tmp_path, data_dir):
    rows = read_rows(data_dir / "biggen_bench/sample_responses.json")
    for row in rows[:3]:
        row |= {"human_score": 4, "gpt4_score": 3, "claude_score": None}
    items = load_benchmark("biggen_bench", put_rows(tmp_path, "biggen_bench.jsonl", rows))
    assert len(items) == 765
    facts = benchmark_facts(items)
    assert (facts["criteria"], facts["rubrics"], facts["judgments"]) == (752, 762, 3)
    assert items[0].scores == {"human": [4], GPT4: [3]}
    assert items[3].scores == {}
    assert items[0].id == "biggen_bench/planning_travel_plan_0/sample-model"
    for item in items:
        if item.reference_answer:
            *_, reference, rubric = split_prompt(render_direct(item, variant="paper-code"))
            assert (reference, parse_rubric(rubric)) == (item.reference_answer, item.rubric)


def test_records_are_of_the_two_kinds(vicuna, hhh):
    assert {type(item) for item in vicuna} == {DirectItem}
    assert {type(item) for item in hhh} == {PairItem}
