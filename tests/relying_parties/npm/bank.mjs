// Signs a person in by FAPI 2.0 Message Signing with openid-client, as it comes.
import { createInterface } from "node:readline";
import * as client from "openid-client";

const [issuer, clientId, redirectUri, jwkText] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const jwk = JSON.parse(jwkText);
const algorithm = { name: "ECDSA", namedCurve: "P-256" };
const key = {
  key: await crypto.subtle.importKey("jwk", jwk, algorithm, false, ["sign"]),
  kid: jwk.kid,
};
const config = await client.discovery(
  new URL(issuer),
  clientId,
  { id_token_signed_response_alg: "ES256", authorization_signed_response_alg: "ES256" },
  client.PrivateKeyJwt(key),
  { execute: [client.allowInsecureRequests, client.useJwtResponseMode] },
);
const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256"));
const verifier = client.randomPKCECodeVerifier();
const state = client.randomState();
const signed = await client.buildAuthorizationUrlWithJAR(
  config,
  {
    redirect_uri: redirectUri,
    scope: "openid offline_access",
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
  },
  key,
);
const address = await client.buildAuthorizationUrlWithPAR(config, signed.searchParams, { DPoP });
console.log(address.href);

const { value: callback } = await lines.next();
const checks = { pkceCodeVerifier: verifier, expectedState: state, idTokenExpected: true };
const tokens = await client.authorizationCodeGrant(config, new URL(callback), checks, undefined, {
  DPoP,
});
const { sub } = tokens.claims();
const again = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
const person = await client.fetchUserInfo(config, again.access_token, sub, { DPoP });
console.log(
  JSON.stringify({
    types: [tokens.token_type, again.token_type],
    access_token: again.access_token,
    sub: person.sub,
  }),
);
process.exit();
