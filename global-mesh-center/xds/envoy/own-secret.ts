/**
 * The certificate of one proxy and its key, made here for as long as its stream is open, and renewed at half its life.
 * What fails is tried again at growing pauses, and once the authority opens; the old one serves meanwhile.
 */
import { generateKeyPairSync } from 'node:crypto'
import { lifetimeOf, renewalTime, retryPause } from '../../../agent/control/host/identities/lifetime.ts'
import { describeError } from '../../../contracts/errors.ts'
import type { AdapterDeps } from '../../../contracts/registry-adapter.ts'
import type { Asker } from '../../ca/grants.ts'
import type { WorkloadIssuer } from '../../ca/workload-issuer.ts'

/** The wall clock is looked at so often: it may jump. */
const lookMs = 60_000

export interface OwnSecretDeps extends Pick<AdapterDeps, 'clock' | 'random' | 'log'> {
  readonly issuer: WorkloadIssuer
  readonly asker: Asker
  /** Its name as a SPIFFE id. */
  readonly id: string
  /** Who asks, for the log. */
  readonly from: string
  onIssued(issued: { readonly chain: string; readonly key: string }): void
}

export class OwnSecret {
  private readonly deps: OwnSecretDeps
  private readonly unwatch: () => void
  private failures = 0
  private notAfter = 0
  private isAsking = false
  private isClosed = false
  private cancel: () => void = () => undefined

  constructor(deps: OwnSecretDeps) {
    this.deps = deps
    this.unwatch = deps.issuer.watch(() => {
      if (this.failures > 0 && deps.issuer.trustBundle !== undefined) void this.ask()
    })
    void this.ask()
  }

  close(): void {
    this.isClosed = true
    this.cancel()
    this.unwatch()
  }

  private async ask(): Promise<void> {
    const { asker, clock, from, id, issuer, onIssued, random } = this.deps
    if (this.isAsking || this.isClosed) return
    this.isAsking = true
    this.cancel()
    try {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const { chain } = await issuer.issue(asker, from, id, publicKey)
      if (this.isClosed) return
      this.failures = 0
      const lifetime = lifetimeOf(chain)
      this.notAfter = lifetime.notAfter
      onIssued({ chain, key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string })
      this.askAt(renewalTime(lifetime, random()))
    } catch (error) {
      if (this.isClosed) return
      this.failures++
      this.tell(describeError(error))
      this.cancel = clock.after(retryPause(this.failures, random()), () => void this.ask())
    } finally {
      this.isAsking = false
    }
  }

  private askAt(time: number): void {
    const { clock } = this.deps
    const left = time - clock.wall()
    this.cancel = clock.after(Math.max(0, Math.min(left, lookMs)), () => {
      if (clock.wall() >= time) void this.ask()
      else this.askAt(time)
    })
  }

  private tell(reason: string): void {
    const { from, id, log } = this.deps
    const rest = this.notAfter === 0 ? 'it has none' : `what it has ends at ${new Date(this.notAfter).toISOString()}`
    log.warn({ code: 'E_CA_REFUSED', id }, `xds: no certificate of ${id} for ${from}: ${reason}; ${rest}`)
  }
}
