"""Run notebooks cell by cell in this one process: `python rehearsing.py SCALE OUTPUTS DATA 00 01 ...`.

A kernel for each notebook, with its imports, would take longer than tiny models do. Each notebook has a namespace of
its own, and what a cell shows is rendered as a notebook would.
"""

from __future__ import annotations

import ast
import json
import sys
import time
import traceback

import matplotlib.pyplot as plt

from prometheus_lib.runner import notebooks


def show(value: object) -> None:
    """Render a cell's last value."""
    render = getattr(value, "_repr_html_", lambda: None)
    print(str(render() or repr(value))[:200])


def run(source: str, names: dict) -> None:
    """Execute a cell in a namespace."""
    *body, last = ast.parse(source).body or [ast.Pass()]
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    if isinstance(last, ast.Expr):
        show(eval(compile(ast.Expression(last.value), "cell", "eval"), names))
    else:
        exec(compile(ast.Module([last], []), "cell", "exec"), names)


def rehearse(file, parameters: dict[str, str]) -> str:
    """Run a notebook with its parameters set; return the cell that failed and why, "" for none."""
    names: dict = {"__name__": "__main__", "display": show}
    for place, cell in enumerate(json.loads(file.read_text(encoding="utf-8"))["cells"]):
        if cell["cell_type"] != "code":
            continue
        try:
            run("".join(cell["source"]), names)
        except Exception:
            return f"{file.stem}, cell {place}:\n{''.join(cell['source'])}\n{traceback.format_exc()}"
        names.update({} if "parameters" not in cell["metadata"].get("tags", []) else parameters)
        plt.close("all")
    return ""


def main(scale: str, outputs: str, data: str, *numbers: str) -> int:
    """Run the notebooks of these numbers in order; stop after the first that fails."""
    for file in notebooks.notebook_files():
        if file.stem[:2] in numbers:
            began = time.process_time()
            failed = rehearse(file, {"SCALE": scale, "OUTPUTS": outputs, "DATA_DIR": data})
            print(f"{file.stem}: {time.process_time() - began:.1f} s of CPU", file=sys.stderr)
            if failed:
                print(failed, file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
