"""A web application on a site of its own that signs people in by Authlib's Flask client."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from authlib.integrations.base_client import OAuthError
from authlib.integrations.flask_client import OAuth
from flask import Flask, redirect, render_template_string, request, session
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

HOME = """<!doctype html><html lang="en"><title>Shop</title><h1>Shop</h1>
{% if person %}
  <p id="person">{{ person.sub }} {{ person.preferred_username }}</p>
  <a href="/logout">Leave</a>
{% else %}
  <a href="/login">Enter</a> <a href="/login?response_mode=form_post">Enter by form</a>
  <form action="/post"><button>Enter by post</button></form>
{% endif %}"""

POST = """<!doctype html><html lang="en"><title>Shop</title>
<form method="post" action="{{ action }}">
  {% for name, value in fields %}<input type="hidden" name="{{ name }}" value="{{ value }}">
  {% endfor %}<button>Go</button></form>"""

PROBLEM = """<!doctype html><html lang="en"><title>Shop</title><p id="problem">{{ code }}</p>"""


def make_app(url: str, issuer: str, client_id: str, secret: str) -> Flask:
    """Build the application."""
    app = Flask(__name__)
    # The answer may come by a POST from another site, so its cookie must come along (form_post).
    app.config.update(
        SECRET_KEY="a secret of the shop",
        SESSION_COOKIE_SAMESITE="None",
        SESSION_COOKIE_SECURE=True,
    )
    provider = OAuth(app).register(
        "idp",
        client_id=client_id,
        client_secret=secret,
        server_metadata_url=f"{issuer}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid profile", "code_challenge_method": "S256"},
    )
    callback = f"{url}/callback"

    @app.get("/")
    def home() -> str:
        return render_template_string(HOME, person=session.get("person"))

    @app.get("/login")
    def login() -> Any:
        parameters = request.args.to_dict()
        session["onward"] = parameters.pop("onward", "/")
        return provider.authorize_redirect(callback, **parameters)

    @app.get("/post")
    def post() -> str:
        """Send the same request by POST (OpenID Connect Core 3.1.2.1)."""
        prepared = provider.create_authorization_url(callback)
        provider.save_authorize_data(redirect_uri=callback, **prepared)
        address = urlsplit(prepared["url"])
        action = address._replace(query="").geturl()
        return render_template_string(POST, action=action, fields=parse_qsl(address.query))

    @app.route("/callback", methods=["GET", "POST"])
    def answer() -> Response | str:
        if "error" in request.form:  # Authlib looks for a refusal in the query alone
            return render_template_string(PROBLEM, code=request.form["error"])
        try:
            token = provider.authorize_access_token()
        except OAuthError as refusal:
            return render_template_string(PROBLEM, code=refusal.error)
        person = provider.userinfo(token=token)
        session["person"] = {name: person[name] for name in ("sub", "preferred_username")}
        session["id_token"] = token["id_token"]
        session["came_by"] = request.method
        return redirect(session.pop("onward", "/"), 303)

    @app.get("/logout")
    def logout() -> Response:
        parameters = {
            "id_token_hint": session.pop("id_token"),
            "post_logout_redirect_uri": f"{url}/bye",
            "state": "leaving",
        }
        session.clear()
        endpoint = provider.load_server_metadata()["end_session_endpoint"]
        return redirect(f"{endpoint}?{urlencode(parameters)}", 303)

    @app.get("/bye")
    def bye() -> str:
        return f'<!doctype html><title>Shop</title><p id="bye">{request.args["state"] == "leaving"}'

    @app.get("/came-by")
    def came_by() -> str:
        return str(session.get("came_by"))

    return app


@contextmanager
def serving(app: Flask, port: int) -> Iterator[None]:
    """Serve an application in a thread."""
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
