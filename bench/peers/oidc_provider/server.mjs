// node oidc-provider as a peer: in memory or in a Valkey, JWT access tokens, one process per core.
import cluster from 'node:cluster'
import { readFileSync } from 'node:fs'
import Provider from 'oidc-provider'
import { keptIn } from './valkey.mjs'

const [port, workers, keys, valkey] = process.argv.slice(2)
const issuer = `http://127.0.0.1:${port}`
const secret = 'a-secret-of-the-benchmark-clients-0123456789'
const callback = 'https://app.example/callback'

// `opaque` has access tokens that introspection and userinfo take; this peer's take no JWT.
const jwtAlgorithm = (id) => (id === 'opaque' ? undefined : id.endsWith('-es256') ? 'ES256' : 'RS256')

function machine(id) {
  return {
    client_id: id, client_secret: secret, grant_types: ['client_credentials'],
    redirect_uris: [], response_types: [],
  }
}

function web(id, ...more) {
  return {
    client_id: id, client_secret: secret, grant_types: ['authorization_code', ...more],
    redirect_uris: [callback], response_types: ['code'],
  }
}

const provider = new Provider(issuer, {
  adapter: valkey ? keptIn(valkey) : undefined,
  clients: [
    machine('machine-rs256'), machine('machine-es256'),
    web('web'), web('web-refresh', 'refresh_token'), web('opaque'),
  ],
  jwks: JSON.parse(readFileSync(keys)),
  cookies: { keys: ['a cookie key of the benchmark'] },
  scopes: ['openid', 'offline_access', 'profile'],
  claims: { openid: ['sub'], profile: ['name', 'preferred_username', 'updated_at'] },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({ sub: id, name: 'Ann', preferred_username: id, updated_at: 1700000000 }),
  }),
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
  async loadExistingGrant(ctx) {
    const { client, session, provider: own } = ctx.oidc
    const id = session.grantIdFor(client.clientId)
    if (id) return own.Grant.find(id)
    const grant = new own.Grant({ clientId: client.clientId, accountId: session.accountId })
    grant.addOIDCScope('openid profile')
    grant.addResourceScope('urn:orders', 'orders.read')
    await grant.save()
    return grant
  },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    resourceIndicators: {
      enabled: true,
      defaultResource: (ctx, client) => (jwtAlgorithm(client.clientId) ? 'urn:orders' : undefined),
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, resource, client) => ({
        scope: 'orders.read', audience: 'urn:orders', accessTokenFormat: 'jwt',
        jwt: { sign: { alg: jwtAlgorithm(client.clientId) } },
      }),
    },
  },
  ttl: { AccessToken: 3600, ClientCredentials: 3600, AuthorizationCode: 300, IdToken: 300,
    RefreshToken: 2592000, Grant: 2592000, Session: 36000, Interaction: 600 },
})

// Signs in whoever comes; the sign-in itself is not measured.
provider.use(async (ctx, next) => {
  if (!ctx.path.startsWith('/interaction/')) return next()
  await provider.interactionFinished(ctx.req, ctx.res, { login: { accountId: 'ann' } })
  ctx.respond = false
})

if (cluster.isPrimary && Number(workers) > 1) {
  for (let count = 0; count < Number(workers); count += 1) cluster.fork()
} else {
  provider.listen(Number(port), '127.0.0.1')
}
