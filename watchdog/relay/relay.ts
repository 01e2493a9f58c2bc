/**
 * Accepts on the held sockets while no worker does, and only then. A listener for which nothing is known is left alone:
 * its callers wait in the accept queue for the next worker, which is better than a refusal.
 */
import net from 'node:net'
import { interfaceAddresses, isListeningAt } from '../../contracts/listening-at.ts'
import { acceptBacklog } from '../../contracts/handoff.ts'
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
import { CenterTls } from './center-tls.ts'
import { CenterWatch } from './center-watch.ts'
import { Introduction } from './introduction.ts'
import { relayConnection } from './relayed-connection.ts'
import { RelayedHeads } from './relayed-heads.ts'
import type { TargetsFile } from './targets-file.ts'
import { Waiting } from './waiting.ts'

/** Descriptors that the relay leaves to everything else. */
const keptDescriptors = 128
/** Changes of the tier that are remembered. */
const maxTurns = 20
/**
 * So long a port that takes mutual TLS is left alone: its callers in TLS wait for the next worker, which costs them
 * time and no more, while taken here they would fail. Behind it, callers in plain are better off than nobody.
 */
const mtlsPatienceMs = 5000

export interface RelayDeps {
  readonly native: Native
  readonly held: HeldSockets
  readonly file: TargetsFile
  /** `relay-identity.json`. */
  readonly identityFile: string
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
  private readonly centerTls: CenterTls
  /** Why no center can be used. */
  private centerProblem: string | undefined
  private heads: RelayedHeads | undefined
  private headsOf = ''
  private isRelaying = false
  /** Ports that take mutual TLS are left to the next worker. */
  private isPatient = false
  private patience: NodeJS.Timeout | undefined
  /** Of the newest connection of a local caller since the relay began; undefined before the first. */
  private lastTier: 'center' | 'direct' | undefined
  private since: number
  private readonly turns: { readonly at: number; readonly tier: 'agent' | 'center' | 'direct' }[] = []

  constructor(deps: RelayDeps) {
    this.deps = deps
    this.since = deps.wallClock()
    this.introduction = new Introduction({ targets: () => deps.file.targets, wallClock: deps.wallClock, now: deps.now })
    this.centerTls = new CenterTls({ file: deps.identityFile, targets: () => deps.file.targets, now: deps.now })
    this.watch = new CenterWatch({
      introduction: this.introduction,
      tls: this.centerTls,
      health: this.health,
      targets: () => deps.file.targets,
      now: deps.now,
      onChange: (key, isAnswering, text, why) => {
        const reason = why === '' ? '' : `: ${why}`
        deps.log(
          isAnswering ? 'info' : 'warn',
          `center ${text}: ${isAnswering ? 'answers' : 'does not answer'}${reason}`,
        )
        if (this.health.isSilent(key)) this.waiting.fellSilent(key)
        deps.onCenterChange()
      },
      onNamed: () => deps.onCenterChange(),
    })
  }

  /** From now on centers are asked whether they live. */
  open(): void {
    this.watch.watch(this.isRelaying)
  }

  /** For a drill: no center answers for so long, ms; 0 ends it. */
  cutCenters(forMs: number): void {
    this.watch.cut(forMs)
  }

  /** Accepts from now on; also after new targets or new held sockets. */
  start(): void {
    const { file, held, log } = this.deps
    file.refresh()
    if (!this.isRelaying) {
      this.isRelaying = true
      this.isPatient = true
      this.patience = setTimeout(() => {
        this.isPatient = false
        this.start()
      }, mtlsPatienceMs)
      this.lastTier = undefined
      this.since = this.deps.wallClock()
      if (held.size > 0) this.turned(this.expectedTier())
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
    clearTimeout(this.patience)
    this.watch.watch(false)
    this.since = this.deps.wallClock()
    this.turned('agent')
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
    this.noteCenterProblem()
    const targets = file.targets
    return {
      tier: this.isRelaying ? (this.lastTier ?? this.expectedTier()) : 'agent',
      isRelaying: this.isRelaying,
      since: this.since,
      turns: [...this.turns],
      targetsAgeMs: targets === undefined ? -1 : Math.max(0, wallClock() - targets.writtenAt),
      targetsProblem: file.problem ?? this.centerProblem,
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
    const [first] = this.addresses.of(file.targets!, this.possible(listener), named, now())
    return first?.tier ?? (listener.kind === 'shared-http' && listener.direct ? 'direct' : 'none')
  }

  private turned(tier: 'agent' | 'center' | 'direct'): void {
    if (tier === (this.turns.at(-1)?.tier ?? 'agent')) return
    this.turns.push({ at: this.deps.wallClock(), tier })
    if (this.turns.length > maxTurns) this.turns.shift()
  }

  /** Without its secret or certificate no center would take it. */
  private possible(listener: RelayListener): RelayListener {
    return this.centerProblem === undefined ? listener : { ...listener, center: false }
  }

  private listen(held: HeldSocket): void {
    const key = shardKey(held.shard)
    const listener = this.listenerOf(held)
    if (listener === undefined || this.servers.has(key)) return
    if (listener.mtls === true && this.isPatient) return
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
    server.listen({ fd: copy }, acceptBacklog)
    this.servers.set(key, server)
  }

  private listenerOf(held: HeldSocket): RelayListener | undefined {
    const listeners = this.deps.file.targets?.listeners
    return listeners !== undefined && Object.hasOwn(listeners, held.shard.name) ? listeners[held.shard.name] : undefined
  }

  private accept(socket: net.Socket, held: HeldSocket): void {
    this.noteCenterProblem()
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
      listener: this.possible(listener),
      addresses: this.addresses,
      health: this.health,
      waiting: this.waiting,
      now,
      heads: this.headsFor(targets.host),
      introduction: this.introduction,
      // A limit that an older release does not write has its default.
      limits: { ...defaultLimits, ...targets.limits },
      maxBufferBytes: bounds.maxRelayBufferBytes,
      centerTls: this.centerTls.options,
      isRefused: (target) => this.leadsBack(target, listener) || this.isOtherUsers(target, listener),
      onRouted: (end) => {
        this.counts[end]++
        // An inbound connection goes to the local application; that is no tier of a caller on this host.
        if (end === 'failed' || listener.kind === 'inbound' || !this.isRelaying) return
        this.lastTier = end
        this.turned(end)
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
      if (shard.port !== port || !isListeningAt(shard.address, address, interfaceAddresses)) continue
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

  private noteCenterProblem(): void {
    this.introduction.refresh()
    const problem = this.introduction.problem ?? this.centerTls.problem
    if (problem === this.centerProblem) return
    this.centerProblem = problem
    if (problem === undefined) this.deps.log('info', 'centers can be used again')
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
