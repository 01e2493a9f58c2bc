/** An application on a host, and callers of it there, in a process in that host's network. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { BootedHost } from './booted-hosts.ts'

export interface Outcome {
  readonly answered: number
  readonly failures: readonly string[]
}

export class HostTraffic {
  readonly host: BootedHost
  private readonly child: ChildProcess

  static async start(host: BootedHost, applicationPort: number, outboundPort: number): Promise<HostTraffic> {
    const program = join(import.meta.dirname, 'traffic-main.ts')
    const words = [process.execPath, program, String(applicationPort), String(outboundPort)]
    const child = spawn('ip', ['netns', 'exec', host.namespace, ...words], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    const traffic = new HostTraffic(host, child)
    await traffic.heard()
    return traffic
  }

  private constructor(host: BootedHost, child: ChildProcess) {
    this.host = host
    this.child = child
  }

  /** Resolves when each caller has had an answer. Rejects with why not. */
  async load(): Promise<void> {
    this.child.send('load')
    const said = await this.heard()
    if (said !== 'loading') throw new Error(`${this.host.name}: ${JSON.stringify(said)}`)
  }

  async stop(): Promise<Outcome> {
    this.child.send('stop')
    return (await this.heard()) as Outcome
  }

  close(): void {
    if (this.child.connected) this.child.disconnect()
  }

  private async heard(): Promise<unknown> {
    const gone = once(this.child, 'exit').then(() => {
      throw new Error(`the traffic of ${this.host.name} ended`)
    })
    return ((await Promise.race([once(this.child, 'message'), gone])) as unknown[])[0]
  }
}
