"""Pages that need no other file: templates, one look and one script for all of them, every text escaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

from .views import markup

HERE = Path(__file__).parent


def render(template: str | Path, **values: Any) -> str:
    """Return a page from a template that extends `base.html.j2`; every text is escaped, and a missing value an error.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "hello.html.j2"
    ...     _ = file.write_text('{% extends "base.html.j2" %}{% block content %}<p>{{ text }}</p>{% endblock %}')
    ...     page = render(file, title="Hello", text="<b>")
    >>> "<p>&lt;b&gt;</p>" in page, "https://" in page
    (True, False)
    """
    loader = jinja2.FileSystemLoader([Path(template).parent, HERE])
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    # The style and the script are ours: they go into the page as they are.
    parts = {name: markup((HERE / f"page.{name}").read_text(encoding="utf-8")) for name in ("css", "js")}
    return environment.get_template(Path(template).name).render(**parts, **values)
