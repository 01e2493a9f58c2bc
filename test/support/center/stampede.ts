/**
 * Hosts without an agent, as their watchdogs bring them to a center: raw connections with a PROXY header, each with one
 * request after the other. A refusal is
 * answered with a new connection behind its `retry-after`, twice that behind the next one, up to eight times.
 */
import net from 'node:net'
import { encodeProxyV2, relayTlvs } from '../../../contracts/proxy-protocol.ts'

export interface StampedeTarget {
  readonly address: string
  readonly port: number
  /** Key of the service that all of them call. */
  readonly service: string
}

export interface HostCount {
  served: number
  /** 503 with `retry-after`. */
  shed: number
  /** Anything else. */
  broken: number
}

/** Connections that are begun in one turn of the loop. */
const perTurn = 50

const request = Buffer.from('GET / HTTP/1.1\r\nhost: orders\r\n\r\n')

export class Stampede {
  readonly counts: readonly HostCount[]
  /** The first of what was broken. */
  firstBroken = ''
  private readonly target: StampedeTarget
  private readonly sockets = new Set<net.Socket>()
  private readonly timers = new Set<NodeJS.Timeout>()
  private isOver = false

  /** All connections of all hosts are opened at once, as fast as one process can. */
  constructor(target: StampedeTarget, hosts: number, connectionsEach: number) {
    this.target = target
    this.counts = Array.from({ length: hosts }, () => ({ served: 0, shed: 0, broken: 0 }))
    this.open(hosts, hosts * connectionsEach)
  }

  /** Not all of them in one turn of the loop: what a host says would come seconds behind its connection. */
  private open(hosts: number, left: number): void {
    for (let at = left; at > Math.max(0, left - perTurn); at--) this.connect(at % hosts)
    if (left > perTurn && !this.isOver) setImmediate(() => this.open(hosts, left - perTurn))
  }

  sum(field: keyof HostCount): number {
    return this.counts.reduce((sum, count) => sum + count[field], 0)
  }

  /** Served per second over this time. */
  async rate(ms: number): Promise<number> {
    const [served, begun] = [this.sum('served'), performance.now()]
    await new Promise((resolve) => setTimeout(resolve, ms))
    return ((this.sum('served') - served) * 1000) / (performance.now() - begun)
  }

  close(): void {
    this.isOver = true
    for (const timer of this.timers) clearTimeout(timer)
    for (const socket of this.sockets) socket.destroy()
  }

  private connect(host: number, refusals = 0): void {
    const { address, port, service } = this.target
    const count = this.counts[host]!
    const localAddress = `127.${240 + Math.floor(host / 250)}.7.${(host % 250) + 1}`
    const socket = net.connect({ host: address, port, localAddress, noDelay: true })
    this.sockets.add(socket)
    const tlvs = relayTlvs({ service, host: `host-${host}`, listener: 'outbound' })
    const header = encodeProxyV2({ command: 'proxy', source: undefined, destination: undefined, tlvs })
    socket.on('connect', () => socket.write(Buffer.concat([header, request])))
    let got = ''
    const before = count.served
    let againMs = 0
    socket.on('data', (bytes) => {
      got += bytes.toString('latin1')
      if (!got.includes('\r\n\r\n')) return
      if (got.startsWith('HTTP/1.1 200')) {
        if (!got.endsWith('ok')) return
        count.served++
        got = ''
        if (!this.isOver) socket.write(request)
        return
      }
      const seconds = /^HTTP\/1\.1 503 [^]*\r\nretry-after: (\d+)\r\n/i.exec(got)?.[1]
      if (seconds === undefined) this.broken(count, got)
      else count.shed++
      againMs = Number(seconds ?? 1) * 1000 * 2 ** Math.min(refusals, 3)
      socket.destroy()
    })
    let why = 'closed without a word'
    socket.on('error', (error) => (why = error.message))
    socket.on('close', () => {
      this.sockets.delete(socket)
      if (this.isOver) return
      if (againMs === 0) this.broken(count, why)
      const timer = setTimeout(
        () => {
          this.timers.delete(timer)
          this.connect(host, count.served > before ? 0 : refusals + 1)
        },
        (againMs || 1000) * (0.5 + Math.random()),
      )
      this.timers.add(timer)
    })
  }

  private broken(count: HostCount, what: string): void {
    count.broken++
    if (this.firstBroken === '') this.firstBroken = what
  }
}
