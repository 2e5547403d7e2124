"""The files of the Helm chart without Helm: values against their schema, and what templates say."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema_rs
import pytest
import yaml

from tests.deploy.chart import (
    CONFINED,
    LEAST,
    MONITORED,
    VALUES,
    of_kind,
    pods,
    skeletons,
    templates,
)
from tests.deploy.files import CHART, DEPLOY, SECRETS, SETTINGS, read

pytestmark = pytest.mark.no_database

DEFAULTS: dict[str, Any] = yaml.safe_load(read("chart", "values.yaml"))
SCHEMA: dict[str, Any] = json.loads(read("chart", "values.schema.json"))


def merged(values: dict[str, Any], defaults: dict[str, Any] = DEFAULTS) -> dict[str, Any]:
    """Return the values that Helm makes of the chart's and of those of an installation."""
    result = dict(defaults)
    for name, value in values.items():
        if isinstance(value, dict) and isinstance(defaults.get(name), dict):
            result[name] = merged(value, defaults[name])
        else:
            result[name] = value
    return {name: value for name, value in result.items() if value is not None}


def mistakes(values: dict[str, Any]) -> list[str]:
    """Return what the schema says against values, each with its place."""
    found = jsonschema_rs.validator_for(SCHEMA).iter_errors(merged(values))
    return [f"{'/'.join(map(str, error.instance_path))}: {error.message}" for error in found]


@pytest.mark.parametrize("values", [{}, *VALUES.values(), {**LEAST, **MONITORED}])
def test_the_schema_accepts_values_that_installations_have(values: dict[str, Any]) -> None:
    assert mistakes(values) == []


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"image": {"tag": "latest"}}, "image/tag"),
        ({"image": {"digest": "sha256:0"}}, "image/digest"),
        ({"replicas": 3}, "replicas"),
        ({"server": {"replicas": 0}}, "server/replicas"),
        ({"server": {"workers": "2"}}, "server/workers"),
        ({"secret": {"keys": {"IDP_LOG_LEVEL": "a"}}}, "IDP_LOG_LEVEL"),
        ({"secret": {"keys": {"IDP_SMTP_URL": "../a"}}}, "IDP_SMTP_URL"),
        ({"secret": {"keys": {"IDP_SECRET_KEY": None}}}, "IDP_SECRET_KEY"),
        ({"settings": {"PATH": "/bin"}}, "PATH"),
        ({"settings": {"IDP_DATA_DIR": "/elsewhere"}}, "IDP_DATA_DIR"),
        *(({"settings": {name: "x"}}, name) for name in sorted(SECRETS)),
    ],
)
def test_the_schema_refuses_values_that_are_wrong_or_unsafe(
    changed: dict[str, Any], named: str
) -> None:
    (found,) = mistakes({**LEAST, **changed})
    assert named in found


def test_the_schema_knows_every_secret_and_every_value() -> None:
    properties = SCHEMA["properties"]
    refused = set(properties["settings"]["propertyNames"]["not"]["enum"])
    assert refused - SETTINGS == set()
    assert refused & SECRETS == SECRETS
    assert set(properties["secret"]["properties"]["keys"]["propertyNames"]["enum"]) == SECRETS
    assert DEFAULTS.keys() == properties.keys() - {"global"}
    assert SCHEMA["additionalProperties"] is False
    for name, value in DEFAULTS.items():
        known = properties[name].get("properties")
        if known is not None:
            assert value.keys() == known.keys(), name
            assert properties[name]["additionalProperties"] is False


def test_every_value_is_used_and_every_used_one_exists() -> None:
    used = set(re.findall(r"\.Values\.(\w+)(?:\.(\w+))?", "".join(templates().values())))
    for first, second in used:
        assert first in DEFAULTS, first
        assert not second or second in DEFAULTS[first], (first, second)
    for first, value in DEFAULTS.items():
        if first != "settings" and isinstance(value, dict) and value:
            assert {second for name, second in used if name == first} >= value.keys(), first
        else:
            assert first in {name for name, _ in used}, first


def test_every_template_that_is_included_is_defined_and_the_other_way_round() -> None:
    text = "".join(templates().values())
    defined = re.findall(r'define "([\w.]+)"', text)
    assert len(defined) == len(set(defined))
    assert set(re.findall(r'include "([\w.]+)"', text)) == set(defined)
    assert all(name.startswith("idp.") for name in defined)


def test_conditions_and_definitions_are_closed() -> None:
    for name, text in templates().items():
        words = re.findall(r"{{-? *(define|if|range|with|end)\b", text)
        assert words.count("end") * 2 == len(words), name


def test_the_chart_has_these_kinds_and_never_a_secret() -> None:
    kinds = sorted(one["kind"] for one in skeletons())
    assert kinds == [
        *("Deployment", "Deployment", "HorizontalPodAutoscaler", "Ingress", "Job"),
        *("NetworkPolicy", "PodDisruptionBudget", "PrometheusRule"),
        *("Service", "Service", "ServiceMonitor"),
    ]


def test_every_pod_is_confined_whatever_the_values() -> None:
    found = pods(skeletons())
    assert found.keys() == {"x", "x-worker", "x-setup"}
    for pod in found.values():
        assert pod["automountServiceAccountToken"] is False
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] == context["runAsGroup"] == 10_001
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        (container,) = pod["containers"]
        assert container["securityContext"] == CONFINED
        mounted = {mount["name"]: mount for mount in container["volumeMounts"]}
        assert mounted.keys() == {volume["name"] for volume in pod["volumes"]}
        assert mounted["secret"]["readOnly"] is True
        assert not {one["name"] for one in container["env"]} & SECRETS


def test_an_upgrade_leaves_no_gap_and_no_restart_waits_for_the_database() -> None:
    from idp.server.process import KILL_SECONDS

    server = next(
        one
        for one in of_kind(skeletons(), "Deployment")
        if one["metadata"]["labels"]["app.kubernetes.io/component"] == "server"
    )
    assert server["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    pod = server["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > KILL_SECONDS
    container = pod["containers"][0]
    assert container["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    (job,) = of_kind(skeletons(), "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"


def test_selectors_name_labels_of_the_pods() -> None:
    labels = [
        one["spec"]["template"]["metadata"]["labels"].items()
        for one in skeletons()
        if one["kind"] in {"Deployment", "Job"}
    ]
    selectors = [
        selector
        for one in skeletons()
        if one["kind"] in {"Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service"}
        for spec in [one["spec"]]
        for selector in [spec.get("selector", spec.get("podSelector"))]
    ]
    assert len(selectors) == 6
    for selector in selectors:
        wanted = selector.get("matchLabels", selector).items()
        assert [given for given in labels if wanted <= given], selector


def test_the_alerts_of_the_chart_are_those_of_prometheus() -> None:
    assert (CHART / "alerts.yml").resolve() == DEPLOY / "prometheus" / "alerts.yml"
    assert yaml.safe_load(read("prometheus", "alerts.yml")).keys() == {"groups"}


def test_the_chart_is_of_this_release() -> None:
    import idp

    chart = yaml.safe_load(read("chart", "Chart.yaml"))
    assert chart["appVersion"] == idp.__version__
