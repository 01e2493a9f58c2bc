/** The section `sofaFace`: what the registry `mesh` of SOFARPC asks for on its host, with the mesh behind it. */
import * as z from 'zod'
import type { RpcProtocol } from '../../../contracts/protocols.ts'
import { isLoopback } from '../../../contracts/ip-literal.ts'
import { flag, localAddress, plainName, port, type HostPort } from '../config/scalars.ts'
import type { RegistryFile } from './registries.ts'

/** `MeshConstants` of SOFARPC, which its clients go by, and the port of its servers that say none. */
const sofaPorts = { api: 13_330, bolt: 12_220, server: 12_200 } as const

export const sofaFaceSection = z
  .strictObject({
    enabled: flag().prefault(false).describe('Answer SOFARPC applications of this host whose registry is `mesh`.'),
    address: localAddress().prefault('127.0.0.1').describe('Loopback address of both ports.'),
    port: port().prefault(sofaPorts.api).describe('Port of the API, which the address of their registry names.'),
    boltPort: port()
      .prefault(sofaPorts.bolt)
      .describe('Shared Bolt port of its callers; SOFARPC dials 12220, whatever it is told.'),
    serverPort: port()
      .prefault(sofaPorts.server)
      .describe('Where an application listens whose client does not say it, as up to SOFARPC 5.13.'),
    registry: plainName('a name')
      .optional()
      .describe('Registry where their services are announced; absent = the first one that takes registrations.'),
  })
  .prefault({})
  .describe('The local mesh API of SOFARPC (`docs/sofa-face.md`).')

export type SofaFaceSettings = z.output<typeof sofaFaceSection>

/** Where it answers; undefined while it is off. */
export function sofaFaceAddress({ address, enabled, port: at }: SofaFaceSettings): HostPort | undefined {
  return enabled ? { host: address, port: at } : undefined
}

/** Whether a shared port is the one that clients of the face dial. */
export function isSofaPort({ address, boltPort, enabled }: SofaFaceSettings, { host, port: at }: HostPort): boolean {
  return enabled && host === address && at === boltPort
}

interface SharedPort {
  protocol: RpcProtocol
  address: HostPort
}

/** The shared ports of private RPC, with the one that clients of the face dial. */
export function withSofaPort(rpc: SharedPort[], face: SofaFaceSettings): SharedPort[] {
  if (!face.enabled || rpc.some(({ address }) => isSofaPort(face, address))) return rpc
  return [...rpc, { protocol: 'bolt' as RpcProtocol, address: { host: face.address, port: face.boltPort } }]
}

/** What serves callers in Bolt. */
const boltWords: ReadonlySet<string> = new Set(['bolt', 'auto'])

/** What no single field can tell, by its key. */
export function sofaFaceProblems(
  face: SofaFaceSettings,
  registries: readonly RegistryFile[],
  rpc: readonly SharedPort[],
): { readonly key: keyof SofaFaceSettings; readonly message: string }[] {
  if (!face.enabled) return []
  const problems: ReturnType<typeof sofaFaceProblems> = []
  if (!isLoopback(face.address))
    problems.push({ key: 'address', message: `${face.address} is no loopback address; the face is for this host` })
  const other = rpc.find(({ address, protocol }) => isSofaPort(face, address) && !boltWords.has(protocol))
  if (other !== undefined)
    problems.push({ key: 'boltPort', message: `found ${other.protocol} there by outbound.rpc, allowed bolt or auto` })
  const names = registries.map(({ name }) => name)
  if (face.registry !== undefined && !names.includes(face.registry))
    problems.push({
      key: 'registry',
      message: `found "${face.registry}", allowed ${names.join(', ') || 'none: no registry is configured'}`,
    })
  return problems
}
