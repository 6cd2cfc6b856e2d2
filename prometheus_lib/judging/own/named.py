"""A judge by one word: the miniature's, a model's folder or hub id, a judge of the paper, or a model behind an API."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ... import artifacts
from ...records import DataError, DirectItem, PairItem
from ..engines import APIJudge, TransformersJudge, TrivialJudge, VLLMJudge
from ..engines.api_settings import SERVERS, APISettings, load_settings
from ..engines.trivial import TRIVIAL
from ..engines.vllm_judge import has_vllm
from ..families import FAMILIES, judge_for
from ..judge import Judge
from ..tasks import Decoding

MINIATURE, SMOLLM2 = "miniature", "smollm2"
TOY = "a toy: it has only ever read the miniature world of this project"
MINIATURE_DECODING = Decoding(max_new_tokens=64)  # as the miniature's judges are asked in the notebooks
SHIPPED = Path(__file__).with_name("miniature_judge")  # made by `shipped`, and its card
RUNS = ("my-outputs", "outputs")
MERGED = ("linear", "task-arithmetic-default", "dare-linear")  # which of a run's merged judges is taken
SMOLLM2_SCALES = ("small", "bridge")
HOSTED = {r"(gpt-|chatgpt-)": "openai", r"o\d": "openai-reasoning", r"claude-": "anthropic"}
AT_HOME = r"\S+@https?://\S+"  # model@address: any server that speaks OpenAI's protocol
JUDGED = ("instruction", "response", "response_a", "response_b")
TOY_PIECES = 5_000  # a tokenizer with fewer pieces was made for the miniature world
TOKENS_PER_WORD = 2.0  # from here on a toy's tokenizer is spelling words that it does not know


@dataclass(frozen=True)
class Named:
    """A judge that is ready to be asked, how it decodes, and what must be said wherever it is named.

    >>> find_judge("random").label
    'random'
    """

    judge: Judge
    decoding: Decoding
    toy: str = ""

    @property
    def label(self) -> str:
        """Return the judge's name, with the word that it is a toy where it is one."""
        return f"{self.judge.name} (toy)" if self.toy else self.judge.name


def find_judge(name: Any, batch_size: int = 32) -> Named:
    """Return the judge that a word names, ready to be asked.

    - a `Judge`, as it is;
    - "miniature": the small judge of both formats that comes with the package, a toy, and says so (those of your own
      run of the notebooks are named by their folders);
    - "smollm2": the merged judge of your own run at the scale `small` or `bridge`;
    - a model's folder or hub id, such as "prometheus-eval/prometheus-7b-v2.0", run by vLLM where a GPU and vLLM are
      there, else by transformers; a name of `judging.FAMILIES`;
    - a model behind an API: "gpt-...", "o3", "claude-...", with the key in the environment; "model@http://address/v1"
      for any server that speaks OpenAI's protocol (key in OPENAI_API_KEY, if it wants one); or a JSON file of
      settings (see `judging.load_settings`);
    - "constant", "random", "longer": the trivial judges, as a floor.

    DataError says what else there is.

    >>> find_judge("a-model@http://localhost:8000/v1").judge.settings.base_url
    'http://localhost:8000/v1'
    """
    if isinstance(name, Judge):
        return Named(name, _decoding_of(name))
    if not isinstance(name, (str, os.PathLike)):
        raise DataError(f"judge {name!r}: give its name, a model's folder, or a Judge.")
    word = str(name).strip()
    if word.lower() == MINIATURE:
        return _local(MINIATURE, str(SHIPPED), batch_size, MINIATURE_DECODING, TOY)
    if word.lower() == SMOLLM2:
        return _local(SMOLLM2, _smollm2(), batch_size, Decoding())
    if word in TRIVIAL:
        return Named(TrivialJudge(word), Decoding())
    if settings := _api_settings(word):
        return _behind_api(settings)
    if family := next((f for f in FAMILIES.values() if word in (f.name, f.model)), None):
        engine = _local_engine().engine if family.engine == "vllm" else family.engine
        return Named(judge_for(family.name, engine=engine), family.decoding)
    folder = Path(word).expanduser()
    if folder.is_dir():
        artifacts.check_model_folder(folder)
        return _local(folder.resolve().name, str(folder), batch_size, Decoding())
    if re.fullmatch(r"[\w.-]+/[\w.-]+", word) and not folder.parent.is_dir():
        return _local(word.rpartition("/")[2], word, batch_size, Decoding())
    raise DataError(
        f"judge {word!r}: no such name, folder or file. There are {MINIATURE}, {SMOLLM2}, a model's folder or hub id "
        f"(owner/name), {', '.join(FAMILIES)}, a model behind an API (gpt-..., claude-..., model@http://address/v1, or "
        f"a JSON file of settings), and the trivial {', '.join(TRIVIAL)}."
    )


def _decoding_of(judge: Judge) -> Decoding:
    return judge.settings.adapted(Decoding()) if isinstance(judge, APIJudge) else Decoding()


def _local_engine() -> type[TransformersJudge] | type[VLLMJudge]:
    import torch

    found = torch.cuda.is_available() and has_vllm()
    return VLLMJudge if found else TransformersJudge


def _local(name: str, source: str, batch_size: int, decoding: Decoding, toy: str = "") -> Named:
    judge = _local_engine().start(name, source, batch_size)
    if not toy and len(getattr(judge, "tokenizer", None) or range(TOY_PIECES)) < TOY_PIECES:
        return Named(judge, MINIATURE_DECODING, TOY)  # a judge of the miniature, given by its folder
    return Named(judge, decoding, toy)


def _merged_judge(scales: Iterable[str]) -> str | None:
    places = (artifacts.project_folder() / run / s / "merged" / m for s in scales for run in RUNS for m in MERGED)
    return next((str(folder) for folder in places if any(folder.glob("*.safetensors"))), None)


def _smollm2() -> str:
    if folder := _merged_judge(SMOLLM2_SCALES):
        return folder
    raise DataError(
        f"judge {SMOLLM2!r}: no merged judge of it lies here. Train one with `python -m prometheus_lib run --scale "
        f"{SMOLLM2_SCALES[0]}`, or give the folder or hub id of another judge."
    )


def _api_settings(word: str) -> APISettings | None:
    if word.endswith(".json") and Path(word).expanduser().is_file():
        return load_settings(Path(word).expanduser())
    if re.fullmatch(AT_HOME, word):
        model, _, address = word.partition("@")
        key = "OPENAI_API_KEY" if os.environ.get("OPENAI_API_KEY") else ""
        # What every such server takes; one request for each draw.
        plain = replace(SERVERS["openai"], token_limit="max_tokens", sends=("temperature", "top_p", "seed"))
        return replace(plain, model=model, base_url=address, key_variable=key)
    server = next((server for start, server in HOSTED.items() if re.match(start, word) and "/" not in word), None)
    return replace(SERVERS[server], model=word) if server and not Path(word).exists() else None


def _behind_api(settings: APISettings) -> Named:
    return Named(APIJudge(settings.model, settings), settings.adapted(Decoding()))


def warn_of_foreign(named: Named, items: Iterable[DirectItem | PairItem]) -> bool:
    """Warn once where a toy is asked about what is not of its world; return whether it is.

    A toy's tokenizer has about a thousand pieces: what it knows are one or two pieces a word, and everything else is
    spelt out.
    """
    tokenizer = getattr(named.judge, "tokenizer", None)
    if not named.toy or tokenizer is None:
        return False
    texts = [getattr(item, field, "") for item in items for field in JUDGED]
    tokens = sum(map(len, tokenizer(texts, add_special_tokens=False)["input_ids"])) if texts else 0
    pieces = tokens / max(1, sum(len(text.split()) for text in texts))
    if pieces < TOKENS_PER_WORD:
        return False
    warnings.warn(
        f"these items are not of the world of the judge {named.judge.name!r}, {named.toy}: its answers here have the "
        "form of judgments only, and mean nothing. A judge that fits: "
        "prometheus-eval/prometheus-7b-v2.0, or a model behind an API.",
        stacklevel=3,
    )
    return True
