/** `hostmesh rules apply|delete`: rules that a node is told at its admin socket, by the API of rules. */
import { parseAllDocuments } from 'yaml'
import { apiKinds, type ApiKind } from '../../agent/control/rules-api/api-kinds.ts'
import { MeshError } from '../../contracts/errors.ts'
import { ttlAnnotation } from '../../contracts/rule-documents.ts'
import { apiJson, apiRefusal } from '../admin-client.ts'
import type { CommandContext } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { RuleName } from './rule-history.ts'
import { readRules } from './rules.ts'

interface Told extends RuleName {
  readonly from: string
  /** Of the API. */
  readonly path: string
  readonly text: string
}

const applyType = 'application/apply-patch+yaml'
/** What an apply decides about stays ours, whoever decided about it before. */
const query = 'fieldManager=hostmesh&force=true'

/** All of them are checked first; with one that is refused nothing is written. */
export async function applyRules(
  { admin, output }: CommandContext,
  paths: readonly string[],
  ttl: string | undefined,
): Promise<ExitCode> {
  const told = readRules(paths).flatMap(({ name, text }) => toldIn(name, text, ttl))
  if (told.length === 0) throw new MeshError('E_CONFIG_INVALID', `${paths.join(', ')}: no rule in there`)
  let refused = 0
  for (const { from, path, text } of told) {
    const why = await apiRefusal(admin, 'PATCH', `${path}?${query}&dryRun=All`, { type: applyType, text })
    if (why === undefined) continue
    refused++
    output.problem(`${from}: ${why}`)
  }
  if (refused > 0) {
    output.problem('E_RULE_REJECTED  nothing was changed')
    return exitCodes.config
  }
  const results: { kind: string; namespace: string; name: string; version: string }[] = []
  for (const { kind, namespace, name, path, text } of told) {
    const written = (await apiJson(admin, 'PATCH', `${path}?${query}`, { type: applyType, text })) as {
      metadata: { resourceVersion: string }
    }
    results.push({ kind, namespace, name, version: written.metadata.resourceVersion })
  }
  if (output.isJson) output.json(results)
  else
    for (const { kind, namespace, name, version } of results)
      output.line(`${kind} ${namespace}/${name} is version ${version} now`)
  return exitCodes.ok
}

export async function deleteRule({ admin, output }: CommandContext, rule: RuleName): Promise<ExitCode> {
  const found = apiKinds.find(({ kind }) => kind === rule.kind)
  if (found === undefined) throw new MeshError('E_CONFIG_INVALID', unknownKind(rule.kind))
  const body = await apiJson(admin, 'DELETE', pathOf(rule, found, found.versions[0]!))
  if (output.isJson) output.json(body)
  else output.line(`${rule.kind} ${rule.namespace}/${rule.name} is not there any more`)
  return exitCodes.ok
}

function toldIn(file: string, text: string, ttl: string | undefined): Told[] {
  return parseAllDocuments(text).flatMap((document) => {
    const [problem] = document.errors
    if (problem !== undefined) throw refused(file, problem.message)
    const value: unknown = document.toJS()
    if (value === null) return []
    const { kind, items } = Object(value) as Resource
    const resources = kind === 'List' && Array.isArray(items) ? (items as unknown[]) : [value]
    return resources.map((resource) => toldOf(file, Object(resource) as Resource, ttl))
  })
}

interface Resource {
  readonly apiVersion?: unknown
  readonly kind?: unknown
  readonly items?: unknown
  readonly metadata?: unknown
}

function toldOf(file: string, resource: Resource, ttl: string | undefined): Told {
  const { apiVersion } = resource
  const found = apiKinds.find(({ kind }) => kind === resource.kind)
  if (found === undefined) throw refused(file, unknownKind(resource.kind))
  const versions = found.versions.map((version) => `${found.group}/${version}`)
  const version = found.versions[versions.indexOf(String(apiVersion))]
  if (version === undefined)
    throw refused(file, `apiVersion: found ${shown(apiVersion)}, allowed ${versions.join(', ')}`)
  const metadata = Object(resource.metadata) as Readonly<Record<string, unknown>>
  const { name, namespace = 'public' } = metadata
  for (const [field, value] of Object.entries({ name, namespace }))
    if (typeof value !== 'string' || value === '')
      throw refused(file, `metadata.${field} of a ${found.kind}: found ${shown(value)}, allowed a name`)
  const rule = { kind: found.kind, namespace: String(namespace), name: String(name) }
  const annotations =
    ttl === undefined ? {} : { annotations: { ...Object(metadata['annotations']), [ttlAnnotation]: ttl } }
  const whole = { ...resource, metadata: { ...metadata, namespace: rule.namespace, ...annotations } }
  const from = `${file}: ${rule.kind} ${rule.namespace}/${rule.name}`
  return { ...rule, from, path: pathOf(rule, found, version), text: JSON.stringify(whole) }
}

function pathOf({ namespace, name }: RuleName, { group, plural }: ApiKind, version: string): string {
  const place = `${encodeURIComponent(namespace)}/${plural}/${encodeURIComponent(name)}`
  return `/apis/${group}/${version}/namespaces/${place}`
}

function refused(file: string, why: string): MeshError {
  return new MeshError('E_CONFIG_INVALID', `${file}: ${why}`)
}

function unknownKind(kind: unknown): string {
  return `kind: found ${shown(kind)}, allowed ${apiKinds.map((one) => one.kind).join(', ')}`
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'none').slice(0, 80)
}
