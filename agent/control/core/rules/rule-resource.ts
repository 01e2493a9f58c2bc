/** One resource of a document: checked, and if good ready to be applied. */
import * as z from 'zod'
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import type { RuleOrigin } from '../../../../contracts/route-spec.ts'
import { withoutEmptyFields } from './empty-fields.ts'
import { leaf } from './fields.ts'
import { annotationProblems, policyAnnotations } from './policy-annotations.ts'
import { parentsOf } from './gateway-parents.ts'
import { apiVersionProblem, isRuleKind, kindProblem, originOf, specShape } from './kinds.ts'
import type { RuleKind, RuleSpec } from './kinds.ts'
import { checkShape, problemAt } from './resource-shape.ts'
import { parseHostName, parseRuleHost, placeOf } from './rule-host.ts'
import type { HostScope, RuleHost } from './rule-host.ts'
import type { RuleProblem } from '../../../../contracts/rule-status.ts'
import { emptyNotes, resourceNotes, timeNotes } from './resource-notes.ts'
import { compileVirtualService } from './virtual-service.ts'
import type { CompiledRoutes, RuleReader } from './virtual-service.ts'
import type { CheckedShape, YamlResource } from './yaml-documents.ts'
import type { Position } from './yaml-places.ts'

/** A subset that a route names: whether it exists is only known when all rules are. */
export interface SubsetReference extends Position {
  readonly path: string
  readonly service: ServiceKey
  readonly subset: string
}

/** A port that a route sends to. */
export interface PortReference extends Position {
  readonly path: string
  readonly service: ServiceKey
  readonly port: number
}

interface ResourceBase {
  /** Kind, namespace and name: what a newer version of the same resource replaces. */
  readonly id: string
  readonly namespace: string
  readonly name: string
  /** What it decides about; undefined = every service. */
  readonly hosts: readonly RuleHost[] | undefined
  readonly hostPositions: readonly Position[]
  readonly text: string
  /** This host alone was told. */
  readonly isLocal: boolean
  /** Same content, same fingerprint, wherever it stands. */
  readonly fingerprint: string
  readonly subsetReferences: readonly SubsetReference[]
  readonly portReferences: readonly PortReference[]
  /** Whether callers of this host may see it (Istio's exportTo). */
  readonly isExported: boolean
  /** Known when the resource is read: parts of it that say nothing here. */
  readonly notes: readonly RuleProblem[]
  /** How hosts and namespaces in it read, and where its values come from. */
  readonly reader: RuleReader
  origin(path: string): RuleOrigin
}

/** `ownRoutes`: of a VirtualService that delegates to nobody. */
export type RuleResource = ResourceBase & RuleSpec & { readonly ownRoutes?: CompiledRoutes }
export type ResourceOf<K extends RuleKind> = Extract<RuleResource, { kind: K }>

/** What could be read of a resource. `resource` is there only without problems. */
export interface ReadResource {
  readonly line: number
  readonly kind: string
  readonly namespace: string
  readonly name: string
  /** undefined where kind or name could not be read. */
  readonly id: string | undefined
  readonly problems: readonly RuleProblem[]
  readonly resource: RuleResource | undefined
}

const namePattern = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/
const namespacePattern = /^[A-Za-z0-9._-]{1,253}$/

/** What a cluster writes beside name and namespace; it says nothing about traffic and is read by nobody. */
const ignored = () => z.unknown().optional()

const metadataShape = z.strictObject({
  name: leaf('a name of 1 to 253 letters, digits and . _ -', (value) =>
    typeof value === 'string' && namePattern.test(value) ? value : undefined,
  ),
  namespace: leaf('a namespace of 1 to 253 letters, digits and . _ -', (value) =>
    typeof value === 'string' && namespacePattern.test(value) ? value : undefined,
  ).optional(),
  labels: z.record(z.string(), z.string()).nullable().optional(),
  annotations: z.record(z.string(), z.string()).nullable().optional(),
  clusterName: ignored(),
  creationTimestamp: ignored(),
  deletionGracePeriodSeconds: ignored(),
  deletionTimestamp: ignored(),
  finalizers: ignored(),
  generateName: ignored(),
  generation: ignored(),
  initializers: ignored(),
  managedFields: ignored(),
  ownerReferences: ignored(),
  resourceVersion: ignored(),
  selfLink: ignored(),
  uid: ignored(),
})

const envelopeShape = z.strictObject({
  apiVersion: z.unknown(),
  kind: z.unknown(),
  metadata: metadataShape,
  spec: z.unknown(),
  status: ignored(),
})

export function readResource(yaml: YamlResource, scope: HostScope): ReadResource {
  const root = isRecord(yaml.value) ? yaml.value : {}
  const metadata = isRecord(root['metadata']) ? root['metadata'] : {}
  const kind = textOr(root['kind'])
  const name = textOr(metadata['name'])
  const namespace = textOr(metadata['namespace']) || scope.namespace
  const id = isRuleKind(kind) && namePattern.test(name) ? `${kind} ${namespace}/${name}` : undefined
  const read = { line: yaml.line, kind, namespace, name, id }
  const rejected = (problems: readonly RuleProblem[]): ReadResource => ({ ...read, problems, resource: undefined })
  if (yaml.problems.length > 0) return rejected(yaml.problems)
  if (!isRecord(yaml.value)) return rejected([problemAt(yaml, [], 'found no map, allowed a resource')])
  const problem = kindProblem(root['kind'])
  if (problem !== undefined || !isRuleKind(kind)) return rejected([problemAt(yaml, ['kind'], problem ?? '')])
  const problems = envelopeProblems(yaml, kind)
  const checked = checkSpec(kind, root['spec'], yaml)
  if ('problems' in checked) problems.push(...checked.problems)
  if (problems.length > 0 || 'problems' in checked || id === undefined) return rejected(problems)
  return { ...read, problems: [], resource: buildResource(checked, { id, namespace, name }, root['spec'], yaml, scope) }
}

function envelopeProblems(yaml: YamlResource, kind: RuleKind): RuleProblem[] {
  const problems: RuleProblem[] = []
  const version = apiVersionProblem(kind, isRecord(yaml.value) ? yaml.value['apiVersion'] : undefined)
  if (version !== undefined) problems.push(problemAt(yaml, ['apiVersion'], version))
  const envelope = checkShape(envelopeShape, yaml.value, [], yaml)
  if ('problems' in envelope) problems.push(...envelope.problems)
  return problems
}

/** What the shape of its kind says of `spec`; undefined where there is no such kind. */
export function checkedSpec(yaml: YamlResource): CheckedShape | undefined {
  const root = isRecord(yaml.value) ? yaml.value : {}
  const kind = root['kind']
  return isRuleKind(kind) ? shapeOf(kind, root['spec'], yaml) : undefined
}

function shapeOf(kind: RuleKind, spec: unknown, yaml: YamlResource): CheckedShape {
  return checkShape(specShape(kind), withoutEmptyFields(kind, spec ?? {}).spec, ['spec'], yaml)
}

function checkSpec(kind: RuleKind, spec: unknown, yaml: YamlResource): RuleSpec | { problems: RuleProblem[] } {
  const result = yaml.checked ?? shapeOf(kind, spec, yaml)
  if ('problems' in result) return result
  if (kind !== 'AuthorizationPolicy' && kind !== 'RequestAuthentication')
    return { kind, spec: result.value } as RuleSpec
  const problems = annotationProblems(yaml, spec)
  if (problems.length > 0) return { problems }
  return { kind, spec: result.value, annotations: policyAnnotations(yaml) } as RuleSpec
}

function buildResource(
  rule: RuleSpec,
  identity: { readonly id: string; readonly namespace: string; readonly name: string },
  rawSpec: unknown,
  yaml: YamlResource,
  scope: HostScope,
): RuleResource {
  const { namespace, name } = identity
  const { isLocal } = scope
  const origin = originBuilder(rule.kind, namespace, name, isLocal)
  const reader = readerFor(namespace, scope, origin)
  const place = placeOf(namespace, scope)
  const texts = hostTexts(rule)
  const hosts = texts?.flatMap((text) => parseRuleHost(text, place, scope) ?? [])
  const base = {
    ...identity,
    hosts,
    hostPositions: (texts ?? []).map((_, index) => yaml.positionOf(hostPath(rule.kind, index))),
    text: yaml.text,
    isLocal,
    fingerprint: JSON.stringify([
      rule.kind,
      namespace,
      name,
      rawSpec,
      'annotations' in rule ? rule.annotations : null,
      isLocal,
    ]),
    origin,
    reader,
    isExported: isExported(rule, namespace, scope),
    notes: [...emptyNotes(rule.kind, rawSpec, yaml), ...timeNotes(yaml), ...resourceNotes(rule, yaml, scope)],
  }
  if (rule.kind !== 'VirtualService') return { ...base, ...rule, subsetReferences: [], portReferences: [] }
  const delegates = rule.spec.http?.some((route) => route.delegate !== undefined) ?? false
  return {
    ...base,
    ...rule,
    ...references(rule.spec, reader.resolve, yaml),
    ...(delegates ? {} : { ownRoutes: compileVirtualService(rule.spec, reader, () => []) }),
  }
}

/** On its own, so that what a resource keeps holds on to nothing of the parsed document. */
function readerFor(namespace: string, scope: HostScope, origin: RuleReader['origin']): RuleReader {
  const place = placeOf(namespace, scope)
  return {
    origin,
    resolve: (host) => {
      const key = parseHostName(host, place, scope)
      if (key === undefined) throw new TypeError(`host ${host} passed its shape but reads as no service`)
      return key
    },
    callerNamespace: (caller) => callerNamespace(caller, scope),
  }
}

function isExported(rule: RuleSpec, namespace: string, scope: HostScope): boolean {
  const list = 'exportTo' in rule.spec ? rule.spec.exportTo : undefined
  if (list === undefined || list.length === 0) return true
  const isOwn = (one: string): boolean => placeOf(one, scope).namespace === scope.namespace
  return list.some((one) => one === '*' || isOwn(one === '.' ? namespace : one))
}

/**
 * A namespace without a place of its own stays as it is written: read as the own one, a condition would become no
 * condition.
 */
function callerNamespace(caller: string, scope: HostScope): string {
  const isPlace = Object.hasOwn(scope.namespaceMap, caller) || scope.namespaces.includes(caller)
  return isPlace ? placeOf(caller, scope).namespace : caller
}

/** On its own, so that what a resource keeps holds on to nothing of the parsed document. */
function originBuilder(
  kind: RuleKind,
  namespace: string,
  name: string,
  isLocal: boolean,
): (path: string) => RuleOrigin {
  const local = isLocal ? ({ isLocal } as const) : {}
  return (path) => ({ ...originOf(kind, namespace, name, path), ...local })
}

function hostTexts(rule: RuleSpec): readonly string[] | undefined {
  // policies choose workloads themselves
  if (rule.kind === 'AuthorizationPolicy' || rule.kind === 'RequestAuthentication') return undefined
  if (rule.kind === 'WorkloadEntry' || rule.kind === 'PeerAuthentication' || rule.kind === 'Gateway') return undefined
  if (rule.kind === 'HTTPRoute' || rule.kind === 'GRPCRoute' || rule.kind === 'TCPRoute')
    return parentsOf(rule.spec.parentRefs).map(({ name }) => name)
  return rule.kind === 'DestinationRule' ? [rule.spec.host] : rule.spec.hosts
}

export function hostPath(kind: RuleKind, index: number): PropertyKey[] {
  if (kind === 'DestinationRule') return ['spec', 'host']
  return ['spec', kind.endsWith('Route') ? 'parentRefs' : 'hosts', index]
}

type VirtualServiceSpec = Extract<RuleSpec, { kind: 'VirtualService' }>['spec']

function references(
  spec: VirtualServiceSpec,
  resolve: (host: string) => ServiceKey,
  yaml: YamlResource,
): { subsetReferences: SubsetReference[]; portReferences: PortReference[] } {
  const subsetReferences: SubsetReference[] = []
  const portReferences: PortReference[] = []
  const add = (destination: NamedDestination | undefined, path: PropertyKey[]): void => {
    if (destination === undefined) return
    const { host, port, subset } = destination
    if (subset !== undefined)
      subsetReferences.push({ ...placeAt(yaml, [...path, 'subset']), service: resolve(host), subset })
    if (port !== undefined)
      portReferences.push({ ...placeAt(yaml, [...path, 'port', 'number']), service: resolve(host), port })
  }
  spec.http?.forEach((route, index) => {
    const base = ['spec', 'http', index]
    route.route?.forEach((one, at) => add(one.destination, [...base, 'route', at, 'destination']))
    add(route.mirror, [...base, 'mirror'])
    route.mirrors?.forEach((one, at) => add(one.destination, [...base, 'mirrors', at, 'destination']))
  })
  for (const kind of ['tls', 'tcp'] as const) {
    spec[kind]?.forEach((route, index) => {
      route.route.forEach((one, at) => add(one.destination, ['spec', kind, index, 'route', at, 'destination']))
    })
  }
  return { subsetReferences, portReferences }
}

interface NamedDestination {
  readonly host: string
  readonly subset?: string | undefined
  readonly port?: number | undefined
}

function placeAt(yaml: YamlResource, at: PropertyKey[]): Position & { path: string } {
  const { path, line, column } = problemAt(yaml, at, '')
  return { path, line, column }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textOr(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
