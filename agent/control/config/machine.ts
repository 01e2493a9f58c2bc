/** What this machine says about itself. */
import { readFileSync } from 'node:fs'
import { availableParallelism, hostname, networkInterfaces } from 'node:os'
import type { MachineFacts } from './resolve.ts'

export function machineFacts(): MachineFacts {
  return {
    hostName: hostname().replace(/[^A-Za-z0-9._-]/g, '-') || 'host',
    defaultAddress: defaultRouteAddress(),
    processors: availableParallelism(),
  }
}

/**
 * First IPv4 address of the interface with the default route; else the first address that is neither loopback nor
 * link-local.
 */
function defaultRouteAddress(): string | undefined {
  const interfaces = networkInterfaces()
  const name = defaultRouteInterface()
  const ordered = [...(name === undefined ? [] : (interfaces[name] ?? [])), ...Object.values(interfaces).flat()]
  const usable = ordered.filter((one) => one !== undefined && !one.internal && !/^(fe80|169\.254\.)/i.test(one.address))
  return (usable.find((one) => one?.family === 'IPv4') ?? usable[0])?.address
}

function defaultRouteInterface(): string | undefined {
  try {
    for (const line of readFileSync('/proc/net/route', 'utf8').split('\n').slice(1)) {
      const [name, destination, , flags] = line.split('\t')
      if (name !== undefined && destination === '00000000' && (Number.parseInt(flags ?? '0', 16) & 1) === 1) return name
    }
  } catch {
    // no /proc here: the first usable interface will do
  }
  return undefined
}
