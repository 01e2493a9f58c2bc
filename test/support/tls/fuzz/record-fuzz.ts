/**
 * Records of TLS 1.3 from a peer that has the keys and says anything with them: what is right must come out as it was
 * put in, cut and moved to another process at any place; what is damaged must end the connection with an alert and
 * nothing else, and nothing that stands behind it may come out.
 */
import { Random } from '../../http1/fuzz/random.ts'
import { RecordPeer } from '../record-peer.ts'
import { ContentType } from '../../../../agent/worker/transport/tls/words.ts'

export interface RecordFuzzTotals {
  readonly records: number
  readonly connections: number
  /** Ended by a fault of the peer. */
  readonly ended: number
  readonly moves: number
  readonly bytes: number
}

/** Throws with seed and connection at the first difference. */
export async function fuzzRecords(seed: number, records: number): Promise<RecordFuzzTotals> {
  const random = new Random(seed)
  const totals = { records: 0, connections: 0, ended: 0, moves: 0, bytes: 0 }
  while (totals.records < records) {
    const connection = totals.connections++
    const peer = new RecordPeer(random.chance(0.5) ? 'server' : 'client', [bytes(random, 32), bytes(random, 32)])
    const wanted: Buffer[] = []
    let isDamaged = false
    let wire = Buffer.alloc(0)
    for (let count = 1 + random.below(20); count > 0 && !isDamaged; count--, totals.records++) {
      const draw = random.below(100)
      let record: Buffer
      if (draw < 70) {
        const content = bytes(random, random.chance(0.05) ? 16_384 : random.below(400))
        record = peer.record(ContentType.applicationData, content, random.chance(0.2) ? random.below(200) : 0)
        wanted.push(content)
      } else if (draw < 80) {
        record = peer.record(ContentType.handshake, Buffer.from([24, 0, 0, 1, random.below(2)]))
        peer.updateKeys()
      } else {
        isDamaged = true
        record = damaged(random, peer)
      }
      wire = Buffer.concat([wire, record])
    }
    for (let at = 0; at < wire.length;) {
      const step = 1 + random.below(random.chance(0.5) ? 40 : 70_000)
      peer.inner.send(Buffer.from(wire.subarray(at, at + step)))
      at += step
      await turn()
      if (!peer.isOver && random.chance(0.2)) {
        peer.move()
        totals.moves++
      }
    }
    await turn()
    const expected = Buffer.concat(wanted)
    const found = Buffer.concat(peer.received)
    const where = `TLS records, seed ${seed}, connection ${connection}`
    if (!expected.equals(found.subarray(0, expected.length))) throw new Error(`${where}: content differs`)
    if (found.length !== expected.length) throw new Error(`${where}: content from behind the damage came out`)
    if (isDamaged !== peer.isOver && isDamaged) throw new Error(`${where}: damage was not seen`)
    if (!isDamaged && peer.isOver) throw new Error(`${where}: ended by ${peer.events.join()} though nothing was wrong`)
    if (isDamaged) totals.ended++
    totals.bytes += expected.length
    peer.transport.close()
  }
  return totals
}

/** A record that no peer may send. */
function damaged(random: Random, peer: RecordPeer): Buffer {
  const good = peer.record(ContentType.applicationData, bytes(random, 1 + random.below(300)))
  switch (random.below(6)) {
    case 0: {
      // its length aside: a longer one would only be waited for
      const at = random.below(good.length - 2)
      const position = at < 3 ? 0 : at + 2
      good[position]! ^= 1 << random.below(8)
      return good
    }
    case 1:
      return Buffer.concat([Buffer.of(random.below(20)), good])
    case 2:
      return random.chance(0.2)
        ? peer.record(0, Buffer.alloc(random.below(20)))
        : peer.record(random.pick([1, 20, 24, 99, 255]), bytes(random, random.below(20)))
    case 3:
      return peer.record(
        ContentType.handshake,
        Buffer.concat([Buffer.from([1 + random.below(3), 0, 0, 1]), bytes(random, 5)]),
      )
    case 4:
      return peer.record(ContentType.alert, Buffer.from([2, 10 + random.below(70)]))
    default:
      return Buffer.concat([Buffer.from([20 + random.below(3), 3, 3, 0, 1]), bytes(random, 1)])
  }
}

function bytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.below(256)))
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(() => setImmediate(() => setImmediate(resolve)))
  })
}
