/** Nacos's instance: how clients describe one, what we accept, how it is written back. */
import { metadataBounds, type Endpoint } from '../../../contracts/endpoint.ts'
import { NacosFault } from './fault.ts'

/** As an endpoint; but Nacos clients that only consume announce port 0. */
export interface NacosInstance extends Omit<Endpoint, 'address' | 'locality' | 'version'> {
  readonly ip: string
  /** User id of who registered it, where that counts. Never from the wire. */
  readonly owner?: number | undefined
  /** User id that must listen there, where that counts. Never from the wire. */
  readonly listenerUser?: number | undefined
}

/** Same service, same key: the same instance. */
export function instanceKey(instance: Pick<NacosInstance, 'ip' | 'port' | 'cluster'>): string {
  return `${instance.ip}#${instance.port}#${instance.cluster}`
}

export const defaultCluster = 'DEFAULT'

const hostPattern = /^[0-9A-Za-z.:_%-]{1,128}$/
const clusterPattern = /^[0-9a-zA-Z_.-]{1,64}$/

const heartbeatKeys = {
  interval: 'preserved.heart.beat.interval',
  timeout: 'preserved.heart.beat.timeout',
  removal: 'preserved.ip.delete.timeout',
} as const

/** ms; the defaults are Nacos's own. */
export interface HeartbeatTimes {
  readonly interval: number
  readonly timeout: number
  readonly removal: number
}

function milliseconds(text: string | undefined, otherwise: number): number {
  const value = text === undefined || !/^\d{1,9}$/.test(text) ? otherwise : Number(text)
  return value > 0 ? value : otherwise
}

/** Heartbeat times of an instance, from its `preserved.` metadata. */
export function heartbeatTimes(metadata: Readonly<Record<string, string>>): HeartbeatTimes {
  return {
    interval: milliseconds(metadata[heartbeatKeys.interval], 5_000),
    timeout: milliseconds(metadata[heartbeatKeys.timeout], 15_000),
    removal: milliseconds(metadata[heartbeatKeys.removal], 30_000),
  }
}

export function checkAddress(ip: unknown): string {
  if (typeof ip !== 'string' || ip === '') throw new NacosFault('parameter-missing', "Param 'ip' is required.")
  if (!hostPattern.test(ip)) throw new NacosFault('parameter-invalid', "Param 'ip' is illegal, illegal characters.")
  return ip
}

export function checkPort(port: unknown): number {
  if (port === undefined || port === '') throw new NacosFault('parameter-missing', "Param 'port' is required.")
  const value = typeof port === 'string' && /^\d{1,6}$/.test(port) ? Number(port) : port
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 65_535) {
    throw new NacosFault('parameter-invalid', "Param 'port' is illegal, the value should be between 0 and 65535.")
  }
  return value
}

export function checkCluster(cluster: unknown): string {
  if (cluster === undefined || cluster === null || cluster === '') return defaultCluster
  if (typeof cluster !== 'string' || !clusterPattern.test(cluster)) {
    throw new NacosFault(
      'parameter-invalid',
      "Instance 'clusterName' should be characters with only 0-9a-zA-Z-_. of at most 64",
    )
  }
  return cluster
}

export function checkWeight(weight: unknown): number {
  const value = typeof weight === 'string' ? Number(weight) : (weight ?? 1)
  if (typeof value !== 'number' || !(value >= 0 && value <= 10_000)) {
    throw new NacosFault('weight', 'instance format invalid: The weights range from 0.0 to 10000.0')
  }
  return value
}

/** Metadata as an object, as JSON text, or as `key=value,key=value`; bounded. */
export function checkMetadata(given: unknown): Record<string, string> {
  const raw = typeof given === 'string' ? metadataFromText(given) : given
  if (raw === undefined || raw === null) return {}
  if (typeof raw !== 'object' || Array.isArray(raw)) throw new NacosFault('metadata', 'metadata format incorrect')
  const entries = Object.entries(raw)
  if (entries.length > metadataBounds.entries) {
    throw new NacosFault('metadata', `metadata: ${entries.length} entries, ${metadataBounds.entries} allowed`)
  }
  const metadata: Record<string, string> = Object.create(null) as Record<string, string>
  let characters = 0
  for (const [key, value] of entries) {
    if (value === null) continue
    const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
    characters += key.length + text.length
    metadata[key] = text
  }
  if (characters > metadataBounds.bytes) {
    throw new NacosFault('metadata', `metadata: ${characters} characters, ${metadataBounds.bytes} allowed`)
  }
  return metadata
}

function metadataFromText(text: string): unknown {
  if (text === '') return undefined
  if (text.startsWith('{')) {
    try {
      return JSON.parse(text)
    } catch {
      throw new NacosFault('metadata', 'metadata format incorrect: neither JSON nor key=value,key=value')
    }
  }
  return Object.fromEntries(
    text.split(',').map((pair) => {
      const at = pair.indexOf('=')
      if (at <= 0) throw new NacosFault('metadata', 'metadata format incorrect: neither JSON nor key=value,key=value')
      return [pair.slice(0, at), pair.slice(at + 1)]
    }),
  )
}

function flag(value: unknown, otherwise: boolean): boolean {
  if (value === undefined || value === null || value === '') return otherwise
  if (typeof value === 'boolean') return value
  return typeof value === 'string' && isYes(value)
}

/**
 * A truth value in a form field. Clients write it as their language does (`True`), and servers read it so
 * (`BooleanUtils.toBoolean` of Apache Commons Lang).
 */
export function isYes(text: string | undefined): boolean {
  return text !== undefined && /^(?:true|t|yes|y|on)$/i.test(text)
}

/**
 * The instance in a request: form fields of HTTP (all text) or the JSON object of gRPC. Unknown fields are ignored.
 * Throws a NacosFault that names the first wrong field.
 */
export function parseInstance(raw: Readonly<Record<string, unknown>>): NacosInstance {
  const metadata = checkMetadata(raw['metadata'])
  const times = heartbeatTimes(metadata)
  if (times.timeout < times.interval || times.removal < times.interval) {
    throw new NacosFault(
      'instance',
      "Instance 'heart beat interval' must less than 'heart beat timeout' and 'ip delete timeout'.",
    )
  }
  return {
    ip: checkAddress(raw['ip']),
    port: checkPort(raw['port']),
    weight: checkWeight(raw['weight']),
    healthy: flag(raw['healthy'], true),
    enabled: flag(raw['enabled'] ?? raw['enable'], true),
    ephemeral: flag(raw['ephemeral'], true),
    cluster: checkCluster(raw['clusterName'] ?? raw['cluster']),
    metadata,
  }
}
