"""Why a claim of the paper may fail in another world, and what would tell: written before the results, like the claims.

A reason is a guess. It is shown only where a claim is not borne out, always together with what would confirm or refute
it.
"""

from __future__ import annotations

from typing import NamedTuple


class Reason(NamedTuple):
    """The reason we would look at first where a claim fails, and what would tell whether it is the one."""

    likely: str
    tells: str


_NO_ROOM = Reason(
    "what merging keeps of two experts is less than what one model learns from the data of both; in the paper joint "
    "training falls behind both experts, so something else than the data must hold it back there",
    "joint training with fewer examples, other learning rates and widths: does it fall behind an expert anywhere?",
)
_NO_TRANSFER = Reason(
    "both formats' data teach the same words in a world this small, so an expert misses nothing that the other knows",
    "experts whose data differ in what they show: merging should gain where one format alone shows some of the words",
)
_NO_CONFLICT = Reason(
    "both formats rest on one true score here, so one model can learn both without conflict; GPT-4's scores and "
    "rankings need not agree with each other",
    "pair labels that follow another convention than the scores: joint training should lose as the share grows",
)
_ONE_BASIN = Reason(
    "two experts of one format differ in their seed alone, and their mean averages noise away, as in model soups",
    "the loss on the line between them, and the mean of three: without a barrier the mean is no worse",
)
_STRONGER = Reason(
    "merging halves each expert's change of the weights; where a skill needs all of it, merging across formats loses "
    "what merging within one format keeps",
    "the score along alpha: a slow rise towards the expert's end says that the whole change is needed",
)
_OWN_END = Reason(
    "each format needs its own expert's change of the weights, and the other expert adds nothing that its data lack",
    "the same sweep for experts that share less knowledge: the best alpha should move towards the middle",
)
_METHODS = Reason(
    "the merges differ by a few points at most, by their masks and signs more than by their idea; the paper's order of "
    "six rests on one mask and one run each",
    "several masks and training runs of each method: is the spread within a method smaller than between them?",
)
_WEIGHTS = Reason(
    "weights of 1 and 1 overshoot: where the experts' changes point the same way they are added twice",
    "the cosine of the experts' changes, and a sweep of the scaling: the best value should lie where the sum keeps its "
    "length",
)
_REFERENCE = Reason(
    "a judge that knows the world's words needs no reference answer, or it was never shown how to use one",
    "words that are rare in training: the reference answer should help most there",
)
_CONSISTENT = Reason(
    "a judge that always gives the same answer is consistent without being right, and so may an untaught one be",
    "consistency beside exact scores, and beside a constant judge",
)
_FORMATS = Reason(
    "equal scores count as wrong in ranking by scores, so the gap hangs on how fine the scores are",
    "the same gap with equal scores as half right, and with the mean of more draws",
)
_LEARNED = Reason(
    "training has taught too little, or destroyed what the base model could do",
    "the learning curve, and the share of answers without a decision",
)

REASONS: dict[str, Reason] = {
    **dict.fromkeys(("C03", "C04"), _NO_ROOM),
    **dict.fromkeys(("C05", "C06", "C14", "C28", "C29"), _NO_TRANSFER),
    **dict.fromkeys(("C08", "C09"), _NO_CONFLICT),
    **dict.fromkeys(("C10", "C11"), _ONE_BASIN),
    **dict.fromkeys(("C12", "C13"), _STRONGER),
    **dict.fromkeys(("C15", "C16", "C30", "C31"), _OWN_END),
    **dict.fromkeys(("C17", "C32"), _METHODS),
    **dict.fromkeys(("C19", "C20", "C33"), _WEIGHTS),
    **dict.fromkeys(("C21", "C22"), _REFERENCE),
    **dict.fromkeys(("C23", "C24"), _CONSISTENT),
    **dict.fromkeys(("C25", "C34"), _FORMATS),
    **dict.fromkeys(("C01", "C02", "C35", "C36"), _LEARNED),
}
