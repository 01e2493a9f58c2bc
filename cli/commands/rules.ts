/**
 * `hostmesh rules push|pull|diff`: rules between files and the configuration store of a registry, with compare-and-set.
 */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { diff } from 'node:util'
import { yamlFilesIn } from '../../agent/control/config/check.ts'
import { checkNode } from '../node-kinds.ts'
import type { AgentConfig } from '../../agent/control/config/types.ts'
import { createAdapters, kindOf } from '../../agent/control/kinds/registries.ts'
import { ruleScope } from '../../agent/control/config/rule-scope.ts'
import { hostScope, type HostScope } from '../../agent/control/core/rules/rule-host.ts'
import { RuleStore } from '../../agent/control/core/rules/rule-store.ts'
import { parseServiceName } from '../../contracts/endpoint.ts'
import { MeshError } from '../../contracts/errors.ts'
import type { ConfigDocument, ConfigSource, RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { meshRulesId, serviceRulesId } from '../../contracts/rule-documents.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Output } from '../output.ts'
import { quietDeps } from '../quiet-deps.ts'
import { type RuleFile, splitRules } from '../rules/split-rules.ts'

export interface RulesOptions {
  readonly config: string
  /** Name of the registry; undefined = the first one with a `rulesGroup`. */
  readonly registry: string | undefined
}

const requestTimeoutMs = 10_000
/** Services whose documents a pull without names asks for. */
const maxPulledServices = 10_000

interface Store {
  readonly config: AgentConfig
  readonly adapter: RegistryAdapter
  readonly source: ConfigSource
  readonly group: string
}

export async function pushRules(output: Output, paths: readonly string[], options: RulesOptions): Promise<ExitCode> {
  return withStore(options, async (store) => {
    const files = readRules(paths)
    if (!areGood(output, files, store.config)) return exitCodes.config
    const results: { dataId: string; result: string }[] = []
    for (const [dataId, content] of splitRules(files, scopeOf(store.config))) {
      const present = await read(store, dataId)
      if (present?.content === content) {
        results.push({ dataId, result: 'same' })
        continue
      }
      const expected = present?.revision ?? ''
      await store.source.publish(store.group, dataId, content, expected, AbortSignal.timeout(requestTimeoutMs))
      results.push({ dataId, result: present === undefined ? 'created' : 'changed' })
    }
    show(output, results)
    return exitCodes.ok
  })
}

export async function diffRules(output: Output, paths: readonly string[], options: RulesOptions): Promise<ExitCode> {
  return withStore(options, async (store) => {
    const files = readRules(paths)
    if (!areGood(output, files, store.config)) return exitCodes.config
    let differing = 0
    const found: { dataId: string; result: string }[] = []
    for (const [dataId, content] of splitRules(files, scopeOf(store.config))) {
      const present = await read(store, dataId)
      const isSame = present?.content === content
      if (!isSame) differing++
      found.push({ dataId, result: isSame ? 'same' : present === undefined ? 'new' : 'differs' })
      if (!isSame && !output.isJson) printDiff(output, dataId, present?.content ?? '', content)
    }
    if (output.isJson) output.json(found)
    else if (differing === 0) output.line('no difference')
    return differing === 0 ? exitCodes.ok : exitCodes.failed
  })
}

/**
 * Writes `DIRECTORY/DATAID.yaml` for the mesh's document and those of the services; without names, of all services that
 * the registry lists, which is asked for its own group alone, and of those that the configuration names.
 */
export async function pullRules(
  output: Output,
  directory: string,
  services: readonly string[],
  options: RulesOptions,
): Promise<ExitCode> {
  return withStore(options, async (store) => {
    const signal = AbortSignal.timeout(requestTimeoutMs)
    const isOfAll = services.length === 0
    const names = isOfAll ? await store.adapter.listServices(maxPulledServices, signal) : services
    const dataIds = [meshRulesId, ...names.map((name) => dataIdOf(name, store.config))]
    if (isOfAll) dataIds.push(...store.config.outbound.services.map(({ service }) => serviceRulesId(service)))
    mkdirSync(directory, { recursive: true })
    const results: { dataId: string; result: string }[] = []
    for (const dataId of new Set(dataIds)) {
      const document = await read(store, dataId)
      if (document === undefined) continue
      const file = join(directory, `${dataId.replaceAll(':', '_')}.yaml`)
      writeFileSync(file, document.content)
      results.push({ dataId, result: file })
    }
    show(output, results)
    return exitCodes.ok
  })
}

async function withStore(options: RulesOptions, work: (store: Store) => Promise<ExitCode>): Promise<ExitCode> {
  const { config } = checkNode(options.config)
  if (config === undefined)
    throw new MeshError('E_CONFIG_INVALID', `${options.config}: has problems; see \`hostmesh check\``)
  const [store] = config.registries.flatMap((registry) => {
    const group = kindOf(registry).rulesGroup(registry)
    const isMeant = options.registry === undefined || registry.name === options.registry
    return group !== undefined && isMeant ? [{ registry, group }] : []
  })
  if (store === undefined) {
    throw new MeshError(
      'E_CONFIG_INVALID',
      `${options.config}: registries: no Nacos registry with a rulesGroup to keep rules in`,
    )
  }
  const { registry, group } = store
  const adapters = await createAdapters({ ...config, registries: [registry] }, quietDeps, () => false)
  const [adapter] = adapters
  const source = adapter?.config
  if (adapter === undefined || source === undefined) {
    throw new MeshError('E_CONFIG_INVALID', `${registry.name}: this registry keeps no configuration`)
  }
  adapter.start()
  try {
    return await work({ config, adapter, source, group })
  } finally {
    await adapter.close()
  }
}

export function readRules(paths: readonly string[]): RuleFile[] {
  return paths.flatMap((path) => {
    try {
      const files = statSync(path).isDirectory() ? yamlFilesIn(path).files : [path]
      return files.map((file) => ({ name: basename(file), text: readFileSync(file, 'utf8') }))
    } catch (cause) {
      throw new MeshError('E_CONFIG_UNREADABLE', `${path}: cannot be read; nothing was changed`, { cause })
    }
  })
}

/** The same compiler that runs in control; a rule with problems never leaves this machine. */
function areGood(output: Output, files: readonly RuleFile[], config: AgentConfig): boolean {
  const { statuses } = new RuleStore(ruleScope(config)).replaceSource('files', files)
  let isGood = true
  for (const status of statuses) {
    if (status.state === 'rejected') isGood = false
    for (const problem of status.problems) {
      output.problem(`${status.document}:${problem.line}:${problem.column}  ${problem.path}: ${problem.message}`)
    }
  }
  if (!isGood) output.problem('E_RULE_REJECTED  nothing was changed in the registry')
  return isGood
}

function read(store: Store, dataId: string): Promise<ConfigDocument | undefined> {
  return store.source.read(store.group, dataId, AbortSignal.timeout(requestTimeoutMs))
}

function scopeOf(config: AgentConfig): HostScope {
  return hostScope(ruleScope(config))
}

function dataIdOf(name: string, config: AgentConfig): string {
  const service = parseServiceName(name, config.serviceDefaults)
  if (service === undefined) throw new MeshError('E_CONFIG_INVALID', `${name}: not a service name`)
  return serviceRulesId(service)
}

function show(output: Output, results: readonly { dataId: string; result: string }[]): void {
  if (output.isJson) output.json(results)
  else
    output.table(
      ['document', 'result'],
      results.map((one) => [one.dataId, one.result]),
    )
}

function printDiff(output: Output, dataId: string, before: string, after: string): void {
  output.line(output.style('bold', dataId))
  for (const [kind, line] of diff(before.split('\n'), after.split('\n'))) {
    if (kind === 0) output.line(`  ${line}`)
    // util.diff says 1 for lines only in the first, -1 for lines only in the second text
    else if (kind === 1) output.line(output.style('red', `- ${line}`))
    else output.line(output.style('green', `+ ${line}`))
  }
}
