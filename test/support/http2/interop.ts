/** The interop peers of grpc-go, as processes: an application, and callers that each play one case. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

import { goTool, interopClient, interopServer } from '../go-tool.ts'

/**
 * The cases of grpc/grpc doc/interop-test-descriptions.md that need no credentials and that grpc-go's caller knows; it
 * leaves out the four about compression.
 */
export const interopCases = [
  'empty_unary',
  'large_unary',
  'client_streaming',
  'server_streaming',
  'ping_pong',
  'empty_stream',
  'timeout_on_sleeping_server',
  'cancel_after_begin',
  'cancel_after_first_response',
  'status_code_and_message',
  'special_status_message',
  'custom_metadata',
  'unimplemented_method',
  'unimplemented_service',
] as const

/** How a caller ended: '' = its case passed. */
export type CaseEnd = string

export class InteropPeers {
  readonly port: number
  private readonly client: string
  private readonly server: ChildProcess
  private readonly callers = new Set<ChildProcess>()

  /** Resolves when the application listens; or answers why there are no peers. */
  static async start(): Promise<InteropPeers | { missing: string }> {
    const client = await goTool(interopClient)
    if ('missing' in client) return client
    const server = await goTool(interopServer)
    if ('missing' in server) return server
    const application = spawn(server.program, { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = (await once(application.stdout, 'data')) as [Buffer]
    return new InteropPeers(client.program, application, Number(line.toString()))
  }

  private constructor(client: string, server: ChildProcess, port: number) {
    this.client = client
    this.server = server
    this.port = port
  }

  /** Plays a case against a port. `words`: further options of grpc-go's caller. */
  async play(name: string, port: number, words: readonly string[] = []): Promise<CaseEnd> {
    const where = ['--server_host', '127.0.0.1', '--server_port', String(port)]
    const caller = spawn(this.client, [...where, '--test_case', name, ...words])
    this.callers.add(caller)
    let said = ''
    caller.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()))
    const [code, signal] = (await once(caller, 'close')) as [number | null, string | null]
    this.callers.delete(caller)
    return code === 0 ? '' : `${name}: ${code ?? signal}\n${said.slice(-2000)}`
  }

  /** Plays all of them beside each other; answers those that failed. */
  async playAll(names: readonly string[], port: number): Promise<CaseEnd[]> {
    const ends = await Promise.all(names.map((name) => this.play(name, port)))
    return ends.filter((end) => end !== '')
  }

  close(): void {
    for (const caller of this.callers) caller.kill('SIGKILL')
    this.server.kill('SIGKILL')
  }
}
