/** Whether the clock of this host can be right: by the servers that it asks, by who keeps it, by its own release. */
import { request } from 'node:http'
import { statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { formatHostPort, type HostPort } from '../../agent/control/config/scalars.ts'
import type { AgentConfig } from '../../agent/control/config/types.ts'
import { kindOf } from '../../agent/control/kinds/registries.ts'
import { proofAgeMs } from '../../contracts/relay-proof.ts'
import { isSystemdHost, printed, properties } from '../service-manager.ts'
import type { Finding } from './finding.ts'

const programTimeoutMs = 2000
const answerTimeoutMs = 1500
/** Servers that are asked. */
const mostAsked = 4
/** A difference that whoever reads logs of two hosts minds; `Date` counts whole seconds. */
const noticeableMs = 5000
const dayMs = 86_400_000
const next = 'timedatectl; chronyc makestep, or date --set'

/**
 * @param wall epoch ms, ms-precise now.
 * @param releaseFile made with the release.
 */
export async function clockFindings(
  config: AgentConfig | undefined,
  wall: () => number,
  releaseFile: URL,
): Promise<Finding[]> {
  const now = new Date(wall()).toISOString()
  if (wall() < statSync(releaseFile).mtimeMs - dayMs)
    return [
      {
        link: 'clock',
        state: 'bad',
        says: `it is ${now} here, before this release was made: certificates and proofs fail`,
        proof: `${fileURLToPath(releaseFile)} is of ${statSync(releaseFile).mtime.toISOString()}`,
        next,
      },
    ]
  const asked = await Promise.all(
    webServers(config)
      .slice(0, mostAsked)
      .map((server) => differenceTo(server, wall)),
  )
  const known = asked.filter((one) => one !== undefined)
  const far = known.toSorted((a, b) => Math.abs(b.ms) - Math.abs(a.ms))[0]
  if (far !== undefined && Math.abs(far.ms) > noticeableMs) {
    const isTooFar = Math.abs(far.ms) > proofAgeMs
    const harm = isTooFar ? ': centers refuse the proofs of this host' : ''
    const proof = `${far.server} says ${far.date}`
    return [
      {
        link: 'clock',
        state: isTooFar ? 'bad' : 'warning',
        says: `it is ${now} here, ${Math.round(far.ms / 1000)} s from ${far.server}${harm}`,
        proof,
        next,
      },
    ]
  }
  const agreed = known.length === 0 ? '' : `, as at ${known.map(({ server }) => server).join(', ')}`
  const shown = isSystemdHost()
    ? await printed('timedatectl', ['show', '--property', 'NTPSynchronized'], programTimeoutMs)
    : undefined
  const isKept = shown === undefined ? undefined : properties(shown).get('NTPSynchronized') === 'yes'
  if (isKept === false)
    return [
      {
        link: 'clock',
        state: 'warning',
        says: `it is ${now} here${agreed}, and nobody keeps the clock`,
        proof: `timedatectl: ${shown!.trim()}`,
        next: 'systemctl enable --now systemd-timesyncd, or chrony',
      },
    ]
  if (isKept === true || known.length > 0)
    return [
      { link: 'clock', state: 'good', says: `it is ${now} here${agreed}${isKept === true ? ', kept by NTP' : ''}` },
    ]
  return [{ link: 'clock', state: 'skipped', says: `it is ${now} here; nobody can be asked whether that is right` }]
}

/** Registries that speak HTTP in the clear, whose every answer has a `Date`. */
function webServers(config: AgentConfig | undefined): HostPort[] {
  return (config?.registries ?? []).flatMap((section) => kindOf(section).webServers?.(section) ?? [])
}

interface Difference {
  readonly server: string
  readonly date: string
  /** Ours less theirs. */
  readonly ms: number
}

function differenceTo({ host, port }: HostPort, wall: () => number): Promise<Difference | undefined> {
  return new Promise((resolve) => {
    const asked = request(
      { host, port, method: 'HEAD', path: '/', timeout: answerTimeoutMs, agent: false },
      (reply) => {
        reply.destroy()
        const date = reply.headers.date ?? ''
        const theirs = Date.parse(date)
        // a whole second, of which half has passed on average
        resolve(
          Number.isNaN(theirs)
            ? undefined
            : { server: formatHostPort({ host, port }), date, ms: wall() - theirs - 500 },
        )
      },
    )
    asked.on('timeout', () => asked.destroy())
    asked.on('error', () => resolve(undefined))
    asked.on('close', () => resolve(undefined))
    asked.end()
  })
}
