/** The ports that the kernel gives to outgoing connections: a listener there can find its port taken at any time. */
import { readFileSync } from 'node:fs'

export interface KernelPorts {
  readonly ephemeral: { readonly first: number; readonly last: number } | undefined
  /** `ip_local_reserved_ports`: never given away, so listeners may have them. */
  readonly reserved: readonly { readonly first: number; readonly last: number }[]
}

export function kernelPorts(proc = '/proc/sys/net/ipv4'): KernelPorts {
  const ephemeral = /^(\d+)\s+(\d+)/.exec(read(`${proc}/ip_local_port_range`))
  const reserved = read(`${proc}/ip_local_reserved_ports`)
    .trim()
    .split(',')
    .map((part) => /^(\d+)(?:-(\d+))?$/.exec(part.trim()))
    .filter((match) => match !== null)
    .map((match) => ({ first: Number(match[1]), last: Number(match[2] ?? match[1]) }))
  return {
    ephemeral: ephemeral === null ? undefined : { first: Number(ephemeral[1]), last: Number(ephemeral[2]) },
    reserved,
  }
}

/** The first port of the range that the kernel may give away; undefined when the range is safe. */
export function firstEphemeralPort(
  range: { readonly first: number; readonly last: number },
  kernel: KernelPorts,
): number | undefined {
  if (kernel.ephemeral === undefined) return undefined
  const last = Math.min(range.last, kernel.ephemeral.last)
  let port = Math.max(range.first, kernel.ephemeral.first)
  while (port <= last) {
    const cover = kernel.reserved.find((one) => one.first <= port && port <= one.last)
    if (cover === undefined) return port
    port = cover.last + 1
  }
  return undefined
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
