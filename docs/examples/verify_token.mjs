// Check access tokens of idp in a Node service (Node 18 or newer, no packages).
//
// As a program it reads tokens from standard input, one a line, and prints whether each is good:
//
//     node verify_token.mjs --issuer https://id.example.com --audience orders \
//         --scope orders.read --permission orders.refund
//
// A line with a second word is a token that came as `Authorization: DPoP`, and its `DPoP` header;
// the request that it is for is named by --method and --url.

import { createHash, createPublicKey, constants, verify as verifySignature } from "node:crypto";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { pathToFileURL } from "node:url";

const ALGORITHMS = {
  RS256: { hash: "sha256", options: { padding: constants.RSA_PKCS1_PADDING } },
  PS256: { hash: "sha256", options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 } },
  ES256: { hash: "sha256", options: { dsaEncoding: "ieee-p1363" } },
  EdDSA: { hash: null, options: {} },
};
const PROOF_KEYS = {
  ES256: { kty: "EC", crv: "P-256" },
  PS256: { kty: "RSA" },
  EdDSA: { kty: "OKP", crv: "Ed25519" },
};
const THUMBPRINT_MEMBERS = { RSA: ["e", "kty", "n"], EC: ["crv", "kty", "x", "y"], OKP: ["crv", "kty", "x"] };
const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
const PROOF_SECONDS = 60;
const KEYS_LIVE_MS = 300_000;
const FETCH_PAUSE_MS = 10_000;
const LEEWAY_SECONDS = 5;

// The token does not open this door; `status` is the HTTP status to answer.
export class Refused extends Error {
  constructor(reason, status = 401) {
    super(reason);
    this.status = status;
  }
}

// An issuer that is trusted, with its published keys.
class Issuer {
  #keys = new Map();
  #fetched = -Infinity;
  #fetching = null;
  metadata = {};

  constructor(url) {
    this.url = url;
  }

  // Find a key, asking again when the answer is old or does not hold it.
  async findKey(kid) {
    const age = performance.now() - this.#fetched;
    // The pause keeps tokens with made-up key ids from becoming requests to the issuer.
    if (age > KEYS_LIVE_MS || (!this.#keys.has(kid) && age > FETCH_PAUSE_MS)) {
      this.#fetching ??= this.#fetch().finally(() => (this.#fetching = null));
      await this.#fetching;
    }
    return this.#keys.get(kid);
  }

  async #fetch() {
    this.metadata = await getJson(`${this.url}/.well-known/openid-configuration`);
    if (this.metadata.issuer !== this.url) {
      throw new Refused(`${this.url} calls itself ${this.metadata.issuer}`);
    }
    const { keys } = await getJson(this.metadata.jwks_uri);
    this.#keys = new Map(
      keys
        .filter((jwk) => Object.hasOwn(ALGORITHMS, jwk.alg))
        .map((jwk) => [jwk.kid, { alg: jwk.alg, key: createPublicKey({ key: jwk, format: "jwk" }) }]),
    );
    this.#fetched = performance.now();
  }
}

// Checks tokens for one API.
export class Verifier {
  #issuers;
  #audience;
  #apiSecret;
  #seen = new Map();

  constructor(issuers, audience, { apiSecret } = {}) {
    this.#issuers = new Map(issuers.map((url) => [url, new Issuer(url)]));
    this.#audience = audience;
    this.#apiSecret = apiSecret;
  }

  // Return the claims of a good access token; throw Refused for any other. `shown` for one that came
  // as `Authorization: DPoP`: { proof, method, url }, the DPoP header and the request without query.
  async verify(token, { shown, scope, permission } = {}) {
    const [header, claims, signature, signed] = split(token);
    // All issuers of one installation share their keys: a good signature does not tell them
    // apart, only `iss` does. So it is looked up in our own list, before any request.
    const issuer = this.#issuers.get(claims.iss);
    if (!issuer) throw new Refused("issued by somebody else");
    const found = await issuer.findKey(header.kid);
    if (!found) throw new Refused("signed by an unknown key");
    // The algorithm is the key's; the header may only agree (RFC 8725 3.1).
    if (header.alg !== found.alg || header.crit) throw new Refused("another algorithm");
    const { hash, options } = ALGORITHMS[found.alg];
    if (!verifySignature(hash, signed, { key: found.key, ...options }, signature)) {
      throw new Refused("wrong signature");
    }
    // RFC 9068 4: an ID token must not pass for an access token.
    if (!["at+jwt", "application/at+jwt"].includes(String(header.typ).toLowerCase())) {
      throw new Refused("not an access token");
    }
    const now = Date.now() / 1000;
    if (typeof claims.exp !== "number" || claims.exp + LEEWAY_SECONDS <= now) {
      throw new Refused("expired");
    }
    if (claims.nbf !== undefined && !(claims.nbf - LEEWAY_SECONDS <= now)) {
      throw new Refused("not valid yet");
    }
    if (![claims.aud].flat().includes(this.#audience)) throw new Refused("for another audience");
    this.#checkHolder(token, claims.cnf, shown);
    if (scope !== undefined && !String(claims.scope ?? "").split(" ").includes(scope)) {
      throw new Refused(`the scope ${scope} was not granted`, 403);
    }
    if (permission !== undefined) {
      const held = await this.permissions(issuer, token, claims);
      if (!covers(held, permission)) {
        throw new Refused(`the permission ${permission} is not held`, 403);
      }
    }
    return claims;
  }

  // Refuse a token that is bound to a key unless its sender proves to hold that key.
  #checkHolder(token, cnf, shown) {
    if (cnf === undefined && shown === undefined) return;
    // RFC 9449 7.2: a bound token must not pass as a bearer token, nor the other way round.
    if (shown === undefined || Object.keys(cnf ?? {}).join() !== "jkt") {
      throw new Refused("sent by another scheme than it is for");
    }
    const { key, jti } = readProof(token, shown);
    if (thumbprint(key) !== cnf.jkt) throw new Refused("bound to another key");
    // Several processes share what they have seen, for example in Valkey by SET NX EX.
    const now = performance.now();
    for (const [known, end] of this.#seen) if (end <= now) this.#seen.delete(known);
    const seen = `${cnf.jkt} ${jti}`;
    if (this.#seen.has(seen)) throw new Refused("the proof was used before");
    this.#seen.set(seen, now + 2 * PROOF_SECONDS * 1000);
  }

  // List the permissions of the token's person, asking idp when they are too many.
  async permissions(issuer, token, claims) {
    const held = claims.permission_ref
      ? (await this.#introspect(issuer, token)).permission
      : claims.permission;
    return typeof held === "string" ? held.split(",") : (held ?? []);
  }

  // Ask what a token is worth now (RFC 7662), as the API with its secret.
  async #introspect(issuer, token) {
    if (!this.#apiSecret) {
      throw new Refused("the permissions are kept at the issuer, and there is no secret");
    }
    const pair = Buffer.from(`${this.#audience}:${this.#apiSecret}`).toString("base64");
    const answer = await getJson(issuer.metadata.introspection_endpoint, {
      method: "POST",
      headers: { Authorization: `Basic ${pair}` },
      body: new URLSearchParams({ token }),
    });
    if (!answer.active) throw new Refused("revoked");
    return answer;
  }
}

// Return the key and the id of a proof that was made for this request (RFC 9449 4.3).
function readProof(token, { proof, method, url }) {
  const [header, claims, signature, signed] = split(proof, "jwk", "jti");
  const { alg, jwk } = header;
  if (String(header.typ).toLowerCase() !== "dpop+jwt" || header.crit) throw new Refused("not a proof");
  const kind = Object.hasOwn(PROOF_KEYS, alg) ? PROOF_KEYS[alg] : undefined;
  if (
    !kind ||
    Object.entries(kind).some(([name, value]) => jwk[name] !== value) ||
    PRIVATE_MEMBERS.some((name) => Object.hasOwn(jwk, name))
  ) {
    throw new Refused("a proof by a key that proves nothing");
  }
  const { hash, options } = ALGORITHMS[alg];
  let isSigned = false;
  try {
    const key = createPublicKey({ key: jwk, format: "jwk" });
    isSigned = verifySignature(hash, signed, { key, ...options }, signature);
  } catch {
    throw new Refused("a proof by a broken key");
  }
  if (!isSigned) throw new Refused("a proof with a wrong signature");
  const digest = createHash("sha256").update(token).digest("base64url");
  if (claims.ath !== digest) throw new Refused("a proof for another token");
  if (claims.htm !== method || String(claims.htu).split("?")[0] !== url) {
    throw new Refused("a proof for another request");
  }
  if (!(Math.abs(Date.now() / 1000 - claims.iat) <= PROOF_SECONDS)) throw new Refused("an old proof");
  return { key: jwk, jti: claims.jti };
}

// Return the thumbprint of a public key (RFC 7638).
function thumbprint(jwk) {
  const members = THUMBPRINT_MEMBERS[jwk.kty].map((name) => [name, jwk[name]]);
  return createHash("sha256").update(JSON.stringify(Object.fromEntries(members))).digest("base64url");
}

// Return whether permissions hold a code, or a `….all` above it.
export function covers(held, code) {
  return held.some(
    (one) => one === code || (one.endsWith(".all") && code.startsWith(one.slice(0, -3))),
  );
}

function split(token, inHeader = "kid", inClaims = "iss") {
  const parts = token.split(".");
  try {
    if (parts.length !== 3) throw new SyntaxError("not three parts");
    const [header, claims] = parts
      .slice(0, 2)
      .map((part) => JSON.parse(Buffer.from(part, "base64url").toString()));
    if (!header?.[inHeader] || typeof claims?.[inClaims] !== "string") {
      throw new SyntaxError(`no ${inHeader} or no ${inClaims}`);
    }
    return [
      header,
      claims,
      Buffer.from(parts[2], "base64url"),
      Buffer.from(`${parts[0]}.${parts[1]}`),
    ];
  } catch {
    throw new Refused("malformed");
  }
}

async function getJson(url, options = {}) {
  const answer = await fetch(url, { ...options, signal: AbortSignal.timeout(5000) });
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
  return answer.json();
}

// Print whether each token on standard input is good.
async function main() {
  const { values } = parseArgs({
    options: {
      issuer: { type: "string", multiple: true },
      audience: { type: "string" },
      "api-secret": { type: "string" },
      scope: { type: "string" },
      permission: { type: "string" },
      method: { type: "string", default: "GET" },
      url: { type: "string", default: "" },
    },
  });
  const verifier = new Verifier(values.issuer, values.audience, { apiSecret: values["api-secret"] });
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      const [token, proof] = line.trim().split(" ");
      const shown = proof && { proof, method: values.method, url: values.url };
      const claims = await verifier.verify(token, { ...values, shown });
      console.log(JSON.stringify({ claims }));
    } catch (problem) {
      if (!(problem instanceof Refused)) throw problem;
      console.log(JSON.stringify({ refused: problem.message, status: problem.status }));
    }
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main();
