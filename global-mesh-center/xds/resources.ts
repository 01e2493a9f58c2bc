/**
 * What streams can ask for, each resource encoded once however many get it. A resource is followed at its source while
 * somebody wants it, and forgotten afterwards.
 */
import { createHash } from 'node:crypto'
import { encodeResource } from '../../registry-adapters/center/wire/delta.ts'

/** Where resources of one type come from. Calls are never made synchronously from `follow`. */
export interface ResourceSource {
  /** `false`: no such name can exist. `onValue`: the newest value, undefined = there is none. */
  follow(name: string, onValue: OnValue): (() => void) | false
}

/** `awaitsEndpoints`: of a cluster whose endpoints are asked for by its name before it is used. */
export type OnValue = (value: Buffer | undefined, awaitsEndpoints?: boolean) => void

export interface Encoded {
  /** Of the content: the same at every center. */
  readonly version: string
  /** As it stands in a response; undefined = it does not exist. */
  readonly bytes: Buffer | undefined
  /** The resource alone, without name and version, inside `bytes`. */
  readonly any: Buffer | undefined
  readonly awaitsEndpoints: boolean
}

/** What whoever names no resources of a type gets. */
export interface Wildcard {
  /** undefined: not known yet. */
  names(): ReadonlySet<string> | undefined
  /** Calls when the names are others; stops when what it returns is called. */
  watch(onChange: () => void): () => void
}

export interface ResourceReader {
  /** The name has another value now. */
  onNews(name: string): void
}

interface Followed {
  readonly readers: Set<ResourceReader>
  stop: () => void
  /** undefined = the source has not answered yet. */
  encoded: Encoded | undefined
}

const versionLength = 20

export class Resources {
  private readonly typeUrl: string
  private readonly source: ResourceSource
  private readonly followed = new Map<string, Followed>()

  constructor(typeUrl: string, source: ResourceSource) {
    this.typeUrl = typeUrl
    this.source = source
  }

  get size(): number {
    return this.followed.size
  }

  /** `undefined`: nobody has answered for it yet, `onNews` will. */
  get(name: string): Encoded | undefined {
    return this.followed.get(name)?.encoded
  }

  /** False: no such name can exist. */
  subscribe(name: string, reader: ResourceReader): boolean {
    const present = this.followed.get(name)
    if (present !== undefined) {
      present.readers.add(reader)
      return true
    }
    const followed: Followed = { readers: new Set([reader]), stop: () => undefined, encoded: undefined }
    const stop = this.source.follow(name, (value, awaits = false) => this.take(name, followed, value, awaits))
    if (stop === false) return false
    followed.stop = stop
    this.followed.set(name, followed)
    return true
  }

  unsubscribe(name: string, reader: ResourceReader): void {
    const followed = this.followed.get(name)
    if (followed === undefined || !followed.readers.delete(reader) || followed.readers.size > 0) return
    this.followed.delete(name)
    followed.stop()
  }

  private take(name: string, followed: Followed, value: Buffer | undefined, awaitsEndpoints: boolean): void {
    const version =
      value === undefined ? '' : createHash('sha256').update(value).digest('base64url').slice(0, versionLength)
    if (followed.encoded?.version === version) return
    const encoded = value === undefined ? undefined : encodeResource({ name, version, value }, this.typeUrl)
    followed.encoded = { version, bytes: encoded?.bytes, any: encoded?.any, awaitsEndpoints }
    for (const reader of followed.readers) reader.onNews(name)
  }
}
