/** What this machine needs of its network: ports that the kernel leaves alone, names, the address that others see. */
import { readFileSync } from 'node:fs'
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { firstEphemeralPort, kernelPorts } from '../../agent/control/config/kernel-ports.ts'
import type { AgentConfig } from '../../agent/control/config/types.ts'
import { kindOf } from '../../agent/control/kinds/registries.ts'
import { isLoopback, withoutBrackets } from '../../contracts/ip-literal.ts'
import type { Facts } from './facts.ts'
import type { Finding } from './finding.ts'

const nameTimeoutMs = 2000
/** Of the ports that the kernel gives away. */
const busyShare = 0.8

export function kernelPortFindings(config: AgentConfig, proc = '/proc'): Finding[] {
  const kernel = kernelPorts(`${proc}/sys/net/ipv4`)
  if (kernel.ephemeral === undefined)
    return [
      {
        link: 'kernel ports',
        state: 'unknown',
        says: 'the kernel does not say which ports it gives away',
        proof: `${proc}/sys/net/ipv4/ip_local_port_range cannot be read`,
        next: 'sysctl net.ipv4.ip_local_port_range',
      },
    ]
  const { first, last } = kernel.ephemeral
  const found: Finding[] = []
  for (const [name, range] of Object.entries({
    'outbound.portRange': config.outbound.portRange,
    'inbound.portRange': config.inbound.portRange,
  })) {
    const clash = firstEphemeralPort(range, kernel)
    if (clash === undefined) continue
    found.push({
      link: 'kernel ports',
      state: 'warning',
      says: `${name}: port ${clash} can be taken by an outgoing connection at any time`,
      proof: `${proc}/sys/net/ipv4/ip_local_port_range: ${first}-${last}`,
      next: `sysctl net.ipv4.ip_local_reserved_ports=${range.first}-${range.last}, or choose another range`,
    })
  }
  const sockets = /^TCP: inuse (\d+) orphan \d+ tw (\d+)/m.exec(text(`${proc}/net/sockstat`))
  const used = Number(sockets?.[1] ?? 0) + Number(sockets?.[2] ?? 0)
  const all = last - first + 1
  if (used > all * busyShare)
    found.push({
      link: 'kernel ports',
      state: 'warning',
      says: `${used} TCP sockets for ${all} ports that the kernel gives away: connections to one address may fail`,
      proof: `${proc}/net/sockstat: inuse ${sockets?.[1]}, tw ${sockets?.[2]}`,
      next: 'ss -s; widen net.ipv4.ip_local_port_range away from the ranges of the agent',
    })
  if (found.length > 0) return found
  return [
    { link: 'kernel ports', state: 'good', says: `the kernel gives away ${first}-${last}, ${used} sockets are there` },
  ]
}

/** Every name that the configuration has this host look up. */
export async function nameFindings(config: AgentConfig): Promise<Finding[]> {
  const names = new Set(
    [
      ...config.center.addresses.map(({ host }) => host),
      ...config.registries.flatMap((section) =>
        kindOf(section)
          .parts(section)
          .map(({ label }) => hostIn(label)),
      ),
    ].filter((name) => name !== '' && isIP(name) === 0),
  )
  if (names.size === 0) return [{ link: 'names', state: 'skipped', says: 'the configuration has addresses only' }]
  return Promise.all(
    [...names].map(async (name): Promise<Finding> => {
      const late = new Promise<string>((resolve) => {
        setTimeout(resolve, nameTimeoutMs, `no answer after ${nameTimeoutMs} ms`).unref()
      })
      const asked = lookup(name, { all: true }).then(
        (addresses) => addresses,
        (error: NodeJS.ErrnoException) => error.code ?? error.message,
      )
      const found = await Promise.race([asked, late])
      if (typeof found !== 'string')
        return { link: 'names', state: 'good', says: `${name} is ${found.map(({ address }) => address).join(', ')}` }
      return {
        link: 'names',
        state: 'bad',
        says: `${name} cannot be looked up: ${found}`,
        proof: `getaddrinfo ${name}: ${found}`,
        next: `getent hosts ${name}; cat /etc/resolv.conf`,
      }
    }),
  )
}

function hostIn(label: string): string {
  const match = /^(?:[a-z]+:\/\/)?(\[[^\]]+\]|[A-Za-z0-9.-]+):\d+$/.exec(label)
  return withoutBrackets(match?.[1] ?? '')
}

/** Whether others can know this host by the address that it announces. */
export function addressFindings({ config, command }: Facts, interfaces = networkInterfaces()): Finding[] {
  if (config === undefined) return []
  const { address } = config.host
  const own = Object.values(interfaces).flatMap((all) => (all ?? []).map((one) => one.address))
  const next = `set host.address; then ${command('upgrade')}`
  const proof = `addresses of this host: ${own.join(', ') || 'none'}`
  if (isLoopback(address)) {
    if (config.endpoints.allowLoopbackEndpoints)
      return [
        {
          link: 'address',
          state: 'good',
          says: `${address} is announced; only this machine reaches it, as configured`,
        },
      ]
    return [
      {
        link: 'address',
        state: 'bad',
        says: `${address} is announced, and leads every other host to itself`,
        proof,
        next,
      },
    ]
  }
  if (!own.includes(address))
    return [{ link: 'address', state: 'bad', says: `no interface has ${address}, which others are told`, proof, next }]
  return [{ link: 'address', state: 'good', says: `others are told ${address}, which an interface has` }]
}

function text(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}
