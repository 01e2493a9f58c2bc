/**
 * What every codec of private RPC passes (`rpc/codec.ts`). A spec gives the codec and frames of its protocol as an
 * application writes them.
 */
import { expect } from 'chai'
import { FrameFault, FrameKind, RpcFrame } from '../../rpc/frame.ts'
import { FrameSplitter, overBudget } from '../../rpc/frame-splitter.ts'
import { HeldBudget } from '../../rpc/held-budget.ts'
import type { RpcCodec } from '../../rpc/codec.ts'
import { withId } from '../../rpc/with-id.ts'

export interface CodecSamples {
  readonly codec: RpcCodec
  /** A request to `service` and `method` with id 7 and an attribute `zone` = `blue` where the protocol has such. */
  request(service: string, method: string): Buffer
  /** The reply to it, with an id. */
  reply(id: number): Buffer
  /** A reply that says that the call failed. */
  failedReply(id: number): Buffer
  readonly oneWay: Buffer | null
  readonly heartbeat: Buffer | null
  readonly hasAttributes: boolean
  /** A request whose length field says `value`, which is a 32-bit number. */
  withLength(value: number): Buffer
  /** Frames that break a rule, and the rule. */
  readonly broken: readonly (readonly [string, Buffer, number])[]
}

const maxBytes = 8 * 1024 * 1024

interface Seen {
  readonly frames: Buffer[]
  readonly faults: number[]
}

function split(codec: RpcCodec, pieces: readonly Buffer[], budgetBytes = maxBytes * 2): Seen {
  const seen: Seen = { frames: [], faults: [] }
  const receiver = {
    onFrame(buf: Buffer, at: number, end: number): boolean {
      seen.frames.push(Buffer.from(buf.subarray(at, end)))
      return true
    },
    onFault: (fault: number) => void seen.faults.push(fault),
  }
  const splitter = new FrameSplitter(codec, receiver, new HeldBudget(budgetBytes * 4), maxBytes, () => 'test')
  for (const piece of pieces) splitter.feed(piece, piece.length)
  return seen
}

function readOne(codec: RpcCodec, bytes: Buffer): RpcFrame {
  const frame = new RpcFrame()
  expect(codec.measure(bytes, 0, bytes.length, maxBytes)).to.equal(bytes.length)
  expect(codec.read(bytes, 0, bytes.length, frame)).to.equal(0)
  return frame
}

const text = (bytes: Buffer, from: number, to: number): string => bytes.toString('utf8', from, to)

/** A bound that a codec checks when it measures or when it reads. */
function faultOf(codec: RpcCodec, bytes: Buffer): number {
  const { frames, faults } = split(codec, [bytes])
  if (faults.length > 0) return faults[0]!
  return frames.length === 0 ? 0 : codec.read(frames[0]!, 0, frames[0]!.length, new RpcFrame())
}

export function describeRpcCodec(name: string, samples: CodecSamples): void {
  const { codec } = samples
  const request = samples.request('shop.Orders', 'place')

  describe(`the codec ${name}`, () => {
    it('finds a frame wherever it is cut', () => {
      const both = Buffer.concat([request, samples.reply(9)])
      for (let at = 1; at < both.length; at++) {
        const { faults, frames } = split(codec, [both.subarray(0, at), both.subarray(at)])
        expect(faults, `cut at ${at}`).to.deep.equal([])
        expect(Buffer.concat(frames).equals(both), `cut at ${at}`).to.equal(true)
        expect(frames.length, `cut at ${at}`).to.equal(2)
      }
    })

    it('finds a frame that comes byte by byte', () => {
      const bytes = [...request].map((byte) => Buffer.from([byte]))
      expect(split(codec, bytes).frames.map((frame) => frame.equals(request))).to.deep.equal([true])
    })

    it('finds many frames in one read, and the part of another', () => {
      const read = Buffer.concat([request, samples.reply(1), request, request.subarray(0, 5)])
      expect(split(codec, [read]).frames.length).to.equal(3)
      expect(split(codec, [read, request.subarray(5)]).frames.length).to.equal(4)
    })

    it('reads what a request calls', () => {
      const frame = readOne(codec, request)
      expect(frame.kind).to.equal(FrameKind.request)
      expect(frame.idLow).to.equal(7)
      expect(text(request, frame.methodFrom, frame.methodTo)).to.equal('place')
      expect(text(request, frame.serviceFrom, frame.serviceTo)).to.equal('shop.Orders')
    })

    it('reads a frame in the middle of other bytes', () => {
      const noise = Buffer.concat([Buffer.from('noise'), request, Buffer.from('noise')])
      const frame = new RpcFrame()
      const end = 5 + request.length
      expect(codec.measure(noise, 5, noise.length, maxBytes)).to.equal(request.length)
      expect(codec.read(noise, 5, end, frame)).to.equal(0)
      expect(text(noise, 5 + frame.methodFrom, 5 + frame.methodTo)).to.equal('place')
      if (codec.rebuilt(noise, 5, end, frame, 0, 99) === null) codec.writeId(noise, 5, end, frame, 0, 99)
      const again = new RpcFrame()
      expect(codec.read(noise, 5, end, again)).to.equal(0)
      expect(again.idLow).to.equal(99)
      expect(text(noise, 0, 5) + text(noise, end, end + 5)).to.equal('noisenoise')
    })

    it('puts in another id and leaves all else as it was', () => {
      const frame = readOne(codec, request)
      for (const id of [1, 200, 2 ** Math.min(codec.idBits, 31) - 1]) {
        const changed = withId(codec, Buffer.from(request), frame, 0, id)
        const read = readOne(codec, changed)
        expect(read.idLow).to.equal(id)
        expect(withId(codec, changed, read, frame.idHigh, frame.idLow).equals(request)).to.equal(true)
      }
    })

    it('tells replies by their ids, and failed ones by a status', () => {
      const good = readOne(codec, samples.reply(41))
      expect([good.kind, good.idLow, good.status]).to.deep.equal([FrameKind.reply, 41, 200])
      const failed = readOne(codec, samples.failedReply(42))
      expect([failed.kind, failed.idLow]).to.deep.equal([FrameKind.reply, 42])
      expect(failed.status).to.be.within(400, 599)
    })

    if (samples.oneWay !== null) {
      it('knows a request without a reply', () => {
        expect(readOne(codec, samples.oneWay!).kind).to.equal(FrameKind.oneWay)
      })
    }

    if (samples.heartbeat !== null) {
      it('answers a heartbeat under its id, and makes heartbeats that it answers', () => {
        for (const beat of [samples.heartbeat!, codec.heartbeat(23)!]) {
          const frame = readOne(codec, beat)
          expect(frame.kind).to.equal(FrameKind.heartbeat)
          const reply = codec.heartbeatReply(beat, 0, beat.length, frame)
          const answered = readOne(codec, reply)
          expect(answered.kind).to.equal(FrameKind.heartbeatReply)
          expect(answered.idLow).to.equal(frame.idLow)
        }
      })
    }

    it('says goaway in its own words, where it has some', () => {
      const word = codec.goAway()
      if (word !== null) expect(readOne(codec, word).kind).to.equal(FrameKind.goAway)
    })

    it('answers a request with an error of its own that a caller reads as one', () => {
      const frame = readOne(codec, request)
      for (const [status, code] of [
        [503, 'E_BALANCE_NO_ENDPOINT'],
        [504, 'E_UPSTREAM_TIMEOUT'],
        [404, 'E_ROUTE_NONE'],
      ] as const) {
        const error = { status, code, reason: 'nobody "there"' }
        const reply = codec.errorReply(request, 0, request.length, frame, error)
        const read = readOne(codec, reply)
        expect([read.kind, read.idLow, read.idHigh]).to.deep.equal([FrameKind.reply, 7, frame.idHigh])
        expect(read.status).to.be.within(400, 599)
      }
    })

    if (samples.hasAttributes) {
      it('finds attributes, whatever the case of their names', () => {
        const frame = readOne(codec, request)
        expect(codec.attribute(request, 0, frame, 'zone')).to.equal('blue')
        expect(codec.attribute(request, 0, frame, 'absent')).to.equal(undefined)
        const all = new Map<string, string>()
        codec.eachAttribute(request, 0, frame, (key, value) => all.set(key, value))
        expect(all.get('zone')).to.equal('blue')
      })

      it('changes attributes and leaves all else as it was', () => {
        const frame = readOne(codec, request)
        const edits = { drop: new Set(['zone']), add: [['lane', 'grün']] as const }
        const edited = codec.edited(request, 0, request.length, frame, edits)!
        const read = readOne(codec, edited)
        expect(codec.attribute(edited, 0, read, 'zone')).to.equal(undefined)
        expect(codec.attribute(edited, 0, read, 'lane')).to.equal('grün')
        expect(text(edited, read.methodFrom, read.methodTo)).to.equal('place')
        const back = { drop: new Set(['lane']), add: [['zone', 'blue']] as const }
        const again = codec.edited(edited, 0, edited.length, read, back)!
        expect(again.length).to.equal(request.length)
      })
    }

    it('refuses lengths that cannot be', () => {
      expect(faultOf(codec, samples.withLength(-1))).to.be.below(0)
      expect(faultOf(codec, samples.withLength(2 ** 31 - 1))).to.equal(FrameFault.tooLong)
      expect(faultOf(codec, samples.withLength(maxBytes + 1))).to.equal(FrameFault.tooLong)
    })

    it('never reads beyond a frame that says length 0', () => {
      const bytes = samples.withLength(0)
      const { faults, frames } = split(codec, [bytes])
      const wasRefused = faults.length > 0
      const wasRead = frames.map((frame) => codec.read(frame, 0, frame.length, new RpcFrame()))
      expect(wasRefused || wasRead.length > 0).to.equal(true)
    })

    for (const [rule, bytes, fault] of samples.broken) {
      it(`refuses ${rule}`, () => expect(faultOf(codec, bytes)).to.equal(fault))
    }

    it('refuses service and method with control characters or of 20,000 bytes', () => {
      expect(faultOf(codec, samples.request('shop.Orders', 'pl\nace'))).to.equal(FrameFault.name)
      const long = faultOf(codec, samples.request('shop.Orders', 'x'.repeat(20_000)))
      expect(long).to.be.below(0)
    })

    it('refuses a frame for which there is no memory', () => {
      expect(split(codec, [request.subarray(0, -1)], 0).faults).to.deep.equal([])
      const claimed = samples.withLength(maxBytes - 1000)
      const pieces = [claimed, ...Array.from({ length: 64 }, () => Buffer.alloc(65_536))]
      expect(split(codec, pieces, 1024 * 1024).faults).to.deep.equal([overBudget])
    })

    it('survives whatever bytes come', () => {
      let seed = 1
      const random = (): number => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7f_ff_ff_ff) / 0x80_00_00_00
      for (let round = 0; round < 3000; round++) {
        const bytes = Buffer.from(round % 2 === 0 ? request : samples.reply(round))
        for (let change = 0; change < 1 + (round % 4); change++) {
          bytes[Math.floor(random() * Math.min(bytes.length, 80))] = Math.floor(random() * 256)
        }
        const { frames } = split(codec, [bytes, bytes])
        for (const frame of frames) {
          const read = new RpcFrame()
          if (codec.read(frame, 0, frame.length, read) < 0) continue
          codec.eachAttribute(frame, 0, read, () => {})
          codec.attribute(frame, 0, read, 'zone')
          if (read.kind === FrameKind.request) {
            codec.errorReply(frame, 0, frame.length, read, { status: 503, code: 'E_OVERLOAD', reason: 'full' })
          }
          expect(withId(codec, frame, read, 0, 1).length).to.be.above(0)
        }
      }
    })

    it('is found by the first bytes of a connection, and by no others', () => {
      const first = samples.request('shop.Orders', 'place')
      let length = 0
      while (length < first.length && codec.detect(first, length) === 0) length++
      expect(codec.detect(first, length)).to.equal(1)
      for (const other of [
        'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
        'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
        '\x16\x03\x01\x02\x00\x01',
      ]) {
        const bytes = Buffer.from(other, 'latin1')
        expect(codec.detect(bytes, bytes.length), other).to.equal(-1)
      }
    })
  })
}
