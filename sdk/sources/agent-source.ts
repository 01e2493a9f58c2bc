/**
 * What the agent of this host says, asked for again and again: where it serves, where the centers are, and for every
 * service that this application names, where its requests may go without the agent. While the agent is dead the newest
 * word stays.
 */
import { request } from 'node:http'
import type { Clock } from '../../contracts/clock.ts'
import { MeshError } from '../../contracts/errors.ts'
import type { AgentDiscovery, DiscoveredService } from '../../contracts/sdk-discovery.ts'
import type { Address } from '../options.ts'
import { readDiscovery } from './kept-file.ts'

export interface AgentSourceDeps {
  readonly clock: Clock
  readonly address: Address
  readonly kept: AgentDiscovery | undefined
  readonly onChange: () => void
}

/** While everything is known, and while a name has no answer yet, ms. */
const pollMs = 3000
const eagerMs = 200
const answerTimeoutMs = 2000
const maxAnswerBytes = 8 * 1024 * 1024
/** Names of one question; the agent's own bound. */
const namesOfQuestion = 200
/** Names that are kept; the one that was used longest ago leaves. */
const maxNames = 2000

export class AgentSource {
  private readonly deps: AgentSourceDeps
  /** In order of use, the newest last. */
  private readonly names = new Map<string, DiscoveredService | null | undefined>()
  private about: Omit<AgentDiscovery, 'services'> | undefined
  private cancel: (() => void) | undefined
  private isAsking = false
  private isClosed = false
  private heard: Promise<void> | undefined
  /** Whether the newest question was answered. */
  isAnswering = false
  /** It was asked and did not answer. */
  isAway = false

  constructor(deps: AgentSourceDeps) {
    this.deps = deps
    if (deps.kept === undefined) return
    const { services, ...about } = deps.kept
    this.about = about
    for (const [name, service] of Object.entries(services)) this.names.set(name, service)
  }

  start(): void {
    this.heard ??= this.round()
  }

  /** After the first question, whatever came of it. */
  whenHeard(): Promise<void> {
    return this.heard ?? Promise.resolve()
  }

  /** undefined = no agent has ever spoken. */
  get host(): Omit<AgentDiscovery, 'services'> | undefined {
    return this.about
  }

  /** Marks the name as used. null = nobody knows it; undefined = not heard of yet. */
  service(name: string): DiscoveredService | null | undefined {
    const isNew = !this.names.has(name)
    const known = this.names.get(name)
    this.names.delete(name)
    this.names.set(name, known)
    if (isNew) {
      if (this.names.size > maxNames) this.names.delete(this.names.keys().next().value!)
      this.schedule(0)
    }
    return known
  }

  /** For the file. */
  get kept(): AgentDiscovery | undefined {
    if (this.about === undefined) return undefined
    const known = [...this.names].filter((one): one is [string, DiscoveredService] => Boolean(one[1]))
    return { ...this.about, services: Object.fromEntries(known) }
  }

  close(): void {
    this.isClosed = true
    this.cancel?.()
  }

  private schedule(ms: number): void {
    if (this.isClosed || this.isAsking) return
    this.cancel?.()
    this.cancel = this.deps.clock.after(ms, () => void this.round())
  }

  private async round(): Promise<void> {
    this.isAsking = true
    this.cancel?.()
    const names = [...this.names.keys()]
    let isWhole = true
    try {
      for (let at = 0; at === 0 || at < names.length; at += namesOfQuestion) {
        const some = names.slice(at, at + namesOfQuestion)
        if (!this.take(some, await this.ask(some))) isWhole = false
      }
      this.isAnswering = true
      this.isAway = false
    } catch {
      // its newest word stays; whether it lives is seen at its proxies
      this.isAnswering = false
      this.isAway = true
      isWhole = true
    }
    this.isAsking = false
    const asked = new Set(names)
    const hasNew = [...this.names.keys()].some((name) => !asked.has(name))
    this.schedule(hasNew && this.isAnswering ? 0 : isWhole ? pollMs : eagerMs)
  }

  /** False when a name has no answer yet. */
  private take(asked: readonly string[], { services, ...about }: AgentDiscovery): boolean {
    let isWhole = true
    let isChanged = JSON.stringify(about) !== JSON.stringify(this.about)
    this.about = about
    for (const name of asked) {
      const answer = Object.hasOwn(services, name) ? services[name] : undefined
      if (answer === undefined) isWhole = false
      if (!this.names.has(name) || answer === undefined) continue
      const before = this.names.get(name)
      // a service that has lost its last endpoint keeps what was last known: nothing better is known of it
      const word = answer ?? before ?? null
      if (JSON.stringify(before) === JSON.stringify(word)) continue
      this.names.set(name, word)
      isChanged = true
    }
    if (isChanged && !this.isClosed) this.deps.onChange()
    return isWhole
  }

  private ask(names: readonly string[]): Promise<AgentDiscovery> {
    const { address, clock } = this.deps
    const query = names.map((name) => `service=${encodeURIComponent(name)}`).join('&')
    return new Promise((resolve, reject) => {
      const outgoing = request(
        { host: address.host, port: address.port, path: `/discovery?${query}`, agent: false },
        (answer) => {
          const chunks: Buffer[] = []
          let bytes = 0
          answer.on('data', (chunk: Buffer) => {
            chunks.push(chunk)
            bytes += chunk.length
            if (bytes > maxAnswerBytes) outgoing.destroy(new Error(`more than ${maxAnswerBytes} bytes`))
          })
          answer.on('end', () => {
            cancel()
            try {
              const found = readDiscovery(JSON.parse(Buffer.concat(chunks).toString('utf8')))
              if (answer.statusCode === 200 && found !== null) return resolve(found)
            } catch {
              // no JSON at all
            }
            reject(new MeshError('E_ADMIN_UNREACHABLE', `${address.host}:${address.port} does not speak as an agent`))
          })
          answer.on('error', reject)
        },
      )
      const cancel = clock.after(answerTimeoutMs, () => outgoing.destroy(new Error('no answer')))
      outgoing.on('socket', (socket) => socket.unref())
      outgoing.on('error', reject)
      outgoing.on('close', () => {
        cancel()
        // all that is heard of a server that changes the protocol
        reject(new MeshError('E_ADMIN_UNREACHABLE', `${address.host}:${address.port} ended the connection`))
      })
      outgoing.end()
    })
  }
}
