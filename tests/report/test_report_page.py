"""The report of a run as a page, in a real browser: the committed run's, and that of a run with next to nothing."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import pandas as pd
import pytest
from browsing import WIDTHS, column, fits, opened, quiet_context, saved, serious_violations
from markupsafe import escape

from prometheus_lib import tables
from prometheus_lib.__main__ import main
from prometheus_lib.records import DataError, MissingFile
from prometheus_lib.report import LIMIT, cards, contents, page, read_stored, report_state, write_report
from prometheus_lib.scale import load_scale, stored_scale
from prometheus_lib.tables.report import QUESTIONS

KEPT = ("manifest.json", "metrics", "tables", "figures", "notebooks")


@pytest.fixture(scope="module")
def mini(tmp_path_factory):
    """A copy of what the committed run left for its report, with the page written."""
    committed, own = stored_scale("mini").paths.root, load_scale("mini", tmp_path_factory.mktemp("outputs"))
    own.paths.root.mkdir(parents=True)
    for name in KEPT:
        copy = shutil.copytree if (committed / name).is_dir() else shutil.copy
        copy(committed / name, own.paths.root / name)
    write_report(own)
    return own


@pytest.fixture(scope="module")
def text(mini):
    return (mini.paths.root / page.NAME).read_text(encoding="utf-8")


# --- what it says ----------------------------------------------------------------------------------------------------


def test_every_number_of_a_card_is_the_runs(mini):
    stored = read_stored(mini)
    found = {card.id: card for group in cards.groups_of_cards(stored).values() for card in group}
    assert set(found) == set(stored.ledger.index)
    stored_ledger = json.loads((mini.paths.metrics / "10.json").read_text())["ledger"]
    for id, card in found.items():
        assert (card.ours, card.verdict, card.measure) == tuple(
            stored_ledger[id][name] for name in ("this run", "verdict", "measure")
        )
        if stored_ledger[id]["printed"] is not None:
            assert card.paper.startswith(f"{stored_ledger[id]['printed']:+.1f}")
        assert card.code.text.startswith("def ") and (card.cell is None or id in card.cell.text or card.cell.address)


def test_a_changed_number_changes_the_page(mini, text, tmp_path):
    own = load_scale("mini", tmp_path)
    shutil.copytree(mini.paths.root, own.paths.root)
    file = own.paths.metrics / "10.json"
    numbers = json.loads(file.read_text())
    numbers["ledger"]["C03"] |= {"this run": "+7.7 [+1.2, +14.2]", "verdict": "reproduced"}
    file.write_text(json.dumps(numbers))
    assert report_state(own.paths.root).startswith("not of these files")
    write_report(own)
    changed = (own.paths.root / page.NAME).read_text()
    assert report_state(own.paths.root) == "" and "+7.7 [+1.2, +14.2]" in changed and "+7.7 [+1.2, +14.2]" not in text
    reproduced = [int(re.search(r"<b>(\d+)</b> reproduced", each).group(1)) for each in (text, changed)]
    assert reproduced[1] == reproduced[0] + 1


def test_a_picture_puts_numbers_where_they_belong():
    nothing = dict.fromkeys(("two-way low", "two-way high", "printed"), float("nan"))
    rows = [{"difference": 0.0, "low": -4.0, "high": 4.0, "margin": 1.0} | nothing,
            {"difference": 2.0, "low": 0.0, "high": 4.0, "margin": 1.0} | nothing | {"printed": -2.0}]  # fmt: skip
    drawn = cards.strip(pd.DataFrame(rows), "two")
    middle, width = 170, 324  # from 8 to 332 of 340
    assert drawn.zero == middle and drawn.zone == (middle - width / 8, middle + width / 8)
    one, two = drawn.lines
    assert (one.low, one.at, one.high, one.paper) == (8, middle, 332, None) and one.y < two.y
    assert (two.at, two.paper) == (middle + width / 4, middle - width / 4)
    assert cards.strip(pd.DataFrame([rows[0] | {"difference": float("nan")}]), "none") is None


def test_the_page_is_small_and_needs_no_other_file(text):
    assert len(text.encode()) <= LIMIT
    loaded = re.findall(r"<(?:script|link|img|iframe)[^>]*?(?:src|href)=[\"']?([^\"' >]{0,40})", text)
    assert loaded and all(address.startswith("data:") for address in loaded)
    assert "@import" not in text and "url(http" not in text
    for title in QUESTIONS:
        assert text.count(f"<h3>{escape(title)}</h3>") == 1


def test_figures_beyond_the_limit_are_named(mini, monkeypatch):
    stored = replace(read_stored(mini), cells={}, ledger=None, evidence=None)
    monkeypatch.setattr(page, "LIMIT", 250_000)
    small = page.report_page(stored)
    assert len(small.encode()) <= page.LIMIT and "Left out to keep this page small" in small
    assert "<figcaption>" in small


def test_figures_come_with_what_they_show(mini):
    found = contents.figures(read_stored(mini))
    assert [each.name for each in found[:2]] == ["10_ledger", "figure_1"]
    assert all(each.caption and each.text and each.svg.startswith("<svg") for each in found)
    assert all(each.cell for each in found if each.name in ("10_ledger", "09_methods", "figure_1", "07_hhh_alignment"))


def test_a_run_with_next_to_nothing_names_what_is_missing(tmp_path, capsys):
    own = load_scale("smoke", tmp_path)
    with pytest.raises(MissingFile, match="there is no run here"):
        write_report(own)
    own.paths.root.mkdir(parents=True)
    tables.save_table(tables.table_5(tables.example_run()), 5, own.paths.tables)
    assert main(["report", "--scale", "smoke", "--outputs", str(tmp_path)]) == 0
    assert "report.html" in capsys.readouterr().out
    small = (own.paths.root / page.NAME).read_text()
    assert "No claim has been put to the test in this run yet" in small and "<li>tables: table_01, " in small
    assert "table_05-csv" in small and str(tmp_path) not in small


@pytest.mark.parametrize("broken", ["{not json", "[]", '{"ledger": 3}', '{"ledger": {"C03": {}}, "evidence": []}'])
def test_damaged_numbers_are_an_error_that_names_the_file(tmp_path, broken):
    own = load_scale("smoke", tmp_path)
    own.paths.metrics.mkdir(parents=True)
    (own.paths.metrics / "10.json").write_text(broken)
    with pytest.raises(DataError, match="10.json"):
        write_report(own)


# --- in the browser --------------------------------------------------------------------------------------------------


@pytest.fixture
def context(browser):
    with quiet_context(browser) as context:
        yield context


@pytest.fixture(params=WIDTHS.values(), ids=WIDTHS)
def width(request):
    return request.param


def test_nothing_is_wider_than_the_window(context, mini, width):
    shown = opened(context, mini.paths.root / page.NAME, width)
    assert fits(shown)


def test_tables_sort_filter_tell_more_and_are_saved(context, mini):
    shown = opened(context, mini.paths.root / page.NAME)
    shown.locator("#of-table_05 summary").click()
    names = shown.locator("#table_05 thead th").all_inner_texts()
    place = next(n for n, name in enumerate(names) if name.startswith("Direct average | exact"))
    assert place > 1
    head = shown.locator("#table_05 thead th button").nth(place)
    for down in (False, True):
        head.click()
        texts = [each for each in column(shown, "table_05", place) if each not in ("", "-")]
        assert len(texts) > 5 and texts == sorted(texts, key=float, reverse=down)
    shown.locator("#of-table_05 input").fill("LINEAR judge")
    rows = column(shown, "table_05", 0)
    assert rows and all("linear" in row for row in rows)
    assert f"{len(rows)} of " in shown.locator("#of-table_05 [role=status]").inner_text()
    cell = shown.locator("#table_05 > tbody > tr:not([hidden]) td[data-interval]").first
    cell.hover()
    assert re.match(r"95 % interval \[.+\]; n [\d,]+; unparsed \d", shown.locator("#tip").inner_text())
    cell.focus()
    first = shown.locator("#tip").inner_text()
    shown.keyboard.press("Escape")
    assert shown.locator("#tip").is_hidden()
    shown.keyboard.press("ArrowRight")
    assert shown.locator("#tip").is_visible() and shown.locator("#tip").inner_text() != first
    name, csv = saved(shown, shown.locator("#of-table_05 button[data-csv]"))
    assert name == "table_05.csv"
    assert csv == (mini.paths.tables / name).read_text(encoding="utf-8")


def test_cards_are_filtered_and_links_open_what_is_folded(context, mini):
    shown = opened(context, mini.paths.root / page.NAME)
    total = shown.locator(".card").count()
    shown.get_by_label("Verdict").select_option("undecided")
    some = shown.locator(".card:not([hidden])").count()
    assert 0 < some < total
    assert set(shown.locator(".card:not([hidden])").evaluate_all("all => all.map(each => each.dataset.choice)")) == {
        "undecided"
    }
    hidden = shown.locator(".card[hidden]").first.get_attribute("id")
    shown.evaluate(f"location.hash = '{hidden}'")
    shown.locator(f"#{hidden}").wait_for(state="visible")
    shown.evaluate("location.hash = 'table_04'")
    shown.locator("#table_04").wait_for(state="visible")


def test_dark_and_printed(browser, mini):
    with quiet_context(browser, color_scheme="dark") as context:
        shown = opened(context, mini.paths.root / page.NAME)
        dark, ink = (shown.evaluate(f"getComputedStyle(document.body).{name}") for name in ("backgroundColor", "color"))
        assert max(map(int, re.findall(r"\d+", dark))) < 60 and min(map(int, re.findall(r"\d+", ink))) > 180
        shown.emulate_media(media="print", color_scheme="dark")
        assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        shown.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert shown.locator("details:not([open])").count() == 0
        assert shown.locator("nav").is_hidden() and shown.locator("#table_04").is_visible()
        shown.evaluate("dispatchEvent(new Event('afterprint'))")
        assert shown.locator("details[open]").count() == 0


@pytest.mark.parametrize("scheme, width", [("light", WIDTHS["phone"]), ("dark", WIDTHS["desktop"])])
def test_nothing_serious_keeps_people_from_using_it(browser, mini, scheme, width):
    with quiet_context(browser, color_scheme=scheme) as context:
        shown = opened(context, mini.paths.root / page.NAME, width)
        shown.evaluate("for (const id of ['of-table_05', 'of-table_01']) document.getElementById(id).open = true")
        shown.evaluate("for (const id of ['C03', 'C15']) document.querySelector(`#${id} details`).open = true")
        assert serious_violations(shown) == []
        levels = shown.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(each => Number(each.tagName[1]))")
        assert levels[0] == 1 and all(two - one <= 1 for one, two in zip(levels, levels[1:]))
