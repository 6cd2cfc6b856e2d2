"""The notebooks in JupyterLab as a reader has them: copies to work in, opened in a real browser, and run."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

from prometheus_lib.artifacts import project_folder
from prometheus_lib.data import DATA_VARIABLE
from prometheus_lib.runner import lab
from prometheus_lib.runner.kernel import OwnKernelManager

QUICK = "01_feedback_collection.ipynb"
BAR = """from prometheus_lib import parallel
for _ in parallel.progress(range(3), "three steps"):
    pass"""
SCREENSHOTS = project_folder() / "my-outputs" / "screenshots"
SHOWN = "window.jupyterapp?.shell?.currentWidget"
SECONDS = 300_000  # milliseconds, as Playwright counts


# --- copies ----------------------------------------------------------------------------------------------------------


def notebook(*sources, outputs=()):
    cells = [nbformat.v4.new_code_cell(source, outputs=list(outputs)) for source in sources]
    return nbformat.v4.new_notebook(
        cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    )


def test_a_copy_follows_the_project_until_its_cells_are_changed(tmp_path):
    ours, file = tmp_path / "ours", "03_train.ipynb"
    ours.mkdir()
    nbformat.write(notebook("1 + 1"), ours / file)
    assert lab.working_copies(tmp_path / "copies", ours) == (tmp_path / "copies", [])
    copy = tmp_path / "copies" / file
    shown = [nbformat.v4.new_output("stream", text="2")]
    nbformat.write(notebook("1 + 1", outputs=shown), copy)
    lab.working_copies(tmp_path / "copies", ours)
    assert nbformat.read(copy, 4).cells[0].outputs  # run, and left as it is
    nbformat.write(notebook("2 + 2"), ours / file)
    lab.working_copies(tmp_path / "copies", ours)
    assert nbformat.read(copy, 4).cells[0].source == "2 + 2"
    nbformat.write(notebook("my own"), copy)
    assert lab.working_copies(tmp_path / "copies", ours)[1] == []  # the project's is the one it was taken from
    nbformat.write(notebook("3 + 3"), ours / file)
    assert lab.working_copies(tmp_path / "copies", ours)[1] == [file]
    assert nbformat.read(copy, 4).cells[0].source == "my own"


def test_a_kernel_starts_without_a_warning(tmp_path):
    async def start_and_stop(log):
        manager = OwnKernelManager()
        await manager.start_kernel(stderr=log)
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=120)
        client.stop_channels()
        await manager.shutdown_kernel()

    with open(tmp_path / "log", "w+") as log:
        asyncio.run(start_and_stop(log))
        log.seek(0)
        assert "WARNING" not in log.read()


# --- in the browser --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory):
    """JupyterLab with copies at scale smoke, and with a notebook that shows a bar: its address and its folder."""
    folder = tmp_path_factory.mktemp("lab")
    copies, _ = lab.working_copies(folder / "copies")
    text = (copies / QUICK).read_text(encoding="utf-8")
    outputs = json.dumps(json.dumps(str(folder / "outputs")))[1:-1]
    text = text.replace('SCALE = \\"mini\\"', 'SCALE = \\"smoke\\"').replace('OUTPUTS = \\"\\"', f"OUTPUTS = {outputs}")
    (copies / QUICK).write_text(text, encoding="utf-8")
    nbformat.write(notebook(BAR), copies / "bar.ipynb")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--no-browser", f"--port={port}", "--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True"]
    places = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTERLAB_WORKSPACES_DIR", "JUPYTERLAB_SETTINGS_DIR")
    own = {name: str(folder / name.lower()) for name in places}
    environment = {name: value for name, value in os.environ.items() if name != DATA_VARIABLE} | own
    with open(folder / "log.txt", "wb") as log:
        server = subprocess.Popen(lab.lab_command(copies, options), stdout=log, stderr=log, env=environment)
    try:
        wait_until_up(server, f"http://127.0.0.1:{port}/api", folder / "log.txt")
        yield f"http://127.0.0.1:{port}", copies
    finally:
        server.terminate()
        server.wait(60)


def wait_until_up(server, url, log):
    end = time.monotonic() + 180
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.3)
    pytest.fail(f"JupyterLab did not come up:\n{log.read_text(errors='replace')[-3000:]}")


@pytest.fixture
def run_all(jupyter, browser):
    """Open a notebook, run all of its cells, save it; return the page and what was saved."""
    address, copies = jupyter
    context = browser.new_context(viewport={"width": 1280, "height": 1400})

    def run(name):
        page = context.new_page()
        page.set_default_timeout(SECONDS)
        page.goto(f"{address}/lab/workspaces/{Path(name).stem}/tree/{name}")
        page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        page.wait_for_function(f"{SHOWN}?.context?.path === '{name}'")
        page.wait_for_function(f"{SHOWN}?.sessionContext?.session?.kernel?.status === 'idle'")  # no dialog asks for it
        page.evaluate("""async () => {
            const { commands } = window.jupyterapp;
            await commands.execute("notebook:run-all-cells");
            await commands.execute("docmanager:save");
        }""")
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{Path(name).stem}.png")
        return page, nbformat.read(copies / name, 4)

    yield run
    context.close()


def outputs_of(found):
    return [output for cell in found.cells if cell.cell_type == "code" for output in cell.outputs]


def check_quiet(found):
    """Every cell has run; nothing was printed as an error or in a red box."""
    assert all(cell.execution_count for cell in found.cells if cell.cell_type == "code" and cell.source)
    wrong = [o for o in outputs_of(found) if o.output_type == "error" or o.get("name") == "stderr"]
    assert not wrong, wrong


def test_a_notebook_runs_from_top_to_bottom_and_shows_its_figures(run_all):
    page, found = run_all(QUICK)
    check_quiet(found)
    pictures = [output for output in outputs_of(found) if "image/png" in output.get("data", {})]
    assert len(pictures) >= 2
    number = next(n for n, cell in enumerate(found.cells) if pictures[0] in cell.get("outputs", []))
    page.evaluate(
        """(number) => {
            const { content } = window.jupyterapp.shell.currentWidget;
            content.activeCellIndex = number;
            return content.scrollToItem(number, "center");
        }""",
        number,
    )
    picture = page.locator(".jp-OutputArea-output img").first
    picture.wait_for(state="visible")
    assert picture.evaluate("image => image.naturalWidth") > 200
    page.screenshot(path=SCREENSHOTS / f"{Path(QUICK).stem}-figure.png")


def test_a_bar_is_a_bar_and_no_error(run_all):
    page, found = run_all("bar.ipynb")
    check_quiet(found)
    assert any("application/vnd.jupyter.widget-view+json" in output.get("data", {}) for output in outputs_of(found))
    page.locator(".jp-OutputArea .widget-hprogress, .jp-OutputArea [role=progressbar]").first.wait_for()
    assert "3/3" in page.locator(".jp-OutputArea").first.inner_text()
    page.screenshot(path=SCREENSHOTS / "bar.png")


def test_the_kernel_is_this_python_alone(jupyter):
    address, _ = jupyter
    with urllib.request.urlopen(f"{address}/api/kernelspecs", timeout=30) as answer:
        assert set(json.loads(answer.read())["kernelspecs"]) == {"python3"}
