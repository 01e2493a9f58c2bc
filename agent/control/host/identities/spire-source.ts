/**
 * Certificates from SPIRE, or whatever else speaks the SPIFFE Workload API on a unix socket of this host: it decides
 * which names the agent gets, and sends them anew when it is time. Keys come with them and stay in memory.
 *
 *     SpiffeWorkloadAPI/FetchX509SVID -> stream X509SVIDResponse { repeated X509SVID svids = 1 }
 *     X509SVID { string spiffe_id = 1; bytes x509_svid = 2; bytes x509_svid_key = 3; bytes bundle = 4 } (DER)
 */
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { describeError } from '../../../../contracts/errors.ts'
import type { IdentityRow } from '../../../../contracts/identity-row.ts'
import type { Clock } from '../../../../contracts/clock.ts'
import { protoFields } from '../../../../contracts/proto-fields.ts'
import { isSpiffeId, trustDomainOf } from '../../../../contracts/spiffe-id.ts'
import type { WorkloadCertificate } from '../../../../contracts/workload-certificate.ts'
import { tellFailure } from '../../events/certificate-failure.ts'
import type { Timeline } from '../../events/timeline.ts'
import type { Log } from '../../log.ts'
import type { ControlMetrics } from '../../observe.ts'
import { blocksOf } from './file-rows.ts'
import type { IdentitySource, OnCertificates } from './identity-source.ts'
import { isLate, lifetimeOf, retryPause } from './lifetime.ts'

export interface SpireSourceDeps {
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  readonly metrics: Pick<ControlMetrics, 'count'>
  readonly timeline: Pick<Timeline, 'turn'>
  /** Absolute path of the socket. */
  readonly socket: string
  readonly onCertificates: OnCertificates
}

const path = '/SpiffeWorkloadAPI/FetchX509SVID'
/** A thousand identities with chains; gRPC's own default. */
const maxMessageBytes = 4 * 1024 * 1024

export class SpireSource implements IdentitySource {
  private readonly deps: SpireSourceDeps
  private present: readonly WorkloadCertificate[] = []
  private failures = 0
  private problem: string | undefined
  private end: () => void = () => undefined
  private isClosed = false

  constructor(deps: SpireSourceDeps) {
    this.deps = deps
    void this.follow()
  }

  get trustDomain(): string | undefined {
    return this.present[0] === undefined ? undefined : trustDomainOf(this.present[0].id)
  }

  want(): void {
    // SPIRE knows which names this agent may have
  }

  setLeading(): void {
    // each generation has a stream of its own
  }

  view(): readonly IdentityRow[] {
    const now = this.deps.clock.wall()
    if (this.present.length === 0 && this.problem !== undefined)
      return [{ id: this.deps.socket, source: 'spire', state: 'none', chain: [], problem: this.problem }]
    return this.present.map(({ id, chain }): IdentityRow => {
      const lifetime = lifetimeOf(chain)
      const state = now >= lifetime.notAfter ? 'ended' : isLate(lifetime, now) ? 'late' : 'good'
      const serial = new X509Certificate(chain).serialNumber.toLowerCase()
      return { id, source: 'spire', state, ...lifetime, serial, chain: blocksOf(chain), problem: this.problem }
    })
  }

  close(): void {
    this.isClosed = true
    this.end()
  }

  private async follow(): Promise<void> {
    // loaded by hosts with SPIRE only
    const { Client, Metadata, credentials } = await import('@grpc/grpc-js')
    if (this.isClosed) return
    const client = new Client(`unix:${this.deps.socket}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.enable_http_proxy': 0,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.default_authority': 'localhost',
    })
    const metadata = new Metadata()
    // the API refuses calls without it: a web page or a proxied request cannot set it
    metadata.set('workload.spiffe.io', 'true')
    const stream = client.makeServerStreamRequest(
      path,
      () => Buffer.alloc(0),
      (bytes) => bytes,
      undefined,
      metadata,
    )
    let isOver = false
    const over = (why: string): void => {
      if (isOver) return
      isOver = true
      stream.cancel()
      client.close()
      if (!this.isClosed) this.again(why)
    }
    this.end = () => over('closed')
    stream.on('data', (bytes: Buffer) => this.take(bytes))
    stream.on('error', (error) => over(error.message.slice(0, 300)))
    stream.on('end', () => over('it ended the stream'))
  }

  private take(bytes: Buffer): void {
    const { log, metrics, onCertificates } = this.deps
    try {
      const found = readSvids(bytes)
      if (found.length === 0) throw new Error('it holds no certificate')
      this.present = found
      this.failures = 0
      this.problem = undefined
      metrics.count('certificate_renewals', { result: 'renewed' })
      log.info({ identities: found.map(({ id }) => id) }, `${found.length} certificates from ${this.deps.socket}`)
      onCertificates(found)
    } catch (error) {
      this.fail(`an answer that cannot be used: ${describeError(error)}`)
    }
  }

  private again(why: string): void {
    this.failures++
    this.fail(why)
    const { clock, random } = this.deps
    this.end = clock.after(retryPause(this.failures, random()), () => void this.follow())
  }

  private fail(why: string): void {
    const { log, metrics, socket } = this.deps
    metrics.count('certificate_renewals', { result: 'failed' })
    if (this.problem !== why) {
      log.warn({ socket }, `${socket}: ${why}; certificates in use stay; tried again`)
      tellFailure(this.deps.timeline, socket, `${why}; certificates in use stay; tried again`)
    }
    this.problem = why
  }
}

/** Throws for what is no X509SVIDResponse, or holds a certificate that cannot be used. */
export function readSvids(bytes: Buffer): WorkloadCertificate[] {
  const found: WorkloadCertificate[] = []
  for (const field of protoFields(bytes)) {
    if (field.number !== 1) continue
    const parts = new Map([...protoFields(field.bytes)].map((part) => [part.number, part.bytes]))
    const id = (parts.get(1) ?? Buffer.alloc(0)).toString('latin1')
    const chain = certificates(parts.get(2))
    const roots = certificates(parts.get(4))
    const [leaf] = chain
    if (!isSpiffeId(id) || leaf === undefined || roots.length === 0)
      throw new Error('an SVID without id, chain or bundle')
    const key = createPrivateKey({ key: parts.get(3) ?? Buffer.alloc(0), format: 'der', type: 'pkcs8' })
    if (!leaf.checkPrivateKey(key)) throw new Error(`the key of ${id} is another one`)
    if (leaf.subjectAltName !== `URI:${id}`) throw new Error(`the certificate of ${id} names something else`)
    found.push({
      id,
      chain: chain.map(String).join(''),
      key: key.export({ type: 'pkcs8', format: 'pem' }) as string,
      trustBundle: roots.map(String).join(''),
      notAfter: leaf.validToDate.getTime(),
    })
  }
  return found
}

/** DER, one behind the other. */
function certificates(all: Buffer = Buffer.alloc(0)): X509Certificate[] {
  const made: X509Certificate[] = []
  for (let at = 0; at < all.length;) {
    const length = derLength(all, at)
    made.push(new X509Certificate(all.subarray(at, at + length)))
    at += length
  }
  return made
}

/** Of the element at `at`, its head included. Certificates have two or three bytes of length. */
function derLength(all: Buffer, at: number): number {
  const first = all[at + 1] ?? 0
  if (first < 0x80) return 2 + first
  const bytes = first & 0x7f
  if (bytes > 3 || at + 2 + bytes > all.length) throw new Error('a certificate of an unknown length')
  return 2 + bytes + all.readUIntBE(at + 2, bytes)
}
