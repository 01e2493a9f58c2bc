import { centerId } from '../../../contracts/ca-api.ts'
import { LogPause } from '../../../contracts/log-pause.ts'
import { quotaKey } from '../../../contracts/quota-key.ts'
import { parseSpiffeId } from '../../../contracts/spiffe-id.ts'
import type { ListenerSpec } from '../../../contracts/snapshot.ts'
import type { Tallies } from '../observe/tallies.ts'
import type { Transport } from '../transport/transport.ts'
import type { Arriving, IntakeStep, NextStep } from './arriving.ts'
import { DeniedHosts } from './denied-hosts.ts'

export interface RelayHostsDeps {
  readonly tallies: Tallies
  /** As it stands now: a connection may be on its way for seconds under an older one. */
  readonly specOf: (listener: string) => ListenerSpec | undefined
  /** Trust domain of the certificate that this center shows; undefined = it has none. */
  readonly trustDomain: () => string | undefined
  readonly log: (level: 'info' | 'warn' | 'error', message: string) => void
  /** Monotonic ms. */
  readonly now: () => number
}

/**
 * A center's relay listener takes from those that come in mutual TLS the hosts of its own trust domain which its
 * configuration names, and the center itself. A workload is no host: it has an agent. Whoever comes in plain is judged
 * by the next step (`relay-proofs.ts`).
 *
 * Asked once more behind the steps that wait: whoever is denied meanwhile is not in the table of live connections yet,
 * where it would be cut.
 */
export class RelayHosts implements IntakeStep {
  private readonly deps: RelayHostsDeps
  private readonly denied = new DeniedHosts()
  private readonly pause = new LogPause()

  constructor(deps: RelayHostsDeps) {
    this.deps = deps
  }

  begin(arriving: Arriving, next: NextStep): void {
    const { spec, transport } = arriving
    const { identity } = transport.peer()
    if (spec.kind !== 'relay' || identity.kind !== 'spiffe') {
      next(arriving)
      return
    }
    if (this.denied.isDenied(this.deps.specOf(spec.name), identity)) {
      this.refuse(arriving, `${identity.id} is denied by the authority`)
      return
    }
    const trustDomain = this.deps.trustDomain()
    const id = parseSpiffeId(identity.id)
    const isHost = id?.kind === 'host' && id.trustDomain === trustDomain && isNamed(id.host, spec.hosts)
    if (isHost || (trustDomain !== undefined && identity.id === centerId(trustDomain))) next(arriving)
    else this.refuse(arriving, `${identity.id} is no host that relay.hosts names`)
  }

  private refuse(arriving: Arriving, why: string): void {
    const { log, now, tallies } = this.deps
    tallies.relayRefusedHosts++
    if (this.pause.allows(now())) {
      const { address } = arriving.transport.peer()
      log('warn', `relayed connection from ${address} refused: ${why}`)
    }
    arriving.end()
  }
}

function isNamed(host: string, patterns: readonly string[] | undefined): boolean {
  return (
    patterns === undefined ||
    patterns.some((one) => (one.endsWith('*') ? host.startsWith(one.slice(0, -1)) : host === one))
  )
}

/** Whose place a relayed connection takes: the host that it proved to be, else its address. */
export function placeOf(transport: Pick<Transport, 'peer'>): string {
  const { address, identity } = transport.peer()
  return identity.kind === 'spiffe' ? identity.id : quotaKey(address)
}
