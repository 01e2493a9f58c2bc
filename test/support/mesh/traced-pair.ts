/**
 * Two hosts whose applications call each other through both agents, without a registry server: the inbound port of the
 * second one stands in an endpoint file of the first.
 */
import { inboundPort } from './host-facts.ts'
import { call, Mesh, relayOf, sharedPort, until } from './mesh.ts'
import type { Answer, DemoHost } from './mesh.ts'

export interface TracedPair {
  readonly mesh: Mesh
  readonly alpha: DemoHost
  readonly beta: DemoHost
  /** Of both, where one was asked for. */
  readonly center: DemoHost | undefined
  /** From alpha to the application `orders` behind beta. */
  ask(headers?: Record<string, string>, path?: string): Promise<Answer>
  close(): Promise<void>
}

/** @param extra is put into the configuration of both. */
export async function tracedPair(extra: Readonly<Record<string, unknown>>, hasCenter = false): Promise<TracedPair> {
  const mesh = await Mesh.openOnFiles()
  try {
    return await startedOn(mesh, extra, hasCenter)
  } catch (error) {
    await mesh.close()
    throw error
  }
}

async function startedOn(
  mesh: Mesh,
  extra: Readonly<Record<string, unknown>>,
  hasCenter: boolean,
): Promise<TracedPair> {
  const orders = await mesh.httpApplication('orders', 'v1')
  const center = hasCenter ? await mesh.startedHost('center', { role: 'center' }) : undefined
  const centers = center === undefined ? [] : [relayOf(center)]
  const beta = mesh.host('beta', { applications: [orders], centers, extra })
  const alpha = mesh.host('alpha', { centers, extra })
  for (const host of [alpha, beta]) host.start()
  await Promise.all([alpha.ready(), beta.ready()])
  const port = await inboundPort(beta, 'orders')
  mesh.tell('orders', [{ address: beta.options.address, port, metadata: { 'hostmesh.inbound': 'true' } }])
  const ask = (headers: Record<string, string> = {}, path = '/'): Promise<Answer> =>
    call(alpha.options.address, sharedPort, { 'x-mesh-service': 'orders', ...headers }, path)
  await until(15_000, 'orders is reachable', async () => (await ask({ traceparent: never })).status === 200)
  return { mesh, alpha, beta, center, ask, close: () => mesh.close() }
}

/** Of a caller that does not want to be recorded. */
const never = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-00`
