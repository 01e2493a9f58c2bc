/**
 * Notices when a server of the cluster goes away or comes back, also one that we have nothing to do with: what its
 * cluster says is doubtful then. One TCP connection per server, on which nothing is ever sent; a server that closes it
 * because it is idle is dialled again, and only one that cannot be dialled is lost.
 */
import type { Clock } from '../../../contracts/clock.ts'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import type { NacosMember, ServerList } from './server-list.ts'

export interface MemberWatchDeps {
  readonly servers: ServerList
  readonly portOf: (server: NacosMember) => number
  readonly clock: Clock
  readonly random: () => number
  readonly connectTimeoutMs: number
  readonly onLost: (server: NacosMember) => void
  readonly onBack: (server: NacosMember) => void
}

/** More servers than this are not watched; clusters have three to seven. */
const maxMembers = 16
/**
 * After an idle connection ended, and between two tries to reach a lost server; both at random within half and whole.
 */
const redialMs = 250
const lostRedialMs = 2000

interface Member {
  readonly server: NacosMember
  socket: Socket | undefined
  timer: (() => void) | undefined
  isLost: boolean
}

export class MemberWatch {
  private readonly deps: MemberWatchDeps
  private readonly members = new Map<string, Member>()
  private isClosed = false

  constructor(deps: MemberWatchDeps) {
    this.deps = deps
    deps.servers.onChange(() => this.serversChanged())
  }

  /** A lone server is not watched: there is no other to ask, and our connection to it tells as much. */
  start(): void {
    this.serversChanged()
  }

  close(): void {
    this.isClosed = true
    for (const member of this.members.values()) end(member)
    this.members.clear()
  }

  private serversChanged(): void {
    if (this.isClosed) return
    const { servers } = this.deps.servers
    const wanted = servers.length < 2 ? [] : servers.slice(0, maxMembers)
    for (const [id, member] of this.members) {
      if (wanted.some((server) => server.id === id)) continue
      end(member)
      this.members.delete(id)
    }
    for (const server of wanted) {
      if (this.members.has(server.id)) continue
      const member: Member = { server, socket: undefined, timer: undefined, isLost: false }
      this.members.set(server.id, member)
      this.dial(member)
    }
  }

  private dial(member: Member): void {
    const { server } = member
    member.timer = undefined
    let isConnected = false
    const socket = connect({ host: server.address, port: this.deps.portOf(server) })
    member.socket = socket
    socket.setTimeout(this.deps.connectTimeoutMs, () => socket.destroy())
    socket.on('connect', () => {
      isConnected = true
      socket.setTimeout(0)
      socket.setKeepAlive(true, 10_000)
      socket.resume()
      if (!member.isLost) return
      member.isLost = false
      this.deps.onBack(server)
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      if (member.socket !== socket) return
      member.socket = undefined
      if (!isConnected && !member.isLost) {
        member.isLost = true
        this.deps.onLost(server)
      }
      const pauseMs = (isConnected ? redialMs : lostRedialMs) * (0.5 + this.deps.random() / 2)
      member.timer = this.deps.clock.after(pauseMs, () => this.dial(member))
    })
  }
}

function end(member: Member): void {
  member.timer?.()
  const { socket } = member
  member.socket = undefined
  socket?.destroy()
}
