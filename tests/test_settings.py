"""Settings: how values are read, what is refused and with which words."""

from __future__ import annotations

import base64
import os
import secrets
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click import ClickException
from pydantic import SecretStr, ValidationError

from idp import setting_files, setting_values
from idp.commands import failures
from idp.config import (
    Settings,
    SettingsError,
    file_variable,
    in_use,
    secret_fields,
    sqlite_url,
    unknown_variables,
)

pytestmark = pytest.mark.no_database

# A value of each setting that is not its default.
VALUES = {
    "public_url": "https://id.example",
    "data_dir": "/srv/idp",
    "database_url": "postgresql+psycopg://u:p@db.example/idp",
    "database_prepare": "false",
    "migrate_url": "postgresql+psycopg://u:p@db.example/idp",
    "redis_url": "redis://cache.example:6379/0",
    "keys_dir": "/srv/keys",
    "secret_key": "0f8c1d7be25a9346d1b09e7a4c63f85b",
    "environment": "development",
    "admin_username": "root",
    "admin_password": "purple-tin-kettle-42",
    "demo": "true",
    "demo_password": "purple-tin-kettle-43",
    "demo_web_secret": "purple-tin-kettle-44-and-more",
    "demo_service_secret": "purple-tin-kettle-45-and-more",
    "smtp_url": "smtp://u:p%40ss@mail.example:587",
    "mail_from": "Acme <no-reply@acme.example>",
    "sms_url": "https://u:p@sms.example/send?line=2",
    "sms_per_hour": "20",
    "registration": "false",
    "security_contact": "mailto:security@acme.example",
    "brand_accent": "#0f6b5c",
    "brand_help_url": "https://help.example/idp?lang=en",
    "brand_privacy_url": "https://www.example/privacy",
    "brand_imprint_url": "https://www.example/imprint",
    "files_url": "s3://bucket/folder?region=eu",
    "files_public_url": "https://files.example/idp",
    "files_scanner": "tcp://clamav.example:3310",
    "breached_passwords": str(Path(__file__).parent / "breached.dat"),
    "log_format": "ecs",
    "slow_seconds": "0.25",
    "otlp_url": "http://collector.example:4318",
    "trace_ratio": "0.5",
    "phone_region": "DE",
    "gateway": "caddy+http://127.0.0.1:2019?listen=:443",
    "fetch_allow": "keys.internal:8080,10.1.0.0/16",
    "fetch_strangers_per_minute": "30",
    "dns_server": "127.0.0.1:5353",
    "codegen_generators": "python",
    "codegen_with_network": "true",
    "npm_registry": "https://npm.example/registry",
    "git_url": "https://git.example",
    "github_api_url": "https://git.example/api/v3",
    "trusted_proxies": "127.0.0.1/32,10.0.0.0/8",
    "dpop_nonce": "true",
    "client_certificate": "header:X-Client-Cert:urlpem",
    "client_ca": str(Path(__file__).parent / "authorities.pem"),
    "mtls_prefix": "mtls.",
    "metrics_listen": "127.0.0.1:9100",
    "log_level": "DEBUG",
    "signing_alg": "ES256",
    "key_rotation_days": "30",
    "session_hours": "4",
    "remember_days": "5",
    "audit_days": "90",
    "second_factor": "required",
    "audit_token_days": "7",
    "device_days": "5",
    "mail_new_devices": "false",
}


def text_of(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    return str(value.get_secret_value() if isinstance(value, SecretStr) else value)


def from_environment(monkeypatch: pytest.MonkeyPatch, **fields: str) -> Settings:
    for name, value in fields.items():
        monkeypatch.setenv(f"IDP_{name.upper()}", value)
    return Settings()


def complaint(**fields: Any) -> str:
    """Return what a command would say about settings."""
    with pytest.raises((ValidationError, SettingsError)) as caught:
        _ = Settings(**fields).secret_keys
    said = failures.explain(caught.value)
    assert isinstance(said, ClickException)
    assert "\n" not in said.message
    return said.message


def test_every_setting_is_in_the_list_above() -> None:
    assert VALUES.keys() == Settings.model_fields.keys()


@pytest.mark.parametrize("name", VALUES)
def test_blanks_around_a_value_are_no_part_of_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = {"environment": "development", name: VALUES[name]}
    expected = text_of(from_environment(monkeypatch, **plain), name)
    assert expected != text_of(Settings.model_construct(), name)
    blank = {**plain, name: f" \t{VALUES[name]} \n"}
    assert text_of(from_environment(monkeypatch, **blank), name) == expected


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("empty", ["", "  "])
def test_what_is_set_and_empty_has_its_default(
    name: str, empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = from_environment(monkeypatch, **{name: empty})
    assert text_of(settings, name) == text_of(Settings.model_construct(), name)
    assert name not in settings.model_fields_set


@pytest.mark.parametrize("name", ["public_url", "files_public_url", "npm_registry", "sms_url"])
@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("https://login.example.com:443", "https://login.example.com"),
        ("https://Login.EXAMPLE.com/", "https://login.example.com"),
        ("HTTPS://login.example.com", "https://login.example.com"),
        ("https://login.example.com.", "https://login.example.com"),
        ("https://login.example.com.:0443/", "https://login.example.com"),
        ("https://login.example.com:8443", "https://login.example.com:8443"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://BÜCHER。example", "https://xn--bcher-kva.example"),
        ("https://登录.example", "https://xn--w2t382c.example"),
        ("https://[2001:DB8:0::1]:443", "https://[2001:db8::1]"),
        ("https://192.0.2.1:443", "https://192.0.2.1"),
    ],
)
def test_an_address_has_one_form(name: str, written: str, normal: str) -> None:
    settings = Settings(environment="development", **{name: written})
    assert getattr(settings, name) == normal


def test_hosts_in_lists_and_senders_have_one_form() -> None:
    settings = Settings(
        fetch_allow="Bücher.example:8080, KEYS.internal., 10.1.0.0/16,2001:DB8::1",
        trusted_proxies=" 127.0.0.1 , 10.1.2.3/8",
        mail_from="Bücher <no-reply@BÜCHER.example>",
        smtp_url="smtp://us%40er:p%2Fss@Mail.Bücher.example",
    )
    hosts = "xn--bcher-kva.example:8080,keys.internal,10.1.0.0/16,2001:db8::1"
    assert settings.fetch_allow == hosts
    assert settings.trusted_proxies == "127.0.0.1/32,10.0.0.0/8"
    assert settings.mail_from == "Bücher <no-reply@xn--bcher-kva.example>"
    assert settings.smtp_url == "smtp://us%40er:p%2Fss@mail.xn--bcher-kva.example"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_the_address_of_a_database_may_be_written_as_others_write_it(scheme: str) -> None:
    settings = Settings(database_url=f"{scheme}://u:p@db.example/idp?sslmode=require")
    assert settings.database == "postgresql+psycopg://u:p@db.example/idp?sslmode=require"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("u:p@a:1,b:2/idp", "u:p@/idp?host=a:1&host=b:2"),
        ("a,b/idp?sslmode=require", "/idp?host=a&host=b&sslmode=require"),
        ("u@/idp?host=a&host=b", "u@/idp?host=a&host=b"),
        ("u@a/i,d", "u@a/i,d"),
    ],
)
def test_several_hosts_may_be_written_as_libpq_writes_them(given: str, expected: str) -> None:
    settings = Settings(database_url=f"postgresql://{given}")
    assert settings.database == f"postgresql+psycopg://{expected}"


@pytest.mark.parametrize(
    ("name", "value", "shown", "form"),
    [
        ("database_url", "mysql://root:geheim@db/x", "mysql://db", "postgresql://user:password@"),
        ("database_url", "postgresql+psycopg2://u:geheim@db/x", "psycopg2://db", "postgresql://"),
        ("database_url", "postgresql://u:geheim@/x?host=a,b&port=1", "psycopg://", "@host/name"),
        ("database_url", "postgresql://u:geheim@/x?host=[::1]:1&host=b", "psycopg://", "@host/"),
        ("database_url", "postgresql://u:geheim@a:x,b/x", "psycopg://", "postgresql://user:p"),
        ("database_url", "idp.sqlite3", "idp.sqlite3", "sqlite:///path"),
        ("redis_url", "foo", "foo", "redis://host:6379/0"),
        ("redis_url", "http://:geheim@cache:6379", "http://cache:6379", "redis://host"),
        ("redis_url", "redis://cache?socket_timeout=soon", "socket_timeout", "has a value"),
        ("redis_url", "redis://cache?decode_responses=1", "decode_responses", "does not exist"),
        ("redis_url", "redis://cache?ssl_ca_certs=/ca", "ssl_ca_certs", "does not exist for redis"),
        ("redis_url", "redis://cache?sentinel_password=geheim", "sentinel_password", "not exist"),
        ("redis_url", "redis://cache?" + "a" * 5000 + "=1", "aaa", "does not exist"),
        ("redis_url", "rediss://cache?ssl_cert_reqs=never", "ssl_cert_reqs", "has a value"),
        ("redis_url", "redis+sentinel://a:x/main", "sentinel://a", "name-of-the-master/0"),
        ("redis_url", "redis+sentinel://u:geheim@a,b", "sentinel://a,b", "name-of-the-master/0"),
        ("redis_url", "redis+sentinel://a,/main", "sentinel://a,", "name-of-the-master/0"),
        ("redis_url", "redis+sentinel://a/main/x", "sentinel://a", "name-of-the-master/0"),
        ("gateway", "caddy+http://c?verify=id.example", "id.example", "in verify="),
        ("redis_url", "unix://cache", "unix://cache", "unix:///path"),
        ("smtp_url", "mail.example.com", "mail.example.com", "smtp://user:password@host:587"),
        ("smtp_url", "smtp://u:geheim/1@mail.example:587", "smtp://mail.example:587", "%XX"),
        ("sms_url", "sms.example/send?key=geheim", "sms.example", "http(s)://host[:port]/path"),
        ("public_url", "login.example.com", "login.example.com", "http(s)://host[:port]"),
        ("public_url", "https://u:geheim@id.example", "https://id.example", "without a path"),
        ("public_url", "https://id.example/sso", "https://id.example", "without a path"),
        ("public_url", "https://id.example:99999", "https://id.example:99999", "http(s)://"),
        ("public_url", "https://1.2.3", "https://1.2.3", "http(s)://host"),
        ("public_url", "https://a b", "https://a b", "http(s)://host"),
        ("files_public_url", "files.example", "files.example", "http(s)://host[:port][/path]"),
        ("files_url", "bucket", "bucket", "s3://bucket/folder"),
        ("files_scanner", "tcp://clamav:x", "tcp://clamav", "tcp://host:3310"),
        ("files_scanner", "unix:clamd", "unix:clamd", "unix:/path"),
        ("gateway", "nginx", "nginx", "caddy+http://host:port"),
        ("npm_registry", "npm.example", "npm.example", "http(s)://host"),
        ("git_url", "git@git.example:x", "git.example", "http(s)://host"),
        ("github_api_url", "ftp://git.example", "ftp://git.example", "http(s)://host"),
        ("mail_from", "nobody", "nobody", "name@host"),
        ("brand_accent", "teal", "'teal'", "#rrggbb"),
        ("brand_accent", "#0f6b5c;}" + "x" * 500, "'#0f6b5c;}", "#rrggbb"),
        ("brand_accent", "#777777", "#777777", "contrast of 4.5:1 with white"),
        ("brand_help_url", "javascript:alert(1)", "javascript", "https://host"),
        ("brand_privacy_url", "http://www.example", "http://www.example", "https://host"),
        ("brand_imprint_url", "https://u:geheim@www.example", "https://www.example", "https://"),
        ("fetch_allow", "http://a", "http://a", "host:port"),
        ("trusted_proxies", "proxy", "proxy", "IPv4 or IPv6"),
        ("dns_server", "ns.example", "ns.example", "192.0.2.53"),
        ("metrics_listen", "9100", "9100", "HOST:PORT"),
        ("phone_region", "China", "China", "two letters"),
        ("security_contact", "security@acme.example", "security@acme.example", "mailto:name@host"),
        ("security_contact", "http://acme.example", "http://acme.example", "mailto:name@host"),
        ("security_contact", "mailto:a@b\nPolicy: x", "Policy", "mailto:name@host"),
        ("session_hours", "many", "'many'", "a whole number"),
        ("session_hours", "0", "'0'", "greater than or equal to 1"),
        ("session_hours", "1" + "0" * 30, "'1000", "less than or equal to"),
        ("audit_days", "9" * 5000, "'999", "smaller number"),
        ("demo", "perhaps", "'perhaps'", "true or false"),
        ("environment", "prod", "'prod'", "'production' or 'development'"),
    ],
)
def test_what_cannot_be_used_is_named_with_the_form_that_is_wanted(
    name: str, value: str, shown: str, form: str
) -> None:
    said = complaint(**{"environment": "development", name: value})
    assert said.startswith(f"IDP_{name.upper()}: ")
    assert shown in said
    assert form in said
    assert "geheim" not in said
    assert len(said) < 250


def test_each_wrong_setting_is_named() -> None:
    said = complaint(environment="development", session_hours="many", redis_url="foo")
    assert "IDP_SESSION_HOURS" in said
    assert "IDP_REDIS_URL" in said


def test_a_name_that_is_nearly_a_setting_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IDP_PUBLIK_URL", "IDP_WHAT_EVER_THIS_IS", "IDP_DEMO", "idp_log_level"):
        monkeypatch.setenv(name, "INFO" if name.endswith("level") else "1")
    # What Kubernetes sets beside a service that is called idp.
    for name in ("IDP_SERVICE_HOST", "IDP_SERVICE_PORT_HTTP", "IDP_PORT_8000_TCP_ADDR", "IDP_PORT"):
        monkeypatch.setenv(name, "1")
    assert unknown_variables() == {
        "IDP_PUBLIK_URL": "IDP_PUBLIC_URL",
        "IDP_WHAT_EVER_THIS_IS": "",
    }


@pytest.mark.parametrize("name", ["50%25", "what?a=b", "a#b", "two words", "库", "a%2Fb"])
def test_the_database_lies_in_the_data_folder_whatever_it_is_called(
    name: str, tmp_path: Path
) -> None:
    from sqlalchemy import create_engine

    from idp.platform import schema

    settings = Settings(data_dir=tmp_path / name)
    assert settings.database == sqlite_url(tmp_path / name / "idp.sqlite3")
    engine = create_engine(settings.database)
    engine.connect().close()
    engine.dispose()
    schema.upgrade(settings.database)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert {path.name for path in (tmp_path / name).iterdir()} == {"idp.sqlite3"}


# Values in files

SECRETS = {
    *("secret_key", "admin_password", "demo_password", "demo_web_secret", "demo_service_secret"),
    *("database_url", "migrate_url", "redis_url", "smtp_url", "sms_url", "files_url"),
}
CANARY = "geheim"


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Write the file of a setting, and name it in the environment."""

    def write(name: str, content: bytes, mode: int = 0o600) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        path.chmod(mode)
        monkeypatch.setenv(file_variable(name), str(path))
        return path

    return write


def test_settings_with_secrets_can_be_read_from_files() -> None:
    assert set(secret_fields()) == SECRETS
    with_passwords = {name for name, value in VALUES.items() if "u:p" in value or "purple" in value}
    assert with_passwords <= SECRETS


@pytest.mark.parametrize("name", sorted(SECRETS))
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_value_may_be_in_a_file(name: str, end: str, put: Callable[..., Path]) -> None:
    path = put(name, f"{VALUES[name]}{end}".encode())
    settings = Settings()
    assert settings == Settings(**{name: VALUES[name]})
    assert text_of(settings, name) == VALUES[name]
    others = [line for line in in_use(settings) if line.source == "file"]
    assert [(line.name, line.file) for line in others] == [(f"IDP_{name.upper()}", str(path))]


def test_a_variable_that_is_empty_is_none_beside_a_file(
    put: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    put("secret_key", VALUES["secret_key"].encode())
    monkeypatch.setenv("IDP_SECRET_KEY", " ")
    monkeypatch.setenv("IDP_REDIS_URL_FILE", " ")
    assert Settings().secret_keys == (VALUES["secret_key"],)
    assert Settings().redis_url == ""


def test_a_file_may_be_named_in_small_letters(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "root").write_text(VALUES["secret_key"])
    (tmp_path / "root").chmod(0o600)
    monkeypatch.setenv("idp_secret_key_file", str(tmp_path / "root"))
    assert Settings().secret_keys == (VALUES["secret_key"],)


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_value_and_a_file_are_refused(
    name: str, put: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(name, VALUES[name].encode())
    monkeypatch.setenv(f"IDP_{name.upper()}", VALUES[name])
    upper = f"IDP_{name.upper()}"
    assert complaint() == f"{upper}_FILE: {upper} is set too; keep one of them."


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"geheim\n\n", "on one line"),
        (b"geheim\rgeheim", "on one line"),
        (b"IDP_SECRET_KEY=geheim\nIDP_DEMO=1\n", "on one line"),
        (b"geheim\0", "on one line"),
        (b"geheim\xff", "not text in UTF-8"),
        (b"geheim" * setting_files.LARGEST, "more than 16,384 bytes"),
    ],
)
def test_a_file_that_holds_no_value_is_refused(
    content: bytes, said: str, put: Callable[..., Path]
) -> None:
    path = put("secret_key", content)
    sentence = complaint()
    assert sentence.startswith("IDP_SECRET_KEY_FILE: ")
    assert said in sentence
    assert CANARY not in sentence
    assert str(path) not in sentence


def test_the_largest_file_is_read(put: Callable[..., Path]) -> None:
    put("secret_key", b"1f" * (setting_files.LARGEST // 2))
    assert len(Settings().secret_key.get_secret_value()) == setting_files.LARGEST


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "cannot be read (No such file or directory)"),
        (lambda path: path.mkdir(), "must name a regular file"),
        (os.mkfifo, "must name a regular file"),
        (lambda path: path.symlink_to(path), "cannot be read (Too many levels of symbolic links)"),
        (lambda path: path.symlink_to("/dev/zero"), "must name a regular file"),
    ],
    ids=["missing", "folder", "pipe", "loop", "device"],
)
def test_a_file_that_cannot_be_read_is_refused(
    make: Callable[[Path], None], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "root")
    monkeypatch.setenv("IDP_SECRET_KEY_FILE", str(tmp_path / "root"))
    sentence = complaint()
    assert sentence.startswith("IDP_SECRET_KEY_FILE: ")
    assert said in sentence


def test_a_secret_that_is_given_as_the_name_of_its_file_is_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IDP_SECRET_KEY_FILE", VALUES["secret_key"])
    monkeypatch.setenv("IDP_DATABASE_URL_FILE", "x" * 5000)
    sentence = complaint()
    assert "IDP_SECRET_KEY_FILE: the file cannot be read" in sentence
    assert "IDP_DATABASE_URL_FILE: the file cannot be read (File name too long)" in sentence
    assert VALUES["secret_key"] not in sentence


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o666])
def test_a_file_that_other_users_can_use_is_refused_in_production(
    mode: int, put: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put("secret_key", VALUES["secret_key"].encode(), mode)
    sentence = complaint()
    assert f"other users can use the file (mode {mode:04o})" in sentence
    assert VALUES["secret_key"] not in sentence
    assert Settings(environment="development").secret_keys
    monkeypatch.setenv("IDP_ENVIRONMENT", "development")
    assert Settings().secret_keys
    monkeypatch.setenv("IDP_ENVIRONMENT", "production")
    assert "other users" in complaint()
    path.chmod(0o640)
    assert Settings().secret_keys


def test_a_file_that_the_platform_mounts_read_only_may_have_any_mode(
    put: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put("secret_key", VALUES["secret_key"].encode(), 0o444)
    assert "other users" in complaint()
    is_at = os.fstatvfs

    def read_only(descriptor: int) -> Any:
        found = is_at(descriptor)
        assert os.path.samestat(os.fstat(descriptor), path.stat())
        return os.statvfs_result([*found[:8], found.f_flag | os.ST_RDONLY, found.f_namemax])

    monkeypatch.setattr(os, "fstatvfs", read_only)
    assert Settings().secret_keys == (VALUES["secret_key"],)


@pytest.mark.parametrize("name", sorted(SECRETS))
@pytest.mark.parametrize("content", ["geheim", "x://geheim@geheim/geheim", "redis://a?geheim=1"])
def test_what_a_file_holds_is_never_shown(
    name: str, content: str, put: Callable[..., Path]
) -> None:
    put(name, content.encode())
    try:
        settings = Settings()
        if name == "secret_key":
            settings.check_secret()
    except (ValidationError, SettingsError) as problem:
        sentence = failures.settings_sentence(problem)
        # Another WSGI server prints the traceback.
        printed = "".join(traceback.format_exception(problem))
    else:
        sentence, printed = f"IDP_{name.upper()}", repr(settings)
    assert f"IDP_{name.upper()}" in sentence
    assert CANARY not in sentence + printed


def test_the_form_of_a_value_in_a_file_is_named(put: Callable[..., Path]) -> None:
    put("smtp_url", b"geheim")
    put("redis_url", b"redis://cache?geheim=1")
    sentence = complaint()
    assert "IDP_SMTP_URL_FILE: what the file holds must be smtp://user:password@" in sentence
    assert "IDP_REDIS_URL_FILE: what the file holds cannot be used" in sentence


def test_other_settings_have_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("https://id.example")
    for name in ("IDP_PUBLIC_URL_FILE", "IDP_SECRET_KEI_FILE", "IDP_SECRET_KEY_FILE_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "url"))
    assert Settings().public_url == "http://127.0.0.1:8000"
    assert unknown_variables() == {
        "IDP_PUBLIC_URL_FILE": "IDP_PUBLIC_URL",
        "IDP_SECRET_KEI_FILE": "IDP_SECRET_KEY_FILE",
        "IDP_SECRET_KEY_FILE_FILE": "IDP_SECRET_KEY_FILE",
    }


def test_a_traceback_has_no_value_of_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDP_SESSION_HOURS", CANARY)
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert "session_hours" in str(caught.value)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


# The root secret


@pytest.mark.parametrize(
    "secret",
    [
        "put-32-or-more-random-characters-here",
        "x" * 32,
        "0" * 64,
        "ab" * 20,
        "deadbeef" * 8,
        "changeme" * 5,
        "1234567890" * 4,
        "abcdefghijklmnopqrstuvwxyz0123456789",
        "qwertyuiop[]asdfghjkl;'zxcvbnm./qwerty",
        "this-is-a-very-secret-key-for-my-production-server",
        "00000000-0000-0000-0000-000000000001",
    ],
)
def test_a_secret_that_can_be_guessed_is_refused_in_production(secret: str) -> None:
    said = complaint(secret_key=SecretStr(secret))
    assert said.startswith("IDP_SECRET_KEY can be guessed: ")
    assert "openssl rand" in said
    assert secret not in said
    assert Settings(environment="development", secret_key=SecretStr(secret)).secret_keys
    # On its way out it is still needed.
    new = secrets.token_urlsafe(48)
    assert Settings(secret_key=SecretStr(f"{new},{secret}")).secret_keys == (new, secret)


@pytest.mark.parametrize(
    "make",
    [
        lambda: secrets.token_hex(16),
        lambda: secrets.token_hex(32),
        lambda: secrets.token_urlsafe(24),
        lambda: secrets.token_urlsafe(48),
        lambda: base64.b64encode(secrets.token_bytes(48)).decode(),
        lambda: base64.b32encode(secrets.token_bytes(20)).decode(),
    ],
    ids=["hex 16", "hex 32", "urlsafe 24", "urlsafe 48", "base64 48", "base32 20"],
)
def test_random_secrets_are_accepted(make: Any) -> None:
    assert not [one for one in (make() for _ in range(300)) if setting_values.can_be_guessed(one)]


def test_a_short_secret_and_none_are_named(tmp_path: Path) -> None:
    assert "32 characters" in complaint(secret_key=SecretStr("purple"))
    missing = complaint(data_dir=tmp_path / "var")
    assert str(tmp_path / "var") in missing
    assert "openssl rand" in missing
    (tmp_path / "secret_key").write_text("of a developer")
    assert "IDP_ENVIRONMENT=development" in complaint(data_dir=tmp_path)


def test_labels_go_to_github_only_with_the_repositories() -> None:
    assert Settings().github_api == "https://api.github.com"
    assert not Settings(git_url="https://git.example").github_api
    own = Settings(git_url="https://git.example", github_api_url="https://git.example/api/v3/")
    assert own.github_api == "https://git.example/api/v3"
