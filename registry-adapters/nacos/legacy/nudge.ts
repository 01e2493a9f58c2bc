/**
 * Early news from servers of the 1.x line, which push over UDP only: the `nacos` package listens, and what it hears is
 * a hint to ask, never data.
 *
 * The package has faults that a mesh cannot carry, so it is fenced in: it accepts lists that are older than its own,
 * never tells that the last instance is gone, believes a UDP packet from anybody and answers some with everything it
 * knows, goes on asking for a service after the last subscriber has left or after its own end, and writes user and
 * password into every URL. Therefore it gets no credentials (with credentials there is no nudge, only polls), hears
 * packets of the configured servers only, asks only for what is watched, and our own question decides what is true.
 */
import { gunzipSync } from 'node:zlib'
import type { ServiceName } from '../../../contracts/endpoint.ts'
import { describeError } from '../../../contracts/errors.ts'
import type { AdapterLog } from '../../../contracts/registry-adapter.ts'
import type { NacosMember } from '../server-list/server-list.ts'
import { groupedName } from '../wire/service-name.ts'

export interface Nudge {
  watch(service: ServiceName): void
  unwatch(service: ServiceName): void
  close(): Promise<void>
}

export interface NudgeOptions {
  readonly servers: readonly NacosMember[]
  readonly namespace: string
  readonly log: AdapterLog
  readonly onHint: (service: ServiceName) => void
}

interface PushReceiver {
  on(event: 'error', listener: (error: unknown) => void): void
  _handlePushMessage(message: Buffer, from: { readonly address: string; readonly port: number }): void
}

/**
 * Asks again and again for each service in the plans, which is how a 1.x server remembers where to push to. Keys begin
 * with the grouped name.
 */
interface HostReactor {
  readonly _pushReceiver?: PushReceiver
  readonly _futureMap?: Map<string, { readonly timer: NodeJS.Timeout }>
  readonly _serviceInfoMap?: Map<string, unknown>
  _scheduleUpdateIfAbsent?(groupedName: string, clusters: string): void
  readonly on?: (event: 'error', listener: (error: unknown) => void) => void
}

interface LegacyClient {
  ready(): Promise<void>
  subscribe(info: { serviceName: string; groupName: string }, listener: () => void): void
  unSubscribe(info: { serviceName: string; groupName: string }, listener: () => void): void
  on(event: 'error', listener: (error: unknown) => void): void
  close(): Promise<void> | void
  readonly _hostReactor?: HostReactor
}

/** Services that are watched for hints; the others are polled only. */
const maxWatched = 2000
/** What the package asks for when no cluster is named. */
const defaultCluster = 'DEFAULT'
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
  const watched = new Map<string, () => void>()
  const stopAsking = askOnly(client._hostReactor, (name) => watched.has(name))
  if (receiver === undefined || typeof receiver._handlePushMessage !== 'function' || stopAsking === undefined) {
    await client.close()
    throw new Error('this version of the package cannot be fenced in')
  }
  receiver.on('error', onError)
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
      stopAsking(key)
    },
    close: async () => {
      // a first question may still be on its way: its answer must not begin another round
      watched.clear()
      await client.close()
    },
  }
}

/**
 * Lets the package ask again only for services that are watched. Answers how it stops asking for one; undefined when
 * the package is not as expected.
 */
function askOnly(
  reactor: HostReactor | undefined,
  isWatched: (groupedName: string) => boolean,
): ((groupedName: string) => void) | undefined {
  const { _futureMap: plans, _serviceInfoMap: known } = reactor ?? {}
  const plan = reactor?._scheduleUpdateIfAbsent?.bind(reactor)
  if (reactor === undefined || plan === undefined || plans === undefined || known === undefined) return undefined
  reactor._scheduleUpdateIfAbsent = (groupedName, clusters) => {
    if (isWatched(groupedName)) plan(groupedName, clusters)
  }
  return (groupedName) => {
    for (const key of [groupedName, `${groupedName}@@${defaultCluster}`]) {
      clearTimeout(plans.get(key)?.timer)
      plans.delete(key)
      known.delete(key)
    }
  }
}

/**
 * Lets through what a configured server says about a service in a form that the package can digest, and nothing else.
 */
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

/**
 * `{"type":"dom","data":"{\"name\":…,\"hosts\":[…]}"}`, perhaps gzipped. Packets of type `dump` ask for all that the
 * package knows.
 */
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
