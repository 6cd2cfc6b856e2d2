"""Whether two models mean the same tokens by their embeddings, whatever files their tokenizers are saved in.

The fast tokenizer's one file (`tokenizer.json`), GPT-2's two (`vocab.json`, `merges.txt`), BERT's list (`vocab.txt`)
and SentencePiece's model are read; others (tiktoken's) are compared byte for byte.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import artifacts
from ..records import DataError, few

Numbers = dict[str, int]
TOKENIZER = "tokenizer.json"
PROBES = (
    "The response states all details, so the overall score is 5.", "  2 + 2 = 4\n\n\tif x >= 10: return [1, 20, 300]",
    "###Feedback: naïve café, 10:30 o'clock [RESULT] B", "UPPER lower CamelCase don't e-mail https://a.org 你好 🙂",
)  # fmt: skip


def check_vocabularies(first: Path, second: Path) -> None:
    """Raise DataError when two model folders number their tokens differently; warn where that cannot be told.

    >>> from prometheus_lib.training import EMBEDDED_BASE
    >>> check_vocabularies(EMBEDDED_BASE, EMBEDDED_BASE)
    """
    ours, theirs = vocabulary(first), vocabulary(second)
    if ours is None or theirs is None:
        _compare_files(first, second)
        return
    if different := sorted(set(ours.items()) ^ set(theirs.items()), key=lambda entry: (entry[1], entry[0])):
        tokens = few(list(dict.fromkeys(repr(token) for token, _ in different)), 3)
        raise DataError(
            f"{first} ({len(ours)} tokens) and {second} ({len(theirs)} tokens): the tokenizers differ, for example at "
            f"{tokens}; rows of the embeddings would mean different tokens. Merge experts of one base model."
        )


def vocabulary(folder: Path) -> Numbers | None:
    """Return the number of each token; None where the tokenizer's files are of a kind that is not read here.

    >>> from prometheus_lib.training import EMBEDDED_BASE
    >>> vocabulary(EMBEDDED_BASE)["</s>"]
    2
    """
    if (file := folder / TOKENIZER).is_file():
        return _from_tokenizer(artifacts.read_json(file))
    if (file := folder / "vocab.json").is_file():
        return artifacts.read_json(file) | _added(folder)
    if (file := folder / "vocab.txt").is_file():
        tokens = file.read_text(encoding="utf-8").splitlines()
        return {token: number for number, token in enumerate(tokens)} | _added(folder)
    pieces = next(filter(None, map(_pieces, sorted(folder.glob("*.model")))), None)
    return pieces and {piece: number for number, piece in enumerate(pieces)} | _added(folder)


def _from_tokenizer(tokenizer: dict[str, Any]) -> Numbers:
    known = tokenizer["model"].get("vocab", {})
    numbers = known if isinstance(known, dict) else {token: number for number, (token, _) in enumerate(known)}
    return {**numbers, **{added["content"]: added["id"] for added in tokenizer.get("added_tokens", [])}}


def _added(folder: Path) -> Numbers:
    """Return the tokens that stand beside a vocabulary's own files."""
    found: Numbers = {}
    if (file := folder / "tokenizer_config.json").is_file():
        decoder = artifacts.read_json(file).get("added_tokens_decoder", {})
        found |= {token["content"]: int(number) for number, token in decoder.items()}
    if (file := folder / "added_tokens.json").is_file():
        found |= artifacts.read_json(file)
    return found


def _pieces(file: Path) -> Sequence[str] | None:
    """Return the pieces of a SentencePiece model in their order; None for any other file."""
    from sentencepiece import SentencePieceProcessor

    try:
        model = SentencePieceProcessor(model_file=str(file))
    except (RuntimeError, OSError):
        return None
    return [model.id_to_piece(number) for number in range(model.get_piece_size())]


def _compare_files(first: Path, second: Path) -> None:
    """Compare tokenizers that cannot be read: equal where all their files are, different where one file is."""
    names = [artifacts.vocabulary_files(folder) for folder in (first, second)]
    both = sorted(set(names[0]) & set(names[1]))
    odd = [n for n in both if artifacts.file_hash(first / n) != artifacts.file_hash(second / n)]
    if odd:
        raise DataError(f"{first} and {second}: the tokenizers differ, in {few(odd)}; merge experts of one base model.")
    if not both:
        warnings.warn(
            f"{first} and {second}: whether their tokenizers are the same could not be told ({few(names[0]) or 'none'} "
            f"beside {few(names[1]) or 'none'}); save both in the same form (tokenizer.json).",
            stacklevel=5,
        )


def split_otherwise(first: Path, second: Path) -> str | None:
    """Return a text that two tokenizers of one vocabulary split differently (by other merges, other spaces), or None.

    None, too, where transformers cannot load one of them.

    >>> from prometheus_lib.training import EMBEDDED_BASE
    >>> split_otherwise(EMBEDDED_BASE, EMBEDDED_BASE)
    """
    from transformers import AutoTokenizer

    files = [folder / TOKENIZER for folder in (first, second)]
    if all(file.is_file() for file in files) and len({artifacts.file_hash(file) for file in files}) == 1:
        return None
    try:
        pair = [AutoTokenizer.from_pretrained(folder, local_files_only=True) for folder in (first, second)]
        rows = zip(PROBES, *(each(list(PROBES), add_special_tokens=False)["input_ids"] for each in pair))
    except Exception:  # somebody's own tokenizer, or one of another version: its vocabulary was compared
        return None
    return next((text for text, ours, theirs in rows if ours != theirs), None)
