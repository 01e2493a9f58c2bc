/**
 * `hostmesh check --online`: does every registry of the configuration answer, and what does it let us do? Announces
 * nothing and writes nothing.
 */
import { createAdapters, kindOf, type RegistryFile } from '../../agent/control/kinds/registries.ts'
import type { AgentConfig } from '../../agent/control/config/types.ts'
import { describeError, MeshError } from '../../contracts/errors.ts'
import type { RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { meshRulesId } from '../../contracts/rule-documents.ts'
import { quietDeps } from '../quiet-deps.ts'

/** One question to one server. `problem` undefined = it was answered. */
export interface OnlineFinding {
  readonly registry: string
  readonly server: string
  readonly question: string
  readonly problem: string | undefined
  readonly ms: number
}

/** For one question; a server that refuses connections fails sooner than one that is silent. */
const answerTimeoutMs = 6000

/** Asks every server of every registry on its own: a cluster hides a member that is down. */
export async function checkOnline(config: AgentConfig, timeoutMs = answerTimeoutMs): Promise<OnlineFinding[]> {
  const parts = config.registries.flatMap((section) => kindOf(section).parts(section))
  const asked = parts.map((part) => askPart(config, part.label, part.section as RegistryFile, timeoutMs))
  return (await Promise.all(asked)).flat()
}

async function askPart(
  config: AgentConfig,
  server: string,
  section: RegistryFile,
  timeoutMs: number,
): Promise<OnlineFinding[]> {
  const findings: OnlineFinding[] = []
  const ask = async (question: string, work: (signal: AbortSignal) => Promise<unknown>): Promise<boolean> => {
    const startedAt = performance.now()
    let problem: string | undefined
    try {
      await work(AbortSignal.timeout(timeoutMs))
    } catch (error) {
      problem = error instanceof MeshError ? describeError(error) : `E_INTERNAL  ${describeError(error)}`
    }
    const ms = Math.round(performance.now() - startedAt)
    findings.push({ registry: section.name, server, question, problem, ms })
    return problem === undefined
  }
  let adapter: RegistryAdapter | undefined
  const isMade = await ask('is configured', async () => {
    ;[adapter] = await createAdapters({ ...config, registries: [section] }, quietDeps, () => false)
  })
  if (!isMade || adapter === undefined) return findings
  const made = adapter
  made.start()
  try {
    const isAnswering = await ask('lists services', (signal) => made.listServices(1, signal))
    const group = kindOf(section).rulesGroup(section)
    const { config: documents } = made
    if (isAnswering && group !== undefined && documents !== undefined)
      await ask(`reads rules of group ${group}`, (signal) => documents.read(group, meshRulesId, signal))
  } finally {
    await made.close()
  }
  return findings
}
