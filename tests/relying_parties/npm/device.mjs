// Signs a device in with openid-client, as it comes, and prints what came of it.
import * as client from "openid-client";

const [issuer, clientId, bound] = process.argv.slice(2);
const config = await client.discovery(new URL(issuer), clientId, undefined, client.None(), {
  execute: [client.allowInsecureRequests],
});
const DPoP = bound
  ? client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256"))
  : undefined;
const codes = await client.initiateDeviceAuthorization(config, { scope: "openid offline_access" });
console.log(codes.verification_uri_complete);
const tokens = await client.pollDeviceAuthorizationGrant(config, codes, undefined, { DPoP });
const { sub } = tokens.claims();
const again = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
const person = await client.fetchUserInfo(config, again.access_token, sub, { DPoP });
console.log(JSON.stringify({ type: again.token_type, sub: person.sub }));
process.exit();
