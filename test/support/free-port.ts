/**
 * Ports for what must be told its port beforehand, or opens the same one again. They lie below the range from which
 * Linux takes ephemeral ports (32768 on), where any outgoing connection of the machine, and a client that dials a port
 * of its own number, could take one between its choice and its use; and above what the agent and the Nacos servers of
 * other tests use.
 */
import { createServer } from 'node:net'

const first = 26_000
/** Room above for a second port at a distance from the first. */
const last = 31_000
const attempts = 200

const given = new Set<number>()

/** A port that is free now at the address, never given before by this process. Rejects after 200 taken ones. */
export async function freePort(address = '127.0.0.1'): Promise<number> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const port = first + Math.floor(Math.random() * (last - first + 1))
    if (given.has(port)) continue
    given.add(port)
    if (await isFree(port, address)) return port
  }
  throw new Error(`no free port in ${first}-${last} at ${address} after ${attempts} attempts`)
}

function isFree(port: number, address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: address, exclusive: true }, () => server.close(() => resolve(true)))
  })
}
