// A server of the MCP TypeScript SDK and clients of it, as they come, in one program.
// It prints an address to open for each sign-in, reads the one that comes back, and prints at last
// what the tools were told. Arguments: issuer, port, address of the document, redirect address.
import { createInterface } from "node:readline";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { InvalidTokenError } from "@modelcontextprotocol/sdk/server/auth/errors.js";
import { requireBearerAuth } from "@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js";
import {
  getOAuthProtectedResourceMetadataUrl,
  mcpAuthMetadataRouter,
} from "@modelcontextprotocol/sdk/server/auth/router.js";
import { createMcpExpressApp } from "@modelcontextprotocol/sdk/server/express.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { createRemoteJWKSet, jwtVerify } from "jose";

const [issuer, port, clientMetadataUrl, redirectUrl] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const WRITES = ["notes.read", "notes.write"];

// The server: two resources, one that asks for more scopes later and one that refreshes.
const metadata = await (await fetch(`${issuer}/.well-known/oauth-authorization-server`)).json();
const keys = createRemoteJWKSet(new URL(metadata.jwks_uri));

function verifierFor(audience) {
  return {
    async verifyAccessToken(token) {
      try {
        const { payload } = await jwtVerify(token, keys, { issuer, audience, typ: "at+jwt" });
        return {
          token,
          clientId: payload.client_id,
          scopes: payload.scope.split(" "),
          expiresAt: payload.exp,
          resource: new URL(payload.aud),
          extra: payload,
        };
      } catch (problem) {
        throw new InvalidTokenError(problem.message);
      }
    },
  };
}

function whatItOffers() {
  const server = new McpServer({ name: "notes", version: "1" });
  for (const name of ["read", "write"]) {
    server.registerTool(name, { description: name }, ({ authInfo }) => ({
      content: [{ type: "text", text: JSON.stringify(authInfo.extra) }],
    }));
  }
  return server;
}

function serve(app, path, needs, scopesSupported) {
  const resource = new URL(`http://127.0.0.1:${port}${path}`);
  const options = {
    verifier: verifierFor(resource.href),
    resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(resource),
    expectedResource: resource,
  };
  app.use(mcpAuthMetadataRouter({ oauthMetadata: metadata, resourceServerUrl: resource, scopesSupported }));
  app.all(
    path,
    (request, response, next) =>
      requireBearerAuth({ ...options, requiredScopes: needs(request.body) })(request, response, next),
    async (request, response) => {
      const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
      await whatItOffers().connect(transport);
      await transport.handleRequest(request, response, request.body);
    },
  );
  return resource;
}

const app = createMcpExpressApp();
const growing = serve(
  app,
  "/growing",
  (body) => (body?.params?.name === "write" ? WRITES : WRITES.slice(0, 1)),
  WRITES,
);
const lasting = serve(app, "/lasting", () => [], ["files.read", "offline_access"]);
await new Promise((resolve) => app.listen(Number(port), "127.0.0.1", resolve));

// The client: what the SDK keeps is kept in memory.
class Memory {
  constructor(address) {
    this.clientMetadataUrl = address;
    this.redirectUrl = redirectUrl;
    this.asked = [];
  }
  get clientMetadata() {
    return {
      client_name: "MCP client",
      redirect_uris: [redirectUrl],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
    };
  }
  clientInformation() {
    return this.client;
  }
  saveClientInformation(client) {
    this.client = client;
  }
  tokens() {
    return this.kept;
  }
  saveTokens(tokens) {
    this.kept = tokens;
  }
  saveCodeVerifier(verifier) {
    this.verifier = verifier;
  }
  codeVerifier() {
    return this.verifier;
  }
  redirectToAuthorization(address) {
    this.asked.push(address.searchParams.get("scope"));
    console.log(address.href);
  }
}

async function openClient(resource, memory) {
  const transport = new StreamableHTTPClientTransport(resource, { authProvider: memory });
  const client = new Client({ name: "test", version: "1" });
  await client.connect(transport);
  return { client, transport };
}

async function comeBack(transport) {
  const { value } = await lines.next();
  const back = new URL(value).searchParams;
  if (!back.has("code")) throw new Error(`refused: ${value}`);
  await transport.finishAuth(back.get("code"));
}

async function signIn(resource, memory) {
  const transport = new StreamableHTTPClientTransport(resource, { authProvider: memory });
  try {
    await new Client({ name: "test", version: "1" }).connect(transport);
  } catch (problem) {
    if (!(problem instanceof UnauthorizedError)) throw problem;
    await comeBack(transport);
  }
  return openClient(resource, memory);
}

async function call({ client }, name) {
  const answer = await client.callTool({ name });
  return JSON.parse(answer.content[0].text);
}

async function grows(address) {
  const memory = new Memory(address);
  const opened = await signIn(growing, memory);
  const first = await call(opened, "read");
  let second;
  try {
    second = await call(opened, "write");
  } catch (problem) {
    if (!(problem instanceof UnauthorizedError)) throw problem;
    await comeBack(opened.transport);
    second = await call(opened, "write");
  }
  return { client: memory.client, asked: memory.asked, first, second };
}

async function lasts(address) {
  const memory = new Memory(address);
  const first = await call(await signIn(lasting, memory), "read");
  const refreshToken = memory.kept.refresh_token;
  memory.kept = { ...memory.kept, access_token: "expired" };
  const second = await call(await openClient(lasting, memory), "read");
  const isRotated = memory.kept.refresh_token !== refreshToken;
  return { client: memory.client, asked: memory.asked, first, second, isRotated };
}

const found = {};
for (const [name, address] of [["document", clientMetadataUrl], ["registration", undefined]]) {
  found[name] = { grows: await grows(address), lasts: await lasts(address) };
}
console.log(JSON.stringify(found));
process.exit();
