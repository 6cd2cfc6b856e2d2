"""How large a difference between two judges a benchmark can show: known before anything is judged.

The unit is the instruction: `spread` is the standard deviation of the paired difference between two judges, taken per
instruction. It shrinks with the items and draws of an instruction (`paired_spread`).
"""

from __future__ import annotations

import math

from scipy.special import ndtr, ndtri


def paired_spread(share: float, agreement: float, per_instruction: int = 1, draws: float = 1.0) -> float:
    """Return the spread of the difference, per instruction, between two judges that are right with the same chance.

    `agreement` is the correlation of their being right (what is hard for one is hard for the other); `draws` counts
    independent ones (three draws of one judge count less than three).

    >>> round(paired_spread(0.8, agreement=0.5), 2), round(paired_spread(0.8, 0.5, per_instruction=4), 2)
    (0.4, 0.2)
    """
    return math.sqrt(2 * share * (1 - share) * (1 - agreement) / (per_instruction * draws))


def power(difference: float, spread: float, instructions: int, level: float = 0.95) -> float:
    """Return the chance that a two-sided test finds a difference of this size (same unit as `spread`).

    >>> round(power(0.02, spread=0.2, instructions=800), 2)
    0.81
    """
    shift, limit = abs(difference) * math.sqrt(instructions) / spread, ndtri(1 - (1 - level) / 2)
    return float(ndtr(shift - limit) + ndtr(-shift - limit))


def detectable(spread: float, instructions: int, chance: float = 0.8, level: float = 0.95) -> float:
    """Return the smallest difference that a two-sided test finds with that chance.

    The same number bounds what an equivalence test excludes with about that chance when there is no difference.

    >>> round(detectable(spread=0.2, instructions=800), 3)
    0.02
    """
    return float((ndtri(1 - (1 - level) / 2) + ndtri(chance)) * spread / math.sqrt(instructions))
