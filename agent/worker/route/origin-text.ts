import type { RuleOrigin } from '../../../contracts/route-spec.ts'

/** Where a value came from, as `explain` says it. */
export function originText(origin: RuleOrigin | undefined): string {
  if (origin === undefined || origin.kind === 'default') return 'default'
  return `${origin.kind} ${origin.name} ${origin.path}${origin.isLocal ? ', of this host' : ''}`
}
