"""What people and applications do at the protocol's endpoints, by the code that answers them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import parse_qs, urlsplit

import orjson
from sqlalchemy.orm import Session

from idp.account import profile, sign_in
from idp.account.sign_in import Attempt
from idp.directory.tenants import service as tenants
from idp.directory.users import service as users
from idp.oauth import pending, refused_requests, server, visitor
from idp.oauth.endpoints.authorize import authorize
from idp.oauth.endpoints.revoke import revoke
from idp.oauth.endpoints.token import token
from idp.oauth.request import ProtocolRequest
from idp.oauth.response import FormPost, Interaction, ProtocolResponse
from idp.oauth.sign_out import sign_out
from idp.platform.errors import Problem
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.runtime import RequestContext
from idp.platform.secrets import b64url, random_token
from idp.platform.storage import SessionStorage, complete


@dataclass(slots=True)
class Browser:
    """A browser, or an app on a device, in the hands of a person."""

    address: str
    name: str
    """Its User-Agent header."""
    user_id: int | None = None
    cookie: str | None = None


@dataclass(frozen=True, slots=True)
class Application:
    """A client as its developers configured it."""

    client_id: str
    secret: str | None
    scope: str
    callback: str


class Site:
    """Issuer 1 as browsers and applications see it; the caller commits."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._issuer = tenants.issuer_of(session, PLATFORM_TENANT_ID)
        self._server = server.offer()

    def arrive(self, browser: Browser, user_id: int | None = None) -> None:
        """Begin a request of a browser; what is done next is recorded with it."""
        self._session.info["context"] = RequestContext(
            random_token(12), browser.address, browser.name, user_id
        )

    def upload_picture(self, browser: Browser, stream: IO[bytes], name: str) -> None:
        """Set the picture of the person whose browser it is."""
        self.arrive(browser, browser.user_id)
        assert browser.user_id is not None  # noqa: S101 - nobody else is asked to
        user = users.get(self._session, browser.user_id)
        with profile.new_picture(self._session, self._issuer, user, stream, name):
            self._session.commit()

    def sign_in(
        self, browser: Browser, application: Application | None = None, *, remember: bool = False
    ) -> None:
        """Start a session as the sign-in page does once the password has been checked."""
        self.arrive(browser)
        assert browser.user_id is not None  # noqa: S101 - nobody else is asked to
        browser.cookie = sign_in.start(
            self._session,
            self._issuer,
            users.get(self._session, browser.user_id),
            None,
            client_id=None if application is None else application.client_id,
            remember=remember,
        )

    def mistype(self, browser: Browser, login: str, application: Application) -> None:
        """Send the sign-in page a name and a wrong password."""
        self.arrive(browser)
        attempt = Attempt(
            login, "not the password", remember=False, client_id=application.client_id
        )
        sign_in.with_password(self._session, self._issuer, attempt, None)

    def sign_out(self, browser: Browser) -> None:
        """Sign out on the account page."""
        self.arrive(browser)
        found = visitor.find(self._session, self._issuer, browser.cookie)
        if found is not None:
            sign_out(self._session, found)
        browser.cookie = None

    def is_signed_in(self, browser: Browser) -> bool:
        """Return whether the browser has a live session."""
        return visitor.find(self._session, self._issuer, browser.cookie) is not None

    def enter(
        self, browser: Browser, application: Application, tenant_id: int
    ) -> Mapping[str, Any] | None:
        """Go through the code flow with PKCE; return the tokens, None when it was refused."""
        verifier = random_token()
        digest = hashlib.sha256(verifier.encode()).digest()
        answer = self._authorize(
            browser,
            {
                "client_id": application.client_id,
                "redirect_uri": application.callback,
                "response_type": "code",
                "scope": application.scope,
                "tenant": str(tenant_id),
                "state": random_token(12),
                "nonce": random_token(12),
                "code_challenge": b64url(digest),
                "code_challenge_method": "S256",
            },
        )
        code = _parameter(answer, "code")
        if code is None:
            return None
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": application.callback,
            "code_verifier": verifier,
        }
        return self.ask_for_token(browser, application, form)

    def refresh(
        self, browser: Browser, application: Application, refresh_token: str
    ) -> Mapping[str, Any] | None:
        """Use a refresh token; return the new tokens, None when it was refused."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return self.ask_for_token(browser, application, form)

    def ask_for_token(
        self, browser: Browser, application: Application, form: Mapping[str, str]
    ) -> Mapping[str, Any] | None:
        """Post a form to the token endpoint; return the tokens, None when it was refused."""
        answer = self._post(browser, application, "/connect/token", form)
        if answer is None:
            return None
        tokens: dict[str, Any] = orjson.loads(answer.body)
        return tokens

    def give_back(self, browser: Browser, application: Application, refresh_token: str) -> None:
        """Revoke a refresh token with its grant."""
        self._post(browser, application, "/connect/revocation", {"token": refresh_token})

    def _authorize(
        self, browser: Browser, parameters: Mapping[str, str]
    ) -> ProtocolResponse | None:
        answer = self._ask_page(browser, parameters)
        if isinstance(answer, Interaction) and answer.kind == "consent":
            self._consent(browser, answer.handle, parameters["scope"].split())
            answer = self._ask_page(browser, {pending.CONTINUE: answer.handle})
        return answer if isinstance(answer, ProtocolResponse) else None

    def _ask_page(
        self, browser: Browser, parameters: Mapping[str, str]
    ) -> ProtocolResponse | Interaction | FormPost | None:
        request, storage = self._request(
            browser, "GET", "/connect/authorize", query=tuple(parameters.items())
        )
        try:
            return complete(authorize(request, storage))
        except Problem as problem:
            complete(refused_requests.keep(storage, request, problem))
            return None

    def _consent(self, browser: Browser, handle: str, scopes: list[str]) -> None:
        found = visitor.find(self._session, self._issuer, browser.cookie)
        if found is not None:
            pending.decide_consent(
                self._session, self._issuer, handle, found.browser, scopes, remember=True
            )

    def _post(
        self, browser: Browser, application: Application, path: str, form: Mapping[str, str]
    ) -> ProtocolResponse | None:
        fields, header = {"client_id": application.client_id, **form}, None
        if application.secret is not None:
            del fields["client_id"]
            pair = f"{application.client_id}:{application.secret}"
            header = ("basic", base64.b64encode(pair.encode()).decode())
        request, storage = self._request(
            browser, "POST", path, form=tuple(fields.items()), authorization=header
        )
        endpoint = token if path == "/connect/token" else revoke
        try:
            return complete(endpoint(request, storage))
        except Problem as problem:
            complete(refused_requests.keep(storage, request, problem))
            return None

    def _request(
        self, browser: Browser, method: str, path: str, **parts: Any
    ) -> tuple[ProtocolRequest, SessionStorage]:
        self.arrive(browser)
        storage = SessionStorage(self._session)
        request = ProtocolRequest(
            method,
            path,
            self._issuer,
            self._server,
            session_cookie=browser.cookie if method == "GET" else None,
            remote_addr=browser.address,
            request_id=storage.context.request_id,
            **parts,
        )
        return request, storage


def _parameter(answer: ProtocolResponse | None, name: str) -> str | None:
    if answer is None:
        return None
    query = parse_qs(urlsplit(answer.headers.get("Location", "")).query)
    return query.get(name, [None])[0]
