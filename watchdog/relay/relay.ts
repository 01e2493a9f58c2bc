/**
 * Accepts on the held sockets while no worker does, and only then. A listener for which nothing is known is left alone:
 * its callers wait in the accept queue for the next worker, which is better than a refusal.
 */
import net from 'node:net'
import { networkInterfaces } from 'node:os'
import type { RelayState } from '../../contracts/handoff.ts'
import type { RelayListener } from '../../contracts/relay-targets.ts'
import { defaultLimits } from '../../contracts/snapshot.ts'
import type { Native } from '../../native/descriptors.ts'
import { ListenerOwner } from '../../native/listener-owner.ts'
import type { HeldSocket, HeldSockets } from '../hold/held-sockets.ts'
import { shardKey } from '../hold/held-sockets.ts'
import type { Log } from '../log.ts'
import type { Bounds } from '../options.ts'
import { AddressHealth, RelayAddresses, keyOf, readAddress } from './relay-addresses.ts'
import type { RelayAddress } from './relay-addresses.ts'
import { CenterWatch } from './center-watch.ts'
import { Introduction } from './introduction.ts'
import { relayConnection } from './relayed-connection.ts'
import { RelayedHeads } from './relayed-heads.ts'
import type { TargetsFile } from './targets-file.ts'
import { Waiting } from './waiting.ts'

/** Descriptors that the relay leaves to everything else. */
const keptDescriptors = 128

export interface RelayDeps {
  readonly native: Native
  readonly held: HeldSockets
  readonly file: TargetsFile
  readonly bounds: Bounds
  /** Descriptors that this process may have. */
  readonly openFilesLimit: number
  /** Monotonic ms. */
  readonly now: () => number
  /** Epoch ms. */
  readonly wallClock: () => number
  readonly log: Log
  /** A center has become usable or unusable. */
  readonly onCenterChange: () => void
}

export class Relay {
  private readonly deps: RelayDeps
  private readonly health = new AddressHealth()
  private readonly addresses = new RelayAddresses(this.health)
  private readonly servers = new Map<string, net.Server>()
  private readonly sockets = new Set<net.Socket>()
  private readonly counts = { center: 0, direct: 0, failed: 0, shed: 0, refused: 0, passedOver: 0 }
  private readonly waiting = new Waiting()
  private readonly watch: CenterWatch
  private readonly listenerOwner = new ListenerOwner()
  private readonly introduction: Introduction
  private secretProblem: string | undefined
  private heads: RelayedHeads | undefined
  private headsOf = ''
  private isRelaying = false
  /** Of the newest connection of a local caller since the relay began; undefined before the first. */
  private lastTier: 'center' | 'direct' | undefined
  private since: number

  constructor(deps: RelayDeps) {
    this.deps = deps
    this.since = deps.wallClock()
    this.introduction = new Introduction({ targets: () => deps.file.targets, wallClock: deps.wallClock, now: deps.now })
    this.watch = new CenterWatch({
      introduction: this.introduction,
      health: this.health,
      targets: () => deps.file.targets,
      now: deps.now,
      onChange: (key, isAnswering, text) => {
        deps.log(isAnswering ? 'info' : 'warn', `center ${text}: ${isAnswering ? 'answers' : 'does not answer'}`)
        if (this.health.isSilent(key)) this.waiting.fellSilent(key)
        deps.onCenterChange()
      },
    })
  }

  /** From now on centers are asked whether they live. */
  open(): void {
    this.watch.watch(this.isRelaying)
  }

  /** Accepts from now on; also after new targets or new held sockets. */
  start(): void {
    const { file, held, log } = this.deps
    file.refresh()
    if (!this.isRelaying) {
      this.isRelaying = true
      this.lastTier = undefined
      this.since = this.deps.wallClock()
      this.watch.watch(true)
      log(held.size === 0 ? 'info' : 'warn', 'no worker serves: relaying what is held', {
        shards: held.size,
        targets: file.problem ?? 'good',
      })
    }
    for (const socket of held.all()) this.listen(socket)
  }

  /**
   * New connections go to the workers again. Relayed HTTP requests end after their response; TCP stays until one side
   * ends.
   */
  stop(): void {
    if (!this.isRelaying) return
    this.isRelaying = false
    this.watch.watch(false)
    this.since = this.deps.wallClock()
    for (const server of this.servers.values()) server.close()
    this.servers.clear()
    this.deps.log('info', 'workers serve again: the relay takes no new connections', {
      active: this.sockets.size,
      ...this.counts,
    })
  }

  /** With our own stop: cuts what is left. */
  close(): void {
    this.stop()
    this.watch.close()
    this.listenerOwner.close()
    for (const socket of this.sockets) socket.destroy()
  }

  get active(): number {
    return this.sockets.size
  }

  state(): RelayState {
    const { file, now, wallClock } = this.deps
    file.refresh()
    this.noteSecret()
    const targets = file.targets
    return {
      tier: this.isRelaying ? (this.lastTier ?? this.expectedTier()) : 'agent',
      isRelaying: this.isRelaying,
      since: this.since,
      targetsAgeMs: targets === undefined ? -1 : Math.max(0, wallClock() - targets.writtenAt),
      targetsProblem: file.problem ?? this.secretProblem,
      centers: (targets?.centers ?? []).map((text) => {
        const parsed = readAddress(text)
        const key = parsed === undefined ? text : keyOf(parsed)
        return {
          address: text,
          isUsable: parsed !== undefined && this.health.isUsable(key, now()),
          failures: this.health.failuresOf(key),
        }
      }),
      connections: { ...this.counts },
      active: this.sockets.size,
      listeners: Object.fromEntries(
        Object.entries(targets?.listeners ?? {}).map(([name, listener]) => [name, this.nextTier(listener)]),
      ),
    }
  }

  /** Each takes two descriptors, and enough are left for sockets, children and their links. */
  private get maxConnections(): number {
    const { bounds, held, openFilesLimit } = this.deps
    return Math.max(
      1,
      Math.min(bounds.maxRelayConnections, Math.floor((openFilesLimit - keptDescriptors - 2 * held.size) / 2)),
    )
  }

  /** Before anybody has called: where the best of the outbound listeners leads. */
  private expectedTier(): 'center' | 'direct' {
    const outbound = Object.values(this.deps.file.targets?.listeners ?? {}).filter((one) => one.kind !== 'inbound')
    return outbound.some((listener) => this.nextTier(listener) === 'center') ? 'center' : 'direct'
  }

  private nextTier(listener: RelayListener): 'center' | 'direct' | 'none' {
    const { file, now } = this.deps
    const named =
      listener.kind === 'shared-http' ? { service: undefined, host: undefined, fallback: undefined } : undefined
    const [first] = this.addresses.of(file.targets!, listener, named, now())
    return first?.tier ?? (listener.kind === 'shared-http' && listener.direct ? 'direct' : 'none')
  }

  private listen(held: HeldSocket): void {
    const key = shardKey(held.shard)
    const listener = this.listenerOf(held)
    if (listener === undefined || this.servers.has(key)) return
    let copy: number
    try {
      copy = this.deps.native.duplicate(held.descriptor)
    } catch (error) {
      this.deps.log('error', `${held.shard.name}: cannot relay: ${(error as Error).message}`)
      return
    }
    const server = net.createServer(
      { allowHalfOpen: true, pauseOnConnect: true, highWaterMark: this.deps.bounds.maxRelayBufferBytes },
      (socket) => this.accept(socket, held),
    )
    server.on('error', (error) => {
      this.servers.delete(key)
      this.deps.log('error', `${held.shard.name}: cannot relay: ${error.message}`)
    })
    server.listen({ fd: copy })
    this.servers.set(key, server)
  }

  private listenerOf(held: HeldSocket): RelayListener | undefined {
    const listeners = this.deps.file.targets?.listeners
    return listeners !== undefined && Object.hasOwn(listeners, held.shard.name) ? listeners[held.shard.name] : undefined
  }

  private accept(socket: net.Socket, held: HeldSocket): void {
    this.noteSecret()
    const { bounds, file, now } = this.deps
    const listener = this.listenerOf(held)
    if (listener === undefined || file.targets === undefined || this.sockets.size >= this.maxConnections) {
      this.counts.shed++
      socket.destroy()
      return
    }
    this.sockets.add(socket)
    socket.once('close', () => this.sockets.delete(socket))
    const { targets } = file
    relayConnection(socket, {
      targets,
      listenerName: held.shard.name,
      // Without the secret no center would take it.
      listener: this.secretProblem === undefined ? listener : { ...listener, center: false },
      addresses: this.addresses,
      health: this.health,
      waiting: this.waiting,
      now,
      heads: this.headsFor(targets.host),
      introduction: this.introduction,
      // A limit that an older release does not write has its default.
      limits: { ...defaultLimits, ...targets.limits },
      maxBufferBytes: bounds.maxRelayBufferBytes,
      isRefused: (target) => this.leadsBack(target, listener) || this.isOtherUsers(target, listener),
      onRouted: (end) => {
        this.counts[end]++
        // An inbound connection goes to the local application; that is no tier of a caller on this host.
        if (end !== 'failed' && listener.kind !== 'inbound' && this.isRelaying) this.lastTier = end
      },
      onRefused: () => void this.counts.refused++,
      onPassedOver: () => void this.counts.passedOver++,
    })
  }

  /**
   * Held sockets are few, and dials of the relay are no hot path: all are looked at. Inbound ports lead to
   * applications, so others may go there.
   */
  private leadsBack({ address, port }: RelayAddress, from: RelayListener): boolean {
    for (const held of this.deps.held.all()) {
      const { shard } = held
      if (shard.port !== port || !isHere(shard.address, address)) continue
      if (from.kind === 'inbound' || this.listenerOf(held)?.kind !== 'inbound') return true
    }
    return false
  }

  /** The application may have ended and its port be another's. */
  private isOtherUsers(target: RelayAddress, { applicationUser }: RelayListener): boolean {
    if (applicationUser === undefined) return false
    const uid = this.listenerOwner.uidOf(target)
    return uid !== undefined && uid !== applicationUser
  }

  private noteSecret(): void {
    this.introduction.refresh()
    const { problem } = this.introduction
    if (problem === this.secretProblem) return
    this.secretProblem = problem
    if (problem === undefined) this.deps.log('info', 'the secret for the centers can be used again')
    else this.deps.log('error', `no center can be used: ${problem}`)
  }

  /** The codec's tables are made with the first relayed connection: a watchdog whose workers live needs none. */
  private headsFor(host: string): RelayedHeads {
    if (this.heads === undefined || this.headsOf !== host) {
      this.heads = new RelayedHeads(host)
      this.headsOf = host
    }
    return this.heads
  }
}

/** Whether a socket that listens on `listening` is reached at `address` of this host. */
function isHere(listening: string, address: string): boolean {
  const plain = address.startsWith('::ffff:') ? address.slice(7) : address
  if (listening === plain) return true
  if (listening !== '0.0.0.0' && listening !== '::') return false
  return (
    plain.startsWith('127.') ||
    plain === '::1' ||
    Object.values(networkInterfaces()).some((all) => all?.some((one) => one.address === plain))
  )
}
