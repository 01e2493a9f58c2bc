/**
 * Early news from servers of the 1.x line, which push over UDP only: the `nacos` package listens, and what it hears is a hint to ask, never data.
 *
 * The package has faults that a mesh cannot carry, so it is fenced in: it accepts lists that are older than its own, never tells that the last instance is gone,
 * believes a UDP packet from anybody and answers some with everything it knows, and writes user and password into every URL. Therefore it gets no credentials
 * (with credentials there is no nudge, only polls), hears packets of the configured servers only, and our own question decides what is true.
 */
import { gunzipSync } from 'node:zlib'
import type { ServiceName } from '../../../contracts/endpoint.ts'
import { describeError } from '../../../contracts/errors.ts'
import type { AdapterLog } from '../../../contracts/registry-adapter.ts'
import type { NacosServer } from '../servers/server-list.ts'
import { groupedName } from '../wire/service-name.ts'

export interface Nudge {
  watch(service: ServiceName): void
  unwatch(service: ServiceName): void
  close(): Promise<void>
}

export interface NudgeOptions {
  readonly servers: readonly NacosServer[]
  readonly namespace: string
  readonly log: AdapterLog
  readonly onHint: (service: ServiceName) => void
}

interface PushReceiver {
  on(event: 'error', listener: (error: unknown) => void): void
  _handlePushMessage(message: Buffer, from: { readonly address: string; readonly port: number }): void
}

interface LegacyClient {
  ready(): Promise<void>
  subscribe(info: { serviceName: string; groupName: string }, listener: () => void): void
  unSubscribe(info: { serviceName: string; groupName: string }, listener: () => void): void
  on(event: 'error', listener: (error: unknown) => void): void
  close(): Promise<void> | void
  readonly _hostReactor?: {
    readonly _pushReceiver?: PushReceiver
    readonly on?: (event: 'error', listener: (error: unknown) => void) => void
  }
}

/** Services that are watched for hints; the others are polled only. */
const maxWatched = 2000
const maxPacketBytes = 4 * 1024 * 1024

/** Rejects when the package cannot be used; polls are enough then. */
export async function createNudge(options: NudgeOptions): Promise<Nudge> {
  const { NacosNamingClient } = (await import('nacos')) as unknown as {
    NacosNamingClient: new (options: object) => LegacyClient
  }
  const quiet = (): void => undefined
  const client = new NacosNamingClient({
    logger: { info: quiet, debug: quiet, warn: quiet, error: quiet, log: quiet },
    serverList: options.servers.map(({ id }) => id),
    namespace: options.namespace,
  })
  const onError = (error: unknown): void => options.log.debug({}, `legacy client: ${describeError(error)}`)
  client.on('error', onError)
  client._hostReactor?.on?.('error', onError)
  const receiver = client._hostReactor?._pushReceiver
  if (receiver === undefined || typeof receiver._handlePushMessage !== 'function') {
    await client.close()
    throw new Error('this version of the package cannot be fenced in')
  }
  receiver.on('error', onError)
  const watched = new Map<string, () => void>()
  // the package itself matches a push only when it names the cluster that it asked for, so the hint is taken here
  fence(receiver, options, (name) => watched.get(name)?.())
  await client.ready()

  return {
    watch: (service) => {
      const key = groupedName(service.group, service.name)
      if (service.namespace !== options.namespace || watched.has(key) || watched.size >= maxWatched) return
      const listener = (): void => options.onHint(service)
      watched.set(key, listener)
      client.subscribe({ serviceName: service.name, groupName: service.group }, listener)
    },
    unwatch: (service) => {
      const key = groupedName(service.group, service.name)
      const listener = watched.get(key)
      if (listener === undefined) return
      watched.delete(key)
      client.unSubscribe({ serviceName: service.name, groupName: service.group }, listener)
    },
    close: async () => {
      await client.close()
    },
  }
}

/** Lets through what a configured server says about a service in a form that the package can digest, and nothing else. */
function fence(receiver: PushReceiver, options: NudgeOptions, onService: (groupedName: string) => void): void {
  const servers = new Set(options.servers.map(({ address }) => address))
  const handle = receiver._handlePushMessage.bind(receiver)
  receiver._handlePushMessage = (message, from) => {
    const name = servers.has(from.address) ? serviceOf(message) : undefined
    if (name === undefined) return
    handle(message, from)
    onService(name)
  }
}

/** `{"type":"dom","data":"{\"name\":…,\"hosts\":[…]}"}`, perhaps gzipped. Packets of type `dump` ask for all that the package knows. */
function serviceOf(message: Buffer): string | undefined {
  try {
    const isPacked = message[0] === 0x1f && message[1] === 0x8b
    const text = (isPacked ? gunzipSync(message, { maxOutputLength: maxPacketBytes }) : message).toString('utf8')
    const packet = JSON.parse(text) as { readonly type?: unknown; readonly data?: unknown }
    if (packet.type !== 'dom' || typeof packet.data !== 'string') return undefined
    const data = JSON.parse(packet.data) as { readonly name?: unknown; readonly hosts?: unknown }
    return typeof data.name === 'string' && Array.isArray(data.hosts) ? data.name : undefined
  } catch {
    return undefined
  }
}
