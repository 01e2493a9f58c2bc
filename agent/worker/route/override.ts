/**
 * `x-mesh-route`: for one request, calls of a service go to another one or to a subset (Linkerd's dtab, cut to what a
 * policy can bound). `orders=orders-canary;v2, stock=;v3`: entries with commas between them, each `SERVICE=SERVICE`,
 * `SERVICE=SERVICE;SUBSET` or `SERVICE=;SUBSET`. The first entry about the called service counts, once: where it leads
 * to is not looked up again, so entries make no circle. Entries about other services are passed on.
 */
import { parseServiceName } from '../../../contracts/endpoint.ts'
import type { ServiceKey } from '../../../contracts/endpoint.ts'
import type { RouteOverridesSpec } from '../../../contracts/route-spec.ts'

/** Of the whole field, in characters. */
const maxLength = 1024
const maxEntries = 16
const everyCaller = '*'

export type Override =
  /** The caller may not: as if nothing had been said. */
  | { readonly kind: 'ignored' }
  /** No entry is about this service. */
  | { readonly kind: 'passed' }
  | { readonly kind: 'refused'; readonly reason: string }
  /** `subset`: '' = as the routes of the service say. */
  | { readonly kind: 'followed'; readonly service: ServiceKey; readonly subset: string }

interface Entry {
  readonly from: string
  /** '' = the same. */
  readonly to: string
  /** '' = none. */
  readonly subset: string
}

const ignored: Override = { kind: 'ignored' }
const passed: Override = { kind: 'passed' }

/** `called`: the service that the request names. `text`: all values of the field, with commas between them. */
export function readOverride(spec: RouteOverridesSpec, called: string, text: string, caller: string): Override {
  const { callers, services } = spec
  if (!callers.includes(caller) && !callers.includes(everyCaller)) return ignored
  const entries = parseEntries(text)
  if (typeof entries === 'string') return { kind: 'refused', reason: entries }
  const entry = entries.find(({ from }) => keyIn(services, from) === called)
  if (entry === undefined) return passed
  const { subset, to } = entry
  const service = to === '' ? (called as ServiceKey) : keyIn(services, to)
  if (service !== undefined) return { kind: 'followed', service, subset }
  return { kind: 'refused', reason: `calls of ${entry.from} may not be sent to ${to}: no policy says so` }
}

function keyIn(services: RouteOverridesSpec['services'], name: string): ServiceKey | undefined {
  return Object.hasOwn(services, name) ? services[name] : undefined
}

/** The entries, or what is wrong. */
function parseEntries(text: string): readonly Entry[] | string {
  if (text.length > maxLength) return `x-mesh-route has ${text.length} characters, allowed ${maxLength}`
  const parts = text.split(',')
  if (parts.length > maxEntries) return `x-mesh-route has ${parts.length} entries, allowed ${maxEntries}`
  const entries: Entry[] = []
  for (const part of parts) {
    const entry = parseEntry(part.trim())
    if (entry === undefined) {
      const shown = JSON.stringify(part.trim().slice(0, 100))
      return `x-mesh-route: ${shown} is no entry; allowed SERVICE=SERVICE, SERVICE=SERVICE;SUBSET and SERVICE=;SUBSET`
    }
    entries.push(entry)
  }
  return entries
}

function parseEntry(text: string): Entry | undefined {
  const [, from = '', to = '', subset = ''] = /^([^=;]+)=([^=;]*)(?:;([A-Za-z0-9._-]{1,253}))?$/.exec(text) ?? []
  const isGood = isName(from) && (isName(to) || (to === '' && subset !== ''))
  return isGood ? { from, to, subset } : undefined
}

function isName(text: string): boolean {
  return parseServiceName(text) !== undefined
}
