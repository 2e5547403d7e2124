"""The forms of the screen of clients; their fields have the names of the settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from flask_babel import gettext
from flask_babel import lazy_gettext as _
from wtforms import (
    BooleanField,
    HiddenField,
    PasswordField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined] # newer than its types
from wtforms.validators import InputRequired, Length

from idp.directory import product
from idp.directory.clients.models import Client
from idp.directory.levels import MFA, PHR
from idp.pages.form import Form
from idp.platform.signing.algorithms import ALGORITHMS

LONGEST_LIST = 100_000
"""Characters of a list of addresses."""


def _line(title: Any, longest: int = 2000) -> StringField:
    return StringField(title, [Length(max=longest, message=_("This is too long."))])


def _area(title: Any, longest: int = LONGEST_LIST) -> TextAreaField:
    return TextAreaField(title, [Length(max=longest, message=_("This is too long."))])


def _seconds(title: Any) -> StringField:
    checks = [Length(max=20, message=_("This is too long."))]
    return StringField(title, checks, render_kw={"inputmode": "numeric"})


def _choice(title: Any, choices: Mapping[str, Any]) -> SelectField:
    return SelectField(title, choices=_choices(choices))


def _choices(choices: Mapping[str, Any]) -> list[SelectChoice]:
    return [SelectChoice(value, label) for value, label in choices.items()]


def _algorithm(title: Any, usual: Any) -> SelectField:
    return _choice(title, {"": usual, **{name: name for name in ALGORITHMS}})


def _profile(usual: Any) -> SelectField:
    """Return the field of a setting that the service checks; some forms leave it out."""
    choices = {
        "": usual,
        product.FAPI2: _("FAPI 2.0 Security Profile"),
        product.FAPI2_MESSAGE_SIGNING: _("FAPI 2.0 Message Signing"),
    }
    return SelectField(_("Security profile"), choices=_choices(choices), validate_choice=False)


class EditForm(Form):
    """A tab of a client: some of its settings and lists.

    Only what differs from the client as it is shown is written, so that saving without a change
    changes nothing.
    """

    settings: ClassVar[Sequence[str]] = ()
    lists: ClassVar[Mapping[str, str]] = {}
    """Names of lists with the column of their values."""

    concurrency_stamp = HiddenField()

    @classmethod
    def shown(cls, client: Client) -> dict[str, Any]:
        """Return the client as the fields show it."""
        values = {name: _as_text(getattr(client, name)) for name in cls.settings}
        for name in cls.lists:
            values[name] = cls.list_as_shown(cls.stored(client, name))
        return {**values, "concurrency_stamp": client.concurrency_stamp}

    @classmethod
    def stored(cls, client: Client, name: str) -> list[str]:
        """Return the values of a list that the client has."""
        return [getattr(row, cls.lists[name]) for row in getattr(client, name)]

    @classmethod
    def list_as_shown(cls, values: Sequence[str]) -> Any:
        """Return a list as its field shows it: a line for each value."""
        return "\n".join(values)

    def list_of(self, name: str) -> list[str]:
        """Return the values of a list that were typed."""
        return lines_of(self[name].data)

    def changed_settings(self, client: Client) -> dict[str, Any]:
        """Return the settings that are not as the client has them."""
        shown = self.shown(client)
        return {
            name: self[name].data
            for name in self.settings
            if name in self and _plain(self[name].data) != _plain(shown[name])
        }

    def changed_lists(self, client: Client) -> dict[str, list[str]]:
        """Return the lists that are not as the client has them."""
        wanted = {name: self.list_of(name) for name in self.lists}
        return {
            name: values for name, values in wanted.items() if values != self.stored(client, name)
        }

    def compared_with(self, client: Client) -> list[tuple[Any, str, str]]:
        """Return (title, stored value, value of the form) of every field."""
        shown = self.shown(client)
        return [
            (self[name].label.text, _readable(shown[name]), _readable(self[name].data))
            for name in (*self.settings, *self.lists)
            if name in self
        ]


class SettingsForm(EditForm):
    """What the client is called, what it is, and how it authenticates."""

    settings = (
        *("client_name", "description", "client_uri", "logo_uri", "policy_uri", "tos_uri"),
        "initiate_login_uri",
        *("application_type", "require_pkce", "require_consent", "allow_remember_consent"),
        *("consent_lifetime", "default_max_age", "require_acr", "device_requires_login"),
        *("token_endpoint_auth_method", "token_endpoint_auth_signing_alg", "jwks", "jwks_uri"),
        "strict_assertion_audience",
        "security_profile",
        *("dpop_bound_access_tokens", "tls_client_certificate_bound_access_tokens"),
        *("tls_client_auth_subject_dn", "tls_client_auth_san_dns", "tls_client_auth_san_uri"),
        *("tls_client_auth_san_ip", "tls_client_auth_san_email"),
        *("require_pushed_authorization_requests", "require_signed_request_object"),
        *("request_object_signing_alg", "response_modes", "authorization_signed_response_alg"),
        "second_factor_exempt",
    )

    client_name = _line(_("Display name"), 200)
    description = _area(_("Description"), 1000)
    client_uri = _line(_("Home page"))
    logo_uri = _line(_("Logo"))
    policy_uri = _line(_("Privacy policy"))
    tos_uri = _line(_("Terms of service"))
    initiate_login_uri = _line(_("Address that begins a sign-in"))
    application_type = _choice(
        _("Runs"), {"web": _("in a browser or on a server"), "native": _("on a device")}
    )
    require_pkce = BooleanField(_("Require PKCE"))
    require_consent = BooleanField(_("Ask people for their consent"))
    allow_remember_consent = BooleanField(_("People may have their consent remembered"))
    consent_lifetime = _seconds(_("Remembered consent lasts (seconds)"))
    default_max_age = _seconds(_("Longest age of a sign-in (seconds)"))
    require_acr = _choice(
        _("People sign in with"),
        {
            "": _("their password, and a second step if they have one"),
            MFA: _("a second step"),
            PHR: _("a passkey"),
        },
    )
    second_factor_exempt = BooleanField(_("Logs people in without their second factor"))
    device_requires_login = BooleanField(_("People sign in anew for a device without a browser"))
    token_endpoint_auth_method = _choice(
        _("Authentication at the token endpoint"),
        {"": _("secret, by header or form"), **{name: name for name in product.AUTH_METHODS}},
    )
    token_endpoint_auth_signing_alg = _algorithm(_("Signature of client assertions"), _("any"))
    jwks = _area(_("Public keys (JSON Web Key Set)"), 30_000)
    jwks_uri = _line(_("Address of the public keys"))
    strict_assertion_audience = BooleanField(_("Client assertions name the issuer only"))
    security_profile = _profile(_("none"))
    dpop_bound_access_tokens = BooleanField(_("Tokens are bound to a key of the client (DPoP)"))
    tls_client_certificate_bound_access_tokens = BooleanField(
        _("Tokens are bound to the client's certificate (mTLS)")
    )
    tls_client_auth_subject_dn = _line(_("Subject of the certificate"), 1000)
    tls_client_auth_san_dns = _line(_("DNS name in the certificate"), 253)
    tls_client_auth_san_uri = _line(_("URI in the certificate"), 1000)
    tls_client_auth_san_ip = _line(_("IP address in the certificate"), 45)
    tls_client_auth_san_email = _line(_("E-mail address in the certificate"), 320)
    require_pushed_authorization_requests = BooleanField(_("Sign-in requests are pushed"))
    require_signed_request_object = BooleanField(_("Sign-in requests are signed"))
    request_object_signing_alg = _algorithm(_("Signature of sign-in requests"), _("any"))
    response_modes = _line(_("Response modes"), 200)
    authorization_signed_response_alg = _algorithm(
        _("Signature of sign-in answers"), _("none, unless a response mode asks for it")
    )

    @classmethod
    def shown(cls, client: Client) -> dict[str, Any]:
        """Show the method of a public client, though none is stored."""
        values = super().shown(client)
        if not client.require_client_secret:
            values["token_endpoint_auth_method"] = product.NO_AUTHENTICATION
        return values


class AddressesForm(EditForm):
    """Where people and codes may be sent, and who may call from a browser."""

    lists: ClassVar[Mapping[str, str]] = {
        "redirect_uris": "redirect_uri",
        "post_logout_redirect_uris": "post_logout_redirect_uri",
        "cors_origins": "origin",
    }

    redirect_uris = _area(_("Redirect addresses"))
    post_logout_redirect_uris = _area(_("Addresses after signing out"))
    cors_origins = _area(_("Origins whose scripts may call"))


class ScopesForm(EditForm):
    """What the client may ask for, and how."""

    settings = ("allow_offline_access",)
    lists: ClassVar[Mapping[str, str]] = {"grant_types": "grant_type", "scopes": "scope"}

    grant_types = SelectMultipleField(
        _("Grant types"), choices=_choices({name: name for name in product.GRANT_TYPES})
    )
    allow_offline_access = BooleanField(_("Offline access (refresh tokens)"))
    scopes = SelectMultipleField(_("Scopes"), choices=[], validate_choice=False)

    @classmethod
    def list_as_shown(cls, values: Sequence[str]) -> Any:
        """Return a list as its boxes show it, in one order."""
        return sorted(values)

    @classmethod
    def stored(cls, client: Client, name: str) -> list[str]:
        """Return the values of a list that the client has, in one order."""
        return sorted(super().stored(client, name))

    def list_of(self, name: str) -> list[str]:
        """Return the values that are ticked, in one order."""
        return sorted(self[name].data or ())


class TokensForm(EditForm):
    """How long tokens live and what they are like."""

    settings = (
        *("access_token_lifetime", "access_token_type", "identity_token_lifetime"),
        *("authorization_code_lifetime", "absolute_refresh_token_lifetime"),
        *("sliding_refresh_token_lifetime", "refresh_token_expiration", "refresh_token_usage"),
        *("refresh_token_reuse_seconds", "id_token_signed_response_alg"),
        *("userinfo_signed_response_alg", "introspection_signed_response_alg"),
        *("always_include_user_claims_in_id_token", "always_send_client_claims"),
        "client_claims_prefix",
    )

    access_token_lifetime = _seconds(_("Access tokens last (seconds)"))
    access_token_type = _choice(
        _("Access tokens are"), {"0": _("signed (JWT)"), "1": _("references")}
    )
    identity_token_lifetime = _seconds(_("ID tokens last (seconds)"))
    authorization_code_lifetime = _seconds(_("Codes last (seconds)"))
    absolute_refresh_token_lifetime = _seconds(_("Refresh tokens last at most (seconds)"))
    sliding_refresh_token_lifetime = _seconds(_("Refresh tokens last unused (seconds)"))
    refresh_token_expiration = _choice(
        _("Refresh tokens end"),
        {"1": _("at their longest life"), "0": _("when they are unused")},
    )
    refresh_token_usage = _choice(
        _("Refresh tokens are used"), {"1": _("once"), "0": _("again and again")}
    )
    refresh_token_reuse_seconds = _seconds(_("A used refresh token is accepted again (seconds)"))
    id_token_signed_response_alg = _algorithm(_("Signature of ID tokens"), _("the usual one"))
    userinfo_signed_response_alg = _algorithm(_("Signature of userinfo"), _("none, plain JSON"))
    introspection_signed_response_alg = _algorithm(
        _("Signature of introspection"), _("none, plain JSON")
    )
    always_include_user_claims_in_id_token = BooleanField(_("Claims of people in ID tokens too"))
    always_send_client_claims = BooleanField(_("Claims of the client in tokens of people too"))
    client_claims_prefix = _line(_("Prefix of the client's claims"), 200)


class NewSecretForm(Form):
    """A new secret: what it is for, and how long it is good."""

    description = _line(_("Description"))
    days = _choice(
        _("Expires"),
        {
            "365": _("in a year"),
            "90": _("in 90 days"),
            "180": _("in 180 days"),
            "730": _("in two years"),
            "": _("never"),
        },
    )


class RegistrationTokenForm(Form):
    """A new registration token, and what its clients may be."""

    note = _line(_("Note"), 200)
    uses = StringField(
        _("Clients that may register"),
        [Length(max=20, message=_("This is too long."))],
        render_kw={"inputmode": "numeric"},
    )
    days = _choice(
        _("Expires"),
        {
            "30": _("in 30 days"),
            "1": _("in a day"),
            "7": _("in a week"),
            "90": _("in 90 days"),
            "365": _("in a year"),
            "": _("never"),
        },
    )
    redirect_hosts = _area(_("Hosts of redirect addresses"), 20_000)
    scopes = _area(_("Scopes"), 20_000)
    grant_types = SelectMultipleField(
        _("Grant types"),
        choices=_choices({name: name for name in product.GRANT_TYPES}),
        default=["authorization_code", "refresh_token"],
    )
    auth_methods = SelectMultipleField(
        _("Authentication at the token endpoint"),
        choices=_choices({name: name for name in product.AUTH_METHODS}),
    )
    is_trusted = BooleanField(_("Its clients are trusted"))
    without_pkce = BooleanField(_("PKCE is not required"))
    statement_issuer = _line(_("Issuer of software statements"))
    statement_jwks_uri = _line(_("Address of the keys of this issuer"))
    statement_required = BooleanField(_("A software statement is required"))


class ExpireForm(Form):
    """When a secret ends."""

    days = _choice(
        _("Expires"),
        {
            "1": _("in a day"),
            "7": _("in a week"),
            "30": _("in 30 days"),
            "": _("never"),
        },
    )


class NameForm(Form):
    """Identifier and name of a new client."""

    client_id = StringField(
        _("Client id"),
        [InputRequired(_("Enter a client id.")), Length(max=200, message=_("This is too long."))],
        render_kw={"autocomplete": "off", "autocapitalize": "none"},
    )
    client_name = _line(_("Display name"), 200)


class NewClientForm(NameForm):
    """A new client of a kind."""

    keys = ("security_profile", "jwks", "jwks_uri")
    """Settings of clients that keep to a security profile, which have keys and no secret."""

    security_profile = _profile(_("none, a secret is enough"))
    jwks = _area(_("Public keys (JSON Web Key Set)"), 30_000)
    jwks_uri = _line(_("Address of the public keys"))
    redirect_uris = _area(_("Redirect addresses"))
    post_logout_redirect_uris = _area(_("Addresses after signing out"))
    scopes = SelectMultipleField(_("Scopes"), choices=[], validate_choice=False)
    allow_offline_access = BooleanField(_("Offline access (refresh tokens)"))


class TrialForm(Form):
    """How a sign-in is asked for; scopes are boxes of their own."""

    prompt = _choice(
        _("What the person is asked"),
        {
            "": _("as needed"),
            "login": _("sign in again (login)"),
            "consent": _("ask for consent (consent)"),
            "select_account": _("choose the account (select_account)"),
            "none": _("ask nothing (none)"),
        },
    )
    tenant = _choice(_("Organisation"), {"": _("as the sign-in decides")})

    def offer(self, tenants: Mapping[str, str]) -> None:
        """Offer organisations, by their ids; without one there is nothing to choose."""
        self.tenant.data = self.tenant.data or ""
        self.tenant.choices = _choices({"": _("as the sign-in decides"), **tenants})


class SecretForm(Form):
    """The secret of the client: used for one request, and never shown again."""

    secret = PasswordField(
        _("Client secret"),
        [Length(max=2000, message=_("This is too long."))],
        render_kw={"autocomplete": "off"},
    )


class DeleteForm(Form):
    """The id of what goes."""

    typed = StringField(
        _("Type the client id to confirm"),
        [InputRequired(_("Type the client id."))],
        render_kw={"autocomplete": "off", "autocapitalize": "none"},
    )


def lines_of(text: str | None) -> list[str]:
    """Return the lines of a field; empty ones do not count."""
    return [line.strip() for line in (text or "").splitlines() if line.strip()]


def _as_text(value: Any) -> Any:
    """Return a setting as a field shows it."""
    if isinstance(value, bool):
        return value
    if isinstance(value, dict):
        return json.dumps(value, indent=2)
    if isinstance(value, list):
        return " ".join(value)
    return "" if value is None else str(value)


def _plain(value: Any) -> Any:
    """Return a text without what browsers change about it."""
    return value.replace("\r\n", "\n").strip() if isinstance(value, str) else value


def _readable(value: Any) -> str:
    """Return a value as the view of a conflict shows it."""
    if isinstance(value, bool):
        return str(gettext("yes") if value else gettext("no"))
    return ", ".join(value) if isinstance(value, list) else str(value or "")
