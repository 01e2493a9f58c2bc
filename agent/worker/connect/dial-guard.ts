/**
 * Addresses that nothing is sent to although an endpoint is said to be there: a listener of our own that would bring a
 * TCP connection back, and a port where another user listens than the one that announced its application there. The
 * second is asked at each dial, because an application may end and its port become another's at any moment.
 */
import type { ServiceKey } from '../../../contracts/endpoint.ts'
import { LogPause } from '../../../contracts/log-pause.ts'
import type { OwnListeners } from '../listen/own-listeners.ts'
import type { Tallies } from '../observe/tallies.ts'

const leadsBack = 'ELOOP'
export const notItsUser = 'EACCES'

export interface DialGuardDeps {
  readonly own: Pick<OwnListeners, 'leadsBack' | 'applicationUser'>
  /** Whether its requests say how often they passed (`Via` of HTTP), so that a circle ends by itself. */
  readonly countsPasses: (service: ServiceKey) => boolean
  /** undefined = nobody, or it cannot be told. */
  readonly uidOfListener: (address: string, port: number) => number | undefined
  readonly tallies: Pick<Tallies, 'loopDials' | 'otherUserDials'>
  readonly warn: (message: string) => void
  /** Monotonic ms. */
  readonly now: () => number
}

export class DialGuard {
  private readonly deps: DialGuardDeps
  private readonly pause = new LogPause()

  constructor(deps: DialGuardDeps) {
    this.deps = deps
  }

  /**
   * service: whose endpoint the address is. isRaw: bytes pass that nobody reads. A system's name for why not; null = a
   * connection may be made.
   */
  refusal(address: string, port: number, service: ServiceKey, isRaw = false): string | null {
    const { countsPasses, own, tallies, uidOfListener } = this.deps
    if ((isRaw || !countsPasses(service)) && own.leadsBack(address, port, service)) {
      tallies.loopDials++
      this.say(
        leadsBack,
        `${service}: ${address}:${port} is a listener of this agent; a connection there would come back, so none is made`,
      )
      return leadsBack
    }
    const user = own.applicationUser(service)
    if (user === undefined) return null
    const uid = uidOfListener(address, port)
    if (uid === undefined || uid === user) return null
    tallies.otherUserDials++
    this.say(
      notItsUser,
      `${service}: user ${uid} listens at ${address}:${port}, not user ${user}, who announced it; nothing is sent there`,
    )
    return notItsUser
  }

  private say(kind: string, message: string): void {
    if (this.pause.allows(this.deps.now(), kind)) this.deps.warn(message)
  }
}
