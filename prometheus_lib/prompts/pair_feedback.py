"""The prompt of appendix H, by which feedback for a pair is written, and how such a feedback is read.

The writer is *told* which response is better and argues for it; the decision itself comes from the grades. So a
feedback is a justification, and where a grade is wrong, it is a fluent one. `concluded` reads what a feedback argues
for, to see whether it fits the decision.
"""

from __future__ import annotations

import re

from ..records import DataError, PairItem
from .headers import FEEDBACK_HEADER, PAIRWISE_HEADERS
from .injection import neutralise
from .parsing import MARKER, Parsed
from .wording import VARIANTS, Variant

END = "[END]"

PAIR_FEEDBACK_TASK = """###Task Description:
An instruction (might include an Input inside it), two responses to evaluate (denoted as Response A and Response B), a reference answer, and a score rubric representing a evaluation criteria are given.
1. Write a detailed feedback explaining why {sub_str}, focusing strictly on the aspects highlighted in the evaluation criteria.
2. While writing the feedback, make comparisons between Response A, Response B, and Reference Answer. Instead of examining Response A and Response B separately, go straight to the point and mention about the commonalities and differences between them.
3. While writing the feedback, do not start by mentioning {sub_str} in the first sentence. Instead, try to write a reasoning process that delves into the commonalities and differences of the two responses and mention {sub_str} at the last part of your justification.
4. Within the feedback, do not explicitly mention about the reference answer. For instance, do not use phrases like "Compared to the reference answer". Assume that you inherently know the reference answer which could be used to determine details that are not present in both responses under assessment.
5. Please do not generate any other opening, closing, and explanations. Just write the feedback.
6. Within the feedback, generate a string phrase "[END]" after you are finished."""


def told(label: str) -> str:
    """Return what the writer is told in place of `sub_str`, in the words of section 3.3; DataError for a tie.

    >>> told("B")
    'Response B is better'
    """
    if label not in ("A", "B"):
        raise DataError(f"a feedback can be written for a decided pair only, not for {label!r}; leave the pair out.")
    return f"Response {label} is better"


def render_pair_feedback(item: PairItem, variant: Variant = "corrected") -> str:
    """Return the prompt of appendix H for a decided pair.

    Texts are neutralised as in the judges' prompts, "[END]" included; `variant` "paper-code" puts them in as they are.
    Raises DataError for a pair that is not decided or has no reference answer, and ValueError for an unknown variant.

    >>> item = PairItem("1", "Say hello.", "Hello!", "Hi.", "Hello, dear friend!", "Is it kind?", "A")
    >>> "explaining why Response A is better" in render_pair_feedback(item)
    True
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {VARIANTS}, not {variant!r}")
    if not item.reference_answer:
        raise DataError(
            f"pair {item.id!r} has no reference answer, which the prompt of appendix H shows; leave it out."
        )
    texts = item.instruction, item.response_a, item.response_b, item.reference_answer, item.criteria
    clean = [neutralise(text, (END,)) if variant == "corrected" else text for text in texts]
    task = PAIR_FEEDBACK_TASK.replace("{sub_str}", told(item.label))
    sections = [f"{header} {text}\n\n" for header, text in zip(PAIRWISE_HEADERS, clean, strict=True)]
    return f"{task}\n\n{''.join(sections)}{FEEDBACK_HEADER}"


def read_pair_feedback(text: str) -> Parsed:
    """Read what a writer wrote: the feedback up to "[END]", and as its decision the response it argues for.

    Without such a conclusion the status is "unparsed", and so it is for a text that is no feedback.

    >>> read_pair_feedback("Response B greets. A also asks back. So Response A is better. [END]")
    Parsed(decision='A', feedback='Response B greets. A also asks back. So Response A is better.', status='ok')
    """
    feedback = text.partition(END)[0].strip()
    feedback = re.sub(r"\A(?:###)?\s*Feedback:\s*", "", feedback).strip()
    decision = concluded(feedback) if is_feedback(feedback) else None
    return Parsed(decision, feedback, "ok" if decision else "unparsed")


def is_feedback(text: str) -> bool:
    """Tell whether a text can be feedback on a pair: it names both responses, and holds no verdict and no section.

    >>> is_feedback("Response A greets, Response B does not."), is_feedback("<html>502 Bad Gateway</html>")
    (True, False)
    """
    named = {_side(match.group(1)) for match in _NAMES.finditer(text)}
    both = named == {"A", "B"} or ({"A", "B"} <= set(re.findall(r"\b[AB]\b", text)) and bool(named))
    return both and MARKER not in text and neutralise(text) == text


# --- what a feedback argues for --------------------------------------------------------------------------------------

_NAME = r"(?:response|assistant|answer|candidate)\s+\(?([ab12])\b\)?(?:['\u2019]s\s+\w+\b)?"
_BETTER = (
    r"better|superior|stronger|preferable|preferred|best|winner|outperforms?|surpass(?:es)?|excels|wins|higher score"
    r"|more (?!or less\b)\w+"
)
_WORSE = r"worse|inferior|weaker|worst|falls? short|lags?|loses|lower score|less \w+|fails?"
_CONCESSION = re.compile(r"\b(?:while|although|though|even though|despite|whereas)\b[^,;]{0,300}[,;]", re.IGNORECASE)
_TURN = re.compile(r"\b(?:but|however|yet)\b", re.IGNORECASE)
_NOT = re.compile(r"\b(?:not|no|neither|hardly|isn['\u2019]t|cannot|equally|both)\b", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?])[\"')\]]*\s+|\n+")
_NAMES = re.compile(_NAME, re.IGNORECASE)
_VERDICT = re.compile(rf"\b(?:(?P<better>{_BETTER})|(?P<worse>{_WORSE}))\b", re.IGNORECASE)
_IS_NAMED = re.compile(
    r"\b(?:better|superior|stronger|preferred|preferable|best|winning)\b[^.]{0,40}\b(?:is|be|being)\b[^.]{0,20}"
    + _NAME,
    re.IGNORECASE,
)
LAST_SENTENCES = 3


def concluded(feedback: str) -> str | None:
    """Return the response that a comparing feedback argues for, "A" or "B", or None where it cannot be told.

    The last sentence that compares decides, among the last three: "Response B is better", "the better response is
    Response B", "Response A falls short". What a sentence concedes ("while Response A is more vivid, ...") does not
    count. "Assistant 1" and "Assistant 2", as older reviews say, are A and B.

    >>> concluded("Both are polite. Although Response A is longer, Response B is better.")
    'B'
    >>> concluded("Both responses are equally good.") is None
    True
    """
    for sentence in reversed(_SENTENCE.split(feedback.strip())[-LAST_SENTENCES:]):
        found = _compared(_CONCESSION.sub(" ", sentence))
        if found:
            return found
    return None


def _compared(sentence: str) -> str | None:
    """Return whom the last clause of a sentence favours: the response named before its first comparing word."""
    turns = list(_TURN.finditer(sentence))
    start = turns[-1].end() if turns else 0
    if named := _IS_NAMED.search(sentence, start):
        return _side(named.group(1))
    if _NOT.search(sentence, start):
        return None
    names = list(_NAMES.finditer(sentence))
    for verdict in _VERDICT.finditer(sentence, start):
        before = [name for name in names if name.start() < verdict.start()]
        if before:
            subject = _side(before[-1].group(1))
            return subject if verdict.group("better") else {"A": "B", "B": "A"}[subject]
    return None


def _side(name: str) -> str:
    return {"1": "A", "2": "B"}.get(name, name.upper())
