"""Vocabularies are compared in whatever files they are saved."""

from __future__ import annotations

import json
import shutil
import warnings

import pytest
from sentencepiece import SentencePieceTrainer

from prometheus_lib.merging.vocabulary import check_vocabularies, split_otherwise, vocabulary
from prometheus_lib.records import DataError
from prometheus_lib.training import EMBEDDED_BASE

TOKENS = {"a": 0, "b": 1, "ab": 2}


@pytest.fixture
def pair(tmp_path):
    """Return a function that writes the same files into two folders, one of them changed, and returns the folders."""

    def write(files, changed=None):
        folders = [tmp_path / name for name in ("first", "second")]
        for folder, own in zip(folders, (files, {**files, **(changed or {})}), strict=True):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for name, content in own.items():
                data = (
                    content
                    if isinstance(content, bytes)
                    else (content if isinstance(content, str) else json.dumps(content)).encode()
                )
                (folder / name).write_bytes(data)
        return folders

    return write


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    """Two SentencePiece models of one size, trained on two texts."""
    root = tmp_path_factory.mktemp("pieces")
    for name, text in (("one", "the quick brown fox"), ("two", "some lazy dogs sleep")):
        (root / "text").write_text("".join(f"{text} {n}\n" for n in range(99)))
        SentencePieceTrainer.train(
            input=str(root / "text"), model_prefix=str(root / name), vocab_size=40, model_type="bpe", minloglevel=2
        )
    return [(root / f"{name}.model").read_bytes() for name in ("one", "two")]


def fast(vocab, added=()):
    return {"model": {"type": "BPE", "vocab": vocab, "merges": [["a", "b"]]}, "added_tokens": list(added)}


@pytest.mark.parametrize(
    ("files", "changed", "named"),
    [
        ({"vocab.json": TOKENS, "merges.txt": "a b"}, {"vocab.json": {"b": 0, "a": 1, "ab": 2}}, "'a', 'b'"),
        ({"vocab.json": TOKENS}, {"vocab.json": {**TOKENS, "more": 3}}, "'more'"),
        ({"vocab.json": TOKENS}, {"added_tokens.json": {"<end>": 3}}, "'<end>'"),
        (
            {"vocab.json": TOKENS},
            {"tokenizer_config.json": {"added_tokens_decoder": {"3": {"content": "<x>"}}}},
            "'<x>'",
        ),
        ({"vocab.txt": "a\nb\nab\n"}, {"vocab.txt": "b\na\nab\n"}, "'a', 'b'"),
        ({"tokenizer.json": fast(TOKENS)}, {"tokenizer.json": fast({"b": 0, "a": 1, "ab": 2})}, "'a', 'b'"),
        ({"tokenizer.model": b"tiktoken one"}, {"tokenizer.model": b"tiktoken two"}, "tokenizer.model"),
        ({"tekken.json": {"vocab": [1]}}, {"tekken.json": {"vocab": [2]}}, "tekken.json"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
)
def test_other_vocabularies_are_refused_in_any_form(pair, files, changed, named):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_vocabularies(*pair(files))
    first, second = pair(files, changed)
    for folders in ((first, second), (second, first)):
        with pytest.raises(DataError, match=f"the tokenizers differ.*{named}"):
            check_vocabularies(*folders)


def test_sentencepiece_models_are_read(pair, pieces):
    folders = pair({"tokenizer.model": pieces[0]})
    check_vocabularies(*folders)
    known = vocabulary(folders[0])
    assert len(known) == 40 and known["<unk>"] == 0
    with pytest.raises(DataError, match="the tokenizers differ"):
        check_vocabularies(*pair({"tokenizer.model": pieces[0]}, {"tokenizer.model": pieces[1]}))
    (folders[1] / "tokenizer.json").write_text(json.dumps(fast(known)))  # saved in another form
    check_vocabularies(*folders)


def test_one_vocabulary_in_two_forms_is_one(pair):
    folders = pair({"tokenizer.json": fast(TOKENS, [{"content": "<end>", "id": 3}]), "vocab.json": TOKENS})
    (folders[1] / "tokenizer.json").unlink()
    with pytest.raises(DataError, match="'<end>'"):
        check_vocabularies(*folders)
    (folders[1] / "tokenizer_config.json").write_text('{"added_tokens_decoder": {"3": {"content": "<end>"}}}')
    check_vocabularies(*folders)


def test_what_cannot_be_compared_is_said(pair):
    folders = pair({"tokenizer.json": fast(TOKENS)}, {"tokenizer.model": b"tiktoken"})
    (folders[1] / "tokenizer.json").unlink()
    with pytest.warns(UserWarning, match="whether their tokenizers are the same could not be told"):
        check_vocabularies(*folders)


@pytest.mark.parametrize("change", ["merges", "normalizer", "format only"])
def test_one_vocabulary_may_split_texts_otherwise(pair, change):
    names = ("tokenizer.json", "tokenizer_config.json", "config.json")
    files = {name: json.loads((EMBEDDED_BASE / name).read_text(encoding="utf-8")) for name in names}
    changed = json.loads(json.dumps(files["tokenizer.json"]))
    if change == "merges":
        changed["model"]["merges"].reverse()
    elif change == "normalizer":
        changed["normalizer"] = {"type": "Lowercase"}
    folders = pair(files, {"tokenizer.json": json.dumps(changed, indent=3)})
    check_vocabularies(*folders)
    assert (split_otherwise(*folders) is None) == (change == "format only")


def test_tokenizers_that_cannot_be_loaded_are_not_split(pair):
    assert split_otherwise(*pair({"tokenizer.json": fast(TOKENS)}, {"tokenizer.json": fast(TOKENS, [])})) is None
    assert split_otherwise(*pair({"vocab.txt": "a"}, {"vocab.txt": "b"})) is None
