/** The section `nacosFace`: a Nacos server for the applications of this host, with the mesh behind it. */
import * as z from 'zod'
import { flag, localAddress, plainName, port, type HostPort } from '../config/scalars.ts'
import type { RegistryFile } from './registries.ts'

export const nacosFaceSection = z
  .strictObject({
    enabled: flag().prefault(false).describe('Answer ordinary Nacos clients of this host.'),
    address: localAddress().prefault('127.0.0.1').describe('Loopback address to listen on.'),
    httpPort: port().prefault(8848).describe('Port of the HTTP API.'),
    grpcPort: port().prefault(9848).describe('Port of the gRPC API; clients expect the HTTP port plus 1000.'),
    registry: plainName('a name').optional().describe('Nacos registry that it stands for; absent = the first one.'),
  })
  .prefault({})
  .describe('The local Nacos face.')

export type NacosFaceSettings = z.output<typeof nacosFaceSection>

/** Where it listens; none while it is off. */
export function nacosFaceAddresses(face: NacosFaceSettings): (HostPort & { readonly key: string })[] {
  if (!face.enabled) return []
  return [
    { host: face.address, port: face.httpPort, key: 'httpPort' },
    { host: face.address, port: face.grpcPort, key: 'grpcPort' },
  ]
}

/** Names of the registries that it can stand for. */
export function nacosFaceChoices(registries: readonly RegistryFile[]): string[] {
  return registries.filter((registry) => registry.type === 'nacos').map((registry) => registry.name)
}
