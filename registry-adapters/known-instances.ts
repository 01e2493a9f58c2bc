/**
 * The instances of one service by what was said of each: of a list that comes again with one change, only that one is
 * read. An instance that was said before is the same object again, and who comes behind sees by that that it is as
 * before (`watched-services.ts`).
 */
import { hash } from 'node:crypto'
import type { Endpoint } from '../contracts/endpoint.ts'

/**
 * `said`: bytes or text that say all of one instance, with `place` what the list says of it elsewhere. `read`:
 * undefined = it makes no sense; that is not remembered.
 */
export type ReadOne = (said: Buffer | string, place: string, read: () => Endpoint | undefined) => Endpoint | undefined

export class KnownInstances {
  private last: ReadonlyMap<string, Endpoint> = new Map()

  /** `read` goes through a list; what it did not hold is forgotten. */
  list<T>(read: (one: ReadOne) => T): T {
    const now = new Map<string, Endpoint>()
    try {
      return read((said, place, readNews) => {
        const key = `${hash('sha1', said, 'base64')}${place}`
        const endpoint = this.last.get(key) ?? readNews()
        if (endpoint !== undefined) now.set(key, endpoint)
        return endpoint
      })
    } finally {
      this.last = now
    }
  }
}
