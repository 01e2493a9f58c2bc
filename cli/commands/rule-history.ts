/** `hostmesh rules history|revert`: the versions of a rule that a center keeps, and bringing one back. */
import { diff } from 'node:util'
import { stringify } from 'yaml'
import { adminJson, orderJson } from '../admin-client.ts'
import type { CommandContext } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Output } from '../output.ts'

interface Version {
  readonly resourceVersion: string
  readonly at: string | null
  readonly user: string | null
  readonly from: string | null
  readonly verb: string | null
  /** The version that was there before; `0` = none was, null = it does not say. */
  readonly replaces: string | null
  readonly object: { readonly metadata: Readonly<Record<string, unknown>>; readonly spec: unknown } | null
}

/** `shop/orders`, or `orders` in the namespace `public`. */
export interface RuleName {
  readonly kind: string
  readonly namespace: string
  readonly name: string
}

export function ruleName(kind: string, text: string): RuleName {
  const [first, second] = text.split('/')
  return second === undefined
    ? { kind, namespace: 'public', name: first! }
    : { kind, namespace: first!, name: text.slice(first!.length + 1) }
}

/** @param withDiff each version with its lines that the one before it has not. */
export async function ruleHistory(
  { admin, output }: CommandContext,
  rule: RuleName,
  withDiff: boolean,
): Promise<ExitCode> {
  const query = new URLSearchParams({ ...rule })
  const { items } = (await adminJson(admin, `/rules/history?${query.toString()}`)) as { items: readonly Version[] }
  if (output.isJson) output.json(items)
  else if (withDiff)
    for (const [at, version] of items.entries()) printChange(output, version, replacedBy(version, items, items[at + 1]))
  else
    output.table(
      ['version', 'at', 'who', 'from', 'what'],
      items.map(({ resourceVersion, at, user, from, verb }) => {
        return [resourceVersion, at ?? '-', user ?? '-', from ?? '-', verb ?? '-']
      }),
    )
  return exitCodes.ok
}

export interface RevertOptions {
  readonly change: number | undefined
  readonly to: number | undefined
  readonly expect: number | undefined
}

export async function revertRule(
  { admin, output }: CommandContext,
  rule: RuleName,
  { change, to, expect }: RevertOptions,
): Promise<ExitCode> {
  const order = { ...rule, change, to, resourceVersion: expect?.toString() }
  const body = (await orderJson(admin, '/rules/revert', order)) as {
    kind?: string
    message?: string
    metadata?: { resourceVersion?: string }
  }
  if (output.isJson) output.json(body)
  else
    output.line(
      body.kind === 'Status'
        ? `${rule.kind} ${rule.namespace}/${rule.name} is not there any more, as before`
        : `${rule.kind} ${rule.namespace}/${rule.name} is version ${body.metadata?.resourceVersion} now`,
    )
  return exitCodes.ok
}

/** undefined = it is not kept any more, `nothing` = there was no such rule. */
function replacedBy(
  { replaces }: Version,
  items: readonly Version[],
  older: Version | undefined,
): Version | 'nothing' | undefined {
  if (replaces === '0') return 'nothing'
  return replaces === null ? older : items.find(({ resourceVersion }) => resourceVersion === replaces)
}

function printChange(output: Output, version: Version, before: Version | 'nothing' | undefined): void {
  const { resourceVersion, at, user, verb } = version
  output.line(output.style('bold', `${resourceVersion}  ${verb ?? '-'} by ${user ?? '-'}, ${at ?? '-'}`))
  if (before === undefined) {
    output.line('  what was before it is not kept any more; as a whole:')
    for (const line of linesOf(version)) output.line(`  ${line}`)
    return
  }
  for (const [kind, line] of diff(linesOf(before), linesOf(version))) {
    if (kind === 0) output.line(`  ${line}`)
    // util.diff says 1 for lines only in the first, -1 for lines only in the second text
    else if (kind === 1) output.line(output.style('red', `- ${line}`))
    else output.line(output.style('green', `+ ${line}`))
  }
}

/** What an operator wrote: without what the center adds. */
function linesOf(version: Version | 'nothing'): string[] {
  if (version === 'nothing' || version.object === null) return []
  const { labels, annotations } = version.object.metadata
  const { spec } = version.object
  const written = {
    ...(labels === undefined ? {} : { labels }),
    ...(annotations === undefined ? {} : { annotations }),
    spec,
  }
  return stringify(written).trimEnd().split('\n')
}
