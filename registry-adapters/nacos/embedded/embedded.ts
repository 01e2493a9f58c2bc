/**
 * The embedded registry: the Nacos-compatible server with an in-memory store behind it. For the demo, for tests, and
 * for a first try without Java.
 */
import { systemClock } from '../../../contracts/clock.ts'
import type { AdapterDeps } from '../../../contracts/registry-adapter.ts'
import type { AuthUser } from '../server/auth.ts'
import type { Backend } from '../server/backend.ts'
import type { NacosLimits } from '../server/limits.ts'
import { defaultLimits } from '../server/limits.ts'
import type { NacosServer } from '../server/server.ts'
import { startNacosServer } from '../server/server.ts'
import { ConfigStore } from './config-store.ts'
import { NamingStore } from '../server/naming-store.ts'
import { readStoreFile, StoreWriter } from './store-file.ts'

export interface EmbeddedRegistryOptions {
  /** Default 127.0.0.1. */
  readonly host?: string
  /** HTTP port; 0 (the default) = any whose neighbour 1000 above is free too. */
  readonly port?: number
  /** gRPC port; default: HTTP port + 1000, where clients look for it. */
  readonly grpcPort?: number
  /** Asks for credentials; without it any login is accepted. */
  readonly users?: readonly AuthUser[]
  readonly tokenTtlSeconds?: number
  /** JSON file for persistent instances and configuration; without it both are gone with the process. */
  readonly file?: string
  /** Changes of a service within this time are pushed as one; ms, default 500 as Nacos does. */
  readonly mergeWindowMs?: number
  /** How long polling (HTTP) clients keep an answer; ms, default 1000. */
  readonly cacheMillis?: number
  /** How often heartbeats and silent connections are looked at; ms, default 1000. */
  readonly sweepMs?: number
  /** How long the instances of a broken connection stay; ms, default 0 as Nacos does. */
  readonly connectionGraceMs?: number
  readonly pushAckTimeoutMs?: number
  readonly detectAfterMs?: number
  readonly detectAnswerMs?: number
  readonly limits?: Partial<NacosLimits>
  readonly deps?: Partial<AdapterDeps>
}

export interface EmbeddedRegistry {
  readonly host: string
  readonly port: number
  readonly grpcPort: number
  /** `host:port`, as clients are told. */
  readonly address: string
  status(): ReturnType<NacosServer['status']> & { services: number; instances: number; configs: number }
  /** Ends ports, connections and timers, and writes the file. */
  close(): Promise<void>
}

const silent: Pick<AdapterDeps, 'log' | 'metrics'> = {
  log: { debug() {}, info() {}, warn() {}, error() {} },
  metrics: { count() {}, gauge() {} },
}

/** Starts it. Rejects with E_LISTEN_IN_USE, E_LISTEN_DENIED, or E_CONFIG_UNREADABLE for a damaged file. */
export async function startEmbeddedRegistry(options: EmbeddedRegistryOptions = {}): Promise<EmbeddedRegistry> {
  const deps: AdapterDeps = { clock: systemClock, random: Math.random, ...silent, ...options.deps }
  const limits = { ...defaultLimits, ...options.limits }
  const host = options.host ?? '127.0.0.1'
  let writer: StoreWriter | undefined
  const naming = new NamingStore({
    now: () => deps.clock.monotonic(),
    limits,
    connectionGraceMs: options.connectionGraceMs ?? 0,
    onPersistentChange: () => writer?.changed(),
  })
  const config = new ConfigStore({ now: () => deps.clock.wall(), limits, onChange: () => writer?.changed() })
  if (options.file !== undefined) {
    const content = await readStoreFile(options.file)
    naming.restore(content.services)
    config.restore(content.configs)
    writer = new StoreWriter(
      options.file,
      () => ({ services: naming.persistent(), configs: config.all() }),
      (error) => deps.log.error({ file: options.file, error: String(error) }, 'embedded registry: file not written'),
    )
  }
  const backend: Backend = { naming, config, sweep: () => naming.sweep() }
  const { file: _file, connectionGraceMs: _graceMs, deps: _deps, ...serverOptions } = options
  const server = await startNacosServer(
    { port: 0, mergeWindowMs: 500, cacheMillis: 1000, sweepMs: 1000, ...serverOptions, host, backend, limits },
    deps,
  )
  return {
    host,
    port: server.port,
    grpcPort: server.grpcPort,
    address: `${host}:${server.port}`,
    status: () => ({ ...server.status(), ...naming.counts(), configs: config.size }),
    async close() {
      await server.close()
      await writer?.flush()
    },
  }
}
