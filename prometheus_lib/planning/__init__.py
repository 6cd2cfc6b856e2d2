"""What a run of a scale takes before anything is downloaded: tokens, memory, disk, hours and dollars, per notebook."""

from .checking import check_ready
from .estimate import NotebookPlan, Plan, make_plan
from .machines import GPU, Machine, describe_machine, gpu_table, this_machine
from .speed import Speed, earlier_speed, gpu_speed, probe_speed
from .work import Lengths, Work, work_of

__all__ = [
    "GPU",
    "Lengths",
    "Machine",
    "NotebookPlan",
    "Plan",
    "Speed",
    "Work",
    "check_ready",
    "describe_machine",
    "earlier_speed",
    "gpu_speed",
    "gpu_table",
    "make_plan",
    "probe_speed",
    "this_machine",
    "work_of",
]
