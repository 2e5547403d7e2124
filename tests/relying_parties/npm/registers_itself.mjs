// Registers itself with openid-client, as it comes, signs a person in, and prints what came of it.
import { createInterface } from "node:readline";
import * as client from "openid-client";

const [issuer, token, redirectUri, method] = process.argv.slice(2);
const METHODS = {
  client_secret_basic: client.ClientSecretBasic,
  client_secret_post: client.ClientSecretPost,
  none: client.None,
};
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const config = await client.dynamicClientRegistration(
  new URL(issuer),
  {
    client_name: "Registered by itself",
    redirect_uris: [redirectUri],
    grant_types: ["authorization_code", "refresh_token"],
    token_endpoint_auth_method: method,
  },
  METHODS[method](),
  { execute: [client.allowInsecureRequests], initialAccessToken: token || undefined },
);
const verifier = client.randomPKCECodeVerifier();
const state = client.randomState();
const address = client.buildAuthorizationUrl(config, {
  redirect_uri: redirectUri,
  scope: "openid offline_access",
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  state,
});
console.log(address.href);

const { value: callback } = await lines.next();
const checks = { pkceCodeVerifier: verifier, expectedState: state, idTokenExpected: true };
const tokens = await client.authorizationCodeGrant(config, new URL(callback), checks);
const again = await client.refreshTokenGrant(config, tokens.refresh_token);
const { sub } = tokens.claims();
const person = await client.fetchUserInfo(config, again.access_token, sub);
const { client_id, scope, token_endpoint_auth_method } = config.clientMetadata();
console.log(JSON.stringify({ client_id, scope, token_endpoint_auth_method, sub: person.sub }));
process.exit();
