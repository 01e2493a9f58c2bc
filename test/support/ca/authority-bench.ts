/** An authority with its port on loopback, in memory, with a clock that a test sets. */
import { Admission } from '../../../global-mesh-center/ca/admission.ts'
import { CaServer } from '../../../global-mesh-center/ca/ca-server.ts'
import { CertificateService, type ServiceSettings } from '../../../global-mesh-center/ca/certificate-service.ts'
import { openBox } from '../../../global-mesh-center/ca/key-box.ts'
import { MadeAuthority } from '../../../global-mesh-center/ca/made-authority.ts'
import { pinOf } from '../../../contracts/certificate-pin.ts'
import { systemClock } from '../../../contracts/clock.ts'
import { keyAndRequest } from '../../../agent/control/host/identities/signing-request.ts'
import {
  joinCenter,
  pinnedTrust,
  type CaIdentity,
  type CaTrust,
} from '../../../agent/control/host/identities/ca-client.ts'
import { hostId } from '../../../contracts/spiffe-id.ts'
import { memoryDocuments } from './memory-documents.ts'

const day = 86_400_000
export const trustDomain = 'mesh.test'

export interface LogLine {
  readonly facts: Readonly<Record<string, unknown>>
  readonly message: string
}

export async function authorityBench(settings: Partial<ServiceSettings> = {}) {
  const clock = { ...systemClock, offset: 0, wall: () => Date.now() + clock.offset }
  const documents = memoryDocuments()
  const lifetimes = { rootMs: 3650 * day, intermediateMs: 365 * day, spreadMs: 0, overlapMs: 2 * day }
  const authority = await MadeAuthority.open({ documents, box: openBox, clock, trustDomain, lifetimes })
  const admission = await Admission.open(documents, clock, trustDomain)
  const lines: LogLine[] = []
  const write = (facts: object, message: string) =>
    void lines.push({ facts: facts as Record<string, unknown>, message })
  const log = { debug: write, info: write, warn: write, error: write }
  const counts = new Map<string, number>()
  const metrics = {
    count: (name: string, labels: Readonly<Record<string, string>>) => {
      const key = [name, ...Object.values(labels)].join(' ')
      counts.set(key, (counts.get(key) ?? 0) + 1)
    },
  }
  const all = { grants: [], leafMs: day, hostMs: 7 * day, ...settings }
  const service = new CertificateService({ authority, admission, trustDomain, settings: all, log, metrics })
  const names = { dnsNames: ['center.test'], addresses: ['127.0.0.1'] }
  const server = new CaServer({ authority, service, trustDomain, names, clock, log, metrics })
  const port = await server.listen({ host: '127.0.0.1', port: 0 })
  const address = { host: '127.0.0.1', port }
  const pin = () => pinOf(authority.trustBundle)

  async function tokenFor(host: string, identities: readonly string[] = [], isReusable = false): Promise<string> {
    const made = await admission.makeToken({ host, identities, isReusable, lifetimeMs: 3_600_000 }, pin())
    return made.text
  }
  /** A host that joined, as it goes on to ask. */
  async function joinedHost(
    host: string,
    identities: readonly string[] = [],
  ): Promise<{ trust: CaTrust; own: CaIdentity }> {
    const trust = await pinnedTrust(address, pin())
    const { key, request } = await keyAndRequest(hostId(trustDomain, host))
    const { chain } = await joinCenter(address, trust, { token: await tokenFor(host, identities), host, request })
    return { trust, own: { chain, key } }
  }
  return { clock, authority, admission, server, address, lines, counts, pin, tokenFor, joinedHost }
}

export type AuthorityBench = Awaited<ReturnType<typeof authorityBench>>

/** The code and words of a rejection, or `resolved`. */
export async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'resolved'
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    return `${code} ${message}`
  }
}
