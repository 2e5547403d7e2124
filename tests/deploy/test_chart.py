"""The Helm chart as Helm renders it: every test here needs `helm` on the path."""

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

from idp.commands.serve import check
from idp.config import Settings
from tests.conftest import SECRET_KEY
from tests.deploy.chart import (
    CONFINED,
    KUBERNETES,
    LEAST,
    MONITORED,
    VALUES,
    WITHOUT_COUNTERS,
    RefusedError,
    of_kind,
    pods,
    render,
    rendered,
)
from tests.deploy.files import CHART, GUIDE, SECRETS, SETTINGS, is_pinned, read

pytestmark = pytest.mark.no_database


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_every_pod_is_confined(values: dict[str, Any]) -> None:
    found = pods(render(values))
    assert len(found) == (2 if values.get("setup", {}).get("enabled") is False else 3)
    for pod in found.values():
        assert pod["automountServiceAccountToken"] is False
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] == context["runAsGroup"] == 10_001
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert {tuple(volume)[1] for volume in pod["volumes"]} <= {
            *("secret", "emptyDir", "persistentVolumeClaim"),
        }
        (container,) = pod["containers"]
        assert container["securityContext"] == CONFINED
        assert is_pinned(container["image"])
        assert "memory" in container["resources"]["limits"]
        mounted = {mount["name"]: mount for mount in container["volumeMounts"]}
        assert mounted.keys() == {volume["name"] for volume in pod["volumes"]}
        assert mounted["secret"]["readOnly"] is True


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_no_secret_is_made_and_none_is_in_the_environment(values: dict[str, Any]) -> None:
    found = render(values)
    assert of_kind(found, "Secret") == []
    for pod in pods(found).values():
        names = [one["name"] for one in pod["containers"][0]["env"]]
        assert len(names) == len(set(names))
        assert not set(names) & SECRETS
        files = {name.removesuffix("_FILE") for name in names if name.endswith("_FILE")}
        assert {"IDP_SECRET_KEY", "IDP_DATABASE_URL"} <= files <= SECRETS
        assert {name for name in names if not name.endswith("_FILE")} <= SETTINGS


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_selectors_find_the_pods_that_they_mean(values: dict[str, Any]) -> None:
    found = render(values)
    labels = {
        one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"]
        for one in found
        if one["kind"] in {"Deployment", "Job"}
    }
    selecting = list(_selectors(found))
    assert len(selecting) >= 3
    for name, selector, expected in selecting:
        hit = {pod for pod, given in labels.items() if selector.items() <= given.items()}
        assert hit == (labels.keys() if expected is None else expected), name


def _selectors(
    found: list[dict[str, Any]],
) -> Iterator[tuple[str, dict[str, str], set[str] | None]]:
    for one in found:
        kind, name, spec = one["kind"], one["metadata"]["name"], one.get("spec", {})
        if kind == "Service":
            scraped = {"login", "login-worker"}
            expected = scraped if name.endswith("-metrics") else {"login"}
            yield f"{kind} {name}", spec["selector"], expected
        elif kind == "Deployment":
            yield f"{kind} {name}", spec["selector"]["matchLabels"], {name}
            for spread in spec["template"]["spec"].get("topologySpreadConstraints", ()):
                yield f"spread of {name}", spread["labelSelector"]["matchLabels"], {name}
        elif kind == "PodDisruptionBudget":
            yield kind, spec["selector"]["matchLabels"], {"login"}
        elif kind == "NetworkPolicy":
            yield kind, spec["podSelector"]["matchLabels"], None


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_what_the_server_is_given_can_be_served_with(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secrets = {
        "secret_key": SECRET_KEY,
        "database_url": "postgresql://idp:pw@db.example/idp",
        "redis_url": "redis://cache.example:6379/0",
    }
    (container,) = pods(render(values))["login"]["containers"]
    for one in container["env"]:
        value = one["value"]
        if one["name"].endswith("_FILE"):
            path = tmp_path / Path(value).name
            path.write_text(secrets[path.name])
            path.chmod(0o600)
            value = str(path)
        monkeypatch.setenv(one["name"], value)
    arguments = container["args"]
    check(Settings(), workers=int(arguments[arguments.index("--workers") + 1]))


def test_an_upgrade_leaves_no_gap_and_a_restart_waits_for_no_database() -> None:
    from idp.server.process import KILL_SECONDS

    found = render(LEAST)
    server, worker = of_kind(found, "Deployment")
    if server["metadata"]["name"] != "login":
        server, worker = worker, server
    assert server["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    pod = server["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > KILL_SECONDS
    container = pod["containers"][0]
    assert container["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert "--no-worker" in container["args"]
    assert worker["spec"]["template"]["spec"]["containers"][0]["args"] == ["worker"]
    (job,) = of_kind(found, "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["setup"]
    assert of_kind(found, "PodDisruptionBudget")[0]["spec"]["minAvailable"] == 1


def test_metrics_are_not_reachable_where_applications_are_answered() -> None:
    found = render({**LEAST, **MONITORED})
    services = {one["metadata"]["name"]: one["spec"] for one in of_kind(found, "Service")}
    assert [port["name"] for port in services["login"]["ports"]] == ["http"]
    assert services["login-metrics"]["clusterIP"] == "None"
    (policy,) = of_kind(found, "NetworkPolicy")
    by_port = {rule["ports"][0]["port"]: rule["from"] for rule in policy["spec"]["ingress"]}
    assert by_port == {8000: [{"namespaceSelector": {}}], 9100: [{"podSelector": {}}]}
    (monitor,) = of_kind(found, "ServiceMonitor")
    metrics = next(one for one in found if one["metadata"]["name"] == "login-metrics")
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    assert wanted <= metrics["metadata"]["labels"].items()
    assert metrics["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "idp"
    (rules,) = of_kind(found, "PrometheusRule")
    assert rules["spec"] == yaml.safe_load(read("prometheus", "alerts.yml"))
    for name in ("login", "login-worker"):
        (container,) = pods(found)[name]["containers"]
        assert {"name": "metrics", "containerPort": 9100} in container["ports"]
        assert {"name": "IDP_METRICS_LISTEN", "value": "0.0.0.0:9100"} in container["env"]
    assert "IDP_METRICS_LISTEN" not in rendered(json.dumps(LEAST))
    for kind in ("ServiceMonitor", "PrometheusRule"):
        assert of_kind(render(LEAST), kind) == []


def test_the_proxy_serves_every_host_that_is_named() -> None:
    (ingress,) = of_kind(render(VALUES["ingress"]), "Ingress")
    hosts = ["login.example.com", "login.globex.example"]
    assert [rule["host"] for rule in ingress["spec"]["rules"]] == hosts
    assert ingress["spec"]["tls"] == [{"secretName": "login-tls", "hosts": hosts}]
    assert of_kind(render(LEAST), "Ingress") == []


def test_the_values_of_the_guide_can_be_rendered() -> None:
    (block,) = re.findall(r"```yaml\n(# values.yaml\n.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    found = render(yaml.safe_load(block))
    setup = pods(found)["login-setup"]["containers"][0]["env"]
    assert "IDP_ADMIN_PASSWORD_FILE" in {one["name"] for one in setup}
    assert of_kind(found, "Ingress")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"image": {}}, "image.repository is required"),
        ({"settings": {}}, "settings.IDP_PUBLIC_URL is required"),
        ({"image": {"repository": "idp", "tag": "latest"}}, "/image/tag"),
        ({"image": {"repository": "idp", "digest": "sha256:0"}}, "/image/digest"),
        ({"replicas": 3}, "replicas"),
        ({"secret": {"name": ""}}, "secret.name is required"),
        ({"secret": {"keys": {"IDP_LOG_LEVEL": "a"}}}, "IDP_LOG_LEVEL"),
        ({"secret": {"keys": {"IDP_SMTP_URL": "../a"}}}, "IDP_SMTP_URL"),
        ({"ingress": {"enabled": True}}, "ingress.hosts is required"),
        ({"secret": {"keys": {"IDP_REDIS_URL": None}}}, "shared counters"),
        ({**WITHOUT_COUNTERS, "server": {"replicas": 1, "workers": 2}}, "shared counters"),
        ({**WITHOUT_COUNTERS, "autoscaling": {"enabled": True}}, "shared counters"),
        ({"secret": {"keys": {"IDP_SECRET_KEY": None}}}, "IDP_SECRET_KEY"),
        *(({"settings": {**LEAST["settings"], name: "x"}}, name) for name in sorted(SECRETS)),
    ],
)
def test_values_that_are_wrong_or_unsafe_are_refused(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(RefusedError, match=re.escape(named)):
        render({**LEAST, **changed})


ACCEPTED = {
    "container-image-pull-policy": "images are named by release or digest",
    "deployment-has-host-podantiaffinity": "pods are spread by topologySpreadConstraints",
    "deployment-replicas": "one worker is enough: what it does waits in the outbox",
    "pod-networkpolicy": "what goes out depends on the installation",
}
"""What kube-score finds and this chart means, with the reason."""


@pytest.mark.parametrize("values", [VALUES["ingress"], VALUES["large"], {**LEAST, **MONITORED}])
def test_kube_score_finds_nothing(values: dict[str, Any]) -> None:
    program = shutil.which("kube-score")
    text = rendered(json.dumps(values))
    if program is None:
        pytest.skip("kube-score is not installed: the manifests are not examined by it")
    ignored = [word for name in ACCEPTED for word in ("--ignore-test", name)]
    options = ["--ignore-container-cpu-limit", "--output-format", "ci", "--exit-one-on-warning"]
    done = subprocess.run(
        [program, "score", "-", *options, *ignored, "--kubernetes-version", f"v{KUBERNETES[:4]}"],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("[OK]") > 20


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_the_manifests_have_the_shapes_of_kubernetes(
    values: dict[str, Any], tmp_path: Path
) -> None:
    program = shutil.which("kubernetes-validate")
    (tmp_path / "rendered.yaml").write_text(rendered(json.dumps(values)))
    if program is None:
        pytest.skip("kubernetes-validate is not installed: shapes are not examined")
    done = subprocess.run(
        [program, "--strict", "-k", KUBERNETES[:4], "rendered.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert output.count(" passed for resource ") >= 3


def test_helm_lint_finds_no_fault() -> None:
    rendered(json.dumps(LEAST))
    done = subprocess.run(
        [shutil.which("helm") or "", "lint", "--strict", CHART, "--values", "-"],
        input=json.dumps(LEAST),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
