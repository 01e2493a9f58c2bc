/**
 * All deadlines of a worker in one coarse wheel, so that arming and disarming one costs a few pointer writes and no
 * timer of Node's.
 *
 * Resolution: a timer fires 0..2 ticks late (tick = 4 ms), never early. Far deadlines sit in a second wheel and move
 * down when their time comes near; anything beyond 70 minutes is looked at again after that time. The process wakes up
 * only when a slot with timers is due, so an idle worker sleeps.
 *
 * Moving a deadline further away, which is what every request does to an idle time-out, only writes a number: the timer
 * stays in its old slot and finds its true place when that slot comes. So `disarm` leaves it there too, and an owner
 * that ends must `drop` its timers.
 */

export const tickMs = 4
const slotCount = 1024
const slotMask = slotCount - 1

export interface TimerOwner {
  /** The deadline of `timer` has passed and it is disarmed; it may be armed again from here. */
  onTimer(timer: Timer): void
}

/** A deadline that belongs to one object for its whole life. */
export class Timer {
  readonly owner: TimerOwner
  /** What the owner uses it for. */
  kind: number
  /** Monotonic ms; Infinity = disarmed. */
  deadline = Infinity
  /** When its slot comes, at the latest at `deadline`; meaningful while `slot` is set. */
  slotDeadline = 0
  next: Timer | null = null
  previous: Timer | null = null
  /** Index into the two wheels, -1 = in none. */
  slot = -1

  constructor(owner: TimerOwner, kind: number) {
    this.owner = owner
    this.kind = kind
  }

  get isArmed(): boolean {
    return this.deadline !== Infinity
  }
}

/** Sets one wake-up call after `delayMs`, replacing an earlier one; never called with less than one tick. */
export type SetWakeUp = (callback: () => void, delayMs: number) => void

export class TimerWheel {
  private readonly now: () => number
  private readonly setWakeUp: SetWakeUp
  /** First and second wheel in one array: slots 0..1023 and 1024..2047. */
  private readonly heads: (Timer | null)[] = Array.from({ length: slotCount * 2 }, () => null)
  /** Ticks up to here are done. */
  private tick: number
  private wakeTick = Infinity
  private linked = 0
  private readonly wake = (): void => {
    this.wakeTick = Infinity
    this.advance()
  }

  constructor(now: () => number, setWakeUp: SetWakeUp) {
    this.now = now
    this.setWakeUp = setWakeUp
    this.tick = Math.floor(now() / tickMs)
  }

  /** Timers in the wheel, disarmed ones included. */
  get size(): number {
    return this.linked
  }

  /** Arms, or moves an armed timer. `deadline` in monotonic ms; one in the past fires at the next wake-up. */
  arm(timer: Timer, deadline: number): void {
    timer.deadline = deadline
    if (timer.slot >= 0) {
      if (timer.slotDeadline <= deadline) return
      this.unlink(timer)
    } else {
      this.linked++
    }
    const due = this.link(timer, deadline)
    if (due < this.wakeTick) this.sleepUntil(due)
  }

  disarm(timer: Timer): void {
    timer.deadline = Infinity
  }

  /** Takes it out for good, so that the wheel does not hold its owner any longer. It may be armed again. */
  drop(timer: Timer): void {
    timer.deadline = Infinity
    if (timer.slot < 0) return
    this.unlink(timer)
    timer.slot = -1
    this.linked--
  }

  /** Fires what is due. Called by its own wake-up; tests with a manual clock call it themselves. */
  advance(): void {
    const target = Math.floor(this.now() / tickMs)
    while (this.tick < target) {
      if (this.linked === 0) {
        this.tick = target
        break
      }
      this.tick++
      if ((this.tick & slotMask) === 0) this.cascade((this.tick / slotCount) & slotMask)
      this.fire(this.tick & slotMask)
    }
    if (this.linked > 0) this.sleepUntil(this.nextDue())
  }

  private link(timer: Timer, deadline: number): number {
    timer.slotDeadline = deadline
    let due = Math.ceil(deadline / tickMs)
    if (due <= this.tick) due = this.tick + 1
    let slot: number
    if (due - this.tick < slotCount) {
      slot = due & slotMask
    } else {
      const round = Math.min(Math.floor(due / slotCount), Math.floor(this.tick / slotCount) + slotMask)
      slot = slotCount + (round & slotMask)
      due = round * slotCount
    }
    const head = this.heads[slot]!
    timer.slot = slot
    timer.previous = null
    timer.next = head
    if (head !== null) head.previous = timer
    this.heads[slot] = timer
    return due
  }

  private unlink(timer: Timer): void {
    const { next, previous } = timer
    if (previous === null) this.heads[timer.slot] = next
    else previous.next = next
    if (next !== null) next.previous = previous
    timer.next = null
    timer.previous = null
  }

  private cascade(round: number): void {
    let timer = this.heads[slotCount + round]!
    this.heads[slotCount + round] = null
    while (timer !== null) {
      const next = timer.next!
      this.link(timer, timer.slotDeadline)
      timer = next
    }
  }

  private fire(slot: number): void {
    // A timer that is armed while this runs lands in a later slot, so the loop ends.
    for (let timer = this.heads[slot]!; timer !== null; timer = this.heads[slot]!) {
      const { deadline } = timer
      this.unlink(timer)
      timer.slot = -1
      if (deadline === Infinity) {
        this.linked--
      } else if (Math.ceil(deadline / tickMs) > this.tick) {
        this.link(timer, deadline)
      } else {
        this.linked--
        timer.deadline = Infinity
        timer.owner.onTimer(timer)
      }
    }
  }

  private nextDue(): number {
    for (let tick = this.tick + 1; tick < this.tick + slotCount; tick++) {
      if ((tick & slotMask) === 0) return tick
      if (this.heads[tick & slotMask] !== null) return tick
    }
    return this.tick + slotCount
  }

  private sleepUntil(tick: number): void {
    this.wakeTick = tick
    this.setWakeUp(this.wake, Math.max(tickMs, tick * tickMs - this.now()))
  }
}

/** So much too late, the process stood still, and what it waited for may lie in its sockets. */
const standstillMs = 50

/**
 * The wake-up call of a real process. It does not keep the process alive: sockets do. Node looks at its timers before
 * its sockets, so behind a standstill the call comes once they were read: else replies that came in time were too late.
 */
export function processWakeUp(): SetWakeUp {
  let pending: NodeJS.Timeout | undefined
  let behindSockets: NodeJS.Immediate | undefined
  let call = (): void => {}
  let due = 0
  const wake = (): void => {
    if (performance.now() - due < standstillMs) call()
    else behindSockets = setImmediate(call)
  }
  return (callback, delayMs) => {
    clearTimeout(pending)
    clearImmediate(behindSockets)
    call = callback
    due = performance.now() + delayMs
    pending = setTimeout(wake, delayMs)
    pending.unref()
  }
}
