"""Declared metrics, the guide, the alert rules and the dashboard say the same."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from idp.platform.metrics.declarations import METRICS

pytestmark = pytest.mark.no_database

ROOT = Path(__file__).parent.parent
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
ALERTS_TEST = ROOT / "deploy/prometheus/alerts_test.yml"
DASHBOARD = ROOT / "deploy/grafana/idp.json"
GUIDE = ROOT / "docs/monitoring.md"
PROMTOOL = shutil.which("promtool")

OF_PROMETHEUS = {"up"}
SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("",), "gauge": ("",)}
SERIES = {metric.name + suffix for metric in METRICS for suffix in SUFFIXES[metric.kind]}
LABELS = {
    metric.name + suffix: {*metric.labels, "job", "instance"} | ({"le"} if suffix else set())
    for metric in METRICS
    for suffix in SUFFIXES[metric.kind]
}
OWN = re.compile(r"\b(?:idp|outbox)_[a-z0-9_]+\b")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]


def queries() -> Iterator[tuple[str, str]]:
    """Yield each query of the rules and of the dashboard with its title."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def unknown_names(query: str) -> set[str]:
    """Return what a query names and no metric is called."""
    return set(OWN.findall(query)) - SERIES


def unknown_labels(query: str) -> set[str]:
    """Return labels in selectors that their metric does not have."""
    found = set()
    for name, selector in re.findall(r"\b([a-z][a-z0-9_]+)\{([^}]*)\}", query):
        if name in OF_PROMETHEUS:
            continue
        named = set(re.findall(r"([a-z_]+)(?:=~|!~|!=|=)", selector))
        found |= named - LABELS.get(name, set())
    return found


@pytest.mark.parametrize(("title", "query"), list(queries()))
def test_queries_name_metrics_and_labels_that_there_are(title: str, query: str) -> None:
    assert unknown_names(query) == set(), title
    assert unknown_labels(query) == set(), title
    grouped = {
        label.strip()
        for labels in re.findall(r"\bby \(([^)]*)\)", query)
        for label in labels.split(",")
    }
    named = OWN.findall(query)
    known = {"job", "instance"}.union(*(LABELS[name] for name in named))
    assert grouped <= known, title


def test_an_unknown_metric_or_label_is_found() -> None:
    assert unknown_names("rate(idp_request_total[5m])") == {"idp_request_total"}
    assert unknown_names("idp_request_seconds > 1") == {"idp_request_seconds"}
    assert unknown_labels('idp_requests_total{client="x", status="200"}') == {"client"}


def test_every_metric_is_shown_by_the_dashboard_or_watched_by_a_rule() -> None:
    named = {name for _, query in queries() for name in OWN.findall(query)}
    unused = {
        metric.name
        for metric in METRICS
        if not any(metric.name + suffix in named for suffix in SUFFIXES[metric.kind])
    }
    assert unused == {"outbox_oldest_seconds"}  # the former name of another one


def test_the_guide_has_a_line_for_each_metric_and_each_alert() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    for metric in METRICS:
        assert f"| `{metric.name}` | {metric.kind} |" in text
    described = re.findall(r'^\| <a id="(\w+)"></a>`(\w+)` \| (.+) \|$', text, re.MULTILINE)
    assert [name for _, name, _ in described] == [rule["alert"] for rule in rules()]
    for anchor, name, advice in described:
        assert anchor == name.lower()
        assert len(advice) > 40


def test_rules_say_how_bad_it_is_and_where_advice_stands() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["annotations"]["runbook_url"] == f"docs/monitoring.md#{rule['alert'].lower()}"


def test_every_rule_is_seen_to_fire_and_most_to_be_silent() -> None:
    tests = yaml.safe_load(ALERTS_TEST.read_text(encoding="utf-8"))["tests"]
    expected = [case for test in tests for case in test["alert_rule_test"]]
    names = {rule["alert"] for rule in rules()}
    assert {case["alertname"] for case in expected if case.get("exp_alerts")} == names
    silent = {case["alertname"] for case in expected if not case.get("exp_alerts")}
    assert len(names - silent) <= 4


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
@pytest.mark.parametrize("arguments", [("check", "rules", ALERTS), ("test", "rules", ALERTS_TEST)])
def test_promtool_accepts_the_rules(arguments: tuple[Any, ...]) -> None:
    done = subprocess.run(
        [str(PROMTOOL), *map(str, arguments)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_panels_have_names_and_places_of_their_own() -> None:
    assert len({panel["id"] for panel in panels()}) == len(panels())
    titles = [panel["title"] for panel in panels()]
    assert len(set(titles)) == len(titles)
    for panel in panels():
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
    variables = json.loads(DASHBOARD.read_text(encoding="utf-8"))["templating"]["list"]
    assert [variable["name"] for variable in variables] == ["datasource", "job", "instance"]


def test_metrics_are_named_as_prometheus_recommends() -> None:
    for metric in METRICS:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.sentence.endswith(".")
        assert "job" not in metric.labels  # Prometheus gives that to its targets
    assert len({metric.name for metric in METRICS}) == len(METRICS)
