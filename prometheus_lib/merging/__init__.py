"""Merging experts into one judge (paper, sections 3.4 and 6)."""

from .adapters import merge_adapters
from .catalogue import ALPHAS, alpha_judge, further_merges, grid, of_run, paper_merges
from .checks import check_mergeable
from .spec import DARE, EXPERTS, METHODS, NEEDS_BASE, PAPER_LAMBDA, PAPER_P, SPARSE, VARIANTS, Merge
from .writer import (
    COMPANIONS,
    CONFIG,
    DTYPES,
    ENGINES,
    local_folder,
    merge_experts,
    merge_folders,
    merge_stamp,
    mergekit_config,
    model_card,
)

__all__ = [
    "DARE",
    "EXPERTS",
    "METHODS",
    "NEEDS_BASE",
    "PAPER_LAMBDA",
    "PAPER_P",
    "SPARSE",
    "VARIANTS",
    "Merge",
    "COMPANIONS",
    "CONFIG",
    "DTYPES",
    "ENGINES",
    "local_folder",
    "merge_experts",
    "merge_folders",
    "merge_stamp",
    "mergekit_config",
    "model_card",
    "ALPHAS",
    "alpha_judge",
    "grid",
    "of_run",
    "paper_merges",
    "further_merges",
    "merge_adapters",
    "check_mergeable",
]
