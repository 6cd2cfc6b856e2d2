"""Judging: tasks, judges of every kind, collecting what they say, and the files in which it is kept.

Importing this loads no engine: torch, vLLM and `openai` are loaded when a judge is made.
"""

from .answers import Completion, read_answer
from .collecting import collect
from .engines import (
    ENGINES,
    LOCAL_ENGINES,
    APIJudge,
    PairRankerJudge,
    ReplayJudge,
    RewardModelJudge,
    TransformersJudge,
    TrivialJudge,
    VLLMJudge,
    engine_named,
)
from .engines.api_settings import SERVERS, APISettings, load_settings
from .engines.api_usage import Budget, Estimate, Prices, Usage
from .families import FAMILIES, Family, family_named, judge_for, template_for
from .feedback import Written, estimate_feedback, feedback_tasks, feedback_writer, write_feedback
from .jobs import JudgingJob, is_complete, job_fingerprint, run_judge, start_judge
from .judge import Found, Judge, judgments
from .own.comparing import compare
from .own.juries import judge_agreement, jury
from .own.named import find_judge
from .own.ranking import rank
from .own.result import Result
from .own.scoring import score
from .policy import ONCE, Policy
from .ray_judging import RayJudge
from .reading import asked_last, check_one_kind, current_judgments, judgments_of
from .running import run_judging
from .sharing import gather, parse_share, share_of, shares
from .store import JudgmentStore, compress, judgment_files, load_judgments, with_policy
from .sweeps import Sweep, SweepJob, run_sweep
from .tasks import (
    MENUS,
    Decoding,
    Task,
    batches,
    direct_for_pairs_tasks,
    direct_tasks,
    pairwise_tasks,
    split_pair,
    task_keys,
    tasks_for,
)
from .verifying import VERIFIED_MENUS, verify

__all__ = [
    "APIJudge",
    "APISettings",
    "Budget",
    "Completion",
    "Decoding",
    "ENGINES",
    "Estimate",
    "FAMILIES",
    "Family",
    "Found",
    "Judge",
    "JudgingJob",
    "JudgmentStore",
    "LOCAL_ENGINES",
    "MENUS",
    "ONCE",
    "PairRankerJudge",
    "Policy",
    "Prices",
    "RayJudge",
    "ReplayJudge",
    "Result",
    "RewardModelJudge",
    "SERVERS",
    "Sweep",
    "SweepJob",
    "Task",
    "TransformersJudge",
    "TrivialJudge",
    "Usage",
    "VERIFIED_MENUS",
    "VLLMJudge",
    "Written",
    "asked_last",
    "batches",
    "check_one_kind",
    "collect",
    "compare",
    "compress",
    "current_judgments",
    "direct_for_pairs_tasks",
    "direct_tasks",
    "engine_named",
    "estimate_feedback",
    "family_named",
    "feedback_tasks",
    "feedback_writer",
    "find_judge",
    "gather",
    "is_complete",
    "job_fingerprint",
    "judge_agreement",
    "judge_for",
    "judgment_files",
    "judgments",
    "judgments_of",
    "jury",
    "load_judgments",
    "load_settings",
    "pairwise_tasks",
    "parse_share",
    "rank",
    "read_answer",
    "run_judge",
    "run_judging",
    "run_sweep",
    "score",
    "share_of",
    "shares",
    "split_pair",
    "start_judge",
    "task_keys",
    "tasks_for",
    "template_for",
    "verify",
    "with_policy",
    "write_feedback",
]
