/** Rules as the API has them, and as an editor shows them. */
import type { ObjectMeta } from '../contracts/object-meta.ts'
import type { About } from './shapes.ts'
import { yamlText } from './yaml-text.ts'

export type Kind = About['kinds'][number]

export interface RulePlace {
  readonly kind: Kind
  readonly namespace: string
  /** undefined = a rule that is not there yet. */
  readonly name: string | undefined
}

export interface RuleObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta & { readonly resourceVersion?: string }
  readonly spec: object
}

export interface History {
  readonly items: readonly {
    readonly resourceVersion: string
    readonly at: string | null
    readonly user: string | null
    readonly verb: string | null
    readonly object: RuleObject | null
  }[]
}

export function kindOf({ kinds }: About, kind: string): Kind | undefined {
  return kinds.find((one) => one.kind === kind)
}

/** Where the API has all rules of a kind in a namespace, or one. */
export function apiPath({ kind, name, namespace }: RulePlace): string {
  const all = `/apis/${kind.group}/${kind.version}/namespaces/${encodeURIComponent(namespace)}/${kind.plural}`
  return name === undefined ? all : `${all}/${encodeURIComponent(name)}`
}

/** What people write: neither the revision nor what the center knows by itself. */
export function editedText({ apiVersion, kind, metadata, spec }: RuleObject): string {
  const { annotations, labels, name, namespace } = metadata
  return yamlText({ apiVersion, kind, metadata: { name, namespace, labels, annotations }, spec })
}

/** Name and namespace as they stand in the text, so that a new rule goes where it says; the API checks them again. */
export function placeIn(text: string): { readonly name: string | undefined; readonly namespace: string | undefined } {
  const metadata = /^metadata:\s*\n((?:[ \t]+.*\n?)*)/m.exec(text)?.[1] ?? ''
  const value = (key: string): string | undefined =>
    new RegExp(`^[ \\t]+${key}:[ \\t]*["']?([A-Za-z0-9._-]+)`, 'm').exec(metadata)?.[1]
  return { name: value('name'), namespace: value('namespace') }
}

/**
 * The text as it was opened at that revision: the center refuses it when somebody was faster. undefined = it has no
 * place for the revision, and would overwrite what somebody else wrote.
 */
export function withRevision(text: string, revision: string): string | undefined {
  const place = /^metadata:[ \t]*(?:#.*)?\r?\n([ \t]+)(?=\S)/m
  if (!place.test(text)) return undefined
  return text.replace(place, (line, indent: string) => `${line}resourceVersion: ${JSON.stringify(revision)}\n${indent}`)
}

/** The order of a dry run of a text, as YAML: the text stands in it as it is, further in. */
export function dryRunOrder(text: string): string {
  const lines = text.replace(/^---[ \t]*\r?\n/, '').split('\n')
  const rule = lines.map((line) => `    ${line}`).join('\n')
  return `spec:\n  share: 0.1\n  for: 60s\n  rule:\n${rule}\n`
}

export function templateOf({ group, kind, version }: Kind): string {
  const specs: Readonly<Record<string, object>> = {
    VirtualService: {
      hosts: ['orders'],
      http: [{ timeout: '2s', route: [{ destination: { host: 'orders' } }] }],
    },
    DestinationRule: {
      host: 'orders',
      trafficPolicy: { outlierDetection: { consecutive5xxErrors: 5, interval: '10s', baseEjectionTime: '30s' } },
    },
    ServiceEntry: {
      hosts: ['api.example.com'],
      ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
      resolution: 'DNS',
    },
    PeerAuthentication: { mtls: { mode: 'PERMISSIVE' } },
    AuthorizationPolicy: {
      action: 'ALLOW',
      rules: [{ to: [{ operation: { methods: ['GET'] } }] }],
    },
  }
  const metadata = { name: 'orders', namespace: 'default' }
  return yamlText({ apiVersion: `${group}/${version}`, kind, metadata, spec: specs[kind] ?? {} })
}
