import type { Timeline } from './timeline.ts'

/** A certificate could not be had. `about`: its SPIFFE id, or the source of all of them. */
export function tellFailure(timeline: Pick<Timeline, 'turn'>, about: string, message: string): void {
  timeline.turn({ kind: 'certificate', about, what: 'failing', message, severity: 'warning' })
}
