"""The section headers of the paper's two prompts: what rendering writes, and what no judged text may bring along."""

from __future__ import annotations

TASK_HEADER = "###Task Description:"
FEEDBACK_HEADER = "###Feedback: "

# In the order in which each prompt shows them.
DIRECT_HEADERS = (
    "###The instruction to evaluate:",
    "###Response to evaluate:",
    "###Reference Answer (Score 5):",
    "###Score Rubrics:",
)
PAIRWISE_HEADERS = (
    "###Instruction:",
    "###Response A:",
    "###Response B:",
    "###Reference Answer:",
    "###Score Rubric:",
)
