"""A company, its people and their roles, and what each of them then may do and see."""

import base64
import hashlib
import html
import json
import os
import re
import secrets
from urllib.parse import parse_qs, urlsplit

import requests

IDP = os.environ.get("IDP_URL", "http://127.0.0.1:8000")
APPLICATION, CALLBACK = "desk-web", "http://127.0.0.1:5000/callback"
PASSWORD = secrets.token_urlsafe(12)  # a program sets it, so the person should change it


def machine() -> requests.Session:
    """Return a session that calls the user service as the client `back-office`."""
    answer = requests.post(
        f"{IDP}/connect/token",
        auth=("back-office", os.environ["BACK_OFFICE_SECRET"]),
        data={"grant_type": "client_credentials", "scope": "ids4.ms.us.all"},
        timeout=10,
    )
    answer.raise_for_status()
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return session


def call(service: requests.Session, method: str, path: str, body: dict | None = None, **query: str):
    """Call an operation of V1 and return its value."""
    url = f"{IDP}/user{path}"
    answer = service.request(method, url, json=body, params=query, timeout=10)
    answer.raise_for_status()
    return answer.json()


def sign_in(username: str, tenant_id: int) -> dict:
    """Do what browser and application do together; return the claims of the access token."""
    browser, verifier = requests.Session(), secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    question = {
        "response_type": "code",
        "client_id": APPLICATION,
        "redirect_uri": CALLBACK,
        "scope": "openid demo.read",
        "tenant": tenant_id,  # whose company the person signs in for
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    page = browser.get(f"{IDP}/connect/authorize", params=question, timeout=10)
    hidden = re.findall(r'<input[^>]*type="hidden"[^>]*name="(\w+)"[^>]*value="([^"]*)"', page.text)
    form = {name: html.unescape(value) for name, value in hidden}
    form |= {"login": username, "password": PASSWORD}
    answer = browser.post(page.url, data=form, headers={"Origin": IDP}, allow_redirects=False)
    while not answer.headers["Location"].startswith(CALLBACK):
        target = requests.compat.urljoin(answer.url, answer.headers["Location"])
        answer = browser.get(target, allow_redirects=False, timeout=10)
    code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    form |= {"client_id": APPLICATION, "code_verifier": verifier}
    token = requests.post(f"{IDP}/connect/token", data=form, timeout=10).json()["access_token"]
    payload = token.split(".")[1]  # a service verifies the token first: docs/verifying-tokens.md
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def titles(nodes: list[dict]) -> list:
    """Write menus as their titles, with what is below each."""
    return [[node["title"], *titles(node["children"])] for node in nodes]


def main() -> None:
    """Found the company, and show what Ben may do with one role and with two."""
    service = machine()
    company = {"name": "Acme", "tenantTypeCode": "company", "username": "ann"}
    tenant = call(service, "POST", "/tenants", {**company, "password": PASSWORD})["id"]
    ben = {"username": "ben", "password": PASSWORD}
    call(service, "POST", f"/accounts/tenants/{tenant}", ben)
    call(service, "POST", f"/tenants/{tenant}/roles", {"code": "auditor", "name": "Auditor"})
    auditor = f"/tenants/{tenant}/roles/auditor/privileges"
    call(service, "PUT", auditor, privilegeCodes="desk.reports.read")

    roles = f"/bind/tenants/{tenant}/accounts/ben/roles"
    for role in ("clerk", "auditor"):
        call(service, "POST", roles, roleCodes=role)
        claims = sign_in("ben", tenant)
        credential = {"authenticationType": "PASSWORD", "principal": "ben"}
        login = call(service, "POST", "/login", {**credential, "certificate": PASSWORD})
        seen = [row["appRes"]["menu"] for row in login["resources"][str(tenant)]]
        shown = {
            "tenant": claims["tenant"]["name"],
            "role": claims["role"],
            "permission": claims["permission"],
            "menu": titles(seen),
        }
        print(json.dumps(shown, indent=2))


if __name__ == "__main__":
    main()
