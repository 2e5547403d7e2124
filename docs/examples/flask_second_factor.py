"""A web application that demands a second factor for one of its pages."""

import json

from authlib.integrations.flask_client import OAuth
from flask import Flask, redirect, session, url_for

app = Flask(__name__)
app.config.from_prefixed_env()  # FLASK_SECRET_KEY, FLASK_IDP_CLIENT_ID and so on
scopes = {"scope": "openid", "code_challenge_method": "S256"}
idp = OAuth(app).register("idp", client_kwargs=scopes)
ENOUGH = ["mfa", "phr"]  # two factors, or a passkey


@app.get("/")
def home():
    return f"Signed in: {session['acr']}" if "acr" in session else sign_in("home")


@app.get("/payments")
def payments():
    if session.get("acr") in ENOUGH:
        return "Payments"
    # A demand, and no wish: whoever comes back without it did not get through.
    acr = {"essential": True, "values": ENOUGH}
    return sign_in("payments", claims=json.dumps({"id_token": {"acr": acr}}))


def sign_in(page, **parameters):
    session["page"] = page
    return idp.authorize_redirect(url_for("callback", _external=True), **parameters)


@app.get("/callback")
def callback():
    token = idp.authorize_access_token()  # checks state, nonce and ID token
    session["acr"] = token["userinfo"]["acr"]  # the claims of the ID token
    return redirect(url_for(session.pop("page", "home")))
