"""Fixtures of several files of this folder."""

import pytest

from tests.name_server import NameServer


@pytest.fixture
def name_server():
    """Return a name server on loopback, whose records a test sets."""
    with NameServer() as server:
        yield server
