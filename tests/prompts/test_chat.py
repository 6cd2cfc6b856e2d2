"""Rendering a chat: templates in the shapes that real models bring, what arrives, and that no token is added."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from prometheus_lib import prompts
from prometheus_lib.prompts.chat import JOINERS, chat_ids, check_bos, joined, render_chat
from prometheus_lib.prompts.templates import PROMETHEUS, PROMETHEUS_1
from prometheus_lib.records import DataError

SYSTEM = prompts.DIRECT_SYSTEM_PROMPT
# Each shape: (begin-of-sequence token, chat template, what is rendered for the user's text "Judge this. ").
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' ~ m.role ~ '\\n' ~ m.content ~ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
DEFAULT_SYSTEM = (
    "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\\nYou are a helpful model.<|im_end|>\\n' }}{% endif %}"
)
LLAMA_3 = (
    "{{ bos_token }}{% set ns = namespace(system='') %}"
    "{% if messages[0].role == 'system' %}{% set ns.system = messages[0].content | trim %}"
    "{% set messages = messages[1:] %}{% endif %}"
    "{{ '<|start_header_id|>system<|end_header_id|>\\n\\nToday Date: ' ~ DAY ~ '\\n\\n' ~ ns.system ~ '<|eot_id|>' }}"
    "{% for m in messages %}"
    "{{ '<|start_header_id|>' ~ m.role ~ '<|end_header_id|>\\n\\n' ~ m.content | trim ~ '<|eot_id|>' }}{% endfor %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}"
)
_LLAMA_3_TEXT = (
    "<|bot|><|start_header_id|>system<|end_header_id|>\n\nToday Date: 26 Jul 2024\n\n{s}<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nJudge this.<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
)
LLAMA_2 = (
    "{% set system = messages[0].content if messages[0].role == 'system' else none %}"
    "{% for m in messages if m.role != 'system' %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "{% set text = '<<SYS>>\\n' ~ system ~ '\\n<</SYS>>\\n\\n' ~ m.content if loop.first and system else m.content %}"
    "{{ bos_token ~ '[INST] ' ~ text | trim ~ ' [/INST]' }}{% endfor %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/...') }}{% endif %}"
    "{{ '[INST] ' ~ m.content ~ ' [/INST]' }}{% endfor %}"
)
GEMMA = (
    "{% for m in messages %}{% set role = 'model' if m.role == 'assistant' else m.role %}"
    "{{ '<start_of_turn>' ~ role ~ '\\n' ~ m.content | trim ~ '<end_of_turn>\\n' }}{% endfor %}"
    "{{ '<start_of_turn>model\\n' }}"
)
GEMMA_2 = "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception(REFUSAL) }}{% endif %}" + GEMMA
GEMMA_3 = (
    "{{ bos_token }}{% set ns = namespace(opening='') %}{% if messages[0].role == 'system' %}"
    "{% set ns.opening = (messages[0].content if messages[0].content is string else messages[0].content[0].text)"
    " ~ '\\n\\n' %}{% set messages = messages[1:] %}{% endif %}"
    "{% for m in messages %}{{ '<start_of_turn>' ~ m.role ~ '\\n' ~ (ns.opening if loop.first else '') }}"
    "{% if m.content is string %}{{ m.content | trim }}{% else %}{% for part in m.content %}{{ part.text | trim }}"
    "{% endfor %}{% endif %}{{ '<end_of_turn>\\n' }}{% endfor %}{{ '<start_of_turn>model\\n' }}"
)
PHI_3 = (
    "{% for m in messages %}{% if m.role == 'system' and m.content %}{{ '<|system|>\\n' ~ m.content ~ '<|end|>\\n' }}"
    "{% elif m.role == 'user' %}{{ '<|user|>\\n' ~ m.content ~ '<|end|>\\n' }}{% endif %}{% endfor %}"
    "{{ '<|assistant|>\\n' }}"
)
OLMO_2 = (
    "{{ bos_token }}{% for m in messages %}{{ '<|' ~ m.role ~ '|>\\n' ~ m.content ~ '\\n' }}{% endfor %}"
    "{{ '<|assistant|>\\n' }}"
)
# Without a word, it renders the turns of the user and of the assistant only.
SKIPS_OTHERS = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '<|user|>\\n' ~ m.content ~ '<|end|>\\n' }}"
    "{% elif m.role == 'assistant' %}{{ '<|assistant|>\\n' ~ m.content ~ '<|end|>\\n' }}{% endif %}{% endfor %}"
    "{{ '<|assistant|>\\n' }}"
)
PARTS_ONLY = (
    "{{ bos_token }}{% for m in messages %}{{ m.role ~ ': ' }}{% for part in m.content %}"
    "{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}{{ '\\n' }}{% endfor %}"
)
USER = "Judge this. "
CHATML_TEXT = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{USER}<|im_end|>\n<|im_start|>assistant\n"
GEMMA_TEXT = f"<bos><start_of_turn>user\n{SYSTEM}\n\nJudge this.<end_of_turn>\n<start_of_turn>model\n"
SHAPES = {
    "SmolLM2": ("<|im_start|>", DEFAULT_SYSTEM + CHATML, CHATML_TEXT),
    "Yi": ("<|im_start|>", CHATML, CHATML_TEXT),
    "Qwen2": (None, DEFAULT_SYSTEM + CHATML, CHATML_TEXT),
    "Qwen3, thinking": (None, CHATML + "{{ '<think>\\n' }}", CHATML_TEXT + "<think>\n"),
    "no begin in the template": ("<s>", CHATML, CHATML_TEXT),
    "Llama 2": ("<s>", LLAMA_2, f"<s>[INST] <<SYS>>\n{SYSTEM}\n<</SYS>>\n\nJudge this. [/INST]"),
    "Llama 3": ("<|bot|>", LLAMA_3.replace("DAY", "'26 Jul 2024'"), _LLAMA_3_TEXT.format(s=SYSTEM)),
    "Llama 3.1": ("<|bot|>", LLAMA_3.replace("DAY", "date_string"), _LLAMA_3_TEXT.format(s=SYSTEM)),
    "Llama 3.2": ("<|bot|>", LLAMA_3.replace("DAY", "strftime_now('%d %b %Y')"), _LLAMA_3_TEXT.format(s=SYSTEM)),
    "Mistral": ("<s>", MISTRAL, f"<s>[INST] {SYSTEM}\n\n{USER} [/INST]"),
    "Gemma 2": ("<bos>", GEMMA_2.replace("REFUSAL", "'System role not supported'"), GEMMA_TEXT),
    "Gemma 2 in other words": ("<bos>", GEMMA_2.replace("REFUSAL", "'Only turns of a person, please.'"), GEMMA_TEXT),
    "Gemma 2, its own error": ("<bos>", GEMMA_2.replace("raise_exception(REFUSAL)", "1 + bos_token"), GEMMA_TEXT),
    "Gemma 3": ("<bos>", GEMMA_3, GEMMA_TEXT),
    "Phi-3": ("<s>", PHI_3, f"<|system|>\n{SYSTEM}<|end|>\n<|user|>\n{USER}<|end|>\n<|assistant|>\n"),
    "OLMo 2": ("<|endoftext|>", OLMO_2, f"<|endoftext|><|system|>\n{SYSTEM}\n<|user|>\n{USER}\n<|assistant|>\n"),
    "skips other roles": ("<s>", SKIPS_OTHERS, f"<s><|user|>\n{SYSTEM}\n\n{USER}<|end|>\n<|assistant|>\n"),
    "parts only": ("<s>", PARTS_ONLY, f"<s>system: {SYSTEM}\nuser: {USER}\n"),
}  # fmt: skip


@cache
def tokenizer_with(bos: str | None, template: str | None) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer that, left to its defaults, puts its begin-of-sequence token first."""
    core = Tokenizer(models.BPE({char: n for n, char in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    marks = ("<|im_start|>", "<|im_end|>", "[INST]", "[/INST]", "<|end|>", "<|eot_id|>", bos)
    core.add_special_tokens([AddedToken(mark, special=True) for mark in dict.fromkeys(marks) if mark])
    if bos:
        core.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A $B", special_tokens=[(bos, core.token_to_id(bos))]
        )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, bos_token=bos, eos_token="<|im_end|>")
    tokenizer.chat_template = template
    return tokenizer


@pytest.fixture(params=SHAPES)
def shape(request):
    bos, template, text = SHAPES[request.param]
    return tokenizer_with(bos, template), text


def test_system_prompt_and_user_text_arrive_in_every_shape_of_template(shape):
    tokenizer, text = shape
    assert render_chat(tokenizer, USER, "direct") == text
    pairwise = render_chat(tokenizer, USER, "pairwise")
    assert pairwise == text.replace(SYSTEM, prompts.PAIRWISE_SYSTEM_PROMPT)


def test_each_shape_has_the_tokens_of_its_text_and_an_added_one_is_refused(shape):
    tokenizer, text = shape
    (ids,) = chat_ids(tokenizer, [text])
    assert tokenizer.decode(ids) == text
    bos = tokenizer.bos_token
    if bos is None:
        check_bos(tokenizer, text, [0, *ids])
        return
    assert ids.count(tokenizer.bos_token_id) == text.count(bos)
    left_to_its_defaults = tokenizer(text)["input_ids"]
    assert left_to_its_defaults == [tokenizer.bos_token_id, *ids]
    message = f"has {text.count(bos) + 1} begin-of-sequence tokens where its chat template wrote {text.count(bos)}"
    with pytest.raises(DataError, match=message):
        check_bos(tokenizer, text, left_to_its_defaults)


def test_the_turn_opener_stands_once_per_turn():
    """The shapes that a check for exactly one token would refuse."""
    counts = {}
    for name in ("SmolLM2", "Yi", "Phi-3", "Mistral", "no begin in the template"):
        bos, template, _ = SHAPES[name]
        tokenizer = tokenizer_with(bos, template)
        (ids,) = chat_ids(tokenizer, [render_chat(tokenizer, USER, "direct")])
        counts[name] = ids.count(tokenizer.bos_token_id)
    assert counts == {"SmolLM2": 3, "Yi": 3, "Phi-3": 0, "Mistral": 1, "no begin in the template": 0}


def test_no_chats_give_no_rows():
    assert chat_ids(tokenizer_with("<s>", MISTRAL), []) == []


# --- the system prompt -----------------------------------------------------------------------------------------------


def test_a_system_prompt_that_the_user_quotes_has_not_arrived_by_that():
    """A judged text may hold the judge's own system prompt; the template below skips the real one."""
    tokenizer = tokenizer_with("<s>", SKIPS_OTHERS)
    text = render_chat(tokenizer, f"The response says: {SYSTEM}", "direct")
    assert text.count(SYSTEM) == 2 and text.index(SYSTEM) < text.index("The response says")


def test_a_familys_own_system_message_takes_the_papers_place_in_every_shape(shape):
    tokenizer, text = shape
    assert render_chat(tokenizer, USER, "direct", PROMETHEUS_1) == text.replace(SYSTEM, PROMETHEUS_1.system)
    silent = replace(PROMETHEUS, system="")
    assert "judge assistant" not in render_chat(tokenizer, USER, "direct", silent)


def test_joiners_are_those_of_the_released_data_code_and_library():
    tokenizer = tokenizer_with("<s>", MISTRAL)
    found = {name: render_chat(tokenizer, "P", "direct", joiner=name) for name in JOINERS}
    assert found == {
        "training": f"<s>[INST] {SYSTEM}\n\nP [/INST]",
        "evaluation": f"<s>[INST] {SYSTEM}P [/INST]",
        "library": f"<s>[INST] {SYSTEM}\nP [/INST]",
    }
    assert joined(prompts.chat_messages("P", "direct")) == [{"role": "user", "content": f"{SYSTEM}\n\nP"}]


# --- templates that cannot be used -----------------------------------------------------------------------------------


@pytest.mark.parametrize("template", [None, ""])
def test_a_tokenizer_without_a_chat_template_is_named(template):
    with pytest.raises(DataError, match="this tokenizer has no chat template; give a model that is tuned"):
        render_chat(tokenizer_with("<s>", template), USER, "direct")


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ raise_exception('Not for judges.') }}", "Not for judges."),
        ("{{ bos_token }}", "the text of a message is missing"),
        ("{% for m in messages %}{{ m.content[:20] }}{% endfor %}", "the text of a message is missing"),
        ("{% for m in messages if m.role == 'system' %}{{ m.content }}{% endfor %}", "text of a message is missing"),
        ("{% for m in messages %}", "end of template|[Uu]nexpected"),
    ],
)
def test_a_template_that_does_not_show_the_prompt_is_refused_with_its_reason(template, why):
    with pytest.raises(DataError, match=f"does not show what it is given .*(?:{why})"):
        render_chat(tokenizer_with("<s>", template), USER, "direct")


# --- the date --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("{{ date_string }}", "26 Jul 2024"),
        ("{{ strftime_now('%d %B %Y') }}", "26 July 2024"),
        ("{{ strftime_now('%Y-%m-%d') }}", "2024-07-26"),
        ("{% set today = strftime_now('%Y-%m-%d').split('-') %}{{ today[0] }}", "2024"),
        ("{% if strftime_now is defined %}{{ strftime_now('%H:%M:%S') }}{% endif %}", "00:00:00"),
        ("{{ date_string if date_string is defined else strftime_now('%Y') }}", "26 Jul 2024"),
    ],
)
def test_a_date_line_is_the_same_on_every_day(line, shown):
    text = render_chat(tokenizer_with("<s>", f"{line}|{MISTRAL}"), USER, "direct")
    assert text == f"{shown}|<s>[INST] {SYSTEM}\n\n{USER} [/INST]"
