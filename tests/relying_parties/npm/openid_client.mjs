// Signs a person in with openid-client, as it comes, and prints what came of it.
import { createInterface } from "node:readline";
import * as client from "openid-client";

const [issuer, clientId, secret, redirectUri, alg] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const config = await client.discovery(
  new URL(issuer),
  clientId,
  undefined,
  secret ? client.ClientSecretBasic(secret) : client.None(),
  { execute: [client.allowInsecureRequests] },
);
const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair(alg));
const verifier = client.randomPKCECodeVerifier();
const state = client.randomState();
const address = await client.buildAuthorizationUrlWithPAR(
  config,
  {
    redirect_uri: redirectUri,
    scope: "openid offline_access",
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
  },
  { DPoP },
);
console.log(address.href);

const { value: callback } = await lines.next();
const checks = { pkceCodeVerifier: verifier, expectedState: state, idTokenExpected: true };
const tokens = await client.authorizationCodeGrant(config, new URL(callback), checks, undefined, {
  DPoP,
});
const { sub } = tokens.claims();
await client.fetchUserInfo(config, tokens.access_token, sub, { DPoP });
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
