"""The page of one's own judgments in a real browser: it sorts, filters, saves, and shows what people wrote as text."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from browsing import WIDTHS, column, fits, opened, quiet_context, saved, serious_violations

from prometheus_lib import judging

ODD = '</script><script>document.title = "run"</script><img src="https://example.org/x.png"> \u2028 "quoted", it\'s'
COUNT = 12


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """Twelve responses, one of which holds markup, one a very long word, scored by chance."""
    texts = [ODD, "w" * 300, *(f"From {('anna', 'bob')[n % 2]}." for n in range(3, COUNT + 1))]
    rows = [
        {
            "id": f"mail-{n}",
            "instruction": f"Answer {n}.",
            "response": text,
            "tokens": 10 * (COUNT - n),
            "human": n % 5 + 1,
        }
        for n, text in enumerate(texts, 1)
    ]
    folder = tmp_path_factory.mktemp("judgments")
    return judging.score(rows, "Is it <b>kind</b>?", judge="random", draws=1, out=folder, say=lambda text: None)


@pytest.fixture(scope="module")
def file(result, tmp_path_factory):
    return result.to_html(tmp_path_factory.mktemp("page") / "own.html")


@pytest.fixture
def context(browser):
    with quiet_context(browser) as context:
        yield context


def test_rows_are_sorted_as_people_count_and_filtered(context, file):
    page = opened(context, file)
    assert column(page, "judgments", 0)[:2] == ["mail-1", "mail-2"]
    names = [name.split("\u00a0")[0].strip() for name in page.locator("#judgments thead th").all_inner_texts()]
    heads = page.locator("#judgments thead th button")
    heads.nth(0).click()
    assert column(page, "judgments", 0) == [f"mail-{n}" for n in range(1, COUNT + 1)]  # not mail-1, mail-10, mail-11
    heads.nth(names.index("tokens")).click()
    assert column(page, "judgments", 0) == [f"mail-{n}" for n in range(COUNT, 0, -1)]
    assert page.locator("#judgments th[aria-sort=ascending]").count() == 1
    page.locator("#judgments").scroll_into_view_if_needed()
    page.get_by_label("Filter").fill("ANNA from")
    assert column(page, "judgments", 0) == [f"mail-{n}" for n in (12, 10, 8, 6, 4)]
    assert page.get_by_role("status").inner_text() == f"5 of {COUNT}"
    page.get_by_label("Filter").fill("nobody wrote this")
    assert column(page, "judgments", 0) == []
    page.get_by_label("Filter").fill("")
    assert len(column(page, "judgments", 0)) == COUNT


def test_markup_is_text_and_the_csv_is_the_table(context, file, result):
    page = opened(context, file)
    assert page.title() != "run" and page.locator("img:not([src^=data])").count() == 0
    cell = page.locator("#judgments td", has_text="document.title").first
    assert ODD in cell.text_content().replace("\r", "")
    assert "Is it <b>kind</b>?" in page.locator("main").inner_text()
    name, text = saved(page, page.locator("button[data-csv=judgments-csv]"))
    assert name == "judgments.csv"
    pd.testing.assert_frame_equal(
        pd.read_csv(io.StringIO(text)), pd.read_csv(io.StringIO(result.table.to_csv(index=False)))
    )


@pytest.mark.parametrize("scheme, width", [("light", WIDTHS["phone"]), ("dark", WIDTHS["desktop"])])
def test_it_fits_and_nothing_serious_keeps_people_from_using_it(browser, file, scheme, width):
    with quiet_context(browser, color_scheme=scheme) as context:
        page = opened(context, file, width)
        assert fits(page) and serious_violations(page) == []
