/** Discovery of a center in a process of its own, over a registry in memory (`server.ts`). */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { memoryOf, type CenterFigures, type CenterUnderTest } from './center-under-test.ts'

export class DiscoveryAlone implements CenterUnderTest {
  readonly what = 'discovery alone, over a registry in memory'
  readonly token = undefined
  port = 0
  private readonly services: number
  private child: ChildProcess | undefined
  private lines: Interface | undefined
  private isKilled = false

  constructor(services: number) {
    this.services = services
  }

  async start(): Promise<void> {
    const argv = [join(import.meta.dirname, 'server.ts'), String(this.port), String(this.services)]
    const child = spawn(process.execPath, argv, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.child = child
    this.isKilled = false
    // whatever is waited for would never come
    child.once('exit', (code, signal) => {
      if (this.isKilled) return
      console.error(`the center ended by itself: ${signal ?? `exit code ${code}`}`)
      process.exit(1)
    })
    this.lines = createInterface({ input: child.stdout })
    const [line] = (await once(this.lines, 'line')) as [string]
    this.port = Number(line.split(' ')[1])
  }

  change(service: string, at: number): void {
    this.child!.stdin!.write(`change ${service} ${at}\n`)
  }

  async figures(): Promise<CenterFigures> {
    this.child!.stdin!.write('figures\n')
    const [line] = (await once(this.lines!, 'line')) as [string]
    const said = JSON.parse(line) as Record<string, number>
    return { sentBytes: said['xds_bytes'] ?? 0, ...memoryOf(this.child!.pid!) }
  }

  async kill(): Promise<void> {
    this.isKilled = true
    const ended = once(this.child!, 'exit')
    this.child!.kill('SIGKILL')
    await ended
  }

  close(): Promise<void> {
    return this.kill()
  }
}
