/** Copies of requests to another destination, whose answers are thrown away. */
import type { MirrorSpec } from '../../../contracts/route-spec.ts'
import { compileDestination } from './destination.ts'
import type { Destination, Mirror } from './types.ts'

export function compileMirrors(specs: readonly MirrorSpec[] | undefined): readonly Mirror[] {
  return (specs ?? [])
    .filter((spec) => spec.share > 0)
    .map((spec) => ({ destination: compileDestination(spec.destination), share: spec.share }))
}

/** Each mirror is drawn on its own. Calls back at most once per mirror; a route without mirrors draws nothing. */
export function chooseMirrors(
  route: { readonly mirrors: readonly Mirror[] },
  random: () => number,
  send: (destination: Destination) => void,
): void {
  for (const mirror of route.mirrors) {
    if (mirror.share >= 1 || random() < mirror.share) send(mirror.destination)
  }
}
