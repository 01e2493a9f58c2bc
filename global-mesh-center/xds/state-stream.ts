/**
 * One client's stream of xDS in its older form: each request names all that is wanted of a type, and a response of
 * clusters or listeners holds all of them. Of each type at most one response is under way; what changes meanwhile is
 * remembered by its name alone.
 */
import { createHash } from 'node:crypto'
import type { Clock } from '../../agent/control/clock.ts'
import type { Encoded, Resources, Wildcard } from './resources.ts'
import { clusterType, endpointType, isSettled, maySend, sendOrder, wholeTypes } from './send-order.ts'
import { encodeStateResponse, type StateRequest } from './state-request.ts'
import { StateType } from './state-type.ts'
import { maxNames, maxResponseBytes, nameProblem } from './stream-bounds.ts'
import { Warming } from './warming.ts'

export interface StateStreamDeps {
  readonly clock: Pick<Clock, 'after'>
  resources(typeUrl: string): Resources | undefined
  wildcard(typeUrl: string): Wildcard | undefined
  readonly typeUrls: readonly string[]
  /** For the next response: nobody who has not read it can acknowledge it. */
  nonce(): string
  send(bytes: Buffer): void
  /** The client refused what it was sent, or asked for what cannot be. */
  onRefused(typeUrl: string, message: string): void
  /** The stream cannot go on. */
  onFault(message: string): void
}

export class StateStream {
  private readonly deps: StateStreamDeps
  private readonly states = new Map<string, StateType>()
  private readonly warming: Warming
  private readonly stateOf = (typeUrl: string): StateType | undefined => this.states.get(typeUrl)
  private flushing: NodeJS.Immediate | undefined
  private isClosed = false

  constructor(deps: StateStreamDeps) {
    this.deps = deps
    this.warming = new Warming(deps.clock, () => this.flushSoon())
  }

  take({ typeUrl, names, nonce, error }: StateRequest): void {
    if (this.isClosed) return
    const state = this.states.get(typeUrl) ?? this.begin(typeUrl)
    if (state === undefined)
      return this.fault(`type_url: found "${typeUrl.slice(0, 200)}", allowed ${this.deps.typeUrls.join(', ')}`)
    // it answers a response that another one has followed: the client will answer that one too
    if (nonce !== '' && state.nonce !== '' && nonce !== state.nonce) return
    if (names.length > maxNames) return this.fault(`more than ${maxNames} names of ${typeUrl}, which is the bound`)
    const problem = nameProblem(typeUrl, names)
    if (problem !== undefined) return this.fault(problem)
    if (nonce !== '') state.isUnderWay = false
    if (error !== undefined) this.deps.onRefused(typeUrl, error)
    state.want(names)
    this.flushSoon()
  }

  close(): void {
    this.isClosed = true
    this.warming.close()
    if (this.flushing !== undefined) clearImmediate(this.flushing)
    for (const state of this.states.values()) state.close()
    this.states.clear()
  }

  private begin(typeUrl: string): StateType | undefined {
    const resources = this.deps.resources(typeUrl)
    if (resources === undefined) return undefined
    const state = new StateType({
      resources,
      wildcard: this.deps.wildcard(typeUrl),
      onNews: () => this.flushSoon(),
      onImpossible: (name) => this.deps.onRefused(typeUrl, `${name.slice(0, 200)}: no such name can exist`),
    })
    this.states.set(typeUrl, state)
    return state
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
    for (const typeUrl of sendOrder(this.states.keys())) {
      if (!maySend(typeUrl, this.stateOf, this.warming.isGoingOn)) continue
      const state = this.states.get(typeUrl)!
      if (wholeTypes.has(typeUrl)) this.respondWhole(typeUrl, state)
      else this.respondPart(typeUrl, state)
    }
    // what nothing leads to any more goes when all else has been taken
    const clusters = this.states.get(clusterType)
    if (clusters !== undefined && !clusters.isUnderWay) this.respondWhole(clusterType, clusters)
  }

  private respondWhole(typeUrl: string, state: StateType): void {
    if (!state.isBehind && !state.hasStale) return
    const wanted = state.wanted()
    if (wanted === undefined) return
    const next = new Map<string, Encoded>()
    for (const name of wanted) {
      const encoded = state.get(name)
      // nobody has answered for it: without it the response would say that it is gone
      if (encoded === undefined) return
      if (encoded.any !== undefined) next.set(name, encoded)
    }
    const known = next.size
    if (typeUrl === clusterType && !isSettled(this.stateOf))
      for (const [name, encoded] of state.held) if (!next.has(name) && !wanted.has(name)) next.set(name, encoded)
    state.hasStale = next.size > known
    state.dirty.clear()
    const isSame =
      next.size === state.held.size &&
      [...next].every(([name, { version }]) => state.held.get(name)?.version === version)
    if (isSame && !state.isDue) return
    if (typeUrl === clusterType) this.warm(next, state.held)
    for (const name of state.held.keys()) if (!next.has(name)) this.warming.end(name)
    state.held = next
    this.send(typeUrl, state, [...next])
  }

  /** A cluster that is new, or another one, is used when its endpoints have come once more. */
  private warm(next: ReadonlyMap<string, Encoded>, held: ReadonlyMap<string, Encoded>): void {
    const endpoints = this.states.get(endpointType)
    for (const [name, { version, awaitsEndpoints }] of next) {
      if (!awaitsEndpoints || held.get(name)?.version === version) continue
      this.warming.begin(name)
      endpoints?.again(name)
    }
  }

  private respondPart(typeUrl: string, state: StateType): void {
    const wanted = state.wanted() ?? new Set()
    const sent: [string, Encoded][] = []
    let bytes = 0
    for (const name of state.dirty) {
      if (bytes > maxResponseBytes) break
      const encoded = wanted.has(name) ? state.get(name) : undefined
      state.dirty.delete(name)
      if (!wanted.has(name)) state.held.delete(name)
      // not answered yet: the answer makes it dirty again
      if (encoded?.any === undefined || encoded.version === state.held.get(name)?.version) continue
      state.held.set(name, encoded)
      if (typeUrl === endpointType) this.warming.end(name)
      sent.push([name, encoded])
      bytes += encoded.any.length
    }
    state.isDue = false
    if (sent.length > 0) this.send(typeUrl, state, sent)
  }

  private send(typeUrl: string, state: StateType, resources: readonly (readonly [string, Encoded])[]): void {
    state.isDue = false
    state.isUnderWay = true
    state.nonce = this.deps.nonce()
    const anys = resources.map(([, { any }]) => any!)
    this.deps.send(encodeStateResponse(typeUrl, versionOf(state.held), state.nonce, anys))
  }
}

/** The same at every center and after a reconnect, for the same resources. */
function versionOf(held: ReadonlyMap<string, Encoded>): string {
  const hash = createHash('sha256')
  for (const name of [...held.keys()].toSorted()) hash.update(`${name} ${held.get(name)!.version}\n`)
  return hash.digest('base64url').slice(0, 20)
}
