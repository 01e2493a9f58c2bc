/** A real etcd for tests, on loopback and on ports of its own. */
import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePort } from '../free-port.ts'

const run = promisify(execFile)
const readyTimeoutMs = 60_000

export interface EtcdServer {
  readonly port: number
  /** One call of the JSON gateway. */
  call(method: string, body: object, token?: string): Promise<Record<string, unknown>>
  kill(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

/** For a `before` hook: skips its suite, by name, where no etcd can run. */
export async function needsEtcd(context: Mocha.Context): Promise<void> {
  context.timeout(120_000)
  try {
    await run('etcd', ['--version'])
  } catch {
    console.log('skipped: no real etcd: etcd is not installed (Debian: etcd-server)')
    context.skip()
  }
}

/** `jwt`: its tokens say for which users and roles they were made; otherwise they are names of its own. */
export async function startEtcd({ tokens = 'simple' }: { tokens?: 'simple' | 'jwt' } = {}): Promise<EtcdServer> {
  const home = mkdtempSync(join(tmpdir(), 'hostmesh-etcd-'))
  const secret = join(home, 'secret')
  writeFileSync(secret, 'a secret of this test alone', { mode: 0o600 })
  const [port, peer] = [await freePort(), await freePort()]
  const url = `http://127.0.0.1:${port}`
  let child: ChildProcess | undefined
  let log = ''
  process.once('exit', () => {
    child?.kill('SIGKILL')
    rmSync(home, { recursive: true, force: true })
  })
  const call: EtcdServer['call'] = async (method, body, token) => {
    const answer = await fetch(`${url}/v3/${method}`, {
      method: 'POST',
      body: JSON.stringify(body),
      ...(token === undefined ? {} : { headers: { authorization: token } }),
    })
    const json = (await answer.json()) as Record<string, unknown>
    if (!answer.ok) throw new Error(`${method}: ${answer.status} ${JSON.stringify(json)}`)
    return json
  }
  const kill = async (): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
  const server: EtcdServer = {
    port,
    call,
    kill,
    start: async () => {
      child = spawn(
        'etcd',
        [
          '--data-dir',
          join(home, 'data'),
          '--listen-client-urls',
          url,
          '--advertise-client-urls',
          url,
          '--listen-peer-urls',
          `http://127.0.0.1:${peer}`,
          '--initial-advertise-peer-urls',
          `http://127.0.0.1:${peer}`,
          '--initial-cluster',
          `default=http://127.0.0.1:${peer}`,
          '--auth-token',
          tokens === 'jwt' ? `jwt,priv-key=${secret},sign-method=HS256,ttl=10m` : 'simple',
          '--logger',
          'zap',
        ],
        { stdio: ['ignore', 'ignore', 'pipe'] },
      )
      child.stderr!.on('data', (bytes: Buffer) => void (log = (log + bytes.toString()).slice(-4000)))
      const deadline = performance.now() + readyTimeoutMs
      for (;;) {
        const isReady = await call('kv/range', { key: 'AA==' }).then(
          () => true,
          (error: Error) => /auth|user/.test(error.message),
        )
        if (isReady) return
        if (child.exitCode !== null || performance.now() > deadline)
          throw new Error(`etcd did not become ready: ${log}`)
        await delay(50)
      }
    },
    stop: async () => {
      await kill()
      rmSync(home, { recursive: true, force: true })
    },
  }
  await server.start()
  return server
}
