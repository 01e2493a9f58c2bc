/**
 * Applications of this host that refuse connections, told to control as soon as a dial shows it: nobody listens there,
 * which is more than any health check that is still to come. The same one is told at most once a second; the memory of
 * that is bounded.
 */
import { endpointId } from '../../../contracts/endpoint.ts'

const repeatMs = 1000
const maxRemembered = 1024

export interface RefusedApplicationsDeps {
  /** Whether the address is one of this host. */
  readonly isOwn: (address: string) => boolean
  /** Monotonic ms. */
  readonly now: () => number
  /** `address:port`. */
  readonly tell: (application: string) => void
}

export class RefusedApplications {
  private readonly deps: RefusedApplicationsDeps
  /** When each was told last. */
  private readonly told = new Map<string, number>()

  constructor(deps: RefusedApplicationsDeps) {
    this.deps = deps
  }

  /** The system refused a dial. */
  note(address: string, port: number): void {
    const { isOwn, now, tell } = this.deps
    if (!isOwn(address)) return
    const application = endpointId({ address, port })
    const at = now()
    const before = this.told.get(application)
    if (before !== undefined && at - before < repeatMs) return
    if (this.told.size >= maxRemembered) this.told.clear()
    this.told.set(application, at)
    tell(application)
  }
}
