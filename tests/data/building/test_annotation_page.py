"""The annotation page in a real browser, without a network: it keeps what is entered, saves it, and reads it again."""

from __future__ import annotations

import browsing
import pytest
from browsing import quiet_context

from prometheus_lib.data import building
from prometheus_lib.data.building import annotation
from prometheus_lib.data.building.told import WrongDecisions, told_rows

ODD = '</script><script>document.title = "run"</script><img src="https://example.org/x.png"> \U0001f600 \u2028 "quoted"'
ITEMS = 6


@pytest.fixture
def folder(tmp_path):
    """Sheets of six items, one response of which holds markup."""
    rows = told_rows(1, ITEMS, WrongDecisions())
    single = {"orig_feedback_A": "single A", "orig_feedback_B": "single B"}
    odd = {"orig_response_A": ODD}
    rows = [row | single | (odd if row["orig_instruction"] == rows[0]["orig_instruction"] else {}) for row in rows]
    building.write_sheets(rows, tmp_path, ["anna"], count=ITEMS)
    return tmp_path


@pytest.fixture
def context(browser):
    """A browser's window without a network; afterwards nothing may have been asked for, and nothing have gone wrong."""
    with quiet_context(browser, allowed=("file:", "blob:")) as context:
        yield context


def opened(context, folder):
    return browsing.opened(context, folder / "anna.html")


def count(page):
    return page.locator("#count").inner_text()


def fill(page, items, choice=lambda name, number: 0):
    """Answer so many items from the one that is shown, by the mouse; `choice` says which answer is clicked."""
    for number in range(items):
        for name in annotation.QUESTIONS:
            page.locator(f"input[name={name}]").nth(choice(name, number)).check()
        page.get_by_role("button", name="Next", exact=True).click()


def saved(page):
    """Click on "Save as CSV"; return the downloaded file's name and text."""
    return browsing.saved(page, page.get_by_role("button", name="Save as CSV"))


def load(page, name, text):
    page.set_input_files("#load", {"name": name, "mimeType": "text/csv", "buffer": text.encode()})


def test_what_is_entered_is_kept_saved_and_read_by_the_library(context, folder):
    page = opened(context, folder)
    fill(page, 4, lambda name, number: number % 2 if name == "more_critical" else 0)
    page.reload()
    assert count(page) == f"Item 5 of {ITEMS}, answered: 4"
    page.close()
    page = opened(context, folder)  # closed and opened again
    fill(page, 2, lambda name, number: 1)
    assert count(page) == f"Item {ITEMS} of {ITEMS}, answered: {ITEMS}"
    name, text = saved(page)
    assert name == "anna.csv"
    (folder / name).write_bytes(text.encode())
    answers = building.read_sheets(folder)
    assert len(answers) == ITEMS * len(annotation.QUESTIONS) and answers["answer"].notna().all()
    fits = answers[answers["standard"] == "Coherence"]["answer"]
    assert (fits == 1).sum() == 4 * 2 and (fits == 0).sum() == 2 * 2


def test_a_saved_file_is_gone_on_with_and_a_foreign_one_refused(context, browser, folder):
    page = opened(context, folder)
    fill(page, 2)
    _, text = saved(page)
    other = browser.new_context(offline=True)  # as on another machine: nothing is remembered there
    page = opened(other, folder)
    assert count(page) == f"Item 1 of {ITEMS}, answered: 0"
    for cut in ",;":
        load(page, "a.csv", text.replace(",", cut))
        page.get_by_text("Read a.csv.").wait_for()
        assert count(page) == f"Item 1 of {ITEMS}, answered: 2" and saved(page)[1] == text
    load(page, "b.csv", text.replace(text.split("\r\n")[1].split(",")[0], "0000"))
    page.get_by_text("Not read: item 0000 is not in this sheet.").wait_for()
    assert count(page) == f"Item 1 of {ITEMS}, answered: 2"
    other.close()


def test_markup_in_a_response_is_shown_as_text(context, folder):
    page = opened(context, folder)
    shown = []
    for _ in range(ITEMS):
        shown.append(page.locator("#response_a").text_content())
        page.get_by_role("button", name="Next", exact=True).click()
    assert ODD in shown and page.title() != "run" and page.locator("img").count() == 0


def test_next_unanswered_goes_to_the_first_gap(context, folder):
    page = opened(context, folder)
    fill(page, 2)
    page.get_by_role("button", name="Next", exact=True).click()
    page.get_by_role("button", name="Next unanswered").click()
    assert count(page) == f"Item 3 of {ITEMS}, answered: 2"


def test_the_page_says_so_when_the_browser_keeps_nothing(context, folder):
    context.add_init_script("Object.defineProperty(window, 'localStorage', {get() { throw new Error('refused'); }});")
    page = opened(context, folder)
    assert "save it as CSV" in page.locator("#note").inner_text()
    fill(page, ITEMS)
    assert saved(page)[1].count("yes") == ITEMS * 4


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(context, folder, width):
    page = opened(context, folder)
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
