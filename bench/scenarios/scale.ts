/**
 * Many services: memory of a worker that uses a hundred of them, and how soon one change among ten thousand is used.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ServiceKey } from '../../contracts/endpoint.ts'
import type { ServiceSpec, Snapshot } from '../../contracts/snapshot.ts'
import type { VirtualHostSpec } from '../../contracts/route-spec.ts'
import { startAnswering } from '../answering.ts'
import { residentBytes } from '../cpu.ts'
import { Caller } from '../load/keep-alive.ts'
import { changedService, endpointsOf, endpointsPerService, isSecondAfter, keyOf, nameOf } from '../many-services.ts'
import { serviceSpec, virtualHost } from '../mesh-snapshot.ts'
import { startMesh } from '../peers/hostmesh.ts'
import type { RunningMesh } from '../peers/hostmesh.ts'
import { oneWorker } from '../peers/peer.ts'
import { freePort } from '../processes.ts'
import { atMost, format, percentile } from '../scenario.ts'
import type { BenchOptions, Scenario } from '../scenario.ts'

const changes = 300
const mebi = 1024 * 1024

export const scale: Scenario = {
  name: 'scale',
  title: 'Many services: memory of a worker, and one change among all',
  isInTurn: true,
  run: async (options) => {
    const small = await measure(100, options)
    const large = await measure(10_000, options)
    const p50Growth = percentile(large.delaysMs, 0.5) / percentile(small.delaysMs, 0.5)
    return {
      name: 'scale',
      title: scale.title,
      method: [
        `services of ${endpointsPerService} endpoints and a virtual host each, all in one worker; ${changes} changes of one service's endpoints, one after the other, each followed by`,
        'requests on one keep-alive connection until the new endpoint answers; time from the write of the delta on the link to the end of that answer',
      ],
      columns: ['services', 'endpoints', 'resident MiB', 'change p50 ms', 'change p99 ms', 'change max ms'],
      rows: [small, large].map((one) => [
        String(one.services),
        String(one.services * endpointsPerService),
        format(one.residentBytes / mebi),
        format(percentile(one.delaysMs, 0.5)),
        format(percentile(one.delaysMs, 0.99)),
        format(percentile(one.delaysMs, 1)),
      ]),
      goals: [
        atMost('worker with 100 services', small.residentBytes / mebi, 80, 'MiB'),
        atMost('one of 10,000 services changes, p99', percentile(large.delaysMs, 0.99), 20, 'ms'),
        atMost('cost of a change, 10,000 services against 100, p50', p50Growth, 1.5, 'x'),
      ],
      remarks: [],
      raw: { small, large },
    }
  },
}

interface Measured {
  readonly services: number
  readonly residentBytes: number
  readonly delaysMs: readonly number[]
}

async function measure(services: number, options: BenchOptions): Promise<Measured> {
  const one = await startAnswering('one')
  const two = await startAnswering('two')
  const sharedPort = await freePort()
  options.log(`  ${services} services`)
  const mesh = await startMesh({
    ...oneWorker(options, one.port, 'http'),
    amend: (snapshot) => withServices(snapshot, services, one.port, sharedPort),
  })
  try {
    await sleep(2000)
    const delaysMs = await change(mesh, services, sharedPort, [one.port, two.port])
    return { services, residentBytes: residentBytes(mesh.pids), delaysMs }
  } finally {
    await mesh.close()
    one.close()
    two.close()
  }
}

async function change(
  mesh: RunningMesh,
  services: number,
  sharedPort: number,
  ports: readonly [number, number],
): Promise<number[]> {
  const caller = await Caller.dial(sharedPort)
  const delaysMs: number[] = []
  for (let nth = 0; nth < changes; nth++) {
    const index = changedService(nth, services)
    const key = keyOf(index)
    const turn = isSecondAfter(nth, services)
    const wanted = turn ? 'two' : 'one'
    const set = serviceSpec(key, 'http', endpointsOf(index, turn ? ports[1] : ports[0])).endpoints
    await caller.get(`Host: bench\r\nx-mesh-service: ${nameOf(index)}`)
    const startedAt = performance.now()
    mesh.control.sendDelta({
      baseVersion: mesh.snapshot.version + nth,
      version: mesh.snapshot.version + nth + 1,
      endpoints: { [key]: { ...set, version: nth + 2 } },
    })
    for (;;) {
      const body = await caller.get(`Host: bench\r\nx-mesh-service: ${nameOf(index)}`)
      if (body === wanted) break
      if (performance.now() - startedAt > 5000)
        throw new Error(`change ${nth} of ${key} was not used within 5 s: ${body}`)
    }
    delaysMs.push(performance.now() - startedAt)
  }
  caller.close()
  return delaysMs
}

function withServices(snapshot: Snapshot, count: number, originPort: number, sharedPort: number): Snapshot {
  const services: Record<ServiceKey, ServiceSpec> = { ...snapshot.services }
  const virtualHosts: Record<string, VirtualHostSpec> = { ...snapshot.virtualHosts }
  const names: Record<string, string> = {}
  for (let index = 0; index < count; index++) {
    const key = keyOf(index)
    services[key] = serviceSpec(key, 'http', endpointsOf(index, originPort))
    virtualHosts[key] = { ...virtualHost(key, 'http'), domains: [nameOf(index)] }
    names[nameOf(index)] = key
  }
  const shared = {
    name: 'shared',
    address: '127.0.0.1',
    port: sharedPort,
    proxyProtocol: 'off',
    kind: 'shared-http',
  } as const
  return { ...snapshot, services, virtualHosts, names, listeners: { ...snapshot.listeners, shared } }
}
