"""What the project's notebooks need from earlier ones, asked before a run begins: its error names the notebook."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..artifacts import project_folder
from ..records import MissingFile
from .notebooks import READERS

FEEDBACK, PREFERENCE = "data/feedback_collection.jsonl", "data/preference_collection.jsonl"
WRITERS = {FEEDBACK: "01", PREFERENCE: "02", "experts": "03", "merged": "04", "judgments": "05"}
NEEDS = {
    "02": (FEEDBACK,),
    "03": (FEEDBACK, PREFERENCE),
    "04": ("experts",),
    "05": ("experts", "merged"),
    **dict.fromkeys(READERS, ("judgments",)),
}


def check_needs(chosen: Sequence[Path], root: Path, scale: str) -> None:
    """Raise MissingFile where one of the project's notebooks needs what is not there and will not be written before.

    >>> check_needs([project_folder() / "notebooks" / "03_train_experts.ipynb"], Path("my"), "mini")
    Traceback (most recent call last):
        ...
    prometheus_lib.records.MissingFile: 03_train_experts needs my/data/feedback_collection.jsonl, which notebook 01 \
writes; run: python -m prometheus_lib run --scale mini --from 01
    """
    numbers = {notebook.stem[:2] for notebook in chosen}
    for notebook in chosen:
        missing = [need for need in missing_for(notebook.stem[:2], root) if WRITERS[need] not in numbers]
        if missing and notebook.parent == project_folder() / "notebooks":
            raise MissingFile(
                f"{notebook.stem} needs {root / missing[0]}, which notebook {WRITERS[missing[0]]} writes; "
                f"run: python -m prometheus_lib run --scale {scale} --from {first_needed(notebook.stem[:2], root)}"
            )


def missing_for(number: str, root: Path) -> list[str]:
    """Return what a notebook needs and what is not in a run's folder.

    >>> missing_for("05", Path("no such run"))
    ['experts', 'merged']
    """
    return [need for need in NEEDS.get(number, ()) if not (root / need).exists()]


def first_needed(number: str, root: Path) -> str:
    """Return the first notebook that has to run so that this one can: itself where nothing is missing.

    >>> first_needed("05", Path("no such run")), first_needed("01", Path("no such run"))
    ('01', '01')
    """
    return min((first_needed(WRITERS[need], root) for need in missing_for(number, root)), default=number)
