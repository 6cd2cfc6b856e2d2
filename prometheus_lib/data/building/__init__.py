"""Building the two training collections: from graded responses to pairs with verbal feedback (paper, section 3.3)."""

from .annotation import annotation_items, annotation_table, read_sheets, write_sheets
from .checking import check_feedback, check_table
from .files import Card, Statistics, build_pairs, push, scale_card, write_collection
from .graded import ORIG_COLUMNS, Columns, Range, direct_rows, graded_items, graded_rows, read_graded
from .leakage import overlap_table, row_texts, split_by_instruction, split_by_row, split_table
from .loading import HUB, HubSource, load_collection, read_rows, stream_collection
from .pairing import MOST, PAIR_COLUMNS, PairCounts, pair_id, pair_up
from .schema import Rejects, problem
from .told import WrongDecisions, miniature_conclusion, told_rows
from .vicuna import vicuna_rows

__all__ = [
    "vicuna_rows",
    "scale_card",
    "told_rows",
    "WrongDecisions",
    "miniature_conclusion",
    "annotation_items",
    "annotation_table",
    "read_sheets",
    "write_sheets",
    "pair_id",
    "overlap_table",
    "row_texts",
    "split_by_instruction",
    "split_by_row",
    "split_table",
    "check_feedback",
    "check_table",
    "Card",
    "Statistics",
    "build_pairs",
    "push",
    "write_collection",
    "Columns",
    "HUB",
    "HubSource",
    "MOST",
    "ORIG_COLUMNS",
    "PAIR_COLUMNS",
    "PairCounts",
    "Range",
    "Rejects",
    "direct_rows",
    "graded_items",
    "graded_rows",
    "load_collection",
    "pair_up",
    "problem",
    "read_graded",
    "read_rows",
    "stream_collection",
]
