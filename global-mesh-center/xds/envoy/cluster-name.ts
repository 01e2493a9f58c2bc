/**
 * What destinations are called as clusters: `outbound|PORT|SUBSET|KEY`, empty parts where there is none. Clients of
 * gRPC read clusters in words of their own, so theirs begin with `grpc`. Both are no keys of services, by which agents
 * ask for endpoints.
 */
import { parseServiceName, serviceKey, type ServiceKey } from '../../../contracts/endpoint.ts'

const flavours = ['outbound', 'grpc'] as const
export type Flavour = (typeof flavours)[number]

export interface ClusterRef {
  readonly flavour: Flavour
  readonly service: ServiceKey
  readonly subset: string | undefined
  /** Only its endpoints of this port. */
  readonly port: number | undefined
}

export function clusterName({ flavour, service, subset, port }: ClusterRef): string {
  return `${flavour}|${port ?? ''}|${subset ?? ''}|${service}`
}

/** undefined for what is no such name. */
export function parseClusterName(name: string): ClusterRef | undefined {
  const [word, port, subset, ...rest] = name.split('|')
  const flavour = flavours.find((one) => one === word)
  const service = rest.join('|')
  const parsed = parseServiceName(service)
  if (flavour === undefined || port === undefined || subset === undefined || parsed === undefined) return undefined
  if (serviceKey(parsed) !== service || !/^\d{0,5}$/.test(port)) return undefined
  return {
    flavour,
    service: service as ServiceKey,
    subset: subset === '' ? undefined : subset,
    port: port === '' ? undefined : Number(port),
  }
}
