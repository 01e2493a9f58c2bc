import type { ServiceKey } from '../../../contracts/endpoint.ts'
import type { ServiceSpec } from '../../../contracts/snapshot.ts'
import type { ParkedNames } from '../link/parked-names.ts'
import type { Tallies } from '../observe/tallies.ts'
import type { Arriving, IntakeStep, NextStep } from './arriving.ts'
import { relayedContext } from './listener-context.ts'
import type { RelayAdmission } from './relay-admission.ts'
import { ShedReply } from './shed-reply.ts'
import type { ShedReplyDeps } from './shed-reply.ts'

export interface RelayIntakeDeps extends ShedReplyDeps {
  readonly relays: RelayAdmission
  readonly parked: ParkedNames
  readonly tallies: Tallies
  readonly service: (key: ServiceKey) => ServiceSpec | undefined
}

/** Callers that are named by a relay's TLV without a host share this name. */
const unknownHost = 'unknown'

/**
 * A center's relay listener: admits connections of hosts without an agent within their bounds, and lets each go on as if it had come in on the listener of the service that
 * its header names. One whose service is not known yet waits for control (`link/parked-names.ts`).
 */
export class RelayIntake implements IntakeStep {
  private readonly deps: RelayIntakeDeps

  constructor(deps: RelayIntakeDeps) {
    this.deps = deps
  }

  begin(arriving: Arriving, next: NextStep): void {
    const { proxy, spec } = arriving
    if (spec.kind !== 'relay' || proxy === null) {
      next(arriving)
      return
    }
    const { relays, service, tallies } = this.deps
    const key = (proxy.service ?? '') as ServiceKey | ''
    const host = proxy.host ?? unknownHost
    const known = key === '' ? undefined : service(key)
    if (!relays.enter(host, spec.maxConnectionsPerHost, spec.maxConnections)) {
      tallies.shedConnections++
      if (key === '' || known?.protocol === 'http') {
        void new ShedReply(this.deps, arriving.transport)
        arriving.onEnd()
      } else {
        arriving.end()
      }
      return
    }
    this.keepPlace(arriving, host)
    if (key === '') next(arriving)
    else if (known !== undefined) goOnAs(known, arriving, next)
    else this.askFor(key, arriving, next)
  }

  /** The place is given back when the connection ends, wherever that is. */
  private keepPlace(arriving: Arriving, host: string): void {
    const { relays } = this.deps
    const { onEnd } = arriving
    arriving.onEnd = () => {
      relays.leave(host)
      onEnd()
    }
  }

  private askFor(key: ServiceKey, arriving: Arriving, next: NextStep): void {
    const { parked, service } = this.deps
    const waiting = {
      isParked: false,
      unpark: () => {
        const known = service(key)
        if (known === undefined) arriving.end()
        else goOnAs(known, arriving, next)
      },
    }
    if (!parked.park(key, waiting, arriving.transport.peer().address)) arriving.end()
  }
}

function goOnAs(service: ServiceSpec, arriving: Arriving, next: NextStep): void {
  arriving.context = relayedContext(arriving.context, service)
  next(arriving)
}
