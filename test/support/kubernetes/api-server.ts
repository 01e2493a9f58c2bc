/**
 * A real API server with its etcd, for what a stand-in cannot prove. The program is built from its Go modules, which
 * takes minutes and gigabytes once: so these tests have a command of their own (`npm run test:kubernetes`) and are no
 * part of the suite.
 */
import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import * as https from 'node:https'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEtcd } from '../etcd/server.ts'
import { freePort } from '../free-port.ts'
import { eventually } from '../registry-listener.ts'

const version = 'v1.35.4'

export const agentToken = 'agent-token'
const adminToken = 'admin-token'

export interface ApiServer {
  readonly port: number
  /** As an administrator, or with another token; answers once the head of the answer is there. */
  open(method: string, path: string, body?: object, contentType?: string, token?: string): Promise<IncomingMessage>
  /** As an administrator; answers the status and the JSON. */
  ask(method: string, path: string, body?: object, contentType?: string): Promise<{ status: number; json: unknown }>
  kill(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

/** Path of the program, built where it is missing. */
export function builtApiServer(): string {
  const folder = join(homedir(), '.cache', 'hostmesh-tests', `kube-apiserver-${version}`)
  const program = join(folder, 'kube-apiserver')
  if (existsSync(program)) return program
  mkdirSync(folder, { recursive: true })
  const env = { ...process.env, GOFLAGS: '-mod=mod' }
  const go = (...words: string[]): string => execFileSync('go', words, { cwd: folder, env, encoding: 'utf8' })
  writeFileSync(join(folder, 'go.mod'), `module build\n\ngo 1.25.0\n\nrequire k8s.io/kubernetes ${version}\n`)
  writeFileSync(
    join(folder, 'main.go'),
    'package main\n\nimport _ "k8s.io/kubernetes/cmd/kube-apiserver/app"\n\nfunc main() {}\n',
  )
  // its own go.mod names the parts by folders beside it
  const { GoMod: file } = JSON.parse(go('mod', 'download', '-json', `k8s.io/kubernetes@${version}`)) as {
    GoMod: string
  }
  const staged = JSON.parse(go('mod', 'edit', '-json', file)) as {
    Replace: { Old: { Path: string }; New: { Path: string } }[]
  }
  for (const { Old: old, New: target } of staged.Replace)
    if (target.Path.startsWith('./staging/'))
      go('mod', 'edit', '-replace', `${old.Path}=${old.Path}@${version.replace('v1.', 'v0.')}`)
  go('build', '-o', program, 'k8s.io/kubernetes/cmd/kube-apiserver')
  return program
}

export async function startApiServer(): Promise<ApiServer> {
  const program = builtApiServer()
  const etcd = await startEtcd()
  const folder = mkdtempSync(join(tmpdir(), 'hostmesh-kubernetes-'))
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  writeFileSync(join(folder, 'sa.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }))
  writeFileSync(join(folder, 'sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }))
  writeFileSync(join(folder, 'tokens.csv'), `${adminToken},admin,1,"system:masters"\n${agentToken},agent,2\n`)
  const port = await freePort()
  let child: ChildProcess | undefined
  const open: ApiServer['open'] = (method, path, body, contentType = 'application/json', token = adminToken) =>
    new Promise((resolve, reject) => {
      const text = body === undefined ? '' : JSON.stringify(body)
      const request = https.request(
        {
          host: '127.0.0.1',
          port,
          method,
          path,
          rejectUnauthorized: false,
          agent: false,
          timeout: 10_000,
          headers: {
            authorization: `Bearer ${token}`,
            'content-type': contentType,
            'content-length': Buffer.byteLength(text),
          },
        },
        resolve,
      )
      request.on('timeout', () => request.destroy(new Error('no answer')))
      request.on('error', reject)
      request.end(text)
    })
  const ask: ApiServer['ask'] = async (method, path, body, contentType) => {
    const response = await open(method, path, body, contentType)
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString()
    return { status: response.statusCode ?? 0, json: text.startsWith('{') ? (JSON.parse(text) as unknown) : text }
  }
  const start = async (): Promise<void> => {
    child = spawn(
      program,
      [
        `--etcd-servers=http://127.0.0.1:${etcd.port}`,
        `--secure-port=${port}`,
        '--bind-address=127.0.0.1',
        '--advertise-address=127.0.0.1',
        '--service-cluster-ip-range=10.255.0.0/24',
        '--service-account-issuer=https://kubernetes.test',
        `--service-account-key-file=${join(folder, 'sa.pub')}`,
        `--service-account-signing-key-file=${join(folder, 'sa.key')}`,
        `--cert-dir=${join(folder, 'certs')}`,
        `--token-auth-file=${join(folder, 'tokens.csv')}`,
        '--authorization-mode=RBAC',
        '--disable-admission-plugins=ServiceAccount',
        '--endpoint-reconciler-type=none',
      ],
      { stdio: ['ignore', 'ignore', 'ignore'] },
    )
    await eventually(
      () =>
        ask('GET', '/readyz').then(
          ({ status }) => status === 200,
          () => false,
        ),
      'the API server',
      90_000,
    )
  }
  const kill = async (): Promise<void> => {
    const dying = child
    if (dying === undefined || dying.exitCode !== null) return
    const gone = new Promise((resolve) => dying.once('exit', resolve))
    dying.kill('SIGKILL')
    await gone
  }
  await start()
  return {
    port,
    open,
    ask,
    kill,
    start,
    stop: async () => {
      await kill()
      await etcd.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
