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
      const seconds = Math.ceil(expiresIn)
      const named = {}
      if (payload.userCode) named[`userCode:${payload.userCode}`] = id
      if (this.model === 'Session') named[`uid:${payload.uid}`] = id
      const kept = [key, ...Object.keys(named)]
      const writes = [valkey.hset(key, 'payload', JSON.stringify(payload))]
      for (const [name, value] of Object.entries(named)) writes.push(valkey.set(name, value))
      if (OF_GRANTS.has(this.model) && payload.grantId) {
        kept.push(`grant:${payload.grantId}`)
        writes.push(valkey.sadd(`grant:${payload.grantId}`, key))
      }
      if (expiresIn) writes.push(...kept.map((name) => valkey.expire(name, seconds)))
      await Promise.all(writes)
    }

    async find(id) {
      const { payload, ...marks } = await valkey.hgetall(this.key(id))
      return payload && { ...JSON.parse(payload), ...marks }
    }

    async findByUid(uid) {
      return this.find(await valkey.get(`uid:${uid}`))
    }

    async findByUserCode(userCode) {
      return this.find(await valkey.get(`userCode:${userCode}`))
    }

    async consume(id) {
      await valkey.hset(this.key(id), 'consumed', Math.floor(Date.now() / 1000))
    }

    async destroy(id) {
      await valkey.del(this.key(id))
    }

    async revokeByGrantId(grantId) {
      const members = await valkey.smembers(`grant:${grantId}`)
      await valkey.del(`grant:${grantId}`, ...members)
    }
  }
}
