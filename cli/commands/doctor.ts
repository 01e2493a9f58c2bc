/**
 * `hostmesh doctor`: every link of the path from the running unit to the answer of a service, each that is not whole
 * with its cause, where that was seen, and what to type next. Changes nothing; sends at most one request, a GET to the
 * service that is named.
 */
import type { AdminClient } from '../admin-client.ts'
import { agentUser, lookAt } from '../doctor/examination.ts'
import { type Finding, type FindingState, exitCodeOfFindings } from '../doctor/finding.ts'
import { gatherFacts } from '../doctor/facts.ts'
import type { ExitCode } from '../exit-codes.ts'
import type { Output } from '../output.ts'

export interface DoctorCall {
  readonly config: string
  /** Whether a request to it arrives; undefined = only the host itself. */
  readonly service: string | undefined
  /** Of that request. */
  readonly path: string
}

const styles = { good: 'green', warning: 'yellow', bad: 'red', unknown: 'red', skipped: 'dim' } as const

/** `admin` throws when the agent's socket cannot be believed. */
export async function doctor(output: Output, admin: () => Promise<AdminClient>, call: DoctorCall): Promise<ExitCode> {
  const startedAt = performance.now()
  const facts = await gatherFacts(call.config, admin)
  const findings = await lookAt(facts, call.service, call.path, agentUser(facts), Date.now)
  const tookMs = Math.round(performance.now() - startedAt)
  const code = exitCodeOfFindings(findings)
  if (output.isJson) output.json({ whole: code === 0, tookMs, findings })
  else print(output, findings, tookMs)
  return code
}

function print(output: Output, findings: readonly Finding[], tookMs: number): void {
  const indent = ' '.repeat(24)
  for (const { link, next, proof, says, state } of findings) {
    output.line(`${output.style(styles[state], state.padEnd(8))}  ${link.padEnd(13)} ${plain(says)}`)
    if (state === 'good' || state === 'skipped') continue
    for (const line of proof?.split('\n') ?? []) output.line(`${indent}${output.style('dim', `seen  ${plain(line)}`)}`)
    if (next !== undefined) output.line(`${indent}next  ${output.style('bold', plain(next))}`)
  }
  const count = (state: FindingState): number => findings.filter((one) => one.state === state).length
  const counts = (['good', 'warning', 'bad', 'unknown', 'skipped'] as const)
    .map((state) => `${count(state)} ${state}`)
    .join(', ')
  output.line(`${counts}; ${tookMs} ms`)
}

/** On one line, without what a terminal would obey: a registry or an application may have said it. */
function plain(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ')
}
