"""A real part that is not installed: in CI a failure, elsewhere a skip that names the install command."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.real.control_plane.programs import PartMissing


@contextmanager
def _skipping_what_is_missing() -> Iterator[None]:
    try:
        yield
    except PartMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    with _skipping_what_is_missing():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    with _skipping_what_is_missing():
        return (yield)
