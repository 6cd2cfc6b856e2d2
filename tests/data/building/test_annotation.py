"""Annotation sheets: blinded and shuffled, as CSV and as a page; filled ones become Table 7; bad ones are refused."""

from __future__ import annotations

import csv
import json
from collections import Counter
from html.parser import HTMLParser

import pytest

from prometheus_lib.data import building
from prometheus_lib.data.building import annotation
from prometheus_lib.data.building.told import WrongDecisions, told_rows
from prometheus_lib.records import DataError

ROWS = [
    {**row, "orig_feedback_A": f"single A {n}", "orig_feedback_B": f"single B {n}"}
    for n, row in enumerate(told_rows(1, 60, WrongDecisions()))
]
NAMES = ("anna", "bert", "carl")


@pytest.fixture
def folder(tmp_path):
    building.write_sheets(ROWS, tmp_path / "sheets", NAMES, count=40)
    return tmp_path / "sheets"


def filled(folder, answer, name="anna", **format):
    """Fill a sheet as `answer(item's row, question)` says and save it as a spreadsheet would."""
    with open(folder / f"{name}.csv", encoding="utf-8-sig", newline="") as text:
        rows = list(csv.DictReader(text))
    for row in rows:
        row.update({question: answer(row, question) for question in annotation.QUESTIONS})
    with open(folder / f"{name}.csv", "w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, rows[0].keys(), **format)
        writer.writeheader()
        writer.writerows(rows)


def is_comparing(row, number):
    return "single A" not in row[f"text_{number}"]


def favour(row, question):
    """Comparing text: fits and suits; single ones suit, but do not fit; the comparing one is more critical."""
    if question == "more_critical":
        return "1" if is_comparing(row, 1) else "2"
    return "yes" if question.startswith("suits") or is_comparing(row, question[-1]) else "no"


# --- making them -----------------------------------------------------------------------------------------------------


def test_items_are_of_different_instructions_and_half_show_the_comparing_text_first():
    items = building.annotation_items(ROWS, 40, seed=1)
    assert len({item["instruction"] for item in items}) == len({item["item"] for item in items}) == 40
    assert Counter(item["comparing"] for item in items) == {"1": 20, "2": 20}
    known = {row["id"]: row for row in ROWS}
    for item in items:
        row = known[item["item"]]
        assert item[f"text_{item['comparing']}"] == row["orig_feedback"]
        assert item["decision"] == f"Response {row['orig_preference']} is better."
    assert items == building.annotation_items(ROWS[::-1], 40, seed=1) != building.annotation_items(ROWS, 40, seed=2)


def test_too_few_instructions_and_missing_single_feedback_are_refused():
    with pytest.raises(DataError, match="200 items .* 60 instructions"):
        building.annotation_items(ROWS)
    with pytest.raises(DataError, match="0 instructions"):
        building.annotation_items([{**row, "orig_feedback_A": ""} for row in ROWS], 10)


def test_sheets_are_blind_and_in_an_order_of_their_own(folder):
    orders = []
    for name in NAMES:
        text = (folder / f"{name}.csv").read_text(encoding="utf-8-sig")
        assert "comparing" not in text and "comparing" not in (folder / f"{name}.html").read_text()
        orders.append([row["item"] for row in csv.DictReader(text.splitlines())])
    assert len({tuple(order) for order in orders}) == 3 and len({frozenset(order) for order in orders}) == 1
    assert set(json.loads((folder / "key.json").read_text())) == set(orders[0])


def test_odd_texts_survive_and_run_nowhere(tmp_path):
    odd = '=cmd()</script><script>alert(1)</script><img src=x onerror=y> {0}\r\u2028\u4f60\u597d \U0001f600 "quoted"'
    rows = [{**row, "orig_response_A": odd} for row in ROWS[:40:10]]
    building.write_sheets(rows, tmp_path, ["anna"], count=4)
    page = Page((tmp_path / "anna.html").read_text(encoding="utf-8"))
    assert [item["response_a"] for item in page.sheet["items"]] == [odd] * 4
    assert page.scripts == 2 and "img" not in page.tags
    with open(tmp_path / "anna.csv", encoding="utf-8-sig", newline="") as text:
        assert [row["response_a"] for row in csv.DictReader(text)] == [f"'{odd}"] * 4


# --- the page --------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a browser finds in a page: its tags, addresses, and the data of its sheet."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.scripts, self.data = [], [], 0, ""
        self._in_data = False
        self.feed(text)
        self.sheet = json.loads(self.data)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.scripts += tag == "script"
        self.addresses += [value for name, value in attributes if name in ("src", "href", "action")]
        self._in_data = ("id", "data") in attributes

    def handle_data(self, data):
        if self._in_data:
            self.data += data

    def handle_endtag(self, tag):
        self._in_data = False


def test_the_page_needs_nothing_but_itself(folder):
    text = (folder / "anna.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.addresses == [] and "http" not in text.split("<script id")[0].replace("http-equiv", "")
    assert "fetch(" not in text and "import " not in text and "default-src 'none'" in text
    assert len(page.sheet["items"]) == 40 and set(page.sheet["questions"]) == set(annotation.QUESTIONS)


# --- reading them back -----------------------------------------------------------------------------------------------


def test_filled_sheets_give_table_7(folder):
    for name in NAMES:
        filled(folder, favour, name)
    table = building.annotation_table(building.read_sheets(folder)).set_index(["text", "standard"])
    share = table["share"].to_dict()
    assert share["comparing", "Coherence"] == share["comparing", "Criticality"] == 1.0
    assert share["concatenation", "Coherence"] == 0.0 and share["concatenation", "Suitability"] == 1.0
    assert list(table.loc["comparing"].index) == ["Coherence", "Suitability", "Criticality"]
    assert (table["votes"] == 120).all() and (table["items"] == 40).all() and (table["missing"] == 0).all()


def test_agreement_and_intervals_are_those_of_the_votes(folder):
    """Two agree on everything, the third says no to every third item."""

    def stubborn(row, question):
        return "no" if question == "fits_1" and int(row["item"], 16) % 3 == 0 else favour(row, question)

    for name in NAMES:
        filled(folder, stubborn if name == "carl" else favour, name)
    answers = building.read_sheets(folder)
    table = building.annotation_table(answers).set_index(["text", "standard"])
    line = table.loc["comparing", "Coherence"]
    votes = answers[(answers["standard"] == "Coherence") & (answers["text"] == "comparing")]["answer"]
    assert line["share"] == pytest.approx(votes.mean()) and line["low"] < line["share"] < 1 and line["majority"] == 1.0
    assert line["alpha"] < 0.2


@pytest.mark.parametrize(
    "format", [{"delimiter": ";"}, {"delimiter": "\t"}, {"quoting": csv.QUOTE_ALL}, {"lineterminator": "\n"}]
)
def test_sheets_are_read_as_spreadsheets_save_them(folder, format):
    for name in NAMES:
        filled(folder, lambda row, question: favour(row, question).upper() + " ", name, **format)
    assert building.read_sheets(folder)["answer"].notna().all()


def test_what_was_not_answered_is_missing_and_not_filled_in(folder):
    for name in NAMES:
        filled(folder, lambda row, question: "" if question == "suits_2" else favour(row, question), name)
    table = building.annotation_table(building.read_sheets(folder))
    suits = table[table["standard"] == "Suitability"]
    assert suits["missing"].sum() == 120 and suits["votes"].sum() == 120


def of_another_item(file):
    lines = file.read_text().split("\n")
    file.write_text("\n".join([lines[0], "0000" + lines[1][4:], *lines[2:]]))


BAD = {
    "'maybe' is no answer; write yes or no": lambda file: filled(
        file.parent, lambda row, question: "maybe" if question == "fits_1" else favour(row, question), file.stem
    ),
    "is not in the key": of_another_item,
    "columns item, fits_1": lambda file: file.write_text("a,b\n1,2\n"),
    "columns item": lambda file: file.write_text(""),
    "cannot be read": lambda file: file.write_bytes(b"\xff\xfe\x00"),
}


@pytest.mark.parametrize("said", BAD)
def test_what_cannot_be_read_is_named(folder, said):
    for name in NAMES:
        filled(folder, favour, name)
    BAD[said](folder / "bert.csv")
    with pytest.raises(DataError, match=rf"bert\.csv.*{said}"):
        building.read_sheets(folder)


def test_missing_rows_sheets_and_keys_are_named(folder, tmp_path):
    filled(folder, favour, "anna")
    lines = (folder / "anna.csv").read_bytes().split(b"\r\n")
    (folder / "anna.csv").write_bytes(b"\r\n".join([*lines[:-3], b""]))
    with pytest.raises(DataError, match=r"anna\.csv: \d+ of 40 items are missing"):
        building.read_sheets(folder, [folder / "anna.csv"])
    with pytest.raises(DataError, match="no sheet"):
        building.read_sheets(folder, [])
    with pytest.raises(DataError, match=r"key\.json: the key cannot be read"):
        building.read_sheets(tmp_path)
