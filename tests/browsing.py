"""What is asked of every page in a real browser: nothing goes wrong, and nothing is fetched from anywhere."""

from __future__ import annotations

import contextlib

WIDTHS = {"phone": 360, "desktop": 1280}


@contextlib.contextmanager
def quiet_context(browser, allowed=("file:", "blob:", "data:"), **options):
    """A browser's window without a network; afterwards nothing may have been asked for, and nothing have gone wrong."""
    context = browser.new_context(offline=True, **options)
    asked, wrong = [], []
    context.on("request", lambda request: asked.append(request.url))
    context.on("weberror", lambda error: wrong.append(str(error.error)))
    context.on("console", lambda line: wrong.append(line.text) if line.type in ("error", "warning") else None)
    yield context
    context.close()
    assert not wrong
    assert not [url for url in asked if not url.startswith(allowed)]


def opened(context, file, width=WIDTHS["desktop"]):
    page = context.new_page()
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(file.as_uri())
    return page


def fits(page):
    """Nothing is wider than the window, with everything that is folded open, too."""
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def saved(page, button):
    """Click on a button that saves a file; return its name and text."""
    with page.expect_download() as download:
        button.click()
    return download.value.suggested_filename, download.value.path().read_bytes().decode()


def column(page, table, place):
    """The texts of the rows that are shown, in one column, as they stand."""
    rows = f"#{table} > tbody > tr:not([hidden])"
    return page.eval_on_selector_all(rows, f"rows => rows.map(row => row.cells[{place}].textContent)")


def serious_violations(page):
    """What axe finds of impact serious or critical, one line for each rule and place."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    wrong = [each for each in found if each["impact"] in ("serious", "critical")]
    return [f"{each['id']}: {node['html'][:200]}" for each in wrong for node in each["nodes"]]
