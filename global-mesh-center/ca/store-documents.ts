/** Documents of the authority in the store that several centers share. Keys in them are sealed (`key-box.ts`). */
import { MeshError } from '../../contracts/errors.ts'
import type { Store } from '../../agent/control/store/store.ts'
import type { CaDocuments } from './documents.ts'

export function storeDocuments(store: Pick<Store, 'history' | 'write'>): CaDocuments {
  return {
    async read(name) {
      const [newest] = await store.history(name, 1)
      return newest?.value === undefined ? undefined : { text: newest.value, revision: String(newest.revision) }
    },
    async write(name, text, revision) {
      try {
        await store.write(name, text, Number(revision ?? 0))
        return true
      } catch (error) {
        if (error instanceof MeshError && error.code === 'E_STORE_CONFLICT') return false
        throw error
      }
    },
  }
}
