/**
 * Asks every center for a sign of life, so that one which accepts and says nothing (stopped, hung, overrun) is known
 * before a caller waits for it. The question is the probe request behind a PROXY header of command LOCAL; any answer of
 * HTTP will do, because only life is asked for. While nothing is relayed a center is asked every 10 s (a thousand hosts
 * are a hundred questions a second), while the relay works every second, and at once when it begins.
 */
import net from 'node:net'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { probeRequest } from '../../contracts/handoff.ts'
import type { RelayTargets } from '../../contracts/relay-targets.ts'
import type { CenterTls } from './center-tls.ts'
import type { AddressHealth } from './relay-addresses.ts'
import { keyOf, readAddress } from './relay-addresses.ts'
import type { Introduction } from './introduction.ts'

const calmPeriodMs = 10_000
const relayingPeriodMs = 1000
/** Also for the connection itself. A center that takes longer is no help to a caller. */
const answerTimeoutMs = 2000
/** Centers asked in one round; a host has a handful. */
const maxCenters = 64

export interface CenterWatchDeps {
  readonly health: AddressHealth
  readonly targets: () => RelayTargets | undefined
  readonly introduction: Introduction
  readonly tls: Pick<CenterTls, 'options' | 'problem'>
  /** Monotonic ms. */
  readonly now: () => number
  /**
   * A center has become usable or unusable. `key` is that of its address, `text` what the configuration says; `why`:
   * what a handshake failed for, else ''.
   */
  readonly onChange: (key: string, isAnswering: boolean, text: string, why: string) => void
  /** Other centers are asked than before, whatever they answer. */
  readonly onNamed: () => void
}

export class CenterWatch {
  private readonly deps: CenterWatchDeps
  private readonly asked = new Map<string, net.Socket>()
  private timer: NodeJS.Timeout | undefined
  private named = ''
  private cutUntil = 0
  private cutTimer: NodeJS.Timeout | undefined

  constructor(deps: CenterWatchDeps) {
    this.deps = deps
  }

  /** Asks at once and then periodically; again with the other period when the relay begins or ends. */
  watch(isRelaying: boolean): void {
    clearInterval(this.timer)
    this.timer = setInterval(() => this.askAll(), isRelaying ? relayingPeriodMs : calmPeriodMs)
    this.timer.unref()
    this.askAll()
  }

  /** For a drill: nobody is asked for so long, ms, and every center counts as silent; 0 ends it. */
  cut(forMs: number): void {
    this.cutUntil = this.deps.now() + forMs
    clearTimeout(this.cutTimer)
    // an answer that is on its way would come out of a network that is cut
    for (const socket of this.asked.values()) socket.destroy()
    this.asked.clear()
    this.askAll()
    if (forMs <= 0) return
    this.cutTimer = setTimeout(() => this.cut(0), forMs)
    this.cutTimer.unref()
  }

  close(): void {
    clearInterval(this.timer)
    clearTimeout(this.cutTimer)
    for (const socket of this.asked.values()) socket.destroy()
  }

  private askAll(): void {
    const targets = this.deps.targets()
    this.deps.introduction.refresh()
    // without its certificate nothing is said to a center, so nothing is known of it
    if (this.deps.tls.problem !== undefined) return
    const named = new Set<string>()
    for (const text of targets?.centers.slice(0, maxCenters) ?? []) {
      const center = readAddress(text)
      if (center === undefined) continue
      const key = keyOf(center)
      named.add(key)
      if (this.deps.now() < this.cutUntil) this.fallSilent(key, text)
      else if (!this.asked.has(key)) this.ask(key, center, text)
    }
    this.deps.health.forgetSilentExcept(named)
    const names = [...named].join(' ')
    if (names === this.named) return
    this.named = names
    this.deps.onNamed()
  }

  private fallSilent(key: string, text: string): void {
    const { health, now, onChange } = this.deps
    const wasUsable = health.isUsable(key, now())
    health.silent(key)
    if (wasUsable) onChange(key, false, text, '')
  }

  private ask(key: string, center: { readonly address: string; readonly port: number }, text: string): void {
    const { health, introduction, now, onChange, tls } = this.deps
    const { options } = tls
    const plain = net.connect({ host: center.address, port: center.port, noDelay: true })
    const socket = options === undefined ? plain : connectTls({ ...options, socket: plain })
    this.asked.set(key, plain)
    let isConnected = false
    let answer = ''
    let why = ''
    const settle = (outcome: 'answered' | 'silent' | 'refused'): void => {
      if (this.asked.get(key) !== plain) return
      this.asked.delete(key)
      clearTimeout(timer)
      socket.destroy()
      plain.destroy()
      const was = health.isUsable(key, now())
      if (outcome === 'answered') health.answered(key)
      else if (outcome === 'silent') health.silent(key)
      else health.failed(key, now())
      if (health.isUsable(key, now()) !== was) onChange(key, !was, text, why)
    }
    const timer = setTimeout(() => settle(isConnected ? 'silent' : 'refused'), answerTimeoutMs)
    timer.unref()
    plain.on('connect', () => {
      isConnected = true
    })
    socket.on(options === undefined ? 'connect' : 'secureConnect', () => {
      socket.write(introduction.header(undefined, { service: '', listener: 'watch', asksAcknowledgement: false }))
      socket.write(`GET ${probeRequest.path} HTTP/1.1\r\nhost: ${probeRequest.host}\r\nconnection: close\r\n\r\n`)
    })
    socket.on('data', (bytes: Buffer) => {
      answer = (answer + bytes.toString('latin1')).slice(0, 7)
      if (answer.length === 7) settle(answer === 'HTTP/1.' ? 'answered' : 'silent')
    })
    // One that takes the connection and ends it does not want us, and will not until it answers.
    const ended = (): void => settle(isConnected ? 'silent' : 'refused')
    plain.on('error', ended)
    socket
      .on('error', (error) => {
        if (isConnected && options !== undefined) why = error.message
        ended()
      })
      .on('close', ended)
  }
}

/** Not `import`: a watchdog whose centers are called in plain loads none of it. */
function connectTls(options: ConnectionOptions): TLSSocket {
  return process.getBuiltinModule('node:tls').connect(options)
}
