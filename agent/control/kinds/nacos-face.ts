/** The section `nacosFace`: a Nacos server for the applications of this host, with the mesh behind it. */
import * as z from 'zod'
import { isLoopback } from '../../../contracts/ip-literal.ts'
import { nearest } from '../config/nearest.ts'
import {
  flag,
  integer,
  localAddress,
  oneOf,
  path,
  plainName,
  port,
  portRange,
  serviceName,
  text,
  userName,
  type HostPort,
} from '../config/scalars.ts'
import type { RegistryFile } from './registries.ts'

const grant = z.strictObject({
  user: userName().optional().describe('A user of this host, told by who owns the connection.'),
  login: plainName('a name').optional().describe('Or a name that a client logs in with.'),
  passwordFile: path().optional().describe('File that holds the password of `login`.'),
  documents: z
    .array(text(3, 400))
    .max(256)
    .prefault([])
    .describe('Configuration that may be read: `GROUP/dataId`, `*` stands for any characters.'),
  writes: flag().prefault(false).describe('These documents may be written and removed, too.'),
  services: z
    .array(serviceName())
    .max(256)
    .prefault([])
    .describe('Services that only users with this grant may register on this host.'),
  maxWeight: integer(1, 10_000).prefault(1).describe('Largest weight of an instance.'),
  ports: z
    .array(portRange())
    .max(64)
    .prefault([])
    .describe('Ports that may be announced although they are below 1024 or another user listens there.'),
})

export const nacosFaceSection = z
  .strictObject({
    enabled: flag().prefault(false).describe('Answer ordinary Nacos clients of this host.'),
    address: localAddress().prefault('127.0.0.1').describe('Loopback address to listen on.'),
    httpPort: port().prefault(8848).describe('Port of the HTTP API.'),
    grpcPort: port().prefault(9848).describe('Port of the gRPC API; clients expect the HTTP port plus 1000.'),
    hostNames: z
      .array(text(1, 253))
      .max(16)
      .prefault([])
      .describe('Names, besides addresses and `localhost`, that clients may dial: what `/etc/hosts` leads here.'),
    configReads: oneOf('granted', 'any')
      .prefault('granted')
      .describe('Who may read configuration: whom it is granted, or every user of this host.'),
    configWrites: oneOf('off', 'granted')
      .prefault('off')
      .describe('Whether configuration is written and removed through the face, by whom it is granted.'),
    grants: z
      .array(grant)
      .max(256)
      .prefault([])
      .describe("What single users may do. Root and the agent's own user need no grant."),
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

/** With every path through `absolute`. */
export function nacosFaceLocated(face: NacosFaceSettings, absolute: (path: string) => string): NacosFaceSettings {
  return {
    ...face,
    grants: face.grants.map((one) =>
      one.passwordFile === undefined ? one : { ...one, passwordFile: absolute(one.passwordFile) },
    ),
  }
}

/** What no single field can tell, by its place in the section. */
export function nacosFaceProblems(
  face: NacosFaceSettings,
  registries: readonly RegistryFile[],
): { readonly path: readonly (string | number)[]; readonly message: string; readonly closest?: string | undefined }[] {
  if (!face.enabled) return []
  const problems: ReturnType<typeof nacosFaceProblems> = []
  if (!isLoopback(face.address))
    problems.push({ path: ['address'], message: `${face.address} is no loopback address; the face is for this host` })
  const choices = registries.flatMap(({ name, type }) => (type === 'nacos' ? [name] : []))
  const wanted = face.registry
  if (choices.length === 0)
    problems.push({ path: ['enabled'], message: 'there is no registry of type nacos that it could stand for' })
  else if (wanted !== undefined && !choices.includes(wanted))
    problems.push({
      path: ['registry'],
      message: `found "${wanted}", allowed ${choices.join(', ')}`,
      closest: nearest(wanted, choices),
    })
  return problems
}

/** What no single field can tell of grants, by their place. The other face goes by them, too. */
export function grantProblems(face: NacosFaceSettings): { readonly at: number; readonly message: string }[] {
  return face.grants.flatMap((one, at) => {
    const messages = []
    if ((one.user === undefined) === (one.login === undefined))
      messages.push('a grant is for a user of this host or for a login; name one of them')
    if ((one.login === undefined) !== (one.passwordFile === undefined))
      messages.push('login and passwordFile belong together, one is missing')
    if (one.login !== undefined && face.grants.findIndex((other) => other.login === one.login) !== at)
      messages.push(`login ${one.login} has a grant already; put all of it into one`)
    for (const pattern of one.documents)
      if (!pattern.includes('/')) messages.push(`documents: found "${pattern}", allowed GROUP/dataId`)
    return messages.map((message) => ({ at, message }))
  })
}
