"""A web application whose visitors sign in with idp."""

from authlib.integrations.flask_client import OAuth
from flask import Flask, redirect, session, url_for
from markupsafe import escape

app = Flask(__name__)
app.config.from_prefixed_env()  # FLASK_SECRET_KEY, FLASK_IDP_CLIENT_ID and so on
scopes = {"scope": "openid profile email", "code_challenge_method": "S256"}
idp = OAuth(app).register("idp", client_kwargs=scopes)


@app.get("/")
def home():
    user = session.get("user")
    return f"Hello {escape(user['name'])}" if user else redirect(url_for("sign_in"))


@app.get("/sign-in")
def sign_in():
    return idp.authorize_redirect(url_for("callback", _external=True))


@app.get("/callback")
def callback():
    token = idp.authorize_access_token()  # checks state, nonce and ID token
    session["user"] = idp.userinfo(token=token)
    return redirect(url_for("home"))
