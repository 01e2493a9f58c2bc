/** Runs the open-loop generator in a process of its own, pinned to its CPU. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

export interface OpenLoopResult {
  readonly sent: number
  readonly failed: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly latenessP99Ms: number
}

const program = fileURLToPath(new URL('./open-loop-main.ts', import.meta.url))

export async function runOpenLoop(
  cpus: string,
  port: number,
  rate: number,
  seconds: number,
  connections: number,
  address = '127.0.0.1',
): Promise<OpenLoopResult> {
  const numbers = [port, rate, seconds, connections].map(String)
  const args = ['-c', cpus, process.execPath, program, ...numbers, address]
  const { stdout } = await promisify(execFile)('taskset', args)
  return JSON.parse(stdout) as OpenLoopResult
}
