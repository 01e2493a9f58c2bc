/**
 * One TCP connection through the relay. A center is asked to say first that it goes on; until then nothing of the
 * caller's bytes is sent, so a center that does not know the service, closes, or says nothing costs a pause and no
 * byte: the next address is tried.
 */
import { acknowledgement } from '../../contracts/words.ts'
import { keyOf } from './relay-addresses.ts'
import type { RelayAddress } from './relay-addresses.ts'
import { dialFirst } from './dial.ts'
import { Http2Refusal } from './http2-refusal.ts'
import type { RelayedDeps } from './relayed-deps.ts'
import { tunnel } from './tunnel.ts'
import { nobody } from './wire.ts'
import type { Wire, WireOwner } from './wire.ts'

export function relayTcp(downstream: Wire, deps: RelayedDeps): void {
  const { addresses, targets, listener } = deps
  new TcpRelay(downstream, deps).dial(addresses.of(targets, listener, undefined, deps.now()))
}

class TcpRelay {
  private readonly downstream: Wire
  private readonly deps: RelayedDeps

  constructor(downstream: Wire, deps: RelayedDeps) {
    this.downstream = downstream
    this.deps = deps
  }

  dial(list: readonly RelayAddress[]): void {
    const { deps, downstream } = this
    const dialing = dialFirst(list, deps, (dialed) => {
      if (dialed === undefined) {
        this.fail()
        return
      }
      const { target, untried, wire } = dialed
      deps.onRouted(target.tier)
      if (target.tier === 'center') this.ask(wire, target, untried)
      else tunnel(downstream, wire)
    })
    downstream.owner = { ...nobody, onClosed: () => dialing.cancel() }
  }

  private ask(wire: Wire, target: RelayAddress, untried: readonly RelayAddress[]): void {
    const { deps, downstream } = this
    const { introduction, listener, listenerName, waiting } = deps
    wire.write(
      introduction.header(downstream.peer, {
        service: listener.service ?? '',
        listener: listenerName,
        asksAcknowledgement: true,
      }),
    )
    const leave = waiting.enter(keyOf(target), () => answer.passOver())
    const answer = new Acknowledgement(wire, downstream, leave, () => {
      deps.onPassedOver()
      if (untried.length > 0) this.dial(untried)
      else this.fail()
    })
    downstream.owner = { ...nobody, onClosed: () => answer.cancel() }
    wire.resume()
  }

  /** Nobody took it. Who speaks HTTP/2 hears so, and when to try again; a connection of anything else just ends. */
  private fail(): void {
    const { deps, downstream } = this
    const { protocol } = deps.listener
    deps.onRouted('failed')
    if (protocol === 'grpc' || protocol === 'http2') new Http2Refusal(downstream, protocol === 'grpc')
    else downstream.reset()
  }
}

/** Longer than a center waits for its own control. */
const acknowledgementMs = 5000

/** Waits for the one byte. */
class Acknowledgement implements WireOwner {
  private readonly wire: Wire
  private readonly downstream: Wire
  private readonly leave: () => void
  private readonly onNothing: () => void
  private readonly timer: NodeJS.Timeout

  constructor(wire: Wire, downstream: Wire, leave: () => void, onNothing: () => void) {
    this.wire = wire
    this.downstream = downstream
    this.leave = leave
    this.onNothing = onNothing
    wire.owner = this
    this.timer = setTimeout(() => this.passOver(), acknowledgementMs)
  }

  onBytes(bytes: Buffer): void {
    if (bytes[0] !== acknowledgement) {
      this.passOver()
      return
    }
    this.leave()
    clearTimeout(this.timer)
    if (bytes.length > 1) this.downstream.writeCopy(bytes.subarray(1))
    tunnel(this.downstream, this.wire)
  }

  onEnd(): void {
    this.passOver()
  }

  onDrained(): void {}

  onClosed(): void {
    this.passOver()
  }

  /** Nothing was sent, so it may go elsewhere. */
  passOver(): void {
    this.cancel()
    this.onNothing()
  }

  cancel(): void {
    clearTimeout(this.timer)
    this.leave()
    this.wire.close()
  }
}
