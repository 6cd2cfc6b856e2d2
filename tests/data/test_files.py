"""Reading rows of any source: nothing swallowed, nothing changed, and one message where it cannot be read."""

from __future__ import annotations

import codecs
import contextlib
import csv
import gzip
import io
import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus_lib.data.delimited import parse_delimited
from prometheus_lib.data.files import read_json, read_rows, read_table
from prometheus_lib.data.json_rows import parse_json
from prometheus_lib.data.table import canonical, from_rows, pick
from prometheus_lib.data.values import is_blank, mended, text_of
from prometheus_lib.records import DataError, MissingFile

ROWS = [
    {"id": "1", "instruction": "Name a prime", "response": 'He said "7", loudly;\nthen left'},
    {"id": "2", "instruction": "Name\tan even number", "response": "8 \U0001f600"},
]
KNOWN = ("id", "instruction", "response")


def put(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def csv_text(rows, **options):
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]), **options)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


# --- the same rows in every form -------------------------------------------------------------------------------------

FRAME = pd.DataFrame(ROWS)
FORMS = {
    "plain.csv": csv_text(ROWS),
    "unix.csv": csv_text(ROWS, lineterminator="\n"),
    "old mac.csv": csv_text(ROWS, lineterminator="\r"),
    "all quoted.csv": csv_text(ROWS, quoting=csv.QUOTE_ALL),
    "semicolons.csv": csv_text(ROWS, delimiter=";"),
    "bars.csv": csv_text(ROWS, delimiter="|"),
    "excel.csv": "\ufeffsep=;\r\n" + csv_text(ROWS, delimiter=";"),
    "excel again.csv": "SEP=;;;;\r\n" + csv_text(ROWS, delimiter=";"),
    "quoted sep.csv": '"sep=;"\r\n' + csv_text(ROWS, delimiter=";"),
    "UPPER.CSV": csv_text(ROWS),
    "tabs.tsv": csv_text(ROWS, delimiter="\t"),
    "tabs.txt": csv_text(ROWS, delimiter="\t"),
    "spaced.csv": csv_text(ROWS).replace("id,instruction,response", " id , instruction ,response "),
    "utf-16.csv": csv_text(ROWS).encode("utf-16"),
    "utf-16-be.csv": codecs.BOM_UTF16_BE + csv_text(ROWS).encode("utf-16-be"),
    "utf-32.csv": csv_text(ROWS).encode("utf-32"),
    "two marks.csv": codecs.BOM_UTF8 * 2 + csv_text(ROWS).encode(),
    "packed.csv.gz": gzip.compress(csv_text(ROWS).encode(), mtime=0),
    "lines.jsonl": FRAME.to_json(orient="records", lines=True),
    "marked.jsonl": codecs.BOM_UTF8 + FRAME.to_json(orient="records", lines=True).encode(),
    "windows.jsonl": FRAME.to_json(orient="records", lines=True).replace("\n", "\r\n"),
    "gaps.ndjson": FRAME.to_json(orient="records", lines=True).replace("\n", "\n\n \n"),
    "utf-16.jsonl": FRAME.to_json(orient="records", lines=True, force_ascii=False).encode("utf-16"),
    "indented lines.jsonl": "".join(json.dumps(row, indent=2) + "\n" for row in ROWS),
    "array.json": json.dumps(ROWS),
    "indented.json": json.dumps(ROWS, indent=4),
    "array called lines.jsonl": json.dumps(ROWS),
    "lines called array.json": "".join(json.dumps(row) + "\n" for row in ROWS),
    "columns.json": FRAME.to_json(),
    "index.json": FRAME.to_json(orient="index"),
    "split.json": FRAME.to_json(orient="split"),
    "table.json": FRAME.to_json(orient="table", index=False),
    "lists.json": json.dumps(FRAME.to_dict(orient="list")),
    "under data.json": json.dumps({"data": ROWS}),
    "lines called.csv": FRAME.to_json(orient="records", lines=True),
    "array called.txt": json.dumps(ROWS, indent=1),
    "no ending": json.dumps(ROWS),
}


@pytest.mark.parametrize("name", FORMS)
def test_the_same_rows_in_every_form(tmp_path, name):
    table = read_table(put(tmp_path, name, FORMS[name]), KNOWN)
    assert pick(table, KNOWN).rows == ROWS and not pick(table, KNOWN).notes


def test_the_same_rows_in_tables_of_other_programs(tmp_path):
    FRAME.to_parquet(tmp_path / "rows.parquet")
    FRAME.set_index("id").to_parquet(tmp_path / "index.parquet")
    FRAME.sample(frac=1, random_state=1).sort_index().to_parquet(tmp_path / "numbered.parquet")
    sources = [FRAME, FRAME.set_index("id"), ROWS, iter(ROWS), tuple(ROWS), FRAME.to_dict(), FRAME.to_dict("list")]
    for source in (*sources, *tmp_path.iterdir()):
        assert pick(read_table(source, KNOWN), KNOWN).rows == ROWS
    assert read_table(FRAME).places[1] == "the data frame, row 2" and read_table(ROWS).places[0] == "the list, row 1"


def test_an_excel_file_is_read_or_says_what_it_needs(tmp_path):
    try:
        import openpyxl
    except ImportError:
        with pytest.raises(DataError, match="mine.xlsx: reading an Excel file needs the package openpyxl .* CSV UTF-8"):
            read_table(put(tmp_path, "mine.xlsx", b"PK\x03\x04 and so on"))
        return
    book = openpyxl.Workbook()
    book.active.append(["ID", "Instruction", None, "Response"])
    for cells in ([1, "Name a prime", None, 7], [None] * 4, [2, "NA", None, 7.5], [3, "#1", None, "=1+1"]):
        book.active.append(cells)
    book.create_sheet("other").append(["more"])
    book.save(tmp_path / "mine.xlsx")
    table = pick(read_table(tmp_path / "mine.xlsx"), KNOWN)
    assert [text_of(row["response"], "", "") for row in table.rows[:2]] == ["7", "7.5"]
    assert [row["instruction"] for row in table.rows] == ["Name a prime", "NA", "#1"]
    assert table.places[1].endswith("mine.xlsx, row 4")
    assert [note.split(": ", 1)[1] for note in table.notes] == [
        "only the sheet 'Sheet' is read, not other.",
        "1 row without any value is left out (row 3).",
    ]
    with pytest.raises(DataError, match="broken.xlsx: not a whole .xlsx file"):
        read_table(put(tmp_path, "broken.xlsx", (tmp_path / "mine.xlsx").read_bytes()[:500]))


# --- quotation marks and line ends -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('id,response\n1,"7 is one\n2,8\n3,9\n', "x.csv, line 2: a quotation mark is opened here and never closed"),
        ('id,response\n1,"He said "7" loudly"\n', r"x.csv, line 2: not CSV \(',' expected after '\"'\)"),
        ('id,response\n1,"7 is one\n2,8\n3,"9"\n', r"x.csv, line 4 \(of the row that starts on line 2\): not CSV"),
        ('id;response\n1;"7 is one\n2;8\n', "x.csv, line 2: a quotation mark is opened here and never closed"),
        ('sep=;\nid;response\n1;"7 is one\n2;8\n', "x.csv, line 3: a quotation mark is opened here"),
        ('id,response\n1,"two\nlines"\n2,"8\n', "x.csv, line 4: a quotation mark is opened here"),
        ('"id,response\n1,8\n', "x.csv, line 1: a quotation mark is opened here"),
        ('id,response\n1, "7"\n', "x.csv, line 2: a space stands before a quotation mark"),
        ("id,response\n1,a,b\n", "x.csv, line 2: 3 fields, and the header has 2"),
        ("id,response\n1\n", "x.csv, line 2: 1 fields, and the header has 2"),
        ("id,response\n1,one\rtwo, three\n2,four\n", "x.csv, line 2: some rows end in a carriage return"),
        ("id,response,response\n1,a,b\n", "x.csv: the column 'response' is there 2 times"),
        ("id,response\n", "x.csv: holds no rows"),
        (",\n,,\n", "x.csv: holds no rows"),
    ],
)
def test_faults_of_a_csv_file_name_their_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_table(put(tmp_path, "x.csv", text))


def test_a_closed_mark_that_swallowed_rows_is_warned_about():
    text = 'id,response,model\n1,"7 is one,m\n2,8,m\n3,9",m\n4,10,m\n'
    table = parse_delimited("x.csv", text)
    assert [row["id"] for row in table.rows] == ["1", "4"]
    assert table.notes == (
        "x.csv: 1 line inside a quoted field looks like a row (in the row that starts on line 2); 2 rows were read. "
        "If rows are missing, a quotation mark is not closed there.",
    )


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('instruction,response\nName a prime,"7 is one\nName an even number,8\nName an odd number,9"\nTwo,2\n', 2),
        ('instruction,response,model\nName,"7 is one,m\nAn even number,8,m\nOne that is odd,9",m\nTwo,2,m\n', 1),
        ('response;instruction\n"7 is one;Name a prime\r\n8;An even number\r\n9";An odd number\r\n', 1),
        ('id\tresponse\n1\t"7 is one\n\nlater\t8\nlast of all\t9"\n2\tx\n', 2),
    ],
)
def test_swallowed_rows_are_seen_where_they_begin_with_texts_too(text, count):
    (note,) = parse_delimited("x.csv", text).notes
    assert note.startswith(f"x.csv: {count} line") and "starts on line 2" in note


def test_prose_of_several_lines_is_no_row():
    for response in (
        "Well, yes.\nFirst, no.",
        "Dear Tom,\nyes, no.\nYours, Ann",
        "a\n\nb",
        "def f(a, b):\n    g(a, b)",
    ):
        text = csv_text([{"instruction": "Say so, or not", "response": response}])
        assert parse_delimited("x.csv", text).notes == ()
    text = csv_text(
        [{"id": "1", "response": "Well, yes.\nFirst of all, no.\n\nSecond, maybe."}, {"id": "2", "response": "x"}]
    )
    assert parse_delimited("x.csv", text).notes == ()


def test_marks_inside_an_unquoted_field_are_text():
    assert (
        parse_delimited("x.csv", 'id,response\n1,He said "7" loudly\n2,5" pipe\n').rows[0]["response"]
        == 'He said "7" loudly'
    )


def test_a_file_written_with_spaces_after_commas_is_read():
    text = 'id, instruction, response\n1, "Name one, please", "7"\n2, Name an even number, 8\n'
    assert [list(row.values()) for row in parse_delimited("x.csv", text).rows] == [
        ["1", "Name one, please", "7"],
        ["2", "Name an even number", "8"],
    ]


def test_a_text_that_begins_with_a_space_and_a_mark_keeps_them():
    rows = [{"id": "1", "response": ' "Hello," she said.'}]
    assert parse_delimited("x.csv", csv_text(rows)).rows == rows


def test_blank_rows_and_columns_of_spreadsheets_are_left_out_and_counted(tmp_path):
    text = "id,response,,\r\n1,seven,,\r\n,,,\r\n2,eight,,\r\n,,,\r\n\r\n"
    table = read_table(put(tmp_path, "x.csv", text))
    assert table.rows == [{"id": "1", "response": "seven"}, {"id": "2", "response": "eight"}]
    assert table.notes == (f"{tmp_path}/x.csv: 2 rows without any value are left out (line 3, line 5).",)


def test_a_column_without_a_name_is_named_by_its_number():
    table = pick(parse_delimited("x.csv", ",id,response\n0,1,seven\n"), KNOWN)
    assert table.rows == [{"id": "1", "response": "seven"}]
    assert table.notes == ("x.csv: columns that are not read: (column 1, without a name).",)


def test_a_very_long_field_is_read_and_the_limit_of_others_is_kept(tmp_path):
    before, long = csv.field_size_limit(), "word, " * 60_000
    rows = [{"id": "1", "response": long}, {"id": "2", "response": f"x\n{long}"}]
    assert read_table(put(tmp_path, "x.csv", csv_text(rows))).rows == rows
    assert csv.field_size_limit() == before


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@settings(deadline=None)
@given(
    st.lists(st.fixed_dictionaries({"id": CELLS, "a": CELLS, "b": CELLS}), min_size=1, max_size=5),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_any_texts_survive_a_csv_file(rows, delimiter, end):
    text = csv_text(rows, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    found = parse_delimited("x.csv", text).rows
    kept = [row if any(not is_blank(value) for value in row.values()) else dict.fromkeys(row) for row in rows]
    assert found == kept


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["id", "response", "x y"]), CELLS, min_size=1), min_size=1, max_size=5))
def test_any_texts_survive_json_lines_and_arrays(rows):
    lines = "".join(json.dumps(row, ensure_ascii=False, indent=1) + "\n" for row in rows)
    assert parse_json("x", json.dumps(rows)).rows == rows
    assert len(rows) == 1 or parse_json("x", lines).rows == rows


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_no_text_is_more_than_an_error(text):
    """Whatever a file holds, it is rows or a DataError."""
    for parse in (parse_delimited, parse_json):
        with contextlib.suppress(DataError):
            parse("x", text)


# --- JSON ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": 1}\n{"id": 2\n{"id": 3}\n', r"x.json, line 2: not valid JSON \(Expecting ',' delimiter on line 3\)"),
        ('{"id": 1}\n\n{"id": "2\n', r"x.json, line 3: not valid JSON \(Invalid control character"),
        ('[{"id": 1},\n {"id": 2},\n]', r"x.json, line (2|3): not valid JSON"),
        ('{"id": 1, "id": 2}\n', "x.json, line 1: .*'id' is there twice in one object"),
        ('{"a": 1}\n{"id": 1, "b": {"c": 1, "c": 2}}', "x.json, line 2: .*'c' is there twice"),
        ('[{"id": 1}, 2]', "x.json, row 2: expected an object, found int"),
        ('{"id": 1}\n[2]', "x.json, line 2: expected one JSON object, found list"),
        ("7", "x.json, line 1: expected rows, found int"),
        ("[]", "x.json: holds no rows"),
        ("{}", "x.json: holds no rows"),
        ('{"id": ["1", "2"], "response": ["a"]}', "x.json: columns of different lengths"),
        ("[" * 100_000, "x.json, line 1: not readable JSON"),
        ("<html></html>", "x.json, line 1: not valid JSON"),
    ],
)
def test_faults_of_a_json_file_name_their_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_table(put(tmp_path, "x.json", text), KNOWN)


def test_rows_by_name_keep_their_names_as_ids():
    rows = {"q1": {"response": "a"}, "q2": {"response": "b"}}
    assert parse_json("x", json.dumps(rows)).rows == [{"id": "q1", "response": "a"}, {"id": "q2", "response": "b"}]
    columns = {"response": {"q1": "a", "q2": "b"}}
    assert parse_json("x", json.dumps(columns), KNOWN).rows == parse_json("x", json.dumps(rows)).rows
    assert parse_json("x", json.dumps({"0": {"response": "a"}, "1": {"response": "b"}})).rows == [
        {"response": "a"},
        {"response": "b"},
    ]


def test_released_files_keep_all_rows(tmp_path):
    assert read_rows(put(tmp_path, "x.data", '{"a": null}\n{"a": 1}\n')) == [{"a": None}, {"a": 1}]
    assert read_json(put(tmp_path, "y.json", '{"a": [1]}')) == {"a": [1]}


# --- what is no file of rows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "id,response\n1,gr\xfc\xdf\n".encode("latin-1"),
            r"x.csv, line 2: not UTF-8 text .*Excel.*encoding=\"cp1252\"",
        ),
        ("id,response\n1,2\n".encode("utf-16-le"), "x.csv, line 1: a zero byte"),
        (codecs.BOM_UTF16_LE + b"\x3d\xd8a\x00", "x.csv, line 1: not UTF-8 text"),
        (b"", "the file is empty"),
        (b"  \n", "the file is empty"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel file; save it as .xlsx"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (gzip.compress(b"id,response\n1,2\n" * 99, mtime=0)[:-9], "could not be read .* damaged"),
        (b"PAR1 and no more", "not a whole Parquet file"),
        (b"BZh91AY", "compressed by bzip2"),
    ],
)
def test_what_cannot_be_read_says_how_to_save_it(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_table(put(tmp_path, "x.csv", content))


def test_no_file_a_folder_and_no_rows(tmp_path):
    with pytest.raises(MissingFile, match="none.csv: file not found"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(DataError, match="a folder, where a file is needed"):
        read_table(tmp_path)
    with pytest.raises(DataError):
        read_table("id,instruction,response\n" * 200)  # a text in the place of a file's name
    with pytest.raises(DataError, match="not from 7"):
        read_table(7)
    with pytest.raises(DataError, match="the list, row 1: expected an object, found str"):
        read_table(["id"])
    with pytest.raises(DataError, match="the list: holds no rows"):
        read_table([])
    with pytest.raises(DataError, match="the data frame: the column 'a' is there 2 times"):
        read_table(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(DataError, match="the data frame: the column 'a' is there 2 times"):
        read_table(pd.DataFrame({"a": [1]}, index=pd.Index([2], name="a")))


# --- names and values ------------------------------------------------------------------------------------------------


def test_half_a_character_is_replaced_and_named(tmp_path):
    text = '{"id": "1", "response": "half \\ud83d"}\n{"id": "2", "response": "whole \\ud83d\\ude00"}\n'
    table = read_table(put(tmp_path, "x.jsonl", text))
    assert [row["response"] for row in table.rows] == ["half \ufffd", "whole \U0001f600"]
    assert len(table.notes) == 1 and "1 value with a lone surrogate" in table.notes[0]
    assert table.notes[0].endswith("is mended by U+FFFD (line 1, response).")
    nested = read_table([{"id": 1, "instruction": [{"role": "user", "content": "half \ud83d"}]}])
    assert nested.rows[0]["instruction"][0]["content"] == "half \ufffd"


@settings(deadline=None)
@given(st.text(max_size=20))
def test_mending_changes_halves_only(text):
    fixed = mended(text)
    fixed.encode()
    if not any("\ud800" <= letter <= "\udfff" for letter in text):
        assert fixed == text


@pytest.mark.parametrize("name", ["Response A", " response_a ", "RESPONSE-A", "response  a"])
def test_names_are_read_in_any_case(name):
    assert canonical(name) == "response_a"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["instruction", "responce"], "column 'responce' looks like 'response', which is missing"),
        (["instrution", "response"], "column 'instrution' looks like 'instruction'"),
        (["Instruction", "instruction"], "'Instruction' and 'instruction' are both 'instruction'"),
        (["response", "score_6"], "column 'score_6' is not read, only score_1, score_2"),
        (["response", "criterion"], "column 'criterion' looks like 'criteria'"),
        (["response", "reference"], "column 'reference' looks like 'reference_answer'"),
    ],
)
def test_columns_that_would_be_ignored_are_errors(columns, message):
    known = ("id", "instruction", "response", "reference_answer", "criteria", "score_1", "score_2")
    with pytest.raises(DataError, match=message):
        pick(from_rows("x", [dict.fromkeys(columns, "text")]), known)


def test_other_columns_are_named_once_and_renamed_on_demand():
    table = from_rows("x", [{"output": "a", "uid": 1, "instruction": "b"}, {"output": "c", "model": "m"}])
    found = pick(table, KNOWN, {"output": "response"})
    assert found.rows == [{"response": "a", "instruction": "b"}, {"response": "c"}]
    assert found.notes == ("x: columns that are not read: uid, model.",)
    with pytest.raises(DataError, match="no column 'answer' to rename; found output, uid, instruction, model"):
        pick(table, KNOWN, {"answer": "response"})
    with pytest.raises(DataError, match="'answer' is none of id, instruction, response"):
        pick(table, KNOWN, {"output": "answer"})


@pytest.mark.parametrize("value", [True, ["a"], {"0": "a"}, ("a",), float("inf"), pd.Timestamp("2024-01-01"), b"a"])
def test_what_is_no_text_is_named(value):
    with pytest.raises(DataError, match=r"row 3: response is .*, which is no text"):
        text_of(value, "row 3", "response")


def test_numbers_become_their_shortest_digits():
    values = pd.DataFrame({"response": ["7", None]}).assign(number=[7, None], exact=[0.1, 2.5])
    assert [text_of(value, "", "") for value in values["number"]] == ["7", ""]
    assert [text_of(value, "", "") for value in values["exact"]] == ["0.1", "2.5"]
    assert text_of(pd.NA, "", "") == text_of(pd.NaT, "", "") == text_of(float("nan"), "", "") == ""
    assert text_of("7.0", "", "") == "7.0"
