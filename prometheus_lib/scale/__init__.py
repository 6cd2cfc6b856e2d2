"""The one dial: what SCALE means. Each scale is a short file here, and a file of your own works like ours.

`smoke` and `mini` run on a laptop in the miniature world; `7b` and `8x7b` are the paper's own recipe on GPUs. The
notebooks are the same at every scale: all differences are values in these files. Names stand elsewhere: benchmarks in
`data.catalogue`, merges in `merging.catalogue`.
"""

from .reading import READ, SCALES, add_scale_options, committed_outputs, load_scale, scale_file, stored_scale
from .settings import Expert, Paths, Scale

__all__ = [
    "Expert",
    "Paths",
    "READ",
    "SCALES",
    "Scale",
    "add_scale_options",
    "committed_outputs",
    "load_scale",
    "scale_file",
    "stored_scale",
]
