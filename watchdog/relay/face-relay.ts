/**
 * Takes Nacos clients of this host to a center while no control answers them, so that an application that starts then
 * is registered by its own client. When a control is back the ports are left to it at once, and what a center has is
 * ended as soon as the agent's face answers: clients connect again by themselves, and the center keeps their
 * registrations meanwhile.
 */
import net from 'node:net'
import { LogPause } from '../../contracts/log-pause.ts'
import type { FaceRelayState } from '../../contracts/handoff.ts'
import type { FaceKind, FaceRelay as FaceTargets } from '../../contracts/host-face.ts'
import type { RelayTargets } from '../../contracts/relay-targets.ts'
import { SocketOwner } from '../../native/socket-owner.ts'
import type { Log } from '../log.ts'
import { askCenters } from './face-question.ts'
import { tunnel } from './tunnel.ts'
import { nobody, Wire } from './wire.ts'

/** A control that dies and comes back costs its clients less than a center would. */
const patienceMs = 3000
const lookMs = 500
/** A face that does not come, though control is ready (it was switched off), ends what a center has. */
const handBackMs = 60_000
/** As many as a center takes of one host. */
const maxConnections = 256

export interface FaceRelayDeps {
  readonly targets: () => RelayTargets | undefined
  /** Whether a control serves Nacos clients, or is about to. */
  readonly hasControl: () => boolean
  readonly maxBufferBytes: number
  /** Monotonic ms. */
  readonly now: () => number
  readonly log: Log
}

export class FaceRelay {
  private readonly deps: FaceRelayDeps
  private readonly sockets = new Map<net.Socket, Wire>()
  private servers: net.Server[] = []
  private owner: SocketOwner | undefined
  private timer: NodeJS.Timeout | undefined
  /** Monotonic; since when no control, or a control, was there. */
  private turnedAt: number
  private hadControl = false
  private isProbing = false
  private carried = 0
  private refused = 0
  private problem: string | undefined
  private readonly pause = new LogPause()

  constructor(deps: FaceRelayDeps) {
    this.deps = deps
    this.turnedAt = deps.now()
  }

  open(): void {
    this.timer = setInterval(() => this.look(), lookMs)
    this.timer.unref()
  }

  close(): void {
    clearInterval(this.timer)
    this.leavePorts()
    this.cut()
    this.owner?.close()
    this.owner = undefined
  }

  /** A control has come and is about to be told to lead. */
  expectControl(): void {
    this.turnedAt = this.deps.now()
    this.leavePorts()
  }

  state(): FaceRelayState | undefined {
    if (this.deps.targets()?.nacosFace === undefined) return undefined
    const { carried, refused, problem } = this
    return { isRelaying: this.servers.length > 0, active: this.sockets.size, carried, refused, problem }
  }

  /** Looks at what has changed; also called by its own timer. */
  look(): void {
    const { hasControl, now, targets } = this.deps
    const face = targets()?.nacosFace
    const isThere = hasControl()
    if (isThere !== this.hadControl) {
      this.hadControl = isThere
      this.turnedAt = now()
    }
    const since = now() - this.turnedAt
    if (face === undefined || isThere) this.leavePorts()
    else if (this.servers.length === 0 && since >= patienceMs) this.listen(face)
    if (this.sockets.size === 0 || !isThere) return
    if (face === undefined || since >= handBackMs) this.cut()
    else this.handBack(face)
  }

  private listen({ address, httpPort, grpcPort }: FaceTargets): void {
    const { log } = this.deps
    // taken: by a control that lives without our knowing, or by a foreign process; looked at again
    const failed = (server: net.Server) => (): void => {
      server.close()
      this.leavePorts()
      this.turnedAt = this.deps.now()
    }
    for (const [kind, port] of [
      ['http', httpPort],
      ['grpc', grpcPort],
    ] as const) {
      const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
        this.accept(socket, kind),
      )
      server.once('error', failed(server))
      server.listen({ host: address, port })
      this.servers.push(server)
    }
    log('warn', 'no control answers Nacos clients: their connections are taken to a center', { httpPort, grpcPort })
  }

  private leavePorts(): void {
    if (this.servers.length === 0) return
    for (const server of this.servers) server.close()
    this.servers = []
    this.deps.log('info', 'the ports of the Nacos face are left to control', { active: this.sockets.size })
  }

  private accept(socket: net.Socket, kind: FaceKind): void {
    const { maxBufferBytes, targets } = this.deps
    const all = targets()
    const face = all?.nacosFace
    const user = this.userOf(socket)
    const wire = Wire.accepted(socket)
    if (face === undefined || this.sockets.size >= maxConnections) {
      this.notCarried(`bound: ${maxConnections} connections`)
      wire.reset()
      return
    }
    this.sockets.set(socket, wire)
    socket.once('close', () => this.sockets.delete(socket))
    const asked = askCenters({ face, host: all!.host, kind, user, maxBufferBytes }, (answer) => {
      if ('problem' in answer) {
        this.notCarried(answer.problem)
        wire.reset()
        return
      }
      this.carried++
      this.problem = undefined
      if (answer.early.length > 0) wire.writeCopy(answer.early)
      tunnel(wire, answer.wire)
    })
    wire.owner = { ...nobody, onClosed: () => asked.cancel() }
  }

  private notCarried(problem: string): void {
    this.refused++
    this.problem = problem
    if (this.pause.allows(this.deps.now())) this.deps.log('warn', `a Nacos client is answered by nobody: ${problem}`)
  }

  /** Once the agent's face takes connections. */
  private handBack({ address, grpcPort }: FaceTargets): void {
    if (this.isProbing) return
    this.isProbing = true
    const socket = net.connect({ host: address, port: grpcPort })
    const end = (isAnswered: boolean): void => {
      this.isProbing = false
      socket.destroy()
      if (!isAnswered || this.servers.length > 0) return
      this.deps.log('info', 'control answers Nacos clients again: they are given back', { active: this.sockets.size })
      this.cut()
    }
    socket.setTimeout(lookMs, () => socket.destroy())
    socket.once('connect', () => end(true)).once('error', () => undefined)
    socket.once('close', () => {
      if (this.isProbing) end(false)
    })
  }

  private cut(): void {
    for (const [socket, wire] of this.sockets) {
      const { owner } = wire
      wire.close()
      // whoever had the other end hears of it as if the client had gone
      owner.onClosed()
      socket.destroy()
    }
    this.sockets.clear()
  }

  private userOf(socket: net.Socket): number | undefined {
    this.owner ??= SocketOwner.open()
    const { remoteAddress, remotePort, localAddress, localPort } = socket
    if (remoteAddress === undefined || remotePort === undefined) return undefined
    if (localAddress === undefined || localPort === undefined) return undefined
    return this.owner?.uidOf(
      { address: remoteAddress, port: remotePort },
      { address: localAddress, port: localPort },
      (socket as { _handle?: { fd?: number } | null })._handle?.fd ?? -1,
    )
  }
}
