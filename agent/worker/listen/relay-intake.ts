import type { ServiceKey } from '../../../contracts/endpoint.ts'
import type { ServiceSpec } from '../../../contracts/snapshot.ts'
import { acknowledgement, proxyTlv } from '../../../contracts/words.ts'
import type { LocalAnswer } from '../../../http1/local-reply.ts'
import type { ParkedNames } from '../mesh/parked-names.ts'
import type { Tallies } from '../observe/tallies.ts'
import type { Arriving, IntakeStep, NextStep } from './arriving.ts'
import { relayedContext } from './listener-context.ts'
import type { RelayAdmission } from './relay-admission.ts'
import { placeOf } from './relay-hosts.ts'
import { notReadyAnswer, overloadAnswer, RefusalReply, unknownAnswer } from './refusal-reply.ts'
import type { RefusalReplyDeps } from './refusal-reply.ts'

/** Says the byte that a relay of TCP waits for. */
const goesOn = Buffer.of(acknowledgement)

export interface RelayIntakeDeps extends RefusalReplyDeps {
  readonly relays: RelayAdmission
  readonly parked: ParkedNames
  readonly tallies: Tallies
  readonly service: (key: ServiceKey) => ServiceSpec | undefined
}

/**
 * A center's relay listener: admits connections of hosts without an agent within their bounds, and lets each go on as
 * if it had come in on the listener of the service that its header names. One whose service is not known yet waits for
 * control (`mesh/parked-names.ts`).
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
    const place = placeOf(arriving.transport)
    if (!relays.enter(place, spec.maxConnectionsPerHost, spec.maxConnections)) {
      tallies.shedConnections++
      this.refuse(arriving, overloadAnswer)
      return
    }
    this.keepPlace(arriving, place)
    const known = key === '' ? undefined : service(key)
    if (key === '') this.admit(arriving, next)
    else if (known !== undefined) this.admitAs(known, arriving, next)
    else this.askFor(key, arriving, next)
  }

  private admitAs(service: ServiceSpec, arriving: Arriving, next: NextStep): void {
    // The host knows what its listener speaks; a registry may know nothing of it.
    const protocol = asksAcknowledgement(arriving) ? 'tcp' : service.protocol === 'tcp' ? 'http' : service.protocol
    if (asksAcknowledgement(arriving) && isUnheard(service)) {
      this.refuse(arriving, notReadyAnswer)
      return
    }
    arriving.context = { ...relayedContext(arriving.context, service), protocol }
    this.admit(arriving, next)
  }

  private admit(arriving: Arriving, next: NextStep): void {
    if (asksAcknowledgement(arriving)) {
      this.deps.output.append(goesOn)
      arriving.transport.write(this.deps.output)
    }
    next(arriving)
  }

  /** Who waits for an acknowledgement understands the end without one; HTTP gets an answer. */
  private refuse(arriving: Arriving, answer: LocalAnswer): void {
    if (asksAcknowledgement(arriving)) {
      arriving.end()
      return
    }
    void new RefusalReply(this.deps, arriving.transport, answer, arriving.onEnd)
  }

  /** The place is given back when the connection ends, wherever that is. */
  private keepPlace(arriving: Arriving, place: string): void {
    const { relays } = this.deps
    const { onEnd } = arriving
    arriving.onEnd = () => {
      relays.leave(place)
      onEnd()
    }
  }

  private askFor(key: ServiceKey, arriving: Arriving, next: NextStep): void {
    const { parked, service } = this.deps
    const waiting = {
      isParked: false,
      unpark: (isTimeout: boolean) => {
        this.deps.clock.refresh()
        const known = service(key)
        if (known !== undefined) this.admitAs(known, arriving, next)
        else this.refuse(arriving, isTimeout ? notReadyAnswer : unknownAnswer)
      },
    }
    const address = arriving.transport.peer().address
    if (!parked.park(key, waiting, address, true)) this.refuse(arriving, overloadAnswer)
  }
}

/** Known by a rule alone: no registry has ever said a word about its endpoints. */
function isUnheard({ endpoints }: ServiceSpec): boolean {
  return endpoints.confirmedAt === 0 && endpoints.endpoints.length === 0
}

function asksAcknowledgement({ introduction }: Arriving): boolean {
  return introduction?.header.tlvs.some(({ type }) => type === proxyTlv.acknowledge) === true
}
