/** A real Prometheus (Debian package `prometheus`) that scrapes hosts of a test. */
import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { stringify } from 'yaml'
import { freePort } from '../free-port.ts'

const run = promisify(execFile)

export interface Sample {
  readonly metric: Readonly<Record<string, string>>
  /** Of an instant: time, and the value as text. */
  readonly value: readonly [number, string]
}

export class RealPrometheus {
  private readonly folder: string
  private readonly port: number
  private readonly child: ChildProcess

  /** Why there is none; undefined = there is. */
  static async missing(): Promise<string | undefined> {
    for (const tool of ['prometheus', 'promtool'])
      try {
        await run(tool, ['--version'])
      } catch {
        return `no real Prometheus: ${tool} is not installed (Debian package prometheus)`
      }
    return undefined
  }

  /** @param targets `host:port` each. @param rules files of rules. */
  static async start(targets: readonly string[], rules: readonly string[] = []): Promise<RealPrometheus> {
    return new RealPrometheus(await freePort(), {
      global: { scrape_interval: '500ms', evaluation_interval: '1s' },
      rule_files: rules,
      scrape_configs: [{ job_name: 'hostmesh', static_configs: [{ targets }] }],
    })
  }

  private constructor(port: number, config: object) {
    this.folder = mkdtempSync(join(tmpdir(), 'hostmesh-prometheus-'))
    this.port = port
    const file = join(this.folder, 'prometheus.yml')
    writeFileSync(file, stringify(config))
    const flags = {
      'config.file': file,
      'storage.tsdb.path': join(this.folder, 'data'),
      'web.listen-address': `127.0.0.1:${port}`,
      'log.level': 'warn',
    }
    const words = Object.entries(flags).map(([name, value]) => `--${name}=${value}`)
    this.child = spawn('prometheus', words, { stdio: 'ignore' })
  }

  async query(expr: string): Promise<Sample[]> {
    const words = new URLSearchParams({ query: expr }).toString()
    const reply = await fetch(`http://127.0.0.1:${this.port}/api/v1/query?${words}`)
    const answer = (await reply.json()) as { status: string; error?: string; data?: { result: Sample[] } }
    if (answer.status !== 'success') throw new Error(`${expr}: ${answer.error}`)
    return answer.data!.result
  }

  async close(): Promise<void> {
    const exited = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await exited
    rmSync(this.folder, { recursive: true, force: true })
  }
}
