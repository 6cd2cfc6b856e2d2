"""Supervised fine-tuning of an expert with TRL (paper, section 3.4 and Tables 9 and 10).

Loss falls on the answer only. Prompts are tokenised here, by the same chat template that judges use, with exactly one
begin-of-sequence token; rows that do not fit are counted and reported, never dropped in silence.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock

from .. import artifacts, cards
from ..data.collections import (
    CHECKLIST_FIELDS,
    FEEDBACK_FIELDS,
    PREFERENCE_FIELDS,
    Example,
    check_rows,
    checklist_example,
    direct_example,
    pairwise_example,
    shuffled,
)
from ..parallel import Report, silent
from ..prompts.chat import chat_ids, render_chat
from ..records import DataError, read_jsonl, write_text_atomic
from .checkpoints import STAMP, last_checkpoint, others, remove_work, saver, work_folder
from .packing import check_attention, collate, joined
from .processes import meet, rank
from .room import is_full
from .settings import TrainingSettings
from .trainers import IGNORED, sft_config, trainer_class, whole_state

COLLECTIONS = {
    "direct": (FEEDBACK_FIELDS, direct_example),
    "pairwise": (PREFERENCE_FIELDS, pairwise_example),
    "checklist": (CHECKLIST_FIELDS, checklist_example),
}
LOG = "training_log.json"
TOKENS = "tokens.arrow"  # the tokenised rows, there while an expert is trained
LOSSES = 12  # of the loss curve, in a card
TOKENISED_TOGETHER = 1000  # examples whose tokens are in memory at one time


@dataclass(frozen=True)
class ExpertJob:
    """One expert to train: `sources` are (format, rows file, examples, with_reference) in that order.

    The number of examples is a count, a share of the file (a float), or None for all.

    >>> settings = TrainingSettings(learning_rate=1e-5, batch_size=4, max_length=4096)
    >>> sources = (("direct", "feedback.jsonl", 1000, True), ("pairwise", "preference.jsonl", 0.5, False))
    >>> ExpertJob("joint", "base", sources, settings, seed=42, out="joint").inputs()
    ['base', 'feedback.jsonl', 'preference.jsonl']
    """

    name: str
    base: str
    sources: tuple[tuple[str, str, int | float | None, bool], ...]
    settings: TrainingSettings
    seed: int
    out: str

    def stamp(self) -> dict[str, Any]:
        """Describe everything that decides the expert's weights.

        An input's role is its name where all names differ (settings tell which is which), else its number.
        """
        settings = {"settings": self.settings.deciding(), "seed": self.seed, "sources": self.sources}
        settings["sources"] = [(format, Path(file).name, count, ref) for format, file, count, ref in self.sources]
        names = [Path(path).name for path in self.inputs()]
        roles = names if len(set(names)) == len(names) else map(str, range(len(names)))
        return artifacts.stamp_of(dict(zip(roles, self.inputs(), strict=True)), settings)

    def inputs(self) -> list[str]:
        """Return what is read: the base model and the file of each source."""
        return [self.base, *(file for _, file, _, _ in self.sources)]

    def examples(self) -> list[Example]:
        """Read the rows and render them, in a seeded order."""
        examples = [e for source in self.sources for e in read_examples(*source, seed=self.seed)]
        return shuffled(examples, self.seed)

    def steps(self) -> int:
        """Return the number of optimiser steps where no row is too long."""
        if self.settings.share_prompts:
            rows = len({example.prompt for example in self.examples()})
        else:
            rows = sum(rows_wanted(count, len(read_jsonl(file)), file) for _, file, count, _ in self.sources)
        return -(-int(rows * self.settings.epochs) // self.settings.batch_size)


def rows_wanted(count: int | float | None, available: int, file: str) -> int:
    """Return how many of a file's rows are used; DataError when it has too few.

    >>> [rows_wanted(count, 200, "rows.jsonl") for count in (50, 0.5, None)]
    [50, 100, 200]
    """
    wanted = available if count is None else count if isinstance(count, int) else round(count * available)
    if wanted > available:
        raise DataError(f"{file}: {wanted} rows were asked for but the file has {available}; lower the number.")
    return wanted


def read_examples(format: str, file: str, count: int | float | None, with_reference: bool, seed: int) -> list[Example]:
    """Render a seeded choice of a collection file's rows as training examples.

    >>> import tempfile
    >>> from prometheus_lib.data import feedback_rows
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "feedback.jsonl")
    ...     written = file.write_text("\\n".join(map(json.dumps, feedback_rows(seed=1, instructions=2))))
    ...     len(read_examples("direct", str(file), 0.5, with_reference=True, seed=42))
    5
    """
    fields, render = COLLECTIONS[format]
    rows = read_jsonl(file)
    check_rows(rows, fields, file)
    chosen = shuffled(range(len(rows)), seed)[: rows_wanted(count, len(rows), file)]
    return [render(rows[index], with_reference) for index in chosen]


def tokenise(tokenizer: Any, examples: Sequence[Example], max_length: int) -> tuple[list[dict[str, list[int]]], int]:
    """Return rows of `input_ids` and `labels` (prompt positions -100) and the number of rows that were too long.

    Raises DataError when the tokenizer has no chat template, or adds a begin-of-sequence token to what it writes.

    >>> from prometheus_lib import data, training
    >>> from transformers import AutoTokenizer  # doctest: +SKIP
    >>> tokenizer = AutoTokenizer.from_pretrained(training.EMBEDDED_BASE)  # doctest: +SKIP
    >>> examples = [data.direct_example(row) for row in data.feedback_rows(seed=1, instructions=1)]
    >>> rows, too_long = tokenise(tokenizer, examples, max_length=4096)  # doctest: +SKIP
    >>> len(rows), too_long  # doctest: +SKIP
    (5, 0)
    """
    texts = [render_chat(tokenizer, example.prompt, example.format) for example in examples]
    prompt_ids = chat_ids(tokenizer, texts)
    answer_ids = tokenizer([e.completion for e in examples], add_special_tokens=False)["input_ids"]
    rows = []
    for prompt, answer in zip(prompt_ids, answer_ids, strict=True):
        answer = [*answer, tokenizer.eos_token_id]
        if len(prompt) + len(answer) <= max_length:
            rows.append({"input_ids": prompt + answer, "labels": [IGNORED] * len(prompt) + answer})
    return rows, len(examples) - len(rows)


def tokenise_to_disk(
    tokenizer: Any, examples: Sequence[Example], max_length: int, file: Path, share_prompts: bool = False
) -> tuple[Any, int]:
    """Tokenise into an Arrow file; return it as a memory-mapped Dataset of `tokenise`'s rows, and the rows too long.

    With `share_prompts`, rows of one prompt are joined (see `packing`).

    A Python list takes 145 bytes per token (67 GB for the paper's joint training), Arrow four, and those on disk.

    >>> from prometheus_lib import data, training
    >>> from transformers import AutoTokenizer  # doctest: +SKIP
    >>> tokenizer = AutoTokenizer.from_pretrained(training.EMBEDDED_BASE)  # doctest: +SKIP
    >>> examples = [data.direct_example(row) for row in data.feedback_rows(seed=1, instructions=1)]
    >>> rows, too_long = tokenise_to_disk(tokenizer, examples, 4096, Path("rows.arrow"))  # doctest: +SKIP
    """
    from datasets import Dataset, Features, Value
    from datasets import List as ListOf
    from datasets.arrow_writer import ArrowWriter

    ids = ListOf(Value("int32"))
    too_long = 0
    columns = ("input_ids", "labels", *(("starts",) if share_prompts else ()))
    with ArrowWriter(path=str(file), features=Features(dict.fromkeys(columns, ids))) as writer:
        for start in range(0, len(examples), TOKENISED_TOGETHER):
            rows, left_out = tokenise(tokenizer, examples[start : start + TOKENISED_TOGETHER], max_length)
            too_long += left_out
            for row in joined(rows, max_length) if share_prompts else rows:
                writer.write(row)
        writer.finalize()
    return Dataset.from_file(str(file)), too_long


def train_expert(job: ExpertJob, report: Report = silent, callbacks: Sequence[Any] = ()) -> bool:
    """Train one expert into `job.out`; return False when that folder is current and nothing was done.

    A training that was killed goes on from its last checkpoint. Where torchrun or accelerate started several processes,
    all of them call this, and the first one writes. `callbacks` are those of transformers' Trainer.

    >>> trained = train_expert(job)  # doctest: +SKIP
    """
    stamp = job.stamp()
    if artifacts.is_current(job.out, stamp):
        return False
    if rank():
        _train_along(job, work_folder(Path(job.out).resolve(), stamp), callbacks)
        return True
    out = artifacts.check_output(job.out, job.inputs())
    work = work_folder(out, stamp)
    if told := others(out, stamp):
        print(told, file=sys.stderr)
    try:
        work.mkdir(parents=True, exist_ok=True)
        write_text_atomic(work / STAMP, json.dumps(stamp))
        with FileLock(work / "lock"):  # two trainings would write one another's checkpoints
            build = partial(_train, job, work=work, report=report, callbacks=callbacks)
            return artifacts.build_folder(out, stamp, build, job.inputs())
    except Exception as error:
        if is_full(error):
            raise DataError(
                f"{job.name}: the disk of {out.parent} is full ({error}); make room there and give the same command, "
                "which goes on from the last checkpoint."
            ) from error
        raise
    finally:
        if artifacts.is_current(out, stamp):
            remove_work(out)
        elif not list(work.glob("checkpoint-*")):
            shutil.rmtree(work, ignore_errors=True)


def _train(job: ExpertJob, folder: Path, work: Path, report: Report, callbacks: Sequence[Any]) -> None:
    from transformers import AutoTokenizer

    artifacts.check_base_model(job.base)
    tokenizer = AutoTokenizer.from_pretrained(job.base)
    settings = job.settings
    rows, too_long = tokenise_to_disk(
        tokenizer, job.examples(), settings.max_length, work / TOKENS, settings.share_prompts
    )
    if not len(rows):
        raise DataError(f"{job.name}: no training row fits into max_length={job.settings.max_length} tokens.")
    meet(job.settings.use_cpu)  # the others read these rows
    log = _learn(job, tokenizer, rows, folder, work, report, callbacks)
    answers = sum(map(len, rows["starts"])) if settings.share_prompts else len(rows)
    summary = {"name": job.name, "rows": answers, "too_long": too_long, "seed": job.seed, "log": log}
    write_text_atomic(folder / LOG, json.dumps(summary, indent=1))
    write_text_atomic(folder / cards.CARD, expert_card(job, summary))


def expert_card(job: ExpertJob, summary: dict[str, Any]) -> str:
    """Return the card of an expert: base and data with fingerprints, settings, versions and its loss.

    `summary` is what the training log holds.
    """
    formats = " and ".join(dict.fromkeys(format for format, *_ in job.sources))
    stamp = job.stamp()
    inputs = {f"`{Path(role).name}`": f"fingerprint `{value}`" for role, value in stamp["inputs"].items()}
    log = summary["log"]
    shown = log[:: max(1, len(log) // LOSSES)] + log[-1:]
    losses = "\n".join(f"| {each['step']} | {each['loss']:.4f} |" for each in {e["step"]: e for e in shown}.values())
    settings = {name: value for name, value in stamp["settings"]["settings"].items() if value is not None}
    sections = [
        ("Base model and data", f"Base model: `{Path(artifacts.hub_name(job.base)).name}`.\n\n{cards.listed(inputs)}"),
        ("Settings", cards.listed({"rows": summary["rows"], "seed": job.seed, **settings})),
        ("Loss", f"Mean cross-entropy of the answers' tokens, in nats.\n\n| step | loss |\n|---|---|\n{losses}"),
        ("Versions", cards.listed(cards.versions())),
    ]
    return cards.model_card(
        job.name, f"A judge, trained on {formats} evaluation from one base model.", sections, job.base
    )


def _train_along(job: ExpertJob, work: Path, callbacks: Sequence[Any]) -> None:
    """Train in a process that writes nothing: the rows are those that the first process tokenised."""
    from datasets import Dataset
    from transformers import AutoTokenizer

    meet(job.settings.use_cpu)
    rows, tokenizer = Dataset.from_file(str(work / TOKENS)), AutoTokenizer.from_pretrained(job.base)
    _learn(job, tokenizer, rows, work, work, silent, callbacks)


def _learn(
    job: ExpertJob, tokenizer: Any, rows: Any, folder: Path, work: Path, report: Report, callbacks: Sequence[Any]
) -> list[dict[str, float]]:
    import torch

    torch.manual_seed(job.seed)  # adapters begin with random numbers
    model = load_model(job.base, job.settings)
    if job.settings.share_prompts:
        check_attention(model, job.settings.max_length)
    return fine_tune(model, tokenizer, rows, job.settings, job.seed, folder, report, work, callbacks)


def load_model(base: str, settings: TrainingSettings) -> Any:
    """Load the base model for training, with LoRA adapters where the settings ask for them.

    Full fine-tuning keeps float32 weights and computes in bfloat16 (autocast): at a learning rate of 1e-5 most updates
    would round to nothing in bfloat16 weights. Under LoRA the frozen base may be bfloat16.

    >>> model = load_model("mistralai/Mistral-7B-Instruct-v0.2", settings)  # doctest: +SKIP
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    dtype = torch.bfloat16 if settings.bf16 and settings.lora else torch.float32
    packed = {"quantization_config": _four_bits()} if settings.four_bit else {}
    model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype, **packed)
    if settings.lora is None:
        return model
    from peft import LoraConfig, get_peft_model

    lora = settings.lora
    config = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=0.0, target_modules=list(lora.targets),
        task_type="CAUSAL_LM",
    )  # fmt: skip
    model = get_peft_model(model, config)
    _drop_in_attention(model, lora.dropout)
    return model


def _four_bits() -> Any:
    """Return how a frozen base is held in four bits, in units that FSDP2 can share; needs bitsandbytes."""
    import importlib.util

    import torch
    from transformers import BitsAndBytesConfig

    if importlib.util.find_spec("bitsandbytes") is None:
        raise DataError("four_bit needs bitsandbytes; install it on the machine with the GPU: pip install bitsandbytes")
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16,
        bnb_4bit_quant_storage=torch.bfloat16,
    )  # fmt: skip


def _drop_in_attention(model: Any, share: float) -> None:
    """Put dropout before the adapters of the attention projections; PEFT allows none on a Mixtral's fused experts."""
    import torch

    for name, module in model.named_modules():
        if name.endswith(("q_proj", "k_proj", "v_proj", "o_proj")) and hasattr(module, "lora_dropout"):
            module.lora_dropout["default"] = torch.nn.Dropout(share)


def fine_tune(
    model: Any,
    tokenizer: Any,
    rows: Any,
    settings: TrainingSettings,
    seed: int,
    folder: Path,
    report: Report,
    work: Path | None = None,
    callbacks: Sequence[Any] = (),
) -> list[dict[str, float]]:
    """Fine-tune the model on tokenised rows, save model and tokenizer into the folder, return the loss log.

    `rows` are a Dataset (of `tokenise_to_disk`), or a list of `tokenise`'s. With a folder `work`, checkpoints are kept
    there and the newest one is gone on from.

    >>> losses = fine_tune(model, tokenizer, rows, settings, 42, Path("expert"), silent)  # doctest: +SKIP
    """
    from datasets import Dataset, disable_progress_bars
    from transformers.trainer_callback import PrinterCallback

    disable_progress_bars()
    if len(rows) * settings.epochs <= settings.batch_size:  # a warm-up's first step, the only one, moves nothing
        settings = replace(settings, warmup=0.0)
    trainer = trainer_class(settings)(
        model=model,
        args=sft_config(settings, seed, work or folder),
        train_dataset=Dataset.from_list(rows) if isinstance(rows, list) else rows,
        data_collator=collate if settings.share_prompts else None,
        processing_class=tokenizer,
        callbacks=[_reporter(report), *([saver(settings.checkpoint_minutes)] if work else []), *callbacks],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=_start_from(work, settings) if work else None)
    _save(trainer, tokenizer, folder, settings)
    return [{"step": e["step"], "loss": e["loss"]} for e in trainer.state.log_history if "loss" in e]


def _start_from(work: Path, settings: TrainingSettings) -> str | None:
    """Return the newest whole checkpoint, when the first process has removed what is not whole."""
    found = None if rank() else last_checkpoint(work)
    meet(settings.use_cpu)
    return last_checkpoint(work) if rank() else found


def _save(trainer: Any, tokenizer: Any, folder: Path, settings: TrainingSettings) -> None:
    """Save the whole model; a LoRA adapter is kept beside it and merged in, so that experts can be merged.

    All processes bring their part of a model that they share; the first one writes.
    """
    state = whole_state(trainer)
    if rank():
        return
    model = trainer.accelerator.unwrap_model(trainer.model)
    if settings.lora is not None:
        model.save_pretrained(folder / "adapter", state_dict=state)
        apart = state is not None or settings.four_bit
        model = (_with_adapter(model, folder / "adapter") if apart else model).merge_and_unload()
        state = None
    model.save_pretrained(folder, state_dict=state)
    tokenizer.save_pretrained(folder)


def _with_adapter(model: Any, adapter: Path) -> Any:
    """Load the base again, in one piece and all its bits, with an adapter that was trained on parts of them."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = model.peft_config["default"].base_model_name_or_path
    return PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=model.dtype), adapter)


def _reporter(report: Report) -> Any:
    from transformers import TrainerCallback

    class Reporter(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            report(state.global_step)  # what a checkpoint brings

        def on_step_end(self, args, state, control, **kwargs):
            report(1)
            if state.max_steps < 2 * args.logging_steps:  # a short run has a curve too
                control.should_log = True

    return Reporter()


def read_log(folder: str | Path) -> dict[str, Any]:
    """Return what `train_expert` noted: rows, rows too long, seed, and the loss every ten steps (in short runs: each).

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = Path(folder, LOG).write_text('{"rows": 100, "seed": 42}')
    ...     read_log(folder)["rows"]
    100
    """
    return json.loads((Path(folder) / LOG).read_text(encoding="utf-8"))
