/** How the changes of a store lie in Nacos' configuration: which documents there are, and what the head says. */
import { createHash } from 'node:crypto'
import * as z from 'zod'
import type { StoreEntry, StoreState, StoreVersion } from '../../agent/control/store/store.ts'

/** A change, in a document of its own. */
export interface NacosEntry {
  readonly revision: number
  readonly key: string
  /** Ends the name of its document. */
  readonly id: string
  /** Epoch ms. */
  readonly at: number
}

/**
 * The one document that every write replaces by compare-and-set. Whoever reads it knows the newest revision and the
 * documents that lead there: the parts of a snapshot, and each change behind it (and some before, for the history).
 */
export interface NacosHead {
  readonly format: 1
  readonly revision: number
  readonly snapshot: { readonly revision: number; readonly parts: readonly string[] }
  /** Ascending; behind the snapshot without a gap, before it what stays as history. */
  readonly entries: readonly NacosEntry[]
}

export const emptyHead: NacosHead = { format: 1, revision: 0, snapshot: { revision: 0, parts: [] }, entries: [] }

const headShape = z.object({
  format: z.literal(1),
  revision: z.int().min(0),
  snapshot: z.object({ revision: z.int().min(0), parts: z.array(z.string()) }),
  entries: z.array(z.object({ revision: z.int(), key: z.string(), id: z.string(), at: z.number() })),
})
const changeShape = z.object({ key: z.string(), value: z.string().nullable(), revision: z.int(), at: z.number() })
const partShape = z.array(z.object({ key: z.string(), value: z.string(), revision: z.int() }))

/** Longest document of a snapshot in characters, or one entry; a server takes 10 MiB by default. */
const maxPartLength = 512 * 1024

/** Text with its checksum before it: a document that somebody edited by hand is none of ours. */
function sealed(value: unknown): string {
  const text = JSON.stringify(value)
  return `${createHash('sha256').update(text).digest('hex')}\n${text}`
}

/** Throws what is wrong. */
function opened<T>(name: string, content: string, shape: z.ZodType<T>): T {
  const end = content.indexOf('\n')
  const text = content.slice(end + 1)
  if (createHash('sha256').update(text).digest('hex') !== content.slice(0, end))
    throw new Error(`document ${name} is damaged: its checksum is another one`)
  return shape.parse(JSON.parse(text))
}

export const headText = (head: NacosHead): string => sealed(head)

export function readHead(name: string, content: string): NacosHead {
  return opened(name, content, headShape)
}

export function changeText({ key, value, revision, at }: StoreVersion): string {
  return sealed({ key, value: value ?? null, revision, at })
}

export function readChange(name: string, content: string): StoreVersion {
  const { value, ...change } = opened(name, content, changeShape)
  return { ...change, value: value ?? undefined }
}

/** Of a snapshot, in documents that every server takes. */
export function partTexts({ entries }: StoreState): string[] {
  const parts: StoreEntry[][] = []
  let length = maxPartLength
  for (const entry of entries) {
    const more = entry.key.length + entry.value.length
    if (length + more > maxPartLength) {
      parts.push([])
      length = 0
    }
    parts.at(-1)!.push(entry)
    length += more
  }
  return parts.map((part) => sealed(part))
}

export function readPart(name: string, content: string): readonly StoreEntry[] {
  return opened(name, content, partShape)
}
