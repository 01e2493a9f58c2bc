/** Workers of ours against the first of them, as the table of a report. */
import { format } from '../scenario.ts'
import type { Figure } from '../windows.ts'

export const againstPlainColumns = ['worker', 'median µs', 'least µs', 'to plain', 'requests/s', 'windows']

export function againstPlain(figures: readonly Figure[]): string[][] {
  return figures.map((figure) => [
    figure.contender,
    format(figure.median),
    format(figure.least),
    format(figure.median / figures[0]!.median),
    format(figure.requestsPerSecond),
    `${figure.kept} of ${figure.windows.length}`,
  ])
}
