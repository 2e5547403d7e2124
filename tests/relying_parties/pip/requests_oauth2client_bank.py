"""Signs a person in with requests-oauth2client, as it comes, and prints what came of it."""

from __future__ import annotations

import json
import sys

import requests
from requests_oauth2client import OAuth2Client, PrivateKeyJwt

issuer, client_id, redirect_uri, private_key = sys.argv[1:]
client = OAuth2Client.from_discovery_endpoint(
    f"{issuer}/.well-known/openid-configuration",
    issuer=issuer,
    auth=PrivateKeyJwt(client_id, json.loads(private_key), alg="ES256", aud=issuer),
    redirect_uri=redirect_uri,
    dpop_bound_access_tokens=True,
    id_token_signed_response_alg="ES256",
    testing=True,
)
asked = client.authorization_request(scope="openid offline_access")
pushed = client.pushed_authorization_request(asked)
sys.stdout.write(f"{pushed.uri}\n")
sys.stdout.flush()

answer = asked.validate_callback(sys.stdin.readline().strip())
# Its own check of ID tokens fails where access tokens are bound (1.8.0).
token = client.authorization_code(answer, validate=False)
again = client.refresh_token(token)
subject = [
    requests.get(client.userinfo_endpoint, auth=each, timeout=10).json()["sub"]
    for each in (token, again)
]
json.dump(
    {
        "types": [token.token_type, again.token_type],
        "subjects": subject,
        "access_token": again.access_token,
    },
    sys.stdout,
)
