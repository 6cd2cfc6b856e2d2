"""The embedded base model: a small Mistral with its own tokenizer, the stand-in for Mistral-7B-Instruct-v0.2.

Rebuild it with `python -m prometheus_lib.base_model`. It is trained from random weights on judgments in both formats
whose writers often slip, so it answers in the right form but judges weakly, as an instruction-tuned model does.

The tokenizer is a byte-level BPE (any text can be encoded) in which the prompt's fixed paragraphs and the miniature
world's phrases are single tokens: prompts stay word for word the paper's and yet are about 80 tokens long.
"""

from __future__ import annotations

from collections.abc import Iterator

from . import miniworld, prompts

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
    return [*miniworld.ATTRIBUTES, *miniworld.NOUNS, *miniworld.UNSEEN_NOUNS, *values]


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
