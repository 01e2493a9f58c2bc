/**
 * Whether transports on sockets of our own may serve on this host, tried once in a child process, which may die of it,
 * and remembered in the state directory: `transport-trial.json`. It is tried again when Node, the kernel, the machine
 * or its seccomp filters are others, or when the file is gone.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { release } from 'node:os'

import { untriedReason } from '../../../../native/bare-functions.ts'

const trialLimitMs = 10_000
const maxReason = 300

/** How a trial ended: '' = everything was as expected. `isFinal`: it would end so again. */
export interface TrialEnd {
  readonly reason: string
  readonly isFinal: boolean
}

export interface TrialDeps {
  /** Where the result is remembered. */
  readonly file: string
  /** Program and words of the child; see `main.ts`. */
  readonly command: readonly string[]
  readonly node: string
  readonly machine: string
  readonly platform: string
}

interface Remembered {
  readonly host: string
  readonly reason: string
}

/** '' = they may serve; the reason why not otherwise. Costs a child process of 0.3 s, once per host. */
export async function trial(deps: TrialDeps): Promise<string> {
  const { file, machine, node, platform } = deps
  const untried = untriedReason(node, machine, platform)
  if (untried !== undefined) return untried
  const host = hostOf(node, machine)
  const known = remembered(file)
  if (known?.host === host) return known.reason
  const end = await tryInChild(deps.command)
  if (end.isFinal) remember(file, { host, reason: end.reason })
  return end.reason
}

function hostOf(node: string, machine: string): string {
  const filters = readText('/proc/self/status')?.match(/^Seccomp.*$/gm) ?? []
  return [`node ${node}`, machine, release(), ...filters.map((line) => line.replace(/\s+/, ' '))].join(', ')
}

function tryInChild([program = '', ...words]: readonly string[]): Promise<TrialEnd> {
  // loaded here: most starts know how the trial ended
  const { spawn } = process.getBuiltinModule('node:child_process')
  return new Promise((resolve) => {
    const child = spawn(program, words, {
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: trialLimitMs,
      killSignal: 'SIGKILL',
    })
    let text = ''
    child.stderr.on('data', (chunk: Buffer) => (text = (text + chunk.toString()).slice(-4096)))
    child.once('error', (error) => resolve({ reason: `the self-test did not start: ${error.message}`, isFinal: false }))
    child.once('close', (code, signal) => {
      if (code === 0) resolve({ reason: '', isFinal: true })
      else if (signal === 'SIGKILL')
        resolve({ reason: `the self-test did not end in ${trialLimitMs} ms`, isFinal: false })
      else if (signal !== null) resolve({ reason: `the self-test died of ${signal}`, isFinal: true })
      else resolve({ reason: `the self-test failed: ${lastLine(text, code)}`, isFinal: true })
    })
  })
}

function lastLine(text: string, code: number | null): string {
  return (text.trim().split('\n').at(-1) || `exit code ${code}`).slice(0, maxReason)
}

function remembered(file: string): Remembered | undefined {
  try {
    const found = JSON.parse(readFileSync(file, 'utf8')) as Partial<Remembered> | null
    return typeof found?.host === 'string' && typeof found.reason === 'string' ? (found as Remembered) : undefined
  } catch {
    return undefined
  }
}

/** A directory that cannot be written costs a trial per start. */
function remember(file: string, result: Remembered): void {
  const temporary = `${file}.${process.pid}.tmp`
  try {
    writeFileSync(temporary, `${JSON.stringify(result)}\n`, { mode: 0o600 })
    renameSync(temporary, file)
  } catch {
    // Tried again at the next start.
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return undefined
  }
}
