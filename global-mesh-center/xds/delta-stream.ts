/**
 * One client's stream of incremental xDS: what it subscribed to, what it has, and what it still has to be told. Of each
 * type at most one response is under way; what changes meanwhile is remembered by its name alone, so the newest value
 * is sent, once.
 */
import { encodeResponse, type DeltaRequest } from '../../registry-adapters/center/wire/delta.ts'
import type { Clock } from '../../agent/control/clock.ts'
import { DeltaType } from './delta-type.ts'
import type { Encoded, Resources, Wildcard } from './resources.ts'
import { clusterType, endpointType, isSettled, maySend, sendOrder } from './send-order.ts'
import { maxNames, maxResponseBytes, nameProblem } from './stream-bounds.ts'
import { Warming } from './warming.ts'

export interface DeltaStreamDeps {
  readonly clock: Pick<Clock, 'after'>
  /** What this node gets of a type, by now; undefined = no such type. */
  resources(typeUrl: string, node: string): Resources | undefined
  /** What this node gets of a type without naming it; undefined = of this type nothing. */
  wildcard(typeUrl: string): Wildcard | undefined
  /** For the word about a type that does not exist. */
  readonly typeUrls: readonly string[]
  /** For the next response: nobody who has not read it can acknowledge it. */
  nonce(): string
  send(bytes: Buffer): void
  /** The client refused what it was sent. */
  onRefused(typeUrl: string, message: string): void
  /** The stream cannot go on. */
  onFault(message: string): void
}

const everything = '*'

export class DeltaStream {
  private readonly deps: DeltaStreamDeps
  private readonly states = new Map<string, DeltaType>()
  private readonly stateOf = (typeUrl: string): DeltaType | undefined => this.states.get(typeUrl)
  private readonly warming: Warming
  private flushing: NodeJS.Immediate | undefined
  private isClosed = false
  node = ''

  constructor(deps: DeltaStreamDeps) {
    this.deps = deps
    this.warming = new Warming(deps.clock, () => this.flushSoon())
  }

  get subscriptions(): number {
    return [...this.states.values()].reduce((sum, state) => sum + state.held.size, 0)
  }

  take(request: DeltaRequest): void {
    if (this.isClosed) return
    const { typeUrl, nonce, error, initialVersions, subscribe, unsubscribe } = request
    if (request.node !== '') this.node = request.node
    const found = this.deps.resources(typeUrl, this.node)
    if (found === undefined)
      return this.fault(`type_url: found "${typeUrl.slice(0, 200)}", allowed ${this.deps.typeUrls.join(', ')}`)
    const problem = nameProblem(typeUrl, [...subscribe, ...initialVersions.keys()])
    if (problem !== undefined) return this.fault(problem)
    const isNew = !this.states.has(typeUrl)
    const state = this.states.get(typeUrl) ?? new DeltaType(found, () => this.flushSoon())
    this.states.set(typeUrl, state)
    if (nonce !== '' && nonce === state.nonce) state.nonce = ''
    if (error !== undefined) this.deps.onRefused(typeUrl, error)
    const wildcard = this.deps.wildcard(typeUrl)
    if (wildcard !== undefined && ((isNew && subscribe.length === 0) || subscribe.includes(everything)))
      state.begin(wildcard, initialVersions)
    if (unsubscribe.includes(everything)) state.end()
    for (const name of unsubscribe) state.remove(name)
    for (const name of subscribe) {
      if (name === everything) continue
      if (!state.held.has(name) && state.held.size >= maxNames)
        return this.fault(`more than ${maxNames} names of ${typeUrl}, which is the bound`)
      if (!state.add(name, initialVersions.get(name)))
        this.deps.onRefused(typeUrl, `${name.slice(0, 200)}: no such name can exist`)
    }
    this.flushSoon()
  }

  close(): void {
    this.isClosed = true
    this.warming.close()
    if (this.flushing !== undefined) clearImmediate(this.flushing)
    for (const state of this.states.values()) state.close()
    this.states.clear()
  }

  /** This node may belong to other hosts now: what differs for it is sent. */
  regroup(): void {
    for (const [typeUrl, state] of this.states) {
      const next = this.deps.resources(typeUrl, this.node)!
      if (next === state.resources) continue
      state.moveTo(next)
      this.flushSoon()
    }
  }

  private fault(message: string): void {
    this.close()
    this.deps.onFault(message)
  }

  private flushSoon(): void {
    if (!this.isClosed) this.flushing ??= setImmediate(() => this.flush())
  }

  private flush(): void {
    this.flushing = undefined
    for (const typeUrl of sendOrder(this.states.keys()))
      if (maySend(typeUrl, this.stateOf, this.warming.isGoingOn)) this.respond(typeUrl, this.states.get(typeUrl)!)
    // what nothing leads to any more goes when all else has been taken
    const clusters = this.states.get(clusterType)
    if (clusters !== undefined && !clusters.isUnderWay) this.respond(clusterType, clusters)
  }

  private respond(typeUrl: string, state: DeltaType): void {
    if (!state.isReady()) return
    const sent: Buffer[] = []
    const removed: string[] = []
    let bytes = 0
    for (const name of state.dirty) {
      if (bytes > maxResponseBytes) break
      state.dirty.delete(name)
      const encoded = state.resources.get(name)
      // not answered yet: the answer makes it dirty again
      if (encoded === undefined || encoded.version === state.held.get(name)) continue
      state.held.set(name, encoded.version)
      if (typeUrl === endpointType) this.warming.end(name)
      if (encoded.bytes === undefined) removed.push(name)
      else {
        if (typeUrl === clusterType) this.warm(name, encoded)
        sent.push(encoded.bytes)
        bytes += encoded.bytes.length
      }
    }
    if (typeUrl !== clusterType || isSettled(this.stateOf))
      for (const name of state.takeGone()) {
        this.warming.end(name)
        removed.push(name)
      }
    if (sent.length === 0 && removed.length === 0 && !state.isFirst) return
    state.isFirst = false
    state.nonce = this.deps.nonce()
    this.deps.send(encodeResponse(typeUrl, state.nonce, sent, removed))
  }

  /** A cluster that is new, or another one, is used when its endpoints have come once more. */
  private warm(name: string, { awaitsEndpoints }: Encoded): void {
    if (!awaitsEndpoints) return
    this.warming.begin(name)
    this.states.get(endpointType)?.again(name)
  }
}
