/** Tells connections of changed configuration documents. */
import { serverRequests } from '../../wire/messages.ts'
import type { ConfigBackend, ConfigKey } from '../backend.ts'
import type { Caller } from '../../../../guard/caller.ts'
import { overLimit } from '../fault.ts'
import { readable } from '../readable.ts'
import type { ClientConnection } from './connection.ts'

/** A document in the client's own words: it finds its listener by them. */
export interface ListenContext {
  readonly key: ConfigKey
  readonly words: { readonly dataId: string; readonly group: string; readonly tenant: string }
  readonly md5: string
}

export class ConfigListens {
  private readonly config: ConfigBackend
  private readonly maxListeners: number

  constructor(config: ConfigBackend, maxListeners: number) {
    this.config = config
    this.maxListeners = maxListeners
  }

  /** Listens from now on; answers those of the documents that differ from the client's already. */
  async listen(
    connection: ClientConnection,
    contexts: readonly ListenContext[],
    caller: Caller,
  ): Promise<ListenContext['words'][]> {
    const changed: ListenContext['words'][] = []
    for (const { key, words, md5 } of contexts) {
      const id = idOf(words)
      if (!connection.documents.has(id) && connection.documents.size >= this.maxListeners) {
        throw overLimit('maxConfigListeners', connection.documents.size + 1, this.maxListeners)
      }
      const found = await readable(this.config, key, caller)
      if (found === 'denied') continue
      const now = found?.md5 ?? ''
      if (now !== md5) changed.push(words)
      connection.documents.get(id)?.unsubscribe()
      const watch = this.config.watch(
        key,
        now,
        () => {
          connection.pushes.offer(id, async () => ({
            type: serverRequests.configChangeNotify,
            body: { module: 'config', ...words },
          }))
        },
        caller,
      )
      connection.documents.set(id, {
        unsubscribe: () => {
          watch.unsubscribe()
          connection.pushes.withdraw(id)
        },
      })
    }
    return changed
  }

  forget(connection: ClientConnection, contexts: readonly ListenContext[]): void {
    for (const { words } of contexts) {
      const id = idOf(words)
      connection.documents.get(id)?.unsubscribe()
      connection.documents.delete(id)
    }
  }
}

function idOf(words: ListenContext['words']): string {
  return `config\n${words.tenant}\n${words.group}\n${words.dataId}`
}
