/** Who is who in the demo: an authority in the center, identities for the hosts, and a policy that goes by them. */
import { once } from 'node:events'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, get, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { orderJson } from '../admin-client.ts'
import { joinHost } from '../commands/join.ts'
import type { DemoHost } from '../launch/host.ts'
import { createOutput } from '../output.ts'

export const relayPort = 15_443
const trustDomain = 'demo.mesh'
const authorityPort = 15_012
const accessLog = 'access.log'
const tokenLifetimeMs = 600_000
const authorityMs = 60_000

/** `vault` answers to `web` alone, whoever else asks. */
export const vaultPolicy = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: for-web-alone, namespace: public }
spec:
  selector: { matchLabels: { app: vault } }
  rules:
    - from: [{ source: { principals: [${trustDomain}/ns/default/sa/web] } }]
`

/** Of `center.yaml`: an authority, and a relay that takes hosts which it certified alone. */
export function centerTrust(address: string): Record<string, unknown> {
  return {
    ca: { address: `${address}:${authorityPort}`, trustDomain },
    relay: { address: `${address}:${relayPort}`, allowedNetworks: ['127.0.0.0/8'], mtls: 'strict' },
  }
}

/** Of `agent.yaml`. `center`: the address of the center; `directory`: of the host. */
export function hostTrust(center: string, directory: string): Record<string, unknown> {
  return {
    identity: { authorities: [`${center}:${authorityPort}`] },
    center: { addresses: [`${center}:${relayPort}`], mtls: true },
    accessLog: { format: 'json', path: join(directory, accessLog) },
  }
}

/** As an operator does it: a token is made at the center and used at the host, once. */
export async function joinCenter(host: DemoHost, center: DemoHost): Promise<void> {
  const { name, directory } = host.options
  const wishes = { host: name, identities: ['ns/default/sa/*'], isReusable: false, lifetimeMs: tokenLifetimeMs }
  const state = (): string => 'its authority is not open'
  let token = ''
  await center.until(authorityMs, state, async () => {
    token = ((await orderJson(center.admin, '/ca/tokens', wishes)) as { token: string }).token
    return true
  })
  host.writeFiles()
  const tokenFile = join(directory, 'token')
  writeFileSync(tokenFile, token, { mode: 0o600 })
  const nobody = { write: () => true }
  await joinHost(createOutput(false, { out: nobody, err: nobody }), { config: host.configPath, tokenFile })
  rmSync(tokenFile)
}

/** One call to `vault` through the shared port of a host: status, and the word of the mesh where it refused. */
export async function askVault(host: DemoHost, sharedPort: number): Promise<string> {
  const agent = new Agent({ keepAlive: false })
  const asked = get({ agent, host: host.options.address, port: sharedPort, headers: { host: 'vault' } })
  const [reply] = (await once(asked, 'response')) as [IncomingMessage]
  reply.resume()
  return [reply.statusCode, reply.headers['x-mesh-error']].join(' ').trim()
}

/** Why the host refused its last caller of `vault`, by its access log; '' = it has not said so (yet). */
export function refusalOfVault(host: DemoHost): string {
  const lines = readFileSync(join(host.options.directory, accessLog), 'utf8').split('\n')
  const line = lines.findLast((one) => one.endsWith('}') && one.includes('vault') && one.includes('rbac_access_denied'))
  return /rbac_access_denied[^"]*/.exec(line ?? '')?.[0] ?? ''
}
