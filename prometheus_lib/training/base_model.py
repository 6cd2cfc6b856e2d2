"""The embedded base model: a small Mistral with its own tokenizer, the stand-in for Mistral-7B-Instruct-v0.2.

Rebuild it with `python -m prometheus_lib.training.base_model`. It is trained from random weights on judgments in both
formats whose writers often slip, so it answers in the right form but judges weakly, as an instruction-tuned model does.

The tokenizer is a byte-level BPE (any text can be encoded) in which the prompt's fixed paragraphs and the miniature
world's phrases are single tokens: prompts stay word for word the paper's and yet are about 80 tokens long.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from .. import artifacts, prompts
from ..data import miniworld
from ..data.collections import base_examples
from ..data.miniworld import Noise
from .experts import fine_tune, load_model, tokenise
from .settings import EMBEDDED_BASE, TrainingSettings

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
    return [*miniworld.ATTRIBUTES, *miniworld.NOUNS, *miniworld.UNSEEN_NOUNS, *values, *vague]


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
    for opening, leads in miniworld.STYLES.values():
        yield from (opening, *leads.values())
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
    """One stage of the base model's schooling: examples, how often their writers slip, and the learning rate."""

    examples: int
    noise: Noise
    learning_rate: float


HIDDEN, LAYERS, SEED = 128, 4, 42
# First the skill is learned from fairly reliable writers, then bad habits from unreliable ones.
STAGES = (
    Stage(64_000, Noise(verdict=0.1, decision=0.3), 2e-3),
    Stage(9_600, Noise(verdict=0.2, decision=0.55), 5e-4),
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
    from tqdm import tqdm
    from transformers import AutoTokenizer

    settings = TrainingSettings(stage.learning_rate, batch_size=32, max_length=512, warmup=0.05, adam_beta2=0.98)
    tokenizer = AutoTokenizer.from_pretrained(before)
    examples = base_examples(SEED + number, stage.examples, stage.noise)
    rows, _ = tokenise(tokenizer, examples, settings.max_length)
    with tqdm(total=-(-len(rows) // settings.batch_size), desc=f"stage {number}", unit="step") as bar:
        model = load_model(str(before), settings)
        fine_tune(model, tokenizer, rows, settings, SEED, folder, bar.update)


def _copy_model(source: Path, folder: Path) -> None:
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
