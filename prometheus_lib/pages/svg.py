"""Figures as small SVG that says in words what it shows: text stays text, and numbers have two decimals."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SETTINGS = {"svg.hashsalt": "prometheus", "svg.fonttype": "none", "savefig.bbox": "tight"}
_NOTHING = {"Date": None, "Creator": None, "Format": None, "Type": None}
_FONTS = "DejaVu Sans, Verdana, sans-serif"  # Verdana is as wide
_NAMES = 12  # so many names of an axis are read out
_DATA = re.compile(r' (?:d|points|x|y|width|height|style|viewBox|clip-path)="[^"]*"')


def svg_text(figure: Figure) -> str:
    """Return a figure as SVG with a title and a description in words; equal data, equal text.

    >>> import matplotlib.pyplot as plt
    >>> figure, axes = plt.subplots()
    >>> axes.set(title="Up it goes", xlabel="week", ylabel="score"), plt.close(figure)  # doctest: +ELLIPSIS
    (...)
    >>> told(svg_text(figure))
    ('Up it goes', 'Horizontal: week. Vertical: score.')
    """
    from matplotlib import rc_context

    stream = io.StringIO()
    with rc_context(_SETTINGS):
        figure.savefig(stream, format="svg", metadata=_NOTHING)
    title, text = described(figure)
    head, start, rest = stream.getvalue().partition("<svg")
    opening, end, body = rest.partition(">")
    words = f"\n <title>{html.escape(title, False)}</title>\n <desc>{html.escape(text, False)}</desc>"
    return f"{start}{_small(opening)}{end}{words}{_small(body)}"


def _small(svg: str) -> str:
    """SVG without what no reader sees: comments, notes on the file, lists of fonts, digits behind the second."""
    svg = re.sub(r"<!--.*?-->\n?|<metadata>.*?</metadata>\n?", "", svg, flags=re.DOTALL)
    svg = re.sub(r"(font(?:-family)?: [^;\"]*?)'DejaVu Sans'(?:, [^;\"]*)?(?=[;\"])", rf"\1{_FONTS}", svg)
    svg = _DATA.sub(lambda found: re.sub(r"(\.\d\d)\d+", r"\1", re.sub(r"\s+", " ", found.group())), svg)
    return re.sub(r"\n\s*", "\n", svg)


def told(svg: str) -> tuple[str, str]:
    """Return an SVG's title and description; "" for what it does not have.

    >>> told("<svg><title>A &amp; B</title></svg>")
    ('A & B', '')
    """
    found = (re.search(rf"<{name}>(.*?)</{name}>", svg[:20_000], re.DOTALL) for name in ("title", "desc"))
    title, text = (html.unescape(each.group(1)) if each else "" for each in found)
    return title, text


def svg_address(svg: str) -> str:
    """Return SVG as an address that holds it whole, for an image in a page that needs no other file.

    >>> svg_address('<svg id="a"/>')
    "data:image/svg+xml,%3Csvg id='a'/%3E"
    """
    quoted = svg.replace("'", "&#39;").replace('"', "'")
    return "data:image/svg+xml," + quote(quoted, safe=" /=:;,.()-_!*+@?$'~")


# --- in words --------------------------------------------------------------------------------------------------------


def described(figure: Figure) -> tuple[str, str]:
    """Return what a figure shows: its titles, and the axes and names of each panel."""
    panels = [axes for axes in figure.axes if axes.get_visible() and axes.get_label() != "<colorbar>"]
    titles = [_plain(axes.get_title(where)) for axes in panels for where in ("left", "center", "right")]
    whole = _plain(figure.get_suptitle())
    title = whole or "; ".join(dict.fromkeys(filter(None, titles)))
    panel_texts = [_panel(axes, whole) for axes in panels]
    legends = [_plain(text.get_text()) for legend in figure.legends for text in legend.get_texts()]
    many = [f"Panel {number}. {text}" for number, text in enumerate(panel_texts, 1)] if len(panels) > 1 else panel_texts
    return title, " ".join(filter(None, [*many, _list("Key", legends)]))


def _panel(axes: Any, whole: str) -> str:
    legend = axes.get_legend()
    lines = [_plain(text.get_text()) for text in legend.get_texts()] if legend else []
    parts = [
        f"{_plain(axes.get_title())}." if whole and axes.get_title() else "",
        *(_axis(name, axis) for name, axis in (("Horizontal", axes.xaxis), ("Vertical", axes.yaxis))),
        _list("Key", lines),
    ]
    return " ".join(filter(None, parts))


def _axis(name: str, axis: Any) -> str:
    """An axis by its label, and by its names where it has names instead of numbers."""
    label = _plain(axis.get_label_text())
    ticks = [_plain(text.get_text()) for text in axis.get_ticklabels()] if axis.get_visible() else []
    named = [tick for tick in ticks if tick and not re.fullmatch(r"[\W\d.e]*", tick)]
    return _list(f"{name}: {label}" if label else name, named) if named else (f"{name}: {label}." if label else "")


def _list(name: str, texts: Iterable[str]) -> str:
    shown = list(dict.fromkeys(filter(None, texts)))
    more = f" and {len(shown) - _NAMES} more" if len(shown) > _NAMES else ""
    return f"{name}: {', '.join(shown[:_NAMES])}{more}." if shown else ""


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
