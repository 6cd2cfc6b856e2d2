"""What all tests of metrics share."""

from __future__ import annotations

import warnings

import pytest


@pytest.fixture(autouse=True)
def no_warnings():
    """A metric that is undefined says NaN; it does not also warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
