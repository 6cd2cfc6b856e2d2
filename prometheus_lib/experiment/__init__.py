"""Designed experiments in the miniature world: when does merging help?

| module | what |
|---|---|
| `design` | the file that says what is varied, compared and expected; its cells |
| `world` | training data, test items and base model of a cell |
| `cells`, `running` | one cell with one seed; all that are not there yet |
| `results`, `analysis` | what is there, differences over seeds, verdicts on the hypotheses |
| `figure` | the map |
"""

from .analysis import changes, difference, differences, helps, told, verdicts
from .cells import CellJob, run_cell
from .design import Design, Settings, read_design
from .figure import ablation_figure, formats_figure, map_figure
from .results import (
    arm_table,
    coverage,
    grid_table,
    known_results,
    missing,
    outcome_table,
    read_results,
    result_folders,
)
from .running import estimate, jobs_of, run_design, waiting

__all__ = [
    "CellJob",
    "Design",
    "Settings",
    "ablation_figure",
    "arm_table",
    "changes",
    "coverage",
    "difference",
    "differences",
    "estimate",
    "formats_figure",
    "grid_table",
    "helps",
    "jobs_of",
    "known_results",
    "map_figure",
    "missing",
    "outcome_table",
    "read_design",
    "read_results",
    "result_folders",
    "run_cell",
    "run_design",
    "told",
    "verdicts",
    "waiting",
]
