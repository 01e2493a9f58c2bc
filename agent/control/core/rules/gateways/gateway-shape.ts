/**
 * Istio's Gateway (networking.istio.io/v1), every field of it: implemented, or refused by name. Which hosts open its
 * ports is the word of their configuration (`gateway`), and files of a host are never named by a rule.
 */
import { isIP } from 'node:net'
import * as z from 'zod'
import {
  asDoneAnyway,
  decidesNothing,
  flag,
  labels,
  leaf,
  nonEmptyList,
  notImplemented,
  port,
  text,
} from '../fields.ts'

export const httpProtocols: ReadonlySet<string> = new Set(['HTTP', 'HTTP2', 'GRPC'])
const protocols: readonly string[] = [...httpProtocols, 'HTTPS', 'TLS', 'TCP']

const protocol = () =>
  leaf(protocols.join(', '), (value) => {
    const word = typeof value === 'string' ? value.toUpperCase() : ''
    return protocols.includes(word) ? word : undefined
  })

/** For readers: listeners and metrics go by address and port. */
const label = () => {
  const made = text(1, 256).optional()
  decidesNothing.add(made)
  return made
}

/** A host with or without the namespace of the VirtualServices that may serve it. */
export interface ServerHost {
  /** `*` = any, `.` = that of the Gateway. */
  readonly namespace: string
  /** In lower case: exact, `*.suffix`, or `*`. */
  readonly name: string
}

const serverHost = () =>
  leaf('a host name like shop.example.com, *.example.com or *, behind NAMESPACE/, ./ or */ if need be', (value) => {
    if (typeof value !== 'string' || value.length > 512) return undefined
    const found = /^(?:([A-Za-z0-9._-]{1,253}|\*)\/)?(\*|(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)$/.exec(value)
    return found === null ? undefined : { namespace: found[1] ?? '*', name: found[2]!.toLowerCase() }
  })

const files = 'rules name no files of a host; write credentialName'

const only13 = 'TLS 1.3 alone is spoken'

const tls = () =>
  z.strictObject({
    httpsRedirect: flag().optional(),
    mode: leaf('PASSTHROUGH, SIMPLE, MUTUAL, ISTIO_MUTUAL; other modes are not implemented', (value) =>
      modes.find((one) => one === value),
    ).optional(),
    credentialName: leaf('a name of 1 to 253 letters, digits and . _ -', (value) =>
      typeof value === 'string' && /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/.test(value) ? value : undefined,
    ).optional(),
    subjectAltNames: nonEmptyList(text(1, 512), 100).optional(),
    minProtocolVersion: asDoneAnyway(only13, 'TLS_AUTO', 'TLSV1_0', 'TLSV1_1', 'TLSV1_2', 'TLSV1_3'),
    maxProtocolVersion: asDoneAnyway(only13, 'TLS_AUTO', 'TLSV1_3'),
    cipherSuites: notImplemented('TLS 1.3 alone is spoken, and its suites are all good'),
    credentialNames: notImplemented('write one credentialName'),
    caCertCredentialName: notImplemented('roots are the ca.crt of credentialName'),
    tlsCertificates: notImplemented(files),
    serverCertificate: notImplemented(files),
    privateKey: notImplemented(files),
    caCertificates: notImplemented(files),
    caCrl: notImplemented('take a certificate back by another ca.crt'),
    verifyCertificateSpki: notImplemented('write subjectAltNames'),
    verifyCertificateHash: notImplemented('write subjectAltNames'),
  })

const modes = ['PASSTHROUGH', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL'] as const

type Tls = z.output<ReturnType<typeof tls>>

const server = () =>
  z
    .strictObject({
      name: label(),
      port: z.strictObject({
        number: port(),
        name: label(),
        protocol: protocol(),
        targetPort: notImplemented('a gateway listens at number'),
      }),
      bind: leaf('an IP address of the host', (value) =>
        typeof value === 'string' && isIP(value) !== 0 ? value : undefined,
      ).optional(),
      hosts: nonEmptyList(serverHost(), 200),
      tls: tls().optional(),
      defaultEndpoint: notImplemented('write a VirtualService'),
    })
    .superRefine((one, context) => {
      for (const { message, path } of tlsProblems(one.port.protocol, one.tls))
        context.addIssue({ code: 'custom', path: ['tls', ...path], message })
    })

function tlsProblems(word: string, given: Tls | undefined): { path: string[]; message: string }[] {
  const { credentialName, httpsRedirect, mode, subjectAltNames } = given ?? {}
  const problems: { path: string[]; message: string }[] = []
  const refuse = (message: string, ...path: string[]): void => void problems.push({ path, message })
  if (word !== 'HTTPS' && word !== 'TLS') {
    if (mode !== undefined) refuse(`${word} is not secured; write protocol HTTPS or TLS`, 'mode')
    if (httpsRedirect === true && word === 'TCP') refuse('TCP has no redirects', 'httpsRedirect')
    return problems
  }
  if (mode === undefined) refuse(`found nothing, allowed ${modes.join(', ')}`, 'mode')
  if (httpsRedirect === true) refuse('allowed only for HTTP', 'httpsRedirect')
  const hasOwn = mode === 'SIMPLE' || mode === 'MUTUAL'
  if (hasOwn && credentialName === undefined)
    refuse(`found nothing, allowed the name of a folder of tls.credentialsDir: ${mode} needs it`, 'credentialName')
  if (!hasOwn && mode !== undefined && credentialName !== undefined)
    refuse(`${mode} has no use for it`, 'credentialName')
  if (mode !== 'MUTUAL' && subjectAltNames !== undefined) refuse('allowed only with MUTUAL', 'subjectAltNames')
  return problems
}

export const gatewayShape = () =>
  z.strictObject({ selector: labels().optional(), servers: nonEmptyList(server(), 100) })

export type GatewaySpec = z.output<ReturnType<typeof gatewayShape>>
export type GatewayServer = GatewaySpec['servers'][number]
