"""Figures of one process and of all workers together."""

from __future__ import annotations

import pytest
from prometheus_client import generate_latest

from idp.platform import metrics

pytestmark = pytest.mark.no_database


def test_requests_are_counted_by_route_method_and_status(app, client):
    counted = app.wsgi_app._entrance.metrics
    client.get("/healthz")
    client.get("/healthz")
    client.post("/connect/token", data={"client_id": "nobody"})
    client.get("/forgot/a-secret-that-must-not-be-a-label")
    client.open("/nothing/at/all", method="BREW")
    text = generate_latest(counted.registry).decode()
    assert 'idp_requests_total{endpoint="/healthz",method="GET",status="200"} 2.0' in text
    assert 'idp_requests_total{endpoint="/connect/token",method="POST",status="401"} 1.0' in text
    assert 'idp_request_seconds_count{endpoint="/connect/token"} 1.0' in text
    assert 'endpoint="(none)",method="(other)"' in text
    assert "a-secret" not in text


def test_unknown_paths_and_methods_make_no_new_figures(app, client):
    counted = app.wsgi_app._entrance.metrics
    for number in range(30):
        client.get(f"/nothing/{number}")
        client.open("/healthz", method=f"BREW{number}")
    text = generate_latest(counted.registry).decode()
    assert len([line for line in text.splitlines() if line.startswith("idp_requests_total")]) <= 3


@pytest.mark.parametrize("text", ["", "8000", "host:", "host:0", "host:70000", "host:-1", "a:b"])
def test_addresses_that_cannot_be_listened_on_are_refused(text):
    with pytest.raises(ValueError, match="HOST:PORT"):
        metrics.parse_address(text)


def test_addresses_are_read():
    assert metrics.parse_address("127.0.0.1:9100") == ("127.0.0.1", 9100)
    assert metrics.parse_address("[::1]:9100") == ("::1", 9100)
    assert metrics.parse_address(":9100") == ("0.0.0.0", 9100)  # noqa: S104
