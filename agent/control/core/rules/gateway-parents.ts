/** Which services a route of the Gateway API is about. */
import { isService } from './gateway-route-shape.ts'
import type { ParentRef } from './gateway-route-shape.ts'

/** Services that a route is about, with the port if it is about one. */
export function parentsOf(
  parents: readonly ParentRef[],
): { readonly name: string; readonly port: number | undefined }[] {
  return parents.filter(isService).map(({ name, namespace, port }) => ({ name: hostOf({ name, namespace }), port }))
}

export function hostOf({
  name,
  namespace,
}: {
  readonly name: string
  readonly namespace?: string | undefined
}): string {
  return namespace === undefined ? name : `${name}.${namespace}.svc`
}
