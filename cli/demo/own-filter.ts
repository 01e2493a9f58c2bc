/** A filter of one's own in the demo: before `vault` on beta, and what its replies then say. */
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { Agent, get } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import type { DemoHost } from '../launch/host.ts'

const module = `export default ({ keeper }) => ({
  onRequestHead(request) {
    request.data = request.identity
  },
  onReplyHead(reply, request) {
    reply.setHeader('x-kept-by', keeper + ' for ' + request.data)
  },
})
`

/** Writes the module, where nobody else may write whatever the umask is; answers what `agent.yaml` says of it. */
export function ownFilter(directory: string): Record<string, unknown> {
  mkdirSync(join(directory, 'filters'), { recursive: true, mode: 0o700 })
  const path = join(directory, 'filters', 'keeper.mjs')
  writeFileSync(path, module, { mode: 0o600 })
  return { filters: [{ name: 'keeper', path, settings: { keeper: 'beta' } }] }
}

export const filterPolicy = `apiVersion: hostmesh.io/v1
kind: MeshPolicy
metadata: { name: kept, namespace: public }
spec:
  hosts: [vault]
  filters: [{ name: keeper, side: Inbound }]
`

/** What the filter wrote into the reply of `vault` to `web`; '' = nothing. */
export async function keptBy(host: DemoHost, sharedPort: number): Promise<string> {
  const agent = new Agent({ keepAlive: false })
  const asked = get({ agent, host: host.options.address, port: sharedPort, headers: { host: 'vault' } })
  const [reply] = (await once(asked, 'response')) as [IncomingMessage]
  reply.resume()
  return String(reply.headers['x-kept-by'] ?? '')
}
