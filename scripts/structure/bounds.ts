/** What the structure of the product must keep: sizes, borders, no knots, nothing twice, nothing for nobody. */
import { crossings, type Border } from './borders.ts'
import { cyclesOf } from './cycles.ts'
import { unusedExports } from './exports.ts'
import { partOf, percentile } from './folders.ts'
import type { SourceFile } from './imports.ts'
import { repeatsOf } from './repeats.ts'

/** Lines of a file. */
export const sizes = { longest: 500, ninetyPercent: 260, median: 90 } as const
/** Lines that stand in two files: of different parts, and of one (`partOf`), where two codecs or adapters are alike. */
export const leastRepeat = { acrossParts: 6, insideOne: 12 } as const

/**
 * Every bound that is broken, a line each; empty when all is well. `users`: files beside the product that may use what
 * it exports. `borders`: of the linter.
 */
export function complaints(
  files: readonly SourceFile[],
  users: readonly SourceFile[],
  borders: readonly Border[] = [],
): string[] {
  const bySize = files.toSorted((a, b) => a.lines - b.lines)
  const measured = { median: percentile(bySize, 0.5), ninetyPercent: percentile(bySize, 0.9) }
  return [
    ...bySize
      .filter(({ lines }) => lines > sizes.longest)
      .map(({ path, lines }) => `too long: ${path} has ${lines} lines, allowed ${sizes.longest}`),
    ...(measured.median > sizes.median
      ? [`the median file has ${measured.median} lines, allowed ${sizes.median}`]
      : []),
    ...(measured.ninetyPercent > sizes.ninetyPercent
      ? [`a tenth of all files has ${measured.ninetyPercent} lines and more, allowed ${sizes.ninetyPercent}`]
      : []),
    ...cyclesOf(files).map(
      ({ files: inside, way }) => `cycle of ${inside.length} files, for example ${[...way, way[0]].join(' -> ')}`,
    ),
    ...crossings(files, borders),
    ...repeatsOf(files, leastRepeat.acrossParts)
      .filter(({ files: [one, other], lines }) => partOf(one) !== partOf(other) || lines >= leastRepeat.insideOne)
      .map(({ places, lines }) => `${lines} lines stand twice: ${places.join(' and ')}`),
    ...unusedExports(files, users).map((one) => `exported, and no other file names it: ${one}`),
  ]
}
