/** Composition root of the `hostmesh` command: words of the call to commands, errors to exit codes. */
import { CommanderError } from 'commander'
import { MeshError, describeError } from '../contracts/errors.ts'
import { createCommandLine } from './command-line.ts'
import { defineFleet } from './definitions/fleet.ts'
import { defineIdentities } from './definitions/identities.ts'
import { defineLive } from './definitions/live.ts'
import { defineProcesses } from './definitions/processes.ts'
import { defineQuestions } from './definitions/questions.ts'
import { defineOutbound } from './definitions/outbound.ts'
import { defineRules } from './definitions/rules.ts'
import { defineTrials } from './definitions/trials.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'

const line = createCommandLine()
for (const define of [
  defineProcesses,
  defineQuestions,
  defineOutbound,
  defineRules,
  defineLive,
  defineTrials,
  defineIdentities,
  defineFleet,
])
  define(line)

export const { program } = line

/** Does what the words of this process say, and sets its exit code. */
export async function run(): Promise<void> {
  endQuietlyWithoutReader()
  try {
    await program.parseAsync()
  } catch (error) {
    process.exitCode = exitCodeOf(error)
  }
}

function endQuietlyWithoutReader(): void {
  let isOutputLost = false
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // whoever read us has seen enough (`| head`): not a failure, and the exit code stays that of the answer
    if (error.code === 'EPIPE' || isOutputLost) return
    isOutputLost = true
    process.stderr.write(`hostmesh: the answer could not be written: ${error.message}\n`)
  })
  // there is nobody left to tell
  process.stderr.on('error', () => undefined)
  process.on('exit', (code) => {
    if (isOutputLost && code === exitCodes.ok) process.exitCode = exitCodes.failed
  })
}

function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
  const out = line.output()
  if (out.isJson && error instanceof MeshError) out.json({ error: { code: error.code, message: describeError(error) } })
  else out.problem(`hostmesh: ${describeError(error)}`)
  if (!(error instanceof MeshError)) return exitCodes.failed
  if (error.code === 'E_ADMIN_UNREACHABLE' || error.code === 'E_REGISTRY_UNREACHABLE') return exitCodes.unreachable
  if (error.code === 'E_CONFIG_INVALID' || error.code === 'E_CONFIG_UNREADABLE') return exitCodes.config
  return exitCodes.failed
}

if (import.meta.main) await run()
