/** An authority in memory as the other parts of a center see it, without its port. */
import { Admission } from '../../../global-mesh-center/ca/admission.ts'
import { CertificateService } from '../../../global-mesh-center/ca/certificate-service.ts'
import type { Grant } from '../../../global-mesh-center/ca/grants.ts'
import { openBox } from '../../../global-mesh-center/ca/key-box.ts'
import { MadeAuthority } from '../../../global-mesh-center/ca/made-authority.ts'
import { PartIssuer } from '../../../global-mesh-center/ca/workload-issuer.ts'
import type { Clock } from '../../../contracts/clock.ts'
import { generateKeyPairSync } from 'node:crypto'
import { memoryDocuments } from './memory-documents.ts'

const day = 86_400_000
export const trustDomain = 'mesh.test'

export interface TestLine {
  readonly message: string
  readonly facts: object
}

export async function issuingBench(clock: Clock, grants: readonly Grant[] = []) {
  const documents = memoryDocuments()
  const lifetimes = { rootMs: 3650 * day, intermediateMs: 365 * day, spreadMs: 0, overlapMs: 2 * day }
  const authority = await MadeAuthority.open({ documents, box: openBox, clock, trustDomain, lifetimes })
  const admission = await Admission.open(documents, clock, trustDomain)
  const lines: TestLine[] = []
  const write = (facts: object, message: string): void => void lines.push({ facts, message })
  const log = { debug: write, info: write, warn: write, error: write }
  const metrics = { count: () => undefined }
  const settings = { grants, leafMs: day, hostMs: 7 * day }
  const service = new CertificateService({ authority, admission, trustDomain, settings, log, metrics })
  const issuer = new PartIssuer(trustDomain)
  /** As an application of host `web-9` has one, `lifetimeMs` from now on. */
  const leaf = (uri: string, lifetimeMs = day): { chain: string; key: string } => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const { chain } = authority.issue({ publicKey, uri, lifetimeMs, origin: { kind: 'host', host: 'web-9' } })
    return { chain, key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string }
  }
  return { authority, admission, service, issuer, lines, log, leaf }
}

export type IssuingBench = Awaited<ReturnType<typeof issuingBench>>
