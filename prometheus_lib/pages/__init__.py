"""What the project's pages share: one look, one script that sorts, filters and saves tables, figures that are told."""

from .rendering import render
from .svg import svg_address, svg_text, told
from .views import Shown, View, frame_view, markup, shown

__all__ = ["Shown", "View", "frame_view", "markup", "render", "shown", "svg_address", "svg_text", "told"]
