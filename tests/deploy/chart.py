"""What the Helm chart makes of values, as Helm renders it, and what its templates say without."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import textwrap
from functools import cache
from typing import Any

import pytest
import yaml

from tests.deploy.files import CHART

LEAST = {
    "image": {"repository": "registry.example/idp"},
    "settings": {"IDP_PUBLIC_URL": "https://login.example.com"},
}
MONITORED = {"metrics": {"enabled": True, "serviceMonitor": True, "rules": True}}
VALUES: dict[str, dict[str, Any]] = {
    "least": LEAST,
    "monitored": {**LEAST, **MONITORED},
    "large": {
        **LEAST,
        "autoscaling": {"enabled": True},
        "server": {"workers": 4},
        "data": {"existingClaim": "files"},
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"operator": "Exists"}],
        "networkPolicy": {"from": [{"podSelector": {"matchLabels": {"app": "proxy"}}}]},
    },
    "ingress": {
        **LEAST,
        "image": {"repository": "registry.example/idp", "digest": "sha256:" + "0" * 64},
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "hosts": ["login.example.com", "login.globex.example"],
            "tlsSecret": "login-tls",
        },
    },
    "bare": {
        **LEAST,
        "setup": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
        "networkPolicy": {"enabled": False},
    },
    "first administrator": {**LEAST, "setup": {"adminPasswordKey": "admin_password"}},
}
WITHOUT_COUNTERS = {
    "server": {"replicas": 1},
    "secret": {"keys": {"IDP_REDIS_URL": None}},
}
VALUES["alone"] = {**LEAST, **WITHOUT_COUNTERS}
CONFINED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


_DEFINED = re.compile(
    r'{{- define "([\w.]+)" -?}}\n(.*?)\n{{- end }}\s*(?=\Z|{{- define)', re.DOTALL
)
_COMMENT = re.compile(r"{{- /\*.*?\*/}}\n?", re.DOTALL)
_INCLUDED = re.compile(r'^( *)(.*?){{-? ?include "([\w.]+)" [.$][^}]*}}$', re.MULTILINE)
_INDENTED = re.compile(r"nindent (\d+)")
_ACTION_ALONE = re.compile(r"^ *(?:{{.*?}})+ *$\n?", re.MULTILINE)
_ACTION = re.compile(r"{{.*?}}")


KUBERNETES = "1.30.0"
"""Helm without a cluster takes one that depends on how it was built."""


class RefusedError(Exception):
    """Helm does not render with these values."""


def render(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what Helm makes of the chart with some values."""
    return list(yaml.safe_load_all(rendered(json.dumps(values))))


@cache
def rendered(values: str) -> str:
    """Return the manifests that Helm renders with values in JSON."""
    helm = shutil.which("helm")
    if helm is None:
        pytest.skip("helm is not installed: what the chart renders is not examined")
    done = subprocess.run(
        [
            *(helm, "template", "login", CHART, "--namespace", "idp", "--values", "-"),
            *("--kube-version", KUBERNETES),
        ],
        input=values,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode:
        raise RefusedError(done.stderr)
    return done.stdout


def templates() -> dict[str, str]:
    """Return the texts of the templates by name."""
    found = sorted((CHART / "templates").iterdir())
    return {path.name: path.read_text(encoding="utf-8") for path in found}


def skeletons() -> list[dict[str, Any]]:
    """Return the manifests with all that any condition may add, and `x` for what is computed.

    It is no rendering: no condition is decided and no value is used. What the templates say in so
    many words is there, and what they include.
    """
    defined = dict(_DEFINED.findall(_COMMENT.sub("", templates()["_helpers.tpl"])))
    texts = [text for name, text in templates().items() if name.endswith(".yaml")]
    return [
        manifest
        for text in texts
        for manifest in yaml.safe_load_all(_skeleton(text, defined))
        if manifest
    ]


def _skeleton(text: str, defined: dict[str, str]) -> str:
    def include(found: re.Match[str]) -> str:
        indented, before, name = found.groups()
        depth = _INDENTED.search(found[0])
        if depth is None and before:
            return f"{indented}{before}x"
        body = _skeleton(defined[name], defined)
        body = textwrap.indent(body, " " * int(depth[1]) if depth else "")
        return f"{indented}{before}\n{body}" if before else body

    expanded = _INCLUDED.sub(include, _COMMENT.sub("", text))
    return _ACTION.sub("x", _ACTION_ALONE.sub("", expanded))


def of_kind(found: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Return the manifests of a kind."""
    return [one for one in found if one["kind"] == kind]


def pods(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the pods of manifests by the name of what runs them."""
    return {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in found
        if one["kind"] in {"Deployment", "Job"}
    }
