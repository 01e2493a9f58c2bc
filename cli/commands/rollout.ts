/** `hostmesh rollout start|list|stop`: a rule for a share of the hosts first. */
import { readFileSync } from 'node:fs'
import { parseAllDocuments } from 'yaml'
import { MeshError } from '../../contracts/errors.ts'
import { adminJson, orderJson } from '../admin-client.ts'
import type { CommandContext } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'

interface Signals {
  readonly hosts: number
  readonly requests: number
  readonly failures: number
  readonly p99Ms: number
}

interface RolloutView {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly creationTimestamp: string }
  readonly status: {
    readonly state: 'running' | 'done' | 'reverted'
    readonly reason: string
    readonly user: string
    readonly hosts: readonly string[]
    readonly share?: Signals
    readonly rest?: Signals
  }
}

export interface StartOptions {
  readonly percent: number | undefined
  readonly labels: readonly string[]
  readonly observe: string
  readonly failures: number | undefined
  readonly minRequests: number | undefined
}

export async function startRollout(
  { admin, output }: CommandContext,
  file: string,
  { percent, labels, observe, failures, minRequests }: StartOptions,
): Promise<ExitCode> {
  const rule = readRule(file)
  const hosts = percent === undefined ? { labels: Object.fromEntries(labels.map(pair)) } : { percent }
  const limits = {
    ...(failures === undefined ? {} : { failures }),
    ...(minRequests === undefined ? {} : { minRequests }),
  }
  const namespace = String(Object(rule['metadata'])['namespace'] ?? 'public')
  const view = (await orderJson(admin, '/rollouts/start', {
    namespace,
    spec: { rule, hosts, observe, limits },
  })) as RolloutView
  if (output.isJson) output.json(view)
  else output.line(`${nameOf(view)}: ${view.status.hosts.length} hosts have it: ${view.status.hosts.join(', ')}`)
  return exitCodes.ok
}

export async function listRollouts({ admin, output }: CommandContext): Promise<ExitCode> {
  const { items } = (await adminJson(admin, '/rollouts')) as { items: readonly RolloutView[] }
  if (output.isJson) output.json(items)
  else
    output.table(
      ['rule', 'state', 'by', 'began', 'hosts', 'share', 'rest', 'reason'],
      items.map((view) => {
        const { state, user, hosts, share, rest, reason } = view.status
        const colour = state === 'reverted' ? 'red' : state === 'done' ? 'green' : 'yellow'
        const cells = [nameOf(view), output.style(colour, state), user, view.metadata.creationTimestamp]
        return [...cells, String(hosts.length), figures(share), figures(rest), reason || '-']
      }),
    )
  return exitCodes.ok
}

/** @param name `shop/virtualservice.orders`. */
export async function stopRollout({ admin, output }: CommandContext, name: string): Promise<ExitCode> {
  const [namespace, below] = name.split('/')
  if (below === undefined) throw new MeshError('E_CONFIG_INVALID', `${name}: allowed NAMESPACE/KIND.NAME, as listed`)
  const reply = await orderJson(admin, '/rollouts/stop', { namespace, name: below })
  if (output.isJson) output.json(reply)
  else output.line(`${name}: its hosts have what all have`)
  return exitCodes.ok
}

function readRule(file: string): Record<string, unknown> {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new MeshError('E_CONFIG_UNREADABLE', `${file}: cannot be read; nothing was changed`, { cause })
  }
  const documents = parseAllDocuments(text, { maxAliasCount: 0 } as object)
  const [document] = documents
  if (documents.length !== 1 || document === undefined || document.errors.length > 0)
    throw new MeshError('E_CONFIG_INVALID', `${file}: allowed one rule in YAML or JSON`)
  return Object(document.toJS()) as Record<string, unknown>
}

function pair(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new MeshError('E_CONFIG_INVALID', `label ${text}: allowed NAME=VALUE`)
  return [text.slice(0, at), text.slice(at + 1)]
}

function nameOf({ metadata }: RolloutView): string {
  return `${metadata.namespace}/${metadata.name}`
}

function figures(signals: Signals | undefined): string {
  if (signals === undefined) return '-'
  const { requests, failures, p99Ms } = signals
  const share = requests === 0 ? 0 : (failures / requests) * 100
  return `${requests} requests, ${share.toFixed(1)} % failed, p99 ${p99Ms < 0 ? 'beyond' : p99Ms} ms`
}
