/** Inbound ports with who came in mutual TLS and who in plain, out of the metric of all workers. */
import type { StatSeries } from '../../../contracts/control-link.ts'
import type { MtlsPort, PlainCaller } from '../../../contracts/mtls-view.ts'
import type { ListenerSpec } from '../../../contracts/snapshot.ts'
import { formatHostPort } from '../config/scalars.ts'

const metric = 'hostmesh_inbound_connections_total'

interface Came {
  mutual: number
  readonly plain: PlainCaller[]
}

export function mtlsPorts(listeners: Iterable<ListenerSpec>, series: readonly StatSeries[]): MtlsPort[] {
  const came = new Map<string, Came>()
  for (const { labelNames, samples } of series.filter(({ name }) => name === metric)) {
    const [listener, security, caller] = ['listener', 'security', 'caller'].map((label) => labelNames.indexOf(label))
    for (const { labels, value } of samples) {
      const name = labels[listener!] ?? ''
      let one = came.get(name)
      if (one === undefined) came.set(name, (one = { mutual: 0, plain: [] }))
      if (labels[security!] === 'none') one.plain.push({ caller: labels[caller!] ?? '', connections: value })
      else one.mutual += value
    }
  }
  const ports: MtlsPort[] = []
  for (const listener of listeners) {
    if (listener.kind !== 'inbound') continue
    const { mutual, plain } = came.get(listener.name) ?? { mutual: 0, plain: [] }
    ports.push({
      listener: listener.name,
      service: listener.app,
      address: formatHostPort({ host: listener.address, port: listener.port }),
      mode: listener.mtls ?? 'plain',
      mutual,
      plain: plain.toSorted((a, b) => b.connections - a.connections),
    })
  }
  return ports.toSorted((a, b) => (a.listener < b.listener ? -1 : 1))
}
