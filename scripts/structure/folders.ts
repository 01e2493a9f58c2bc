/** Sizes of folders, and the arrows between them. */
import { posix } from 'node:path'
import type { SourceFile } from './imports.ts'

export interface Folder {
  readonly path: string
  readonly files: number
  readonly lines: number
  readonly median: number
  readonly largest: { readonly path: string; readonly lines: number }
}

export interface Arrow {
  readonly from: string
  readonly to: string
  readonly imports: number
  /** Of these, erased ones. */
  readonly types: number
}

export function foldersOf(files: readonly SourceFile[]): Folder[] {
  return [...Map.groupBy(files, (file) => posix.dirname(file.path))].map(([path, inside]) => {
    const bySize = inside.toSorted((a, b) => a.lines - b.lines)
    return {
      path,
      files: inside.length,
      lines: inside.reduce((sum, file) => sum + file.lines, 0),
      median: percentile(bySize, 0.5),
      largest: bySize.at(-1)!,
    }
  })
}

/** Between different folders. */
export function arrowsOf(files: readonly SourceFile[]): Arrow[] {
  const all = files.flatMap((file) =>
    file.imports.map((one) => ({ from: posix.dirname(file.path), to: posix.dirname(one.path), isType: one.isType })),
  )
  const between = all.filter(({ from, to }) => from !== to)
  return [...Map.groupBy(between, ({ from, to }) => `${from} ${to}`).values()]
    .map((same) => ({ ...same[0]!, imports: same.length, types: same.filter((one) => one.isType).length }))
    .map(({ from, to, imports, types }) => ({ from, to, imports, types }))
    .toSorted((a, b) => (a.from + a.to < b.from + b.to ? -1 : 1))
}

/** Lines of the file below which `share` of all files are; 0 without files. */
export function percentile(bySize: readonly SourceFile[], share: number): number {
  return bySize[Math.min(bySize.length - 1, Math.floor(bySize.length * share))]?.lines ?? 0
}

/** Of a folder or a file; `agent/worker` and `agent/control` are parts of their own. */
export function partOf(path: string): string {
  const [first, second] = path.split('/')
  return first === 'agent' && second !== undefined ? `${first}/${second}` : first!
}
