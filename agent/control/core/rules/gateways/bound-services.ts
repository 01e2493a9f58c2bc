/** VirtualServices of a Gateway's servers, and the names under which they answer there. */
import type { ResourceOf } from '../rule-resource.ts'
import { common } from './domains.ts'
import type { PlannedServer } from './server-plan.ts'

type VirtualService = ResourceOf<'VirtualService'>
type Gateway = ResourceOf<'Gateway'>

/** Whether a list `gateways` of a VirtualService in this namespace names the Gateway. */
export function names(list: readonly string[] | undefined, namespace: string, gateway: Gateway): boolean {
  return (list ?? []).some((text) => {
    const slash = text.indexOf('/')
    const [of, name] = slash < 0 ? [namespace, text] : [text.slice(0, slash), text.slice(slash + 1)]
    return name === gateway.name && (of === '.' ? namespace : of) === gateway.namespace
  })
}

/** Names that both the server and the VirtualService have, each with the place of the latter's host. */
export function commonNames(
  { gateway, hosts }: PlannedServer,
  rule: VirtualService,
): { readonly name: string; readonly at: number }[] {
  const found = new Map<string, number>()
  for (const { name, namespace } of hosts) {
    const wanted = namespace === '.' ? gateway.namespace : namespace
    if (wanted !== '*' && wanted !== rule.namespace) continue
    rule.hosts?.forEach((host, at) => {
      const both = common(name, host.text.toLowerCase())
      if (both !== undefined && !found.has(both)) found.set(both, at)
    })
  }
  return [...found].map(([name, at]) => ({ name, at }))
}
