/**
 * Remembers under which documents control died. The digests of new documents are written down before they are read and
 * taken back when the rules are in force; what a dead process left behind is set aside by the next one, so that one
 * document cannot stop control at every start.
 *
 * Files of the state directory: `rules-reading-PID.json` while documents are being read, `rules-set-aside.json` with
 * the digests (at most `maxSetAside`, the oldest fall out). A document is read again when its text changes, or when the
 * second file is removed.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface ReadGuard {
  /** Why a text must not be read; undefined for every other text. */
  setAside(text: string): string | undefined
  begin(documents: readonly { readonly name: string; readonly text: string }[]): void
  end(): void
}

export interface Suspect {
  readonly digest: string
  /** Name of the document when control died under it. */
  readonly document: string
  /** Epoch ms. */
  readonly at: number
}

const maxSetAside = 100
/** A living process that reads for longer than this is as good as dead. */
const maxReadMs = 5000
const listName = 'rules-set-aside.json'

export const noReadGuard: ReadGuard = { setAside: () => undefined, begin: () => undefined, end: () => undefined }

export interface ReadGuardDeps {
  readonly pid: number
  readonly now: () => number
  readonly isAlive: (pid: number) => boolean
  readonly log: { error(fields: object, message: string): void }
}

/** A directory that cannot be read or written costs the memory, nothing else. */
export function fileReadGuard(directory: string, { pid, now, isAlive, log }: ReadGuardDeps): ReadGuard {
  const own = join(directory, `rules-reading-${pid}.json`)
  const listed = [...suspectsIn(join(directory, listName)), ...leftBehind(directory, pid, now(), isAlive)]
  const suspects = new Map(listed.slice(-maxSetAside).map((suspect) => [suspect.digest, suspect]))
  for (const { document, digest } of suspects.values()) {
    const message =
      `${document}: control died while it read this document (sha256 ${digest.slice(0, 16)}…), so it is set aside until its text changes; ` +
      `remove ${join(directory, listName)} to have it read again`
    log.error({ code: 'E_RULE_REJECTED', document }, message)
  }
  if (suspects.size > 0) write(join(directory, listName), [...suspects.values()], directory)
  let isReading = false
  return {
    setAside(text) {
      const suspect = suspects.size === 0 ? undefined : suspects.get(digestOf(text))
      if (suspect === undefined) return undefined
      return `control died while it read this text (as ${suspect.document}, ${new Date(suspect.at).toISOString()}); it is set aside until it changes`
    },
    begin(documents) {
      if (documents.length === 0) return
      isReading = true
      const at = now()
      write(
        own,
        documents.map(({ name, text }) => ({ digest: digestOf(text), document: name, at })),
        directory,
      )
    },
    end() {
      if (!isReading) return
      isReading = false
      rmSync(own, { force: true })
    },
  }
}

function leftBehind(directory: string, pid: number, now: number, isAlive: (pid: number) => boolean): Suspect[] {
  let names: string[]
  try {
    names = readdirSync(directory)
  } catch {
    return []
  }
  return names.flatMap((name) => {
    const owner = Number(/^rules-reading-(\d+)\.json$/.exec(name)?.[1])
    if (!Number.isInteger(owner)) return []
    const file = join(directory, name)
    const found = suspectsIn(file)
    if (owner !== pid && isAlive(owner) && found.every(({ at }) => now - at < maxReadMs)) return []
    rmSync(file, { force: true })
    return found
  })
}

function suspectsIn(file: string): Suspect[] {
  try {
    const value = JSON.parse(readFileSync(file, 'utf8')) as unknown
    return (Array.isArray(value) ? (value as unknown[]) : []).flatMap((one) => {
      const { digest, document, at } = Object(one) as Record<string, unknown>
      const isGood = typeof digest === 'string' && typeof document === 'string' && typeof at === 'number'
      return isGood ? [{ digest, document, at }] : []
    })
  } catch {
    return []
  }
}

function write(file: string, suspects: readonly Suspect[], directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    writeFileSync(file, JSON.stringify(suspects), { mode: 0o600 })
  } catch {
    // a full or read-only disk: rules are read without the memory
  }
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
