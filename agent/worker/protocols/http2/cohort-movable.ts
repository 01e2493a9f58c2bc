import { leaveProcess, movedAccepted } from '../../listen/leaving.ts'
import type {
  DescriptorCopies,
  Detached,
  Movable,
  MovedCaller,
  MovedExchange,
  MovedLink,
} from '../../listen/movable.ts'
import { Cohort } from './cohort.ts'
import type { Http2Connection } from './connection.ts'
import type { Http2Link } from './upstream-link.ts'

/** A cohort, seen as something that can move. */
export class CohortMovable implements Movable {
  readonly id: number
  readonly protocol = 'http2'
  readonly members: readonly Http2Connection[]
  readonly isIdle = false
  private readonly now: () => number

  /** `now`: monotonic ms. */
  constructor(id: number, members: readonly Http2Connection[], now: () => number) {
    this.id = id
    this.members = members
    this.now = now
  }

  get listener(): string {
    return this.members[0]!.listener
  }

  get isReady(): boolean {
    return this.cohort.isCarriable
  }

  private get cohort(): Cohort {
    return new Cohort(this.members[0]!)
  }

  /** It is looked for again. */
  whenReady(): void {}

  takeActivity(): boolean {
    return false
  }

  detach(copies: DescriptorCopies): Detached | undefined {
    const cohort = this.cohort
    if (!cohort.isCarriable || cohort.callers.size !== this.members.length) return undefined
    const callers = [...cohort.callers]
    const links = [...cohort.links]
    const members = [...callers, ...links]
    for (const { session } of members) session.sender.write()
    const moved = {
      callers: callers.map((caller) => this.callerState(caller)),
      links: links.map(linkState),
      exchanges: exchangeStates(cohort, callers, links),
    }
    const left = leaveProcess(
      members.map(({ transport }) => transport),
      copies,
    )
    const unsent = members.map(({ session }, at) =>
      Buffer.concat([left.unsent[at]!, session.sender.takeUnsent()]).toString('base64'),
    )
    for (const { down, up } of cohort.pairs) {
      down.owner.crossing.leave()
      down.leave()
      up.leave()
    }
    for (const member of members) member.leave()
    return {
      descriptors: left.descriptors,
      state: {
        ...left.format,
        protocol: 'http2-cohort',
        callers: moved.callers.map((caller, at) => ({ ...caller, unsent: unsent[at]! })),
        links: moved.links.map((link, at) => ({ ...link, unsent: unsent[callers.length + at]! })),
        exchanges: moved.exchanges,
      },
    }
  }

  private callerState(caller: Http2Connection): Omit<MovedCaller, 'unsent'> {
    const { accepted, drainStep: drain, served, session, transport } = caller
    return { ...movedAccepted(accepted, transport, this.now()), served, drain, session: session.state }
  }

  drain(): void {
    for (const member of this.members) member.drain()
  }

  abort(): void {
    for (const member of this.members) member.abort()
  }
}

function linkState(link: Http2Link): Omit<MovedLink, 'unsent'> {
  return { ...link.home.place!, link: link.state }
}

function exchangeStates(
  { pairs }: Cohort,
  callers: readonly Http2Connection[],
  links: readonly Http2Link[],
): MovedExchange[] {
  const positions = new Map<unknown, number>([...callers.entries(), ...links.entries()].map(([at, one]) => [one, at]))
  return pairs.map(({ down, up }) => ({
    caller: positions.get(down.carrier)!,
    callerStream: down.flow.id,
    link: positions.get(up.carrier)!,
    linkStream: up.streamId,
    down: down.state,
    up: up.state,
    exchange: down.owner.crossing.state(),
  }))
}
