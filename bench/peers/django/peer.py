"""django-oauth-toolkit as a peer: tokens in PostgreSQL, ID tokens and PKCE as by default.

Run as a program it makes the tables, the clients and a signed-in person, and prints the cookie.
Client secrets are kept unhashed, in this peer's favour: hashing them costs it a tenth of a second
for every token.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import django
from django.conf import settings

SECRET = "a-secret-of-the-benchmark-clients-0123456789"
CALLBACK = "https://app.example/callback"

settings.configure(
    SECRET_KEY="a secret of the benchmark",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__ if __name__ != "__main__" else "peer",
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": os.environ["PEER_DATABASE_HOST"],
            "NAME": "django",
            "USER": "postgres",
        }
    },
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "oauth2_provider",
    ],
    MIDDLEWARE=[
        "django.middleware.common.CommonMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    LOGIN_URL="/login",
    USE_TZ=True,
    OAUTH2_PROVIDER={
        "OIDC_ENABLED": True,
        "OIDC_RSA_PRIVATE_KEY": Path(os.environ["PEER_RSA_KEY"]).read_text(encoding="ascii"),
        "SCOPES": {"openid": "-", "profile": "-", "orders.read": "-", "introspection": "-"},
        "PKCE_REQUIRED": True,
        "ROTATE_REFRESH_TOKEN": True,
        # A token of this peer lives here; ours asks for as much.
        "ACCESS_TOKEN_EXPIRE_SECONDS": 3600,
    },
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402 - Django must be set up first
from django.urls import include, path  # noqa: E402

urlpatterns = [path("o/", include("oauth2_provider.urls", namespace="oauth2_provider"))]
application = get_wsgi_application()


def prepare() -> None:
    """Make what the cases need and print the cookie of somebody who is signed in."""
    from django.contrib.auth import get_user_model
    from django.contrib.sessions.backends.db import SessionStore
    from django.core.management import call_command
    from oauth2_provider.models import Application

    call_command("migrate", verbosity=0)
    user = get_user_model().objects.create_user("ann")
    for client_id, kind in (
        ("machine-rs256", Application.GRANT_CLIENT_CREDENTIALS),
        ("web", Application.GRANT_AUTHORIZATION_CODE),
        ("web-refresh", Application.GRANT_AUTHORIZATION_CODE),
    ):
        Application.objects.create(
            client_id=client_id,
            client_secret=SECRET,
            hash_client_secret=False,
            client_type=Application.CLIENT_CONFIDENTIAL,
            authorization_grant_type=kind,
            redirect_uris=CALLBACK,
            skip_authorization=True,
            algorithm=Application.RS256_ALGORITHM,
            user=user,
        )
    session = SessionStore()
    session["_auth_user_id"] = str(user.pk)
    session["_auth_user_backend"] = "django.contrib.auth.backends.ModelBackend"
    session["_auth_user_hash"] = user.get_session_auth_hash()
    session.save()
    print(f"sessionid={session.session_key}")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    prepare()
