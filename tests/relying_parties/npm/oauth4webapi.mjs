// Signs a person in with oauth4webapi, as it comes, and prints what came of it.
import { createInterface } from "node:readline";
import * as oauth from "oauth4webapi";

const [issuerUrl, clientId, secret, redirectUri, alg] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const issuer = new URL(issuerUrl);
const insecure = { [oauth.allowInsecureRequests]: true };

const as = await oauth
  .discoveryRequest(issuer, insecure)
  .then((response) => oauth.processDiscoveryResponse(issuer, response));
const client = { client_id: clientId };
const authentication = secret ? oauth.ClientSecretBasic(secret) : oauth.None();
const DPoP = oauth.DPoP(client, await oauth.generateKeyPair(alg));
const options = { ...insecure, DPoP };

// As its documentation has it: once more where the server asks for a nonce.
async function answered(ask, read) {
  try {
    return await read(await ask());
  } catch (problem) {
    if (!oauth.isDPoPNonceError(problem)) throw problem;
    return read(await ask());
  }
}

const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const request = new URLSearchParams({
  client_id: clientId,
  redirect_uri: redirectUri,
  response_type: "code",
  scope: "openid offline_access",
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  state,
});
const pushed = await answered(
  () => oauth.pushedAuthorizationRequest(as, client, authentication, request, options),
  (response) => oauth.processPushedAuthorizationResponse(as, client, response),
);
const address = new URL(as.authorization_endpoint);
address.searchParams.set("client_id", clientId);
address.searchParams.set("request_uri", pushed.request_uri);
console.log(address.href);

const { value: callback } = await lines.next();
const parameters = oauth.validateAuthResponse(as, client, new URL(callback), state);
const tokens = await answered(
  () =>
    oauth.authorizationCodeGrantRequest(
      as, client, authentication, parameters, redirectUri, verifier, options,
    ),
  (response) =>
    oauth.processAuthorizationCodeResponse(as, client, response, { requireIdToken: true }),
);
const { sub } = oauth.getValidatedIdTokenClaims(tokens);

async function userinfo(token) {
  return answered(
    () => oauth.userInfoRequest(as, client, token, options),
    (response) => oauth.processUserInfoResponse(as, client, sub, response),
  );
}

await userinfo(tokens.access_token);
const again = await answered(
  () =>
    oauth.refreshTokenGrantRequest(as, client, authentication, tokens.refresh_token, options),
  (response) => oauth.processRefreshTokenResponse(as, client, response),
);
const person = await userinfo(again.access_token);
console.log(
  JSON.stringify({
    types: [tokens.token_type, again.token_type],
    access_token: again.access_token,
    sub: person.sub,
  }),
);
process.exit();
