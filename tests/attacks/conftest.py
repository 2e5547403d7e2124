"""Whatever an attacker sends, the server does not break."""

from __future__ import annotations

import pytest

from tests.conftest import IssuerClient


@pytest.fixture(autouse=True)
def _nothing_breaks(monkeypatch):
    """Refuse every answer that says that something went wrong here."""
    opened = IssuerClient.open

    def checked(self, *args, **kwargs):
        answer = opened(self, *args, **kwargs)
        assert answer.status_code < 500, (answer.request.path, answer.get_data(as_text=True))
        return answer

    monkeypatch.setattr(IssuerClient, "open", checked)
