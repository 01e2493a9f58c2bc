/** A short run of `npm run fuzz -- relay` with a fixed seed, and the vectors of llhttp. */
import { expect } from 'chai'

import { fuzzWorker, fuzzWorkerReplies } from '../../support/http1/fuzz/worker-fuzz.ts'
import { loadLlhttpBlocks } from '../../support/http1/llhttp-vectors.ts'
import { RawCaller } from '../../support/http1/raw-caller.ts'
import type { RecordedMesh } from '../../support/http1/recorded-mesh.ts'
import { dirtyForward } from '../../support/http1/recording-backend.ts'
import { relayKinds, startRecordedRelay } from '../../support/http1/recorded-relay.ts'
import { parseReplies } from '../../support/http1/strict-parser.ts'

const seed = 20_261_129

for (const kind of relayKinds)
  describe(`fuzzing the watchdog, ${kind}`, function () {
    this.timeout(120_000)
    let mesh: RecordedMesh

    before(async () => {
      mesh = await startRecordedRelay(kind)
    })

    after(() => mesh.close())

    it('passes on nothing that a strict parser refuses and answers every good request (3,000 messages)', async () => {
      const totals = await fuzzWorker(seed, 3000, mesh)
      expect(totals.forwarded).to.be.greaterThan(200)
      mesh.expectAlive()
    })

    for (const block of loadLlhttpBlocks('request')) {
      it(`${block.title}: no dirty forward, and well-formed answers`, async () => {
        const { backend } = mesh
        backend.reset()
        const caller = await RawCaller.open(mesh.port)
        try {
          // With a Host put in where there is none, for else nothing of it would get far.
          const text = block.input.toString('latin1')
          const hasHost = /^host:/im.test(text)
          caller.send(hasHost ? text : text.replace(/( HTTP\/1\.1\r\n)/g, '$1Host: put.in\r\n'))
          caller.socket.end()
          await caller.closed()
          const methods = text.startsWith('HEAD ') ? ['HEAD'] : ['GET']
          expect(parseReplies(caller.bytes, methods, true).problem, caller.text).to.equal(undefined)
          for (const connection of backend.connections) {
            const deadline = performance.now() + 10_000
            while (!connection.isEnded && performance.now() < deadline)
              await new Promise((resolve) => setImmediate(resolve))
            expect(dirtyForward(connection), JSON.stringify(connection.bytes.toString('latin1'))).to.equal(undefined)
          }
        } finally {
          caller.close()
        }
      })
    }

    for (const block of loadLlhttpBlocks('response')) {
      it(`${block.title}: callers get a reply that a strict parser takes, whole or cut`, async () => {
        mesh.backend.reset()
        mesh.backend.answer = (_message, { socket }) => {
          socket.end(block.input)
          return undefined
        }
        const method = block.skipsBody ? 'HEAD' : 'GET'
        const caller = await RawCaller.open(mesh.port)
        try {
          caller.send(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`)
          await caller.closed()
          const seen = parseReplies(caller.bytes, [method], true)
          expect(seen.problem, caller.text).to.equal(undefined)
          expect(seen.messages.filter(({ status }) => status >= 200).length, caller.text).to.be.at.most(1)
        } finally {
          caller.close()
        }
      })
    }

    it('gives callers no reply that a strict parser refuses, whole or in pieces (2,000 messages)', async () => {
      const totals = await fuzzWorkerReplies(seed, 2000, mesh)
      expect(totals.replies).to.be.greaterThan(500)
      mesh.expectAlive()
    })
  })
