"""Run every measurement of this folder and write my-outputs/perf.json."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from prometheus_lib.artifacts import project_folder
from prometheus_lib.records import write_text_atomic


def main() -> int:
    """Run the scripts one after the other; each prints a table and, as its last line, one JSON object."""
    results = []
    for script in sorted(Path(__file__).parent.glob("*.py")):
        if script.name != Path(__file__).name:
            print(f"== {script.name}", flush=True)
            done = subprocess.run([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, check=True)
            print(done.stdout)
            results.append(json.loads(done.stdout.strip().splitlines()[-1]))
    write_text_atomic(project_folder() / "my-outputs" / "perf.json", json.dumps(results, indent=1) + "\n")
    return 0 if all(result["ok"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
