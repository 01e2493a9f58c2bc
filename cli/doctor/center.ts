/** The centers: does each take a relayed connection of this host, with the proof that this host has. */
import { connect } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { unreadable } from '../../agent/control/config/readable-file.ts'
import { formatHostPort } from '../../agent/control/config/scalars.ts'
import type { AgentConfig } from '../../agent/control/config/types.ts'
import { probeRequest } from '../../contracts/handoff.ts'
import { maxRelayIdentityBytes, readRelayIdentity, towardsCenter } from '../../contracts/relay-identity.ts'
import { stateFiles } from '../../contracts/run-directory.ts'
import type { WorkloadCertificate } from '../../contracts/workload-certificate.ts'
import { SecretFile } from '../../native/secret-file.ts'
import { relayGreeting } from '../traffic/relay-greeting.ts'
import type { Facts } from './facts.ts'
import type { Finding } from './finding.ts'

const answerTimeoutMs = 2000

export async function centerFindings(config: AgentConfig, { command, watchdog }: Facts): Promise<Finding[]> {
  const { addresses, mtls, secretFile } = config.center
  if (config.role === 'center') return []
  if (addresses.length === 0)
    return [
      {
        link: 'center',
        state: 'skipped',
        says: 'no center is set: behind a dead agent callers go straight to the last known endpoints',
      },
    ]
  const reason = secretFile === undefined ? undefined : unreadable(secretFile)
  if (reason !== undefined)
    return [
      {
        link: 'center',
        state: 'bad',
        says: `the secret that centers want cannot be read: ${reason}`,
        proof: `center.secretFile: ${secretFile}`,
        next: command('check'),
      },
    ]
  const now = (): number => performance.now()
  const identityFile = join(config.stateDir, stateFiles.relayIdentity)
  const ours = mtls ? new SecretFile(identityFile, readRelayIdentity, now, maxRelayIdentityBytes) : undefined
  const identity = ours?.get()
  if (ours !== undefined && identity === undefined)
    return [
      {
        link: 'center',
        state: 'bad',
        says: `centers are called in mutual TLS (center.mtls), and ${ours.problem}`,
        proof: identityFile,
        next: command('certs'),
      },
    ]
  const greeting = relayGreeting(`${config.host.name} doctor`, secretFile, now)
  return Promise.all(
    addresses.map(async (center): Promise<Finding> => {
      const at = formatHostPort(center)
      const problem = await askRelay(center.host, center.port, greeting(), identity)
      if (problem === undefined)
        return { link: 'center', state: 'good', says: `${at} answers and takes connections of this host` }
      const seen =
        watchdog.kind === 'answer' ? watchdog.value.relay.centers.find((one) => one.address === at) : undefined
      return {
        link: 'center',
        state: 'bad',
        says: `${at}: ${problem}`,
        proof:
          seen === undefined
            ? `asked ${at} now`
            : `the watchdog says: ${seen.isUsable ? 'usable' : 'does not answer'}, ${seen.failures} failures`,
        next: `on the center: hostmesh doctor -c /etc/hostmesh/center.yaml; relay.allowedNetworks, relay.secretFile, relay.mtls and relay.hosts there; ${command('generations')} here`,
      }
    }),
  )
}

/** Why it does not answer as a center answers its hosts; undefined = it does. */
function askRelay(
  host: string,
  port: number,
  greeting: Buffer,
  identity: WorkloadCertificate | undefined,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const to = { host, port }
    const socket = identity === undefined ? connect(to) : connectTls({ ...to, ...towardsCenter(identity) })
    let head = ''
    const settle = (problem: string | undefined): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(problem)
    }
    const timer = setTimeout(() => settle(`no answer after ${answerTimeoutMs} ms`), answerTimeoutMs)
    socket.on(identity === undefined ? 'connect' : 'secureConnect', () => {
      socket.write(greeting)
      socket.write(`GET ${probeRequest.path} HTTP/1.1\r\nhost: ${probeRequest.host}\r\nconnection: close\r\n\r\n`)
    })
    socket.on('data', (chunk: Buffer) => {
      head += chunk.toString('latin1')
      if (head.length < 12) return
      const status = /^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]
      settle(status === '200' ? undefined : `it answers ${status ?? 'no HTTP'}: is that the relay of a center?`)
    })
    socket.on('error', (error: NodeJS.ErrnoException) => settle(`cannot be reached: ${error.code ?? error.message}`))
    socket.on('close', () =>
      settle('it closes the connection: it takes none of this network or not this host, or the secrets differ'),
    )
  })
}
