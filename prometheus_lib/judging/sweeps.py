"""Judging many merges with one engine: its weights change in place, and no checkpoint is written (section 6.3).

The usual way to study merging writes a model folder and starts an engine for every point of a sweep. Here the experts'
files stay memory-mapped, each merge is computed from them in float32 and written over the weights of a live judge.
After every change the judge must give the log-probabilities of a model that is loaded afresh with the same merge, so
that a tensor that was not replaced, or an old prefix cache, cannot pass for a result.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import artifacts, merging
from ..merging.checks import check_mergeable
from ..merging.layout import read_layout
from ..merging.spec import Merge
from ..parallel import Report, silent
from ..records import DataError
from .answers import Completion
from .collecting import collect
from .formats import number_format
from .jobs import JudgingJob, is_complete, start_judge
from .judge import Found, Judge
from .store import JudgmentStore
from .tasks import Decoding, Task, note_asked

if TYPE_CHECKING:
    from torch import Tensor

    Logprobs = list[dict[int, float]]  # for each probe the most likely next tokens

PROBES = (
    "Feedback: the answer is right. [RESULT]", "Response A is better than Response B because",
    "###Task Description:\n1. Write a detailed feedback", "Score 5: the response states all details",
)  # fmt: skip
PROBE_TOKENS, TOP = 5, 20
# Largest difference of a log-probability between the judge and a fresh model (other kernels, other rounding).
TOLERANCE = {"float32": 2e-3, "bfloat16": 0.5, "float16": 0.1}
RULES = 1  # part of every fingerprint: raise it when merging.methods computes other weights from the same settings
MIXTURE = ("num_local_experts", "num_experts", "n_routed_experts")


# --- the experts' weights --------------------------------------------------------------------------------------------


class Weights(Mapping):
    """A model folder's tensors by name, read from memory-mapped files when they are asked for."""

    def __init__(self, folder: str | Path):
        from safetensors import safe_open

        layout = read_layout(folder)
        files = {file: safe_open(file, framework="pt") for file in {stored.file for stored in layout.values()}}
        self._files = {name: files[stored.file] for name, stored in layout.items()}

    def __getitem__(self, name: str) -> Tensor:
        return self._files[name].get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def check_dense(folder: str | Path) -> None:
    """Raise DataError for a mixture of experts: engines store its weights in another form than its files."""
    config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    if any(config.get(name) for name in MIXTURE):
        raise DataError(
            f"{folder}: the weights of a mixture of experts cannot be changed in place (vLLM takes them without a "
            "word and answers wrongly); merge to a folder and judge that, or merge LoRA adapters (merge_adapters)."
        )


# --- one judge, many merges ------------------------------------------------------------------------------------------


class Sweep:
    """One engine that becomes one merge after the other.

    `base` is the base model's folder, `experts` the folder that holds the experts, and `load` starts a judge from a
    model folder (default: transformers in this process); `bf16` says that it runs in bfloat16. One engine serves all
    experts of one shape, and is closed at the end of a `with` block.

    >>> from prometheus_lib import judging, merging
    >>> with judging.Sweep("path/to/base", "path/to/experts") as sweep:  # doctest: +SKIP
    ...     for merge in merging.grid(["linear"], alphas=(0.3, 0.5, 0.7)):
    ...         store = judging.JudgmentStore(f"judgments/{merge.name}.jsonl")
    ...         judging.collect(sweep.set(merge), tasks, store, judging.Decoding())
    """

    def __init__(
        self, base: str | Path, experts: str | Path, load: Callable[[str], Judge] | None = None, bf16: bool = False
    ):
        self.base, self.experts, self.bf16 = Path(base), Path(experts), bf16
        self._load = load or _transformers
        self._live: _Live | None = None
        self._turn: SweptJudge | None = None
        self._weights: dict[tuple, tuple] = {}
        self._fingerprints: dict[Path, str] = {}

    def fingerprint(self, merge: Merge) -> str:
        """Identify a merge without computing it: the fingerprints of its inputs and its settings, not its name."""
        settings = {name: value for name, value in merge.settings().items() if name not in ("name", "first", "second")}
        inputs = [self._fingerprint(folder) for folder in self._folders(merge) if folder]
        sixteen = self.bf16 and number_format(True)  # results of bfloat16 stand under a plain True
        told = sixteen if sixteen == "float16" else self.bf16
        return artifacts.text_hash("merged in place", RULES, inputs, settings, told)

    def __enter__(self) -> Sweep:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def set(self, merge: Merge) -> SweptJudge:
        """Make the engine this merge, check that it is, and return the judge that it is until the next one is set.

        Raises DataError when it is not, and for experts that cannot be merged in place; then there is no judge.
        """
        fingerprint = self.fingerprint(merge)
        self._parents(merge)  # complains before an engine is started
        if self._live is None:
            self._live = self._start(merge)
        self._turn = None  # until the change is known to be whole
        try:
            weights = self._merged(merge, self._live.dtype)
            self._live.write(weights)
            expected = self._live.expected(weights, PROBES)
            _check(merge, self._live.logprobs(PROBES), expected, self._live.dtype)
        except BaseException:
            self.close()
            raise
        self._turn = SweptJudge(self, self._live.judge, merge.name, fingerprint)
        return self._turn

    def holds(self, turn: SweptJudge) -> bool:
        """Tell whether the engine still is what it was when this judge was handed out."""
        return self._turn is turn

    def close(self) -> None:
        """Give back what the engine holds (a vLLM engine keeps its memory until it is closed)."""
        live, self._live, self._turn = self._live, None, None
        if live is not None:
            live.judge.close()

    def _folders(self, merge: Merge) -> tuple[Path | None, Path, Path]:
        """Return the folders of base (None where the method needs none), first and second."""
        base = self.base if merge.method in merging.NEEDS_BASE else None
        return base, self.experts / merge.first, self.experts / merge.second

    def _fingerprint(self, folder: Path) -> str:
        if folder not in self._fingerprints:
            self._fingerprints[folder] = artifacts.model_fingerprint(folder)
        return self._fingerprints[folder]

    def _start(self, merge: Merge) -> _Live:
        folder = self._folders(merge)[1]
        check_dense(folder)
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # weights can be handed over in one process only
        return _live(self._load(str(folder)), folder)

    def _parents(self, merge: Merge) -> tuple[Mapping[str, Tensor | None], Weights, Weights]:
        """Return the tensors of base, first and second, once it is clear that they can be merged."""
        folders = self._folders(merge)
        if folders not in self._weights:
            base, first, second = folders
            base = merging.local_folder(str(base)) if base else None
            check_mergeable(first, second, base)
            self._weights[folders] = (
                Weights(base) if base else defaultdict(lambda: None),
                Weights(first),
                Weights(second),
            )
        return self._weights[folders]

    def _merged(self, merge: Merge, dtype: Any) -> dict[str, Tensor]:
        """Compute a merge from the memory-mapped files: in float32, rounded once."""
        from ..merging.methods import merge_rounded

        return merge_rounded(merge, *self._parents(merge), dtype)


class SweptJudge(Judge):
    """A merge's turn in the engine of a sweep: it answers until another merge is set, and then refuses to."""

    def __init__(self, sweep: Sweep, judge: Judge, name: str, fingerprint: str):
        self.name, self.fingerprint = name, fingerprint
        self._sweep, self._judge = sweep, judge
        self.parsers, self.finishes, self.batch_size = judge.parsers, judge.finishes, judge.batch_size
        self.in_batches, self.stored_together = judge.in_batches, judge.stored_together

    @property
    def current(self) -> Judge:
        """Return the engine's judge with this merge's weights; DataError when it has other weights by now."""
        if not self._sweep.holds(self):
            raise DataError(
                f"judge {self.name!r}: its engine has become another merge, or was closed. A sweep is one engine: "
                "collect from each judge before the next merge is set."
            )
        return self._judge

    def too_long(self, tasks: Sequence[Task], decoding: Decoding) -> list[Task]:
        """Return the tasks that the engine cannot answer because of their length."""
        return self.current.too_long(tasks, decoding)

    def check(self, tasks: Sequence[Task], decoding: Decoding) -> None:
        """Raise DataError for tasks that the engine cannot answer."""
        self.current.check(tasks, decoding)

    def generate(self, tasks: Sequence[Task], decoding: Decoding, seed: int) -> list[list[Completion]]:
        """Return every task's draws, in the order of the tasks."""
        return self.current.generate(tasks, decoding, seed)

    def stream(self, tasks: Sequence[Task], decoding: Decoding, seed: int) -> Iterator[Found]:
        """Yield answers as they become ready, as long as the engine holds this merge."""
        arriving = super().stream if self.in_batches else self.current.stream
        with contextlib.closing(arriving(tasks, decoding, seed)) as answers:
            for found in answers:
                yield found
                _ = self.current  # the next answers would be another merge's

    def finish(self, tasks: Sequence[Task], texts: Sequence[str], decoding: Decoding, seed: int) -> list[Completion]:
        """Add a verdict to each given feedback, where the engine can."""
        return self.current.finish(tasks, texts, decoding, seed)


def _transformers(folder: str) -> Judge:
    from .engines.transformers_judge import TransformersJudge

    return TransformersJudge("", folder)


def _check(merge: Merge, found: Logprobs, expected: Logprobs, dtype: Any) -> None:
    """Compare next-token log-probabilities; DataError names the largest difference."""
    pairs = zip(found, expected, strict=True)
    largest = max(abs(value - other.get(token, -9e9)) for one, other in pairs for token, value in one.items())
    if not largest <= TOLERANCE[str(dtype).removeprefix("torch.")]:
        raise DataError(
            f"merge {merge.name!r}: after the change in place the judge does not answer as a fresh load of the same "
            f"merge does (a log-probability is {largest:.3g} off); judge this model from merged folders."
        )


# --- engines ---------------------------------------------------------------------------------------------------------


class _Live:
    """A running judge whose weights can be written; `folder` has its configuration."""

    def __init__(self, judge: Any, folder: Path):
        self.judge, self.folder = judge, folder

    @property
    def dtype(self) -> Any:
        raise NotImplementedError

    def ids(self, probes: Sequence[str]) -> list[list[int]]:
        tokenizer = self.judge.tokenizer
        start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
        rows = tokenizer(list(probes), add_special_tokens=False)["input_ids"]
        length = min(PROBE_TOKENS, *map(len, rows))  # of one length: no padding, one forward
        return [[*start, *row[:length]] for row in rows]

    def expected(self, weights: dict[str, Tensor], probes: Sequence[str]) -> Logprobs:
        """Return what these weights answer in a model of transformers that is loaded afresh, from memory."""
        import transformers

        transformers.utils.logging.disable_progress_bar()
        config = transformers.AutoConfig.from_pretrained(self.folder)
        kind = getattr(transformers, config.architectures[0])
        model = kind.from_pretrained(None, config=config, state_dict=dict(weights), dtype=self.dtype).eval()
        return [dict(enumerate(row)) for row in next_token_logprobs(model, self.ids(probes)).tolist()]


class _LiveTransformers(_Live):
    @property
    def dtype(self) -> Any:
        return self.judge.model.dtype

    def write(self, weights: Mapping[str, Tensor]) -> None:
        import torch

        state = self.judge.model.state_dict()
        written = {state[name].data_ptr() for name in weights if name in state}
        missing = [name for name in state if state[name].data_ptr() not in written]  # tied weights share a pointer
        if unknown := [*(set(weights) - set(state)), *missing]:
            raise DataError(f"{self.folder}: tensors {sorted(unknown)[:5]} are not both in its files and in the model.")
        with torch.no_grad():
            for name, tensor in weights.items():
                state[name].copy_(tensor)

    def logprobs(self, probes: Sequence[str]) -> Logprobs:
        best = next_token_logprobs(self.judge.model, self.ids(probes)).topk(TOP)
        return [dict(zip(*row, strict=True)) for row in zip(best.indices.tolist(), best.values.tolist(), strict=True)]


def next_token_logprobs(model: Any, rows: Sequence[list[int]]) -> Tensor:
    """Return the log-probabilities (rows, vocabulary) of the token that follows each row; rows of one length."""
    import torch

    ids = torch.tensor(rows, device=model.device)
    with torch.inference_mode():
        return model(input_ids=ids, use_cache=False, logits_to_keep=1).logits[:, -1].float().log_softmax(-1)


class _LiveVLLM(_Live):
    @property
    def dtype(self) -> Any:
        return self.judge.llm.llm_engine.model_config.dtype

    def write(self, weights: Mapping[str, Tensor]) -> None:
        llm = self.judge.llm
        if llm.llm_engine.vllm_config.parallel_config.world_size > 1:
            raise DataError(
                "weights can be changed in place in a vLLM engine on one device only; judge merged folders."
            )
        llm.collective_rpc("reload_weights", kwargs={"weights_iterator": iter(weights.items())})
        if llm.reset_prefix_cache() is False:
            raise DataError("vLLM could not forget the prompts it read with other weights; nothing else may run in it.")

    def logprobs(self, probes: Sequence[str]) -> Logprobs:
        from vllm import SamplingParams

        rows = [{"prompt_token_ids": row} for row in self.ids(probes)]
        params = SamplingParams(temperature=0.0, max_tokens=1, logprobs=TOP)
        outputs = self.judge.llm.generate(rows, params, use_tqdm=False)
        return [{token: one.logprob for token, one in out.outputs[0].logprobs[0].items()} for out in outputs]


def _live(judge: Judge, folder: Path) -> _Live:
    kinds: dict[str, type[_Live]] = {"vllm": _LiveVLLM, "transformers": _LiveTransformers}
    if judge.engine not in kinds:
        raise DataError(f"the weights of a {type(judge).__name__} cannot be changed in place; judge merged folders.")
    return kinds[judge.engine](judge, folder)


# --- collecting ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SweepJob:
    """Merges for one worker to judge in place: for each a judging job, whose `folder` is not used.

    >>> SweepJob("path/to/base", "path/to/experts", (), ()).only(["linear-0.3"]).merges
    ()
    """

    base: str
    experts: str
    merges: tuple[Merge, ...]
    jobs: tuple[JudgingJob, ...]

    def only(self, names: Collection[str]) -> SweepJob:
        """Return the job with the named judges alone."""
        places = [place for place, job in enumerate(self.jobs) if job.name in names]
        merges, jobs = ([each[place] for place in places] for each in (self.merges, self.jobs))
        return replace(self, merges=tuple(merges), jobs=tuple(jobs))

    def changed(self, change: Callable[[JudgingJob], JudgingJob]) -> SweepJob:
        """Return the job with `change` made to each judge's job."""
        return replace(self, jobs=tuple(map(change, self.jobs)))


def run_sweep(job: SweepJob, report: Report = silent) -> list[tuple[int, float]]:
    """Judge the merges one after the other; return judgments added and seconds for each.

    Judgments go to each job's own file. What is stored is not judged again, and an engine is started only if
    something is missing, so a sweep that was stopped goes on where it was.

    >>> job = SweepJob("path/to/base", "path/to/experts", merges, jobs)  # doctest: +SKIP
    >>> [added for added, seconds in run_sweep(job)]  # doctest: +SKIP
    [2674, 2674]
    """
    done = []
    first = replace(job.jobs[0], tasks=tuple({task for each in job.jobs for task in each.tasks}))  # one engine for all
    with Sweep(job.base, job.experts, lambda folder: _engine(first, folder), first.bf16) as sweep:
        for merge, each in zip(job.merges, job.jobs, strict=True):
            start = time.perf_counter()
            added = _collect(sweep, merge, each, report)
            done.append((added, time.perf_counter() - start))
    return done


def _engine(job: JudgingJob, folder: str) -> Judge:
    return start_judge(replace(job, folder=folder))


def _collect(sweep: Sweep, merge: Merge, job: JudgingJob, report: Report) -> int:
    store = JudgmentStore(job.out)
    fingerprint = sweep.fingerprint(merge)
    if is_complete(job, fingerprint, store):
        note_asked(job.name, fingerprint, job.tasks, store, job.decoding)
        report(sum(task.draws for task in job.tasks))
        return 0
    return collect(sweep.set(merge), job.tasks, store, job.decoding, report, job.policy, job.skip_long)
