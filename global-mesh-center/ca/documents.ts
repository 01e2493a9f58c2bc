/** Where the authority keeps what must outlive a center: few small documents, changed by compare-and-set. */
export interface CaDocument {
  readonly text: string
  /** Of the store; equal as long as nobody wrote. */
  readonly revision: string
}

export type DocumentName = 'authority' | 'admission'

export interface CaDocuments {
  /** Undefined: never written. Rejects when the store cannot be asked. */
  read(name: DocumentName): Promise<CaDocument | undefined>
  /**
   * Writes unless somebody else did since `revision` (undefined = there was none). Answers whether it did. Rejects when
   * the store cannot be written; then it may have happened or not.
   */
  write(name: DocumentName, text: string, revision: string | undefined): Promise<boolean>
}

/** Tries of one change before somebody is told that the store is too busy. */
const maxTries = 20

/**
 * Changes a document by what is in it now; again when somebody else was faster. `change` answers the new text, or
 * undefined to leave it. What it throws is thrown on.
 */
export async function changeDocument(
  documents: CaDocuments,
  name: DocumentName,
  change: (text: string | undefined) => string | undefined,
): Promise<void> {
  for (let tries = 0; tries < maxTries; tries++) {
    const found = await documents.read(name)
    const text = change(found?.text)
    if (text === undefined || (await documents.write(name, text, found?.revision))) return
  }
  throw new Error(`${name}: changed by others ${maxTries} times in a row`)
}
