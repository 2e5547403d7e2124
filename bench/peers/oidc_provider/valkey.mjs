// What oidc-provider keeps, in a Valkey that all of its processes share.
import Redis from 'ioredis'

const OF_GRANTS = new Set([
  'AccessToken', 'AuthorizationCode', 'RefreshToken', 'DeviceCode', 'BackchannelAuthenticationRequest',
])

export function keptIn(path) {
  const valkey = new Redis({ path, enableAutoPipelining: true })

  return class {
    constructor(model) {
      this.model = model
    }

    key(id) {
      return `${this.model}:${id}`
    }

    async upsert(id, payload, expiresIn) {
      const key = this.key(id)
      const seconds = expiresIn ? ['EX', Math.ceil(expiresIn)] : []
      const writes = [valkey.set(key, JSON.stringify(payload), ...seconds)]
      if (OF_GRANTS.has(this.model) && payload.grantId) {
        const members = `grant:${payload.grantId}`
        writes.push(valkey.sadd(members, key))
        if (expiresIn) writes.push(valkey.expire(members, Math.ceil(expiresIn)))
      }
      if (payload.userCode) writes.push(valkey.set(`userCode:${payload.userCode}`, id, ...seconds))
      if (this.model === 'Session') writes.push(valkey.set(`uid:${payload.uid}`, id, ...seconds))
      await Promise.all(writes)
    }

    async find(id) {
      const [payload, consumed] = await Promise.all([
        valkey.get(this.key(id)),
        // A code, for example, is consumed beside what is kept of it, which stays as it was.
        OF_GRANTS.has(this.model) || this.model === 'PushedAuthorizationRequest'
          ? valkey.get(`consumed:${this.key(id)}`)
          : null,
      ])
      if (payload === null) return undefined
      return consumed ? { ...JSON.parse(payload), consumed: Number(consumed) } : JSON.parse(payload)
    }

    async findByUid(uid) {
      const id = await valkey.get(`uid:${uid}`)
      return id === null ? undefined : this.find(id)
    }

    async findByUserCode(userCode) {
      const id = await valkey.get(`userCode:${userCode}`)
      return id === null ? undefined : this.find(id)
    }

    async consume(id) {
      const left = await valkey.ttl(this.key(id))
      await valkey.set(`consumed:${this.key(id)}`, Math.floor(Date.now() / 1000), 'EX', Math.max(left, 1))
    }

    async destroy(id) {
      await valkey.del(this.key(id), `consumed:${this.key(id)}`)
    }

    async revokeByGrantId(grantId) {
      const members = await valkey.smembers(`grant:${grantId}`)
      await valkey.del(`grant:${grantId}`, ...members)
    }
  }
}
