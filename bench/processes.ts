/** Starts and ends the programs of a benchmark: pinned to a CPU, in a folder of their own, ended by id and awaited. */
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Program {
  readonly pid: number
  readonly child: ChildProcess
  /** What it wrote, the last 16 KiB. */
  readonly output: () => string
  stop(): Promise<void>
}

/** `cpus` as taskset takes them, `0` or `0,1`. The program must not go into the background by itself. */
export function startProgram(
  cpus: string,
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; input?: boolean } = {},
): Program {
  const child = spawn('taskset', ['-c', cpus, command, ...args], {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: [options.input === true ? 'pipe' : 'ignore', 'pipe', 'pipe'],
  })
  let text = ''
  const keep = (chunk: Buffer): void => {
    text = (text + chunk.toString('latin1')).slice(-16_384)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  const ended = once(child, 'exit')
  ended.catch(() => undefined)
  return {
    pid: child.pid ?? -1,
    child,
    output: () => text,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGTERM')
      const force = setTimeout(() => child.kill('SIGKILL'), 3000)
      await ended
      clearTimeout(force)
    },
  }
}

export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/**
 * Waits until something accepts on the port; fails with the program's output when it ends first or the time is over.
 */
export async function untilListening(port: number, program: Program, timeoutMs = 15_000): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (Date.now() < deadline) {
    if (program.child.exitCode !== null) break
    if (await accepts(port)) return
    await sleep(50)
  }
  throw new Error(`nothing listens on 127.0.0.1:${port}: ${program.output()}`)
}

/** Waits until a file (a unix socket) is there; fails like `untilListening`. */
export async function untilExists(path: string, program: Program, timeoutMs = 60_000): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!existsSync(path)) {
    if (program.child.exitCode !== null || Date.now() > deadline) throw new Error(`no ${path}: ${program.output()}`)
    await sleep(20)
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** The children of a process, as the kernel tells them. */
export function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return text === '' ? [] : text.split(' ').map(Number)
}

/** A folder that goes away with `close`. */
export function scratchFolder(name: string): { path: string; close: () => void } {
  const path = mkdtempSync(join(tmpdir(), `hostmesh-bench-${name}-`))
  return { path, close: () => rmSync(path, { recursive: true, force: true }) }
}

/** First line of what a program says about itself, or undefined when it is not there. */
export function versionOf(command: string, args: readonly string[]): string | undefined {
  const run = spawnSync(command, args, { encoding: 'utf8' })
  if (run.error !== undefined) return undefined
  return `${run.stdout}${run.stderr}`.trim().split('\n', 1)[0]
}
