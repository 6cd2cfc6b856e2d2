"""The embedded base model: a small Mistral with its own tokenizer, the stand-in for Mistral-7B-Instruct-v0.2.

Rebuild it with `python -m prometheus_lib.training.base_model`. From random weights it reads sheets of small questions:
what words mean, what a text says, whether two texts agree (`data.schooling`). Among the later sheets are judgments in
both formats, about objects and rubrics of the school's own. So it knows the words and both formats, and judges weakly.

The tokenizer is a byte-level BPE (any text can be encoded) in which the prompt's fixed paragraphs and the miniature
world's phrases are single tokens: prompts stay word for word the paper's and yet are about 100 tokens long.
"""

from __future__ import annotations

import argparse
import math
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from .. import artifacts, prompts
from ..data import miniworld, schooling
from ..data.collections import Example, school_examples
from ..data.miniworld import SCHOOL_STYLES, Noise
from ..data.schooling import JUDGES_SHEETS, PLAIN_SHEETS, Sheet
from ..parallel import Report
from .experts import tokenise
from .settings import EMBEDDED_BASE
from .trainers import IGNORED

CHAT_TEMPLATE = (
    "{{ bos_token }}{% set system = namespace(text='') %}"
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{% set system.text = message['content'] + '\n\n' %}"
    "{% elif message['role'] == 'user' %}{{ '[INST]' + system.text + message['content'] + '[/INST]' }}"
    "{% set system.text = '' %}"
    "{% else %}{{ message['content'] + eos_token }}{% endif %}{% endfor %}"
)
SPECIAL_TOKENS = ("<unk>", "<s>", "</s>", "[INST]", "[/INST]")


def words() -> list[str]:
    """Return every single word of the miniature world that varies: nouns, attributes, values."""
    values = [w for by_value in miniworld.VALUES.values() for v, ws in by_value.items() for w in (v, *ws)]
    vague = [word for by_word in miniworld.VAGUE.values() for word in by_word]
    nouns = (*miniworld.NOUNS, *miniworld.UNSEEN_NOUNS, *miniworld.SCHOOL_NOUNS)
    return [*miniworld.ATTRIBUTES, *nouns, *values, *vague]


def phrases() -> list[str]:
    """Return the fixed texts that become single tokens: prompt paragraphs and the world's phrases."""
    return list(dict.fromkeys([*_prompt_phrases(), *_world_phrases()]))


def _prompt_phrases() -> Iterator[str]:
    yield from (f"{system}\n\n" for system in (prompts.DIRECT_SYSTEM_PROMPT, prompts.PAIRWISE_SYSTEM_PROMPT))
    for task in (prompts.DIRECT_TASK, prompts.DIRECT_TASK_WITH_REFERENCE):
        yield f"{task}\n\n{prompts.DIRECT_HEADERS[0]}\n"
    for task in (prompts.PAIRWISE_TASK, prompts.PAIRWISE_TASK_WITH_REFERENCE):
        yield f"{task}\n\n{prompts.PAIRWISE_HEADERS[0]}\n"
    yield from (f"\n\n{header}\n" for header in prompts.DIRECT_HEADERS[1:] + prompts.PAIRWISE_HEADERS[1:])
    yield f"\n\n{prompts.FEEDBACK_HEADER}"
    yield " [RESULT]"


def _world_phrases() -> Iterator[str]:
    yield from miniworld.CRITERIA_OPENINGS
    for descriptions in miniworld.SCORE_DESCRIPTIONS:
        yield from (f"\nScore {score}: {text}" for score, text in enumerate(descriptions, start=1))
    for name in (*miniworld.IN_DOMAIN_STYLES, "label", "card", "tale", *miniworld.OTHER_STYLES):
        opening, leads = miniworld.STYLES[name]
        parts = miniworld.NAMING.get(name) or (opening, *leads.values())
        yield from (part for part in parts if len(part) > 1)  # the school's further styles are made of these
    yield from schooling.PHRASES
    yield from (miniworld.INSTRUCTION_OPENING, miniworld.FEEDBACK_OPENING, miniworld.WANTED)
    yield from (miniworld.PAIR_GIVEN_B, miniworld.PAIR_WANTED)
    yield from (*miniworld.GIVEN.values(), *miniworld.VERDICTS.values())
    yield from (*miniworld.PAIR_GIVEN_A.values(), *miniworld.PAIR_VERDICTS.values())


def build_tokenizer():
    """Return the miniature tokenizer: byte-level BPE over the world's words, plus phrases as added tokens."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=4000, special_tokens=list(SPECIAL_TOKENS), initial_alphabet=alphabet, show_progress=False
    )
    corpus = [f" {word}" for word in [*words(), *"12345AB"] for _ in range(2)]
    tokenizer.train_from_iterator(corpus, trainer)
    tokenizer.add_tokens([AddedToken(text, normalized=False, special=False) for text in phrases()])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>",
        padding_side="left", model_max_length=2048, clean_up_tokenization_spaces=False,
    )  # fmt: skip
    fast.chat_template = CHAT_TEMPLATE
    return fast


def build_config(tokenizer, hidden: int, layers: int):
    """Return the Mistral configuration of the stand-in (head size 32, grouped-query attention as in Mistral-7B)."""
    from transformers import MistralConfig

    return MistralConfig(
        vocab_size=len(tokenizer), hidden_size=hidden, intermediate_size=3 * hidden, num_hidden_layers=layers,
        num_attention_heads=hidden // 32, num_key_value_heads=max(1, hidden // 64), head_dim=32,
        max_position_embeddings=2048, sliding_window=None, tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """One stage of schooling: how many sheets of which words, how many judgments, in which styles, and how trained."""

    sheets: int
    in_judges_words: bool
    judgments: int
    styles: tuple[str, ...]
    learning_rate: float
    batch_size: int
    seeds: tuple[int, int]  # of the sheets and of the judgments

    def scaled(self, share: float) -> Stage:
        """Return a stage with a share of the sheets and judgments.

        >>> STAGES[1].scaled(0.5).sheets
        5600
        """
        return replace(self, sheets=max(32, round(share * self.sheets)), judgments=round(share * self.judgments))


HIDDEN, LAYERS, SEED = 128, 4, 42
CARD = Path(__file__).with_name("base_model_card.md")
SLIPS = Noise(verdict=0.05, decision=0.1)  # of those whose judgments the base model read
STAGES = (
    Stage(32_000, False, 0, SCHOOL_STYLES[:3], 2e-3, 32, (1, 0)),
    Stage(11_200, True, 4_800, SCHOOL_STYLES[:3], 1.5e-3, 16, (2, 5)),
    Stage(9_100, True, 4_900, SCHOOL_STYLES, 1.2e-3, 16, (3, 6)),
)


def train_base(
    out: Path, work: Path, stages: Sequence[Stage] = STAGES, hidden: int = HIDDEN, layers: int = LAYERS
) -> Path:
    """Train the stand-in from random weights and the seed into the folder `out`.

    Each stage is kept below `work`, so a rebuild that was stopped goes on with the stage it was in.
    """
    import torch

    work.mkdir(parents=True, exist_ok=True)
    artifacts.check_output(out, [work])  # now, and not when the last stage is done
    torch.set_num_threads(1)  # one thread: the same weights on every run
    folder = work / "stage-0"
    shape = {"hidden": hidden, "layers": layers, "seed": SEED, "phrases": phrases()}
    artifacts.build_folder(folder, artifacts.stamp_of({}, shape), lambda new: _save_random(new, hidden, layers), [])
    for number, stage in enumerate(stages, start=1):
        before, folder = folder, work / f"stage-{number}"
        stamp = artifacts.stamp_of({before.name: before}, {"stage": asdict(stage), "number": number})
        train = partial(_train_stage, before, stage=stage, number=number)
        artifacts.build_folder(folder, stamp, train, [before])
    stamp = artifacts.stamp_of({folder.name: folder}, shape)
    artifacts.build_folder(out, stamp, lambda new: _copy_model(folder, new), [folder])
    return out


def _save_random(folder: Path, hidden: int, layers: int) -> None:
    import torch
    from transformers import MistralForCausalLM

    tokenizer = build_tokenizer()
    torch.manual_seed(SEED)
    MistralForCausalLM(build_config(tokenizer, hidden, layers)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _train_stage(before: Path, folder: Path, stage: Stage, number: int) -> None:
    import torch
    from tqdm import tqdm
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(before)
    model = AutoModelForCausalLM.from_pretrained(before, dtype=torch.float32)
    rows = stage_rows(tokenizer, stage)
    with tqdm(total=-(-len(rows) // stage.batch_size), desc=f"stage {number}", unit="step") as bar:
        _school(model, rows, stage, bar.update)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def stage_rows(tokenizer, stage: Stage) -> list[dict[str, list[int]]]:
    """Return a stage's sheets and judgments as token ids and labels (what is given is not learned)."""
    texts, judgments = stage_texts(stage)
    given = tokenizer([f"<s>[INST]{sheet.given}[/INST]" for sheet in texts], add_special_tokens=False)["input_ids"]
    learned = tokenizer([sheet.text + "</s>" for sheet in texts], add_special_tokens=False)["input_ids"]
    rows = [{"input_ids": g + t, "labels": [IGNORED] * len(g) + t} for g, t in zip(given, learned, strict=True)]
    return rows + (tokenise(tokenizer, judgments, 512)[0] if judgments else [])


def stage_texts(stage: Stage) -> tuple[list[Sheet], list[Example]]:
    """Return all that the base model reads in a stage: sheets and judgments."""
    kinds = JUDGES_SHEETS if stage.in_judges_words else PLAIN_SHEETS
    sheets = schooling.sheets(stage.seeds[0], stage.sheets, kinds, schooling.sheet_domain(stage.styles))
    domain = replace(miniworld.SCHOOL, styles=("plain", *stage.styles))
    return sheets, school_examples(stage.seeds[1], stage.judgments, SLIPS, domain)


def _school(model, rows: list[dict[str, list[int]]], stage: Stage, report: Report) -> None:
    """Train in a bare loop: sheets are short and many, and SFTTrainer takes nearly twice as long on so small a model.

    Rows are padded on the right, where causal attention needs no mask.
    """
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=stage.learning_rate, betas=(0.9, 0.98), weight_decay=0.0)
    order = list(range(len(rows)))
    random.Random(0).shuffle(order)
    steps = math.ceil(len(rows) / stage.batch_size)
    model.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = stage.learning_rate * _schedule(step, steps)
        chosen = order[step * stage.batch_size : (step + 1) * stage.batch_size]
        ids, labels = (_padded([rows[n][key] for n in chosen], fill) for key, fill in _PADDING.items())
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
        learned = labels[:, 1:] >= 0
        loss = torch.nn.functional.cross_entropy(model.lm_head(hidden[learned]), labels[:, 1:][learned])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        report(1)


_PADDING = {"input_ids": 2, "labels": IGNORED}
WARMUP = 0.05


def _schedule(step: int, steps: int) -> float:
    """Return the share of the learning rate: a linear rise, then half a cosine down."""
    rise = max(1, int(WARMUP * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def _padded(rows: list[list[int]], fill: int):
    import torch

    longest = max(map(len, rows))
    return torch.tensor([row + [fill] * (longest - len(row)) for row in rows])


def _copy_model(source: Path, folder: Path) -> None:
    """Copy a stage's model, with the model card."""
    shutil.copyfile(CARD, folder / "README.md")
    for file in source.iterdir():
        if file.is_file() and file.name != artifacts.STAMP:
            shutil.copyfile(file, folder / file.name)


def main(arguments: Sequence[str] | None = None) -> None:
    """Rebuild the embedded base model from its seed; a rebuild that was stopped goes on."""
    parser = argparse.ArgumentParser(
        prog="python -m prometheus_lib.training.base_model", description=main.__doc__.split("\n")[0]
    )
    parser.add_argument("--out", type=Path, default=EMBEDDED_BASE, help="the model's folder (default: the library's)")
    parser.add_argument("--work", type=Path, default=Path("my-outputs/base_model"), help="where each stage is kept")
    given = parser.parse_args(arguments)
    train_base(given.out, given.work)
    print(f"base model fingerprint {artifacts.model_fingerprint(given.out)} in {given.out.name}")


if __name__ == "__main__":
    main()
