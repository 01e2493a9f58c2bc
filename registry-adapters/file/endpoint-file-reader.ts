/**
 * Reads endpoint files; long ones beside the loop, since 10,000 instances keep a parser of YAML busy for seconds. A
 * thread that does not end in time, or that needs too much memory, is ended, and control lives on.
 */
import { runBoundedThread, threadEntry } from '../../guard/bounded-thread.ts'
import { isLongYaml } from '../../contracts/yaml-bounds.ts'
import { readEndpointFile, type EndpointFileResult } from './endpoint-file.ts'

export interface FileToRead {
  /** What problems call it. */
  readonly name: string
  readonly source: string
  readonly allowLoopback: boolean
}

/**
 * Rejects if a thread ended without an answer: nothing is known about the file then. `signal` ends the thread.
 *
 * @throws {Error} with the reason
 */
export type ReadEndpoints = (file: FileToRead, signal: AbortSignal) => Promise<EndpointFileResult>

/** The most that the bounds allow takes some 6 s on a processor of its own. */
const deadlineMs = 60_000
const memoryMb = 512
const entry = threadEntry(import.meta.url, './endpoint-file-thread')

/** What `readEndpointFile` gives for the file. */
export async function readEndpoints(
  file: FileToRead,
  signal: AbortSignal,
  bounds = { deadlineMs, memoryMb, entry },
): Promise<EndpointFileResult> {
  const { name, source, allowLoopback } = file
  if (!isLongYaml(source)) return readEndpointFile(name, source, allowLoopback)
  let result: EndpointFileResult | undefined
  const reason = await runBoundedThread<EndpointFileResult>(file, { ...bounds, signal }, (word) => (result = word))
  if (reason !== undefined || result === undefined) throw new Error(reason ?? 'its thread gave no answer')
  return result
}
