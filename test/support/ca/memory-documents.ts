import type { CaDocument, CaDocuments, DocumentName } from '../../../global-mesh-center/ca/documents.ts'

/** Documents that several authorities of one test share; answers come a turn later, as from a store. */
export function memoryDocuments(): CaDocuments {
  const held = new Map<DocumentName, CaDocument>()
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
  let writes = 0
  return {
    async read(name) {
      await turn()
      return held.get(name)
    },
    async write(name, text, revision) {
      await turn()
      if (held.get(name)?.revision !== revision) return false
      held.set(name, { text, revision: String(++writes) })
      return true
    },
  }
}
