"""Settings in the console: every one, and no secret."""

from __future__ import annotations

import re

import pytest

from idp.config import Settings
from tests.pages.browsing import HTML, readable

PATH = "/console/platform/settings"


@pytest.mark.settings(
    admin_password="hidden-password-1", smtp_url="smtp://ann:hidden-password-2@mail.example:25"
)
def test_every_setting_is_shown_and_no_secret(client, root):
    page = readable(client.get(PATH))
    for name in Settings.model_fields:
        assert f"IDP_{name.upper()}" in page
    assert "hidden-password" not in page
    assert "mail.example" in page
    assert f"{len(Settings.model_fields)} settings" in page


def test_settings_are_found_by_name_and_meaning(client, root):
    for text in ("smtp_url", "NO MAIL IS SENT"):
        page = readable(client.get(PATH, query_string={"q": text}))
        assert "IDP_SMTP_URL" in page
        assert "IDP_REDIS_URL" not in page
    assert "Nothing matches" in readable(client.get(PATH, query_string={"q": "<b>%_"}))
    found = readable(client.get("/console/platform/search?q=smtp"))
    assert f"{PATH}#IDP_SMTP_URL" in found


def test_every_meaning_is_written_in_chinese_with_its_values_as_code(client, root):
    page = client.get(PATH, headers={"Accept-Language": "zh"}).text
    meanings = re.findall(r'<small class="wraps">(.*?)</small>', page, re.DOTALL)
    assert len(meanings) == len(Settings.model_fields)
    assert [text for text in meanings if not re.search(r"[\u4e00-\u9fff]", text)] == []
    assert "用户 <code>demo</code> 的密码" in page
    assert "`" not in "".join(meanings)
    assert (
        "IDP_SMTP_URL" in client.get(f"{PATH}?q=发送邮件", headers={"Accept-Language": "zh"}).text
    )


@pytest.mark.settings(mail_from="here@example.com")
def test_settings_are_narrowed_by_their_source(client, root):
    given, usual = (
        readable(client.get(f"{PATH}?source={source}")) for source in ("environment", "default")
    )
    assert 'id="IDP_MAIL_FROM"' in given
    assert 'id="IDP_MAIL_FROM"' not in usual
    assert 'id="IDP_SMTP_URL"' in usual
    for query in ("source=x", "sort=value", "sort=-value"):
        assert client.get(f"{PATH}?{query}", headers=HTML).status_code == 400, query


def test_a_setting_that_is_read_from_a_file_is_marked(client, root, tmp_path, monkeypatch):
    monkeypatch.setenv("IDP_SECRET_KEY_FILE", str(tmp_path / "root"))
    page = readable(client.get(f"{PATH}?source=file"))
    assert "1 setting" in page
    assert 'id="IDP_SECRET_KEY"' in page
    assert '<span class="tag tag-info">File</span>' in page
    assert str(tmp_path) not in page
    assert 'id="IDP_SECRET_KEY"' not in readable(client.get(f"{PATH}?source=environment"))


def test_a_tenant_sees_no_settings(client, boss):
    assert client.get(PATH).status_code == 404
    assert client.get(f"/console/t/{boss}/settings").status_code == 404
    assert "IDP_SMTP" not in readable(client.get(f"/console/t/{boss}/search?q=smtp"))
