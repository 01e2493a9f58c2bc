/** What the agent inside a booted machine is configured with, and one call through it. */
import { KeepAliveCaller } from './callers.ts'

/** Of the service `orders`. */
export const port = 20_007

export const config = `host: { address: 127.0.0.1 }
registries:
  - { name: files, type: file, directory: /etc/hostmesh/endpoints }
endpoints: { allowLoopbackEndpoints: true }
outbound:
  services:
    - { service: orders, protocol: http, port: ${port} }
workers: 2
`

/** The status of one call of `orders`. */
export async function ask(): Promise<number> {
  const caller = await KeepAliveCaller.connect(port)
  try {
    return (await caller.get()).status
  } finally {
    caller.close()
  }
}
