"""Settings by our own API: each with value, source and meaning, and no secret."""

from __future__ import annotations

from itertools import chain

import pytest

from idp.config import Settings
from tests.api import admin

SECRET = "smtp-pa55word-of-the-operator"


@pytest.mark.settings(
    smtp_url=f"smtp://mailer:{SECRET}@mail.example:587",
    sms_url=f"https://sms.example/send?key={SECRET}",
    files_url="",
    admin_password=f"{SECRET}-1",
    audit_days=7,
)
def test_settings_are_shown_without_their_secrets(client, session, settings):
    root = admin.root(client, session)
    rows = {row["name"]: row for row in chain(*admin.pages(root, "/settings", limit=7))}
    assert rows.keys() == {f"IDP_{name.upper()}" for name in Settings.model_fields}
    assert list(rows) == sorted(rows)
    assert SECRET not in admin.send(root, "GET", "/settings", limit=200).text
    assert settings.secret_keys[0] not in admin.send(root, "GET", "/settings", limit=200).text
    assert rows["IDP_SMTP_URL"]["value"] == "smtp://mail.example:587"
    assert rows["IDP_SMS_URL"]["value"] == "https://sms.example"
    assert rows["IDP_ADMIN_PASSWORD"]["value"] == "***"
    assert rows["IDP_ADMIN_PASSWORD"]["secret"] is True
    assert rows["IDP_DEMO_PASSWORD"]["value"] == ""
    shown = rows["IDP_AUDIT_DAYS"]
    assert (shown["value"], shown["source"], shown["secret"]) == (7, "environment", False)
    assert rows["IDP_KEY_ROTATION_DAYS"]["source"] == "default"
    assert all(row["description"] for row in rows.values())


def test_a_setting_that_is_read_from_a_file_says_so_without_its_path(client, session, monkeypatch):
    monkeypatch.setenv("IDP_SECRET_KEY_FILE", "/run/secrets/idp-root")
    answer = admin.send(admin.root(client, session), "GET", "/settings", limit=200)
    rows = {row["name"]: row for row in answer.json["items"]}
    assert rows["IDP_SECRET_KEY"]["source"] == "file"
    assert rows["IDP_SECRET_KEY"]["value"] == "***"
    assert "/run/secrets" not in answer.text
