/**
 * One agent's stream: what it subscribed to, what it has, and what it still has to be told. Of each type at most one
 * response is under way; what changes meanwhile is remembered by its name alone, so the newest value is sent, once.
 */
import { encodeResponse, type DeltaRequest } from '../../registry-adapters/center/wire/delta.ts'
import type { ResourceReader, Resources } from './resources.ts'

export interface DeltaStreamDeps {
  /** What this node gets of a type, by now; undefined = no such type. */
  resources(typeUrl: string, node: string): Resources | undefined
  /** For the word about a type that does not exist. */
  readonly typeUrls: readonly string[]
  send(bytes: Buffer): void
  /** The agent refused what it was sent. */
  onRefused(typeUrl: string, message: string): void
  /** The stream cannot go on. */
  onFault(message: string): void
}

/** Names that one stream may subscribe to, of one type. */
export const maxNames = 20_000
/** A response is closed once it holds so many bytes. */
const maxResponseBytes = 1024 * 1024

class TypeState implements ResourceReader {
  resources: Resources
  /** By name: the version that the agent has or is being sent; undefined = none. */
  readonly held = new Map<string, string | undefined>()
  readonly dirty = new Set<string>()
  nonce = ''
  /** The first request is always answered, also when there is nothing to say. */
  isFirst = true
  private readonly onDirty: () => void

  constructor(resources: Resources, onDirty: () => void) {
    this.resources = resources
    this.onDirty = onDirty
  }

  onNews(name: string): void {
    this.dirty.add(name)
    this.onDirty()
  }
}

export class DeltaStream {
  private readonly deps: DeltaStreamDeps
  private readonly states = new Map<string, TypeState>()
  private flushing: NodeJS.Immediate | undefined
  private nonces = 0
  private isClosed = false
  node = ''

  constructor(deps: DeltaStreamDeps) {
    this.deps = deps
  }

  get subscriptions(): number {
    return [...this.states.values()].reduce((sum, state) => sum + state.held.size, 0)
  }

  take(request: DeltaRequest): void {
    if (this.isClosed) return
    const { typeUrl, nonce, error, initialVersions } = request
    if (request.node !== '') this.node = request.node
    const found = this.deps.resources(typeUrl, this.node)
    if (found === undefined)
      return this.fault(`type_url: found "${typeUrl.slice(0, 200)}", allowed ${this.deps.typeUrls.join(', ')}`)
    const state = this.states.get(typeUrl) ?? new TypeState(found, () => this.flushSoon())
    this.states.set(typeUrl, state)
    const { resources } = state
    if (nonce !== '' && nonce === state.nonce) state.nonce = ''
    if (error !== undefined) this.deps.onRefused(typeUrl, error)
    for (const name of request.unsubscribe) {
      state.held.delete(name)
      state.dirty.delete(name)
      resources.unsubscribe(name, state)
    }
    for (const name of request.subscribe) {
      if (!state.held.has(name) && state.held.size >= maxNames)
        return this.fault(`more than ${maxNames} names of ${typeUrl}, which is the bound`)
      // a name that is asked for again is sent again
      state.held.set(name, initialVersions.get(name))
      state.dirty.add(name)
      if (!resources.subscribe(name, state))
        this.deps.onRefused(typeUrl, `${name.slice(0, 200)}: no such name can exist`)
    }
    this.flushSoon()
  }

  close(): void {
    this.isClosed = true
    if (this.flushing !== undefined) clearImmediate(this.flushing)
    for (const state of this.states.values())
      for (const name of state.held.keys()) state.resources.unsubscribe(name, state)
    this.states.clear()
  }

  /** This node may belong to other hosts now: what differs for it is sent. */
  regroup(): void {
    for (const [typeUrl, state] of this.states) {
      const next = this.deps.resources(typeUrl, this.node)!
      const before = state.resources
      if (next === before) continue
      state.resources = next
      for (const name of state.held.keys()) {
        next.subscribe(name, state)
        before.unsubscribe(name, state)
        state.dirty.add(name)
      }
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
    for (const [typeUrl, state] of this.states) if (state.nonce === '') this.respond(typeUrl, state)
  }

  private respond(typeUrl: string, state: TypeState): void {
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
      if (encoded.bytes === undefined) removed.push(name)
      else {
        sent.push(encoded.bytes)
        bytes += encoded.bytes.length
      }
    }
    if (sent.length === 0 && removed.length === 0 && !state.isFirst) return
    state.isFirst = false
    state.nonce = String(++this.nonces)
    this.deps.send(encodeResponse(typeUrl, state.nonce, sent, removed))
  }
}
