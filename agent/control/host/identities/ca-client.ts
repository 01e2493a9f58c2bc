/**
 * Asks the authority of a center (`contracts/ca-api.ts`). The server must prove that it is the center of the trust
 * domain, by a chain to the roots that this host has; its host name does not matter.
 */
import type { IncomingMessage } from 'node:http'
import type { RequestOptions } from 'node:https'
import {
  caPaths,
  centerId,
  maxCaBodyBytes,
  type CaBundle,
  type CaIssued,
  type CaJoin,
  type CaProblem,
} from '../../../../contracts/ca-api.ts'
import { pinOf } from '../../../../contracts/certificate-pin.ts'
import { MeshError } from '../../../../contracts/errors.ts'
import { isTrustDomain } from '../../../../contracts/spiffe-id.ts'
import { boundedBody } from '../../../../guard/bounded-body.ts'
import { formatHostPort, type HostPort } from '../../config/scalars.ts'

export interface CaTrust {
  readonly trustDomain: string
  /** PEM. */
  readonly trustBundle: string
}

/** What this host shows. */
export interface CaIdentity {
  readonly chain: string
  readonly key: string
}

const timeoutMs = 10_000
const certificateBlock = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g

/**
 * The bundle of a center of which only a pin is known. Nothing is told to it: whoever answers is believed no further
 * than the root with this pin. Rejects with E_CA_REFUSED, E_CA_UNREACHABLE.
 */
export async function pinnedTrust(address: HostPort, pin: string): Promise<CaTrust> {
  const { trustDomain, trustBundle } = bundleOf(
    await ask(address, 'GET', caPaths.bundle, { rejectUnauthorized: false }),
  )
  const root = trustBundle.match(certificateBlock)?.find((pem) => isPinned(pem, pin))
  if (root === undefined || !isTrustDomain(trustDomain))
    throw new MeshError(
      'E_CA_REFUSED',
      `${formatHostPort(address)}: shows no root with the pin ${pin}; it is another center, somebody is between, or its root was changed since the token was made`,
    )
  return { trustDomain, trustBundle: root }
}

/** The certificate of a host for its token. Rejects with E_CA_REFUSED, E_CA_UNREACHABLE. */
export async function joinCenter(address: HostPort, trust: CaTrust, join: CaJoin): Promise<CaIssued> {
  return issuedOf(address, await ask(address, 'POST', caPaths.join, secure(trust), join))
}

/** A certificate for the name in the request. Rejects with E_CA_REFUSED, E_CA_UNREACHABLE. */
export async function certify(
  address: HostPort,
  trust: CaTrust,
  { chain, key }: CaIdentity,
  request: string,
): Promise<CaIssued> {
  const options = { ...secure(trust), cert: chain, key }
  return issuedOf(address, await ask(address, 'POST', caPaths.certificates, options, { request }))
}

/** All roots. Rejects with E_CA_REFUSED, E_CA_UNREACHABLE. */
export async function newestTrust(address: HostPort, trust: CaTrust): Promise<CaTrust> {
  const found = bundleOf(await ask(address, 'GET', caPaths.bundle, secure(trust)))
  if (found.trustDomain !== trust.trustDomain)
    throw new MeshError(
      'E_CA_REFUSED',
      `${formatHostPort(address)}: is of ${found.trustDomain}, not of ${trust.trustDomain}`,
    )
  return found
}

function secure({ trustBundle, trustDomain }: CaTrust): RequestOptions {
  const expected = `URI:${centerId(trustDomain)}`
  return {
    ca: trustBundle,
    checkServerIdentity: (_name, { subjectaltname = '' }) =>
      subjectaltname.split(', ').includes(expected)
        ? undefined
        : new Error(`the certificate is of ${subjectaltname.slice(0, 200)}, not of ${expected}`),
  }
}

async function ask(
  address: HostPort,
  method: 'GET' | 'POST',
  path: string,
  options: RequestOptions,
  body?: object,
): Promise<unknown> {
  // not `import`: see admin/server.ts
  const { request } = process.getBuiltinModule('node:https')
  const where = formatHostPort(address)
  const text = body === undefined ? undefined : JSON.stringify(body)
  const { status, value } = await new Promise<{ status: number; value: unknown }>((resolve, reject) => {
    const failed = (cause: unknown) =>
      reject(new MeshError('E_CA_UNREACHABLE', `${where}: the authority does not answer`, { cause }))
    const asked = request(
      {
        ...options,
        host: address.host,
        port: address.port,
        servername: '',
        method,
        path,
        agent: false,
        minVersion: 'TLSv1.3',
        signal: AbortSignal.timeout(timeoutMs),
        headers:
          text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
      },
      (reply) => {
        bodyOf(reply).then((answer) => resolve({ status: reply.statusCode ?? 0, value: answer }), failed)
      },
    )
    asked.on('error', failed)
    asked.on('upgrade', (_reply, socket) => {
      socket.destroy()
      failed(new Error('it changed the protocol, which nobody asked for'))
    })
    asked.end(text)
  })
  if (status === 200) return value
  const { error } = (value ?? {}) as Partial<CaProblem>
  const said = typeof error === 'string' ? error.slice(0, 500) : 'without words of its own'
  throw new MeshError(status === 403 || status === 400 ? 'E_CA_REFUSED' : 'E_CA_UNREACHABLE', `${where}: ${said}`)
}

async function bodyOf(reply: IncomingMessage): Promise<unknown> {
  const body = await boundedBody(reply, maxCaBodyBytes)
  if (body === undefined) throw new Error(`an answer of more than ${maxCaBodyBytes} bytes`)
  return JSON.parse(body.toString('utf8')) as unknown
}

function bundleOf(value: unknown): CaBundle {
  const { trustDomain, trustBundle } = (value ?? {}) as Partial<CaBundle>
  if (typeof trustDomain !== 'string' || typeof trustBundle !== 'string' || !/-BEGIN CERTIFICATE-/.test(trustBundle))
    throw new MeshError('E_CA_UNREACHABLE', 'the answer of the authority holds no bundle')
  return { trustDomain, trustBundle }
}

function issuedOf(address: HostPort, value: unknown): CaIssued {
  const bundle = bundleOf(value)
  const { id, chain, notAfter } = (value ?? {}) as Partial<CaIssued>
  if (typeof id !== 'string' || typeof chain !== 'string' || typeof notAfter !== 'number')
    throw new MeshError('E_CA_UNREACHABLE', `${formatHostPort(address)}: the answer holds no certificate`)
  return { ...bundle, id, chain, notAfter }
}

function isPinned(pem: string, pin: string): boolean {
  try {
    return pinOf(pem) === pin
  } catch {
    return false
  }
}
