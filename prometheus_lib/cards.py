"""Models as others take them: the card beside the weights, and one call that copies both to a folder or to the hub.

Experts and merged judges get their card when they are built. `push` adds what is known later: results with intervals,
and where the model is to be had.
"""

from __future__ import annotations

import contextlib
import csv
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from . import artifacts
from .records import DataError, write_text_atomic

CARD = "README.md"
PACKAGES = ("torch", "transformers", "trl", "peft", "mergekit")
KEPT_BACK = (artifacts.STAMP, *artifacts.JUNK)  # of no use elsewhere
RESULTS, USE = "Results", "How to use it"

Sections = Iterable[tuple[str, str]]


def model_card(name: str, summary: str, sections: Sections, base: str = "", licence: str = "") -> str:
    """Return a model card: front matter that the hub reads, a summary, sections, and how the model is used.

    `base` is the base model's name or folder, whose licence holds where none is given.

    >>> card = model_card("direct", "A judge.", [("Data", "- 4,000 rows")], licence="apache-2.0")
    >>> [line for line in card.splitlines() if line.startswith("#")]
    ['# direct', '## Data', '## How to use it']
    """
    front = {"license": licence or licence_of(base), "library_name": "transformers", "pipeline_tag": "text-generation"}
    named = artifacts.hub_name(base)
    if base and artifacts.may_be_on_hub(named) and not Path(named).exists():
        front["base_model"] = named
    lines = [f"{key}: {value}" for key, value in front.items()]
    text = "\n".join(["---", *lines, "tags: [llm-as-a-judge, prometheus-2]", "---", f"# {name}", "", summary, ""])
    for heading, body in [*sections, (USE, _use(name))]:
        text = with_section(text, heading, body)
    return text


def licence_of(base: str) -> str:
    """Return the licence that a base model's own card names; "other" where it names none.

    >>> licence_of("no/such/folder")
    'other'
    """
    file = Path(base) / CARD
    found = re.search(r"^license: *(\S+)$", file.read_text(encoding="utf-8"), re.MULTILINE) if file.is_file() else None
    return found[1] if found else "other"


def with_section(card: str, heading: str, body: str) -> str:
    r"""Return a card with a section of level two added, or put in the place of the one of that heading.

    >>> with_section("# m\n\n## A\n\nold\n\n## B\n\nkept\n", "A", "new")
    '# m\n\n## A\n\nnew\n\n## B\n\nkept\n'
    """
    section = f"## {heading}\n\n{body.strip()}\n"
    pattern = re.compile(rf"^## {re.escape(heading)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    if pattern.search(card):
        return pattern.sub(lambda found: section + ("\n" if found.end() < len(card) else ""), card)
    return f"{card.rstrip()}\n\n{section}"


def listed(values: Mapping[str, Any]) -> str:
    r"""Return values as a Markdown list.

    >>> listed({"seed": 42, "learning_rate": 1e-05})
    '- seed: 42\n- learning_rate: 1e-05'
    """
    return "\n".join(f"- {name}: {value}" for name, value in values.items())


def versions() -> dict[str, str]:
    """Return the versions of the packages that made a model, as far as they are installed.

    >>> "torch" in versions()
    True
    """
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _use(name: str) -> str:
    return (
        "Served with vLLM: `vllm serve " + name + "`. Or asked directly:\n\n```python\n"
        "from prometheus_lib import data, judging\n\n"
        'items = data.read_own_items("responses.csv")\n'
        f'judge = judging.TransformersJudge("mine", "{name}")\n'
        'tasks = judging.direct_tasks("mine", items, with_reference="available", draws=1)\n'
        "answers = judge.generate(tasks, judging.Decoding(), seed=1)\n```"
    )


# --- pushing ---------------------------------------------------------------------------------------------------------


def push(folder: str | Path, target: str | Path, results: str = "", private: bool = True) -> str:
    """Copy a model with its card to a folder, or to a repository of the hub ("owner/name"); return where it is.

    `results` (Markdown) becomes the card's section of that name. A target is a folder where its parent is one, else a
    repository. A folder appears whole or not at all, a repository gets one commit. DataError, with what to do, where
    the model is not whole, files of others would be lost, or the hub refuses.

    >>> push("my-outputs/mini/experts/direct", "owner/my-judge")  # doctest: +SKIP
    'https://huggingface.co/owner/my-judge'
    """
    source = artifacts.check_model_folder(folder)
    card = card_for(source, str(target), results)
    if artifacts.may_be_on_hub(target) and not Path(target).parent.is_dir():
        return _to_hub(source, str(target), card, private)
    place = Path(target).expanduser()
    stamp = artifacts.stamp_of({"model": source}, {"card": artifacts.text_hash(card)})
    artifacts.build_folder(place, stamp, lambda new: _copy(source, new, card), [source])
    return str(place)


def card_for(source: Path, target: str, results: str = "") -> str:
    """Return a model's card as it is pushed: with results, and with the name under which it is used."""
    file = source / CARD
    card = file.read_text(encoding="utf-8") if file.is_file() else model_card(source.name, "A judge model.", [])
    if results:
        card = with_section(card, RESULTS, results)
    return with_section(card, USE, _use(target))


def pushed_files(source: Path) -> list[Path]:
    """Return the files of a model folder that are of use elsewhere, its card left out."""
    found = (path for path in sorted(source.rglob("*")) if path.is_file())
    return [path for path in found if path.name != CARD and not set(path.relative_to(source).parts) & set(KEPT_BACK)]


def _copy(source: Path, folder: Path, card: str) -> None:
    for file in pushed_files(source):
        copied = folder / file.relative_to(source)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copied)
    write_text_atomic(folder / CARD, card)


def _to_hub(source: Path, target: str, card: str, private: bool) -> str:
    from huggingface_hub import CommitOperationAdd, HfApi

    files: Sequence[Path] = pushed_files(source)
    adds = [CommitOperationAdd(file.relative_to(source).as_posix(), file) for file in files]
    adds.append(CommitOperationAdd(CARD, card.encode()))
    try:
        api = HfApi()
        api.create_repo(target, private=private, exist_ok=True)
        api.create_commit(target, adds, commit_message="A judge with its card")
    except Exception as error:  # the hub client raises many unrelated types
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{target}: the hub did not take the model ({first}); log in with a token that may write "
            "(`hf auth login`), check the name and the network, or give a folder, as ./folder."
        ) from error
    return f"{api.endpoint}/{target}"


def judge_results(tables: Path, judge: str) -> str:
    """Return what Tables 3 and 4 of a run hold about a judge, with 95 % intervals, as Markdown; "" where it is in none.

    >>> judge_results(artifacts.project_folder() / "outputs" / "mini" / "tables", "linear").splitlines()[0]
    '| benchmark | value | 95 % interval | n | unparsed |'
    """
    lines = []
    for file in (tables / name for name in ("table_03.csv", "table_04.csv")):
        if file.is_file():
            with open(file, encoding="utf-8", newline="") as stream:
                rows = [row for row in csv.DictReader(stream) if row["row"] == judge and row["low"]]
            lines += [
                f"| {row['column'].replace('|', ':')} | {row['value']} | {row['low']} to {row['high']} | {row['n']} | "
                f"{row['unparsed']} |"
                for row in rows
            ]
    head = ["| benchmark | value | 95 % interval | n | unparsed |", "|---|---|---|---|---|"]
    return "\n".join([*head, *lines]) if lines else ""
