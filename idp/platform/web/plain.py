# ruff: noqa: RUF001 - Chinese has commas of its own
"""A page that needs neither template nor tenant nor database, for when there are none."""

from __future__ import annotations

import html
from typing import NamedTuple

from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from idp.platform.errors import Problem
from idp.platform.web import accept
from idp.platform.web.visit import Answer

STYLE = "/static/plain.css"
"""Served at every host, also where nothing else is."""

POLICY = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; style-src 'self'"

UNKNOWN_HOST = "unknown_host"

_PAGE = """<!DOCTYPE html>
<html lang="{tag}">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="robots" content="noindex">
    <meta name="color-scheme" content="light dark">
    <title>{title}</title>
    <link rel="stylesheet" href="{style}">
  </head>
  <body>
    <main>
      <h1>{title}</h1>
      <p>{text}</p>{request}
    </main>
  </body>
</html>
"""


class _Text(NamedTuple):
    """A heading and a sentence."""

    title: str
    text: str


_TAGS = {"en": "en", "zh": "zh-Hans"}
_REQUEST = {"en": "Request", "zh": "请求编号"}
_TEXTS: dict[int | str, dict[str, _Text]] = {
    UNKNOWN_HOST: {
        "en": _Text(
            "This address is not in use",
            "Check the name in the address bar, or ask the people who run this site.",
        ),
        "zh": _Text("此地址未启用", "请检查地址栏中的域名，或联系网站管理员。"),
    },
    400: {
        "en": _Text("Something is wrong with this link", "The request cannot be understood."),
        "zh": _Text("链接有误", "无法识别该请求。"),
    },
    404: {
        "en": _Text("Page not found", "Check the address; the page may have been removed."),
        "zh": _Text("您访问的页面不存在", "请检查地址是否正确，该页面可能已被移除。"),
    },
    405: {
        "en": _Text("Method not allowed", "This page cannot be opened this way."),
        "zh": _Text("不允许的请求方式", "无法以这种方式打开此页面。"),
    },
    408: {
        "en": _Text("The request took too long", "Check your connection and try again."),
        "zh": _Text("请求超时", "请检查网络连接后重试。"),
    },
    413: {
        "en": _Text("Too much data", "The request is too large."),
        "zh": _Text("提交的内容过大", "请求超出大小限制。"),
    },
    414: {
        "en": _Text("The address is too long", "Go back to where the link was and try again."),
        "zh": _Text("地址过长", "请返回链接所在的页面后重试。"),
    },
    429: {
        "en": _Text("Too many requests", "Wait a moment and try again."),
        "zh": _Text("请求过于频繁", "请稍候重试。"),
    },
    431: {
        "en": _Text("The request is too large", "Delete the cookies of this site and try again."),
        "zh": _Text("请求过大", "请删除本网站的 Cookie 后重试。"),
    },
    500: {
        "en": _Text("Something went wrong", "Try again, or tell the people who run this site."),
        "zh": _Text("出错了", "请重试，或联系网站管理员。"),
    },
    503: {
        "en": _Text(
            "Temporarily unavailable",
            "A required service is not responding. Try again in a moment.",
        ),
        "zh": _Text("暂时无法使用", "所需的服务没有响应，请稍后重试。"),
    },
}
"""By the code of the problem, else by its status."""


def wants_page(header: str, fetch_mode: str) -> bool:
    """Return whether a person looks at the answer, not a program."""
    return fetch_mode == "navigate" or accept.prefers(header, accept.HTML)


def page_for(status: int, detail: str, request_id: str, accept_language: str) -> Answer:
    """Render a refusal that is no problem of the application's."""
    problem = Problem(detail)
    problem.status = status
    return page(problem, request_id, accept_language)


def page(problem: Problem, request_id: str, accept_language: str) -> Answer:
    """Render a refusal for a person, in one of the languages that their browser asks for."""
    language = _choose(accept_language)
    known = _TEXTS.get(problem.code) or _TEXTS.get(problem.status)
    text = _Text(problem.title, problem.detail) if known is None else known[language]
    request = ""
    if request_id:
        label = f"{_REQUEST[language]} <code>{html.escape(request_id)}</code>"
        request = f'\n      <p class="request">{label}</p>'
    content = _PAGE.format(
        tag=_TAGS[language],
        title=html.escape(text.title),
        text=html.escape(text.text),
        style=STYLE,
        request=request,
    )
    headers = (
        ("Content-Type", "text/html; charset=utf-8"),
        ("Cache-Control", "no-store"),
        ("Vary", "Accept-Language"),
        *problem.headers.items(),
    )
    return Answer(problem.status, headers, content.encode(), policy=POLICY)


def _choose(accept_language: str) -> str:
    accepted = parse_accept_header(accept_language, LanguageAccept).values()
    codes = (tag.replace("_", "-").partition("-")[0].lower() for tag in accepted)
    return next((code for code in codes if code in _TAGS), "en")
