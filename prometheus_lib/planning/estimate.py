"""A plan: what each notebook of a scale takes, whether it fits the machine, and on which GPUs it would."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..artifacts import numbered_notebooks, project_folder
from ..scale import Scale
from ..training.sizing import USABLE, Shape, choose_launcher, shape_of, training_memory
from .checking import JUDGES, TRAINS
from .machines import GPU, Machine, gpu_table
from .speed import STARTUP, Speed, gpu_speed, workers_of
from .work import Work, work_of

MERGES = "04"  # the notebook that merges
PAPER_HOURS = 800  # of A100 GPUs, for all of the paper's runs (its section on training details)
COUNTS = (1, 2, 4, 8)  # GPUs of one node
MERGED = 60e6  # bytes per second that mergekit writes (measured on a CPU, all methods together)
ANALYSED = 4e-5  # seconds that tables and figures take per judgment, and a notebook (measured in the mini run)
START = 60.0  # seconds until a vLLM engine answers
LOSSES = 59  # models on and around the line between two experts whose losses are measured while they are merged
SHARD = 5.0  # GB of a model that are in memory at a time while it is merged
FITS = "fits this machine"
UNKNOWN = Speed(math.nan, math.nan, math.nan, "not measured")


@dataclass(frozen=True)
class NotebookPlan:
    """One notebook: tokens, GB of memory on each GPU, of main memory and of disk, starts of an engine, and hours.

    >>> NotebookPlan("03_train_experts", 1e6, 0, 1, 1, 0, 0.5).hours
    0.5
    """

    notebook: str
    tokens: float
    gpu: float
    memory: float
    disk: float
    starts: int
    hours: float


@dataclass(frozen=True)
class Offer:
    """A way to run it: so many GPUs of a kind, started by a launcher; hours on the clock and dollars."""

    gpu: GPU
    count: int
    launcher: str
    hours: float

    @property
    def dollars(self) -> float:
        """Return what the hours of all GPUs cost."""
        return self.gpu.dollars * self.count * self.hours

    def sentence(self) -> str:
        """Say the offer in words."""
        return f"{self.count} x {self.gpu.name} ({self.launcher}): {self.hours:,.1f} hours, {self.dollars:,.0f} dollars"


@dataclass(frozen=True)
class Plan:
    """What a run of a scale takes: its notebooks, offers of GPUs, and whether it fits this machine or what would.

    >>> plan = make_plan(load_scale("7b"), this_machine(Path.cwd()))  # doctest: +SKIP
    >>> plan.hours, plan.verdict  # doctest: +SKIP
    """

    scale: Scale
    shape: Shape
    work: Work
    speed: Speed
    notebooks: tuple[NotebookPlan, ...]
    offers: tuple[Offer, ...]
    verdict: str
    launcher: str
    devices: int

    @property
    def hours(self) -> float:
        """Return the hours of all notebooks, one after the other."""
        return sum(each.hours for each in self.notebooks)

    @property
    def worker(self) -> str:
        """Return what computes at the plan's speed: one of so many processes of a CPU, or GPUs."""
        return f"of {self.devices} {'processes' if self.scale.training.use_cpu else 'GPUs'}"

    @property
    def fits(self) -> bool:
        """Tell whether this machine can run it."""
        return self.verdict.startswith(FITS)


def make_plan(
    scale: Scale,
    machine: Machine,
    cpu_speed: Speed | None = None,
    shape: Shape | None = None,
    work: Work | None = None,
) -> Plan:
    """Plan a run of a scale on a machine; `cpu_speed` is that of one worker, for scales that compute on CPUs.

    >>> from prometheus_lib.scale import load_scale
    >>> plan = make_plan(load_scale("smoke"), Machine(2, 16, 100), Speed(6000, 15000, 3000, "measured"))
    >>> plan.fits, plan.launcher
    (True, 'none')
    """
    shape, work = shape or shape_of(scale.base_model, scale.training.lora), work or work_of(scale)
    offers = tuple(filter(None, (_offer(scale, shape, work, gpu) for gpu in gpu_table())))
    gpu, count, launcher = _devices(scale, shape, machine)
    if scale.training.use_cpu:
        speed, count, launcher = cpu_speed or UNKNOWN, workers_of(scale), "none"
    else:
        if not launcher:
            instead = offers[0] if offers else Offer(gpu_table()[-1], COUNTS[-1], "", 0.0)
            gpu, count, launcher = instead.gpu, instead.count, instead.launcher
        speed = gpu_speed(gpu, shape, scale.training, work, _spread(shape, gpu))
    notebooks = _notebooks(scale, shape, work, speed, count)
    verdict = _verdict(scale, shape, machine, notebooks, offers)
    return Plan(scale, shape, work, speed, notebooks, offers, verdict, launcher, count)


def _devices(scale: Scale, shape: Shape, machine: Machine) -> tuple[GPU | None, int, str]:
    """Return the machine's GPUs as they would be used: the smallest one, how many, and the launcher ("": none fits)."""
    if not machine.gpus:
        return None, 0, ""
    gpu = min(machine.gpus, key=lambda each: each.memory)
    count, launcher = choose_launcher(shape, scale.training, gpu.memory, len(machine.gpus))
    return gpu, count, launcher


def _offer(scale: Scale, shape: Shape, work: Work, gpu: GPU) -> Offer | None:
    """Return the fewest GPUs of a kind that hold training and judging, None where 8 do not."""
    if scale.training.use_cpu and scale.miniature:
        return None
    for count in COUNTS:
        found, launcher = choose_launcher(shape, scale.training, gpu.memory, count)
        if launcher and found == count and _spread(shape, gpu) <= count:
            speed = gpu_speed(gpu, shape, scale.training, work, _spread(shape, gpu))
            return Offer(gpu, count, launcher, sum(each.hours for each in _notebooks(scale, shape, work, speed, count)))
    return None


def _spread(shape: Shape, gpu: GPU) -> int:
    """Return over how many GPUs a judge's weights in bfloat16 are spread, with room for what it reads."""
    return 2 ** max(0, math.ceil(math.log2(2.4e-9 * shape.parameters / (0.9 * gpu.memory))))


def _notebooks(scale: Scale, shape: Shape, work: Work, speed: Speed, devices: int) -> tuple[NotebookPlan, ...]:
    size, saved = 4e-9 * shape.parameters, (2e-9 if scale.training.bf16 else 4e-9) * shape.parameters
    on_gpu = not scale.training.use_cpu
    merges, experts = len(scale.merge_folders), len(scale.experts)
    training = training_memory(shape, scale.training, devices if on_gpu else 1)
    reading = work.reading / speed.reading + work.writing / speed.writing
    # On a CPU one worker trains an expert, on GPUs all of them together do.
    trained = work.training / devices if on_gpu else max(work.training / devices, work.longest)
    losses = LOSSES * scale.loss_rows * work.row
    seconds = {
        TRAINS: trained / speed.training,
        MERGES: merges * (1.5 + saved * 1e9 / MERGED) + losses / speed.reading,
        JUDGES: (reading + (work.starts * START if on_gpu else 0)) / devices
        + len(scale.passing) * saved * 1e9 / MERGED,
    }
    tokens = {TRAINS: work.training, MERGES: losses, JUDGES: work.reading + work.writing}
    gpu = {TRAINS: training, JUDGES: _judging_memory(shape)} if on_gpu else {}
    memory = {
        TRAINS: 1 + size if on_gpu else 1 + training * devices,
        MERGES: 1 + 3 * min(size, SHARD),
        JUDGES: 1 + saved * (1 if on_gpu else devices),
    }
    disk = {
        TRAINS: experts * size + 2 * 12e-9 * shape.trained,
        MERGES: merges * saved,
        JUDGES: 3e-7 * work.judgments + min(devices, len(scale.passing)) * saved,
    }
    analysis = ANALYSED * work.judgments
    return tuple(
        NotebookPlan(
            name, tokens.get(number, 0.0), gpu.get(number, 0.0), memory.get(number, 1.0), disk.get(number, 0.05),
            work.starts if number == JUDGES else 0,
            (STARTUP + seconds.get(number, analysis if number > JUDGES else 0.0)) / 3600,
        )
        for number, name in _names().items()
    )  # fmt: skip


def _names() -> dict[str, str]:
    """Return the notebooks' names by their numbers; without the project's folder, those that compute long."""
    found = {file.stem[:2]: file.stem for file in numbered_notebooks(project_folder() / "notebooks")}
    return found or {number: f"notebook {number}" for number in (TRAINS, MERGES, JUDGES)}


def _judging_memory(shape: Shape) -> float:
    return 2e-9 * shape.parameters * 1.2


def _verdict(
    scale: Scale, shape: Shape, machine: Machine, notebooks: tuple[NotebookPlan, ...], offers: tuple[Offer, ...]
) -> str:
    memory, disk = max(each.memory for each in notebooks), sum(each.disk for each in notebooks)
    lacking = []
    if memory > USABLE * machine.memory:
        lacking.append(f"{memory:,.0f} GB of memory are needed, it has {machine.memory:,.0f}")
    if disk > machine.disk:
        lacking.append(f"{disk:,.0f} GB of disk are needed, {machine.disk:,.0f} are free")
    if not scale.training.use_cpu and not machine.gpus:
        lacking.append("it has no GPU that CUDA sees")
    elif not scale.training.use_cpu and not _devices(scale, shape, machine)[2]:
        count, size = len(machine.gpus), machine.gpus[0].memory
        lacking.append(f"training does not fit its {count} x {size:,.0f} GB of GPU memory")
    if not lacking:
        return f"{FITS}: {memory:,.1f} GB of memory and {disk:,.1f} GB of disk are needed at most."
    cheapest = min(offers, key=lambda each: each.dollars) if offers else None
    instead = f"what would: {cheapest.sentence()}." if cheapest else "a smaller base model or fewer rows would."
    return f"does not fit this machine ({'; '.join(lacking)}); {instead}"
