"""What the files of `deploy/` name exists."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from tests.deploy.files import DEPLOY, GUIDE, ROOT, SECRETS, VARIABLES, is_pinned, read

pytestmark = pytest.mark.no_database

METRIC = re.compile(r"\b(?:idp_\w+|outbox_\w+)\b(?=[\[{ )>])")


def files_with_text() -> dict[str, str]:
    found = [path for path in (*DEPLOY.rglob("*"), GUIDE) if path.is_file()]
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in found}


def test_every_name_of_a_setting_is_one() -> None:
    named = {
        (file, name)
        for file, text in files_with_text().items()
        for name in re.findall(r"\bIDP_[A-Z0-9_]*[A-Z0-9]\b", text)
    }
    assert {file for file, _ in named} >= {
        "deploy/Dockerfile",
        "deploy/compose.yaml",
        "deploy/chart/values.yaml",
        "deploy/systemd/idp.service",
        "docs/deploy.md",
    }
    assert {(file, name) for file, name in named if name not in VARIABLES} == set()


def test_no_file_holds_the_value_of_a_secret() -> None:
    for file, text in files_with_text().items():
        for name in SECRETS - {"IDP_REDIS_URL"}:
            assert not re.search(rf"{name}\s*[:=]\s*['\"]?[a-z]+://", text), (file, name)
        assert not re.search(r"IDP_SECRET_KEY=\S", text), file


def test_every_metric_is_one_of_the_server() -> None:
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "idp").rglob("*.py"))
    alerts = METRIC.findall(read("prometheus", "alerts.yml"))
    board = [
        name
        for panel in json.loads(read("grafana", "idp.json"))["panels"]
        for target in panel.get("targets", ())
        for name in METRIC.findall(target["expr"])
    ]
    assert alerts
    assert board
    for name in {*alerts, *board}:
        assert f'"{re.sub("_(total|bucket|count|sum)$", "", name)}' in sources, name


def test_every_file_that_the_guide_names_exists() -> None:
    named = set(re.findall(r"\bdeploy/[\w./-]*\w", GUIDE.read_text(encoding="utf-8")))
    assert named >= {"deploy/Dockerfile", "deploy/compose.yaml", "deploy/prometheus/alerts.yml"}
    written_by_operators = {name for name in named if name.startswith("deploy/secrets")}
    written_by_operators |= {"deploy/.env"} & named
    assert {name for name in named - written_by_operators if not (ROOT / name).exists()} == set()


def test_secrets_of_operators_are_not_committed() -> None:
    for name in ("deploy/.env", "deploy/secrets/secret_key"):
        done = subprocess.run(["git", "check-ignore", "-q", name], cwd=ROOT)
        if done.returncode == 128:
            pytest.skip("needs git and a clone to know what is ignored")
        assert done.returncode == 0, name


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("postgres:17.5-bookworm", True),
        ("registry.example:5000/a/idp:0.1.0", True),
        ("caddy@sha256:" + "0" * 64, True),
        ("postgres", False),
        ("postgres:latest", False),
        ("postgres:17", False),
        ("caddy@sha256:00", False),
    ],
)
def test_a_release_or_a_digest_pins_an_image(image: str, expected: bool) -> None:
    assert is_pinned(image) is expected
