/**
 * Runs inside a machine that was booted with a real systemd, as root: the lines of the documentation that need a whole
 * machine, as they stand there. Writes one JSON line per step to the file in its first argument.
 */
import { spawn } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { keepJournal, serves, step, systemctl, until } from '../continuity/guest-steps.ts'
import { installing, removing, running, starting } from './machine-lines.ts'
import type { MachineLine } from './machine-lines.ts'

const home = '/root/documents'
const saysWithinMs = 60_000
/** The center's, as the documentation has it. */
const centerAddress = '10.0.0.8'

const agent = `host: { address: 127.0.0.1 }
registries:
  - { name: files, type: file, directory: /etc/hostmesh/endpoints }
endpoints: { allowLoopbackEndpoints: true }
outbound:
  sockets: [{ path: /run/hostmesh-apps/outbound.sock }]
  services:
    - { service: orders, protocol: http, port: 20000 }
    - { service: stock, protocol: http, port: 20001 }
workers: 2
accessLog: { format: text, path: /var/log/hostmesh/access.log }
`
const center = `role: center
host: { address: ${centerAddress} }
registries: [{ name: files, type: file, directory: /etc/hostmesh/endpoints }]
endpoints: { allowLoopbackEndpoints: true }
metrics: { address: '${centerAddress}:15020' }
readiness: { address: '${centerAddress}:15021' }
admin: { address: off }
relay: { address: '${centerAddress}:15443', allowedNetworks: [127.0.0.1/32] }
rulesApi:
  address: ${centerAddress}:15016
  tls: { cert: /etc/hostmesh/api.crt, key: /etc/hostmesh/api.key }
  tokensFile: /etc/hostmesh/api.tokens
`
const rules = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders, namespace: shop }
spec: { hosts: [orders], http: [{ redirect: { uri: /moved } }] }
`

function shell(line: string): Promise<{ status: number | null; said: string }> {
  const env = {
    ...process.env,
    HOME: home,
    DEBIAN_FRONTEND: 'noninteractive',
    SYSTEMD_PAGER: '',
  }
  const child = spawn('bash', ['-c', line], { cwd: home, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => (said += bytes.toString()))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status) => resolve({ status, said }))
  })
}

async function take({ line, run = line, says }: MachineLine): Promise<string | undefined> {
  const deadline = performance.now() + saysWithinMs
  for (;;) {
    const { said, status } = await shell(run)
    if (says === undefined) return status === 0 ? undefined : `exit ${status}: ${said}`
    if (status === 0 && says.test(said)) return undefined
    if (performance.now() > deadline) return `exit ${status}, and not ${String(says)}: ${said}`
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

async function takeAll(lines: readonly MachineLine[]): Promise<void> {
  for (const line of lines) await step(line.line, () => take(line))
}

/** What a reader of the pages has downloaded and written. */
function prepare(): void {
  mkdirSync(home)
  for (const name of readdirSync('/results').filter((file) => /\.(deb|tar\.gz)$/.test(file)))
    copyFileSync(`/results/${name}`, `${home}/${name}`)
  writeFileSync(`${home}/rules.yaml`, rules)
  writeFileSync(`${home}/alice.token`, 'a'.repeat(40))
}

async function configure(): Promise<void> {
  mkdirSync('/etc/hostmesh/endpoints')
  mkdirSync('/etc/systemd/system/hostmesh.service.d')
  const dropIn = '[Service]\nRuntimeDirectory=hostmesh-apps\nRuntimeDirectoryMode=0755\n'
  writeFileSync('/etc/systemd/system/hostmesh.service.d/apps.conf', dropIn)
  const endpoints = 'service: orders\nendpoints:\n  - { address: 127.0.0.1, port: 8080 }\n'
  writeFileSync('/etc/hostmesh/endpoints/orders.yaml', endpoints)
  await shell(`ip link set lo up; ip addr add ${centerAddress}/32 dev lo; systemctl daemon-reload`)
  const names = `-subj /CN=center -addext subjectAltName=IP:${centerAddress}`
  const key = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout /etc/hostmesh/api.key'
  await shell(`openssl req -x509 -days 2 ${key} ${names} -out /etc/hostmesh/api.crt && cp /etc/hostmesh/api.crt ca.crt`)
  writeFileSync('/etc/hostmesh/api.tokens', `- { user: alice, token: ${'a'.repeat(40)}, role: admin }\n`)
  writeFileSync('/etc/hostmesh/agent.yaml', agent)
  writeFileSync('/etc/hostmesh/center.yaml', center)
  await shell('chown hostmesh /etc/hostmesh/api.*; chmod 600 /etc/hostmesh/api.*')
}

prepare()
const orders = createServer((_, reply) => reply.end('orders\n')).listen(8080, '127.0.0.1')
// the port of one service is taken
const taken = createServer().listen(20_001, '127.0.0.1')
await takeAll(installing)
await configure()
await takeAll(starting)
await step('the agent serves', async () => {
  await until('it serves', serves)
  return undefined
})
await takeAll(running)
await takeAll(removing)
orders.close()
taken.close()
keepJournal()
systemctl('poweroff')
