/**
 * Http11Probe's 143 raw requests through a running worker and through the watchdog's relay, judged on both sides: the
 * answer, and the bytes that reached the backend.
 */
import { expect } from 'chai'

import { isCoreCase, judgeProbe, loadProbeCases } from '../../support/http1/http11probe.ts'
import type { ProbeVerdict } from '../../support/http1/http11probe.ts'
import { dirtyForward } from '../../support/http1/recording-backend.ts'
import { RawCaller } from '../../support/http1/raw-caller.ts'
import { meshKinds, startRecordedMesh } from '../../support/http1/recorded-mesh.ts'
import type { RecordedMesh } from '../../support/http1/recorded-mesh.ts'
import { relayKinds, startRecordedRelay } from '../../support/http1/recorded-relay.ts'
import { parseReplies, parseRequests } from '../../support/http1/strict-parser.ts'

/** How long a case that may stay without an answer is given; silence and answer are both right there. */
const silenceMs = 700
/** For all others: long enough for any answer on a busy machine. */
const answerMs = 20_000

/** Its expectation holds for servers that speak HTTP/1.1 alone; a worker's ports for HTTP speak HTTP/2, too. */
const http2Preface = 'MAL-H2-PREFACE'
const settingsType = 4

const ways: readonly (readonly [string, boolean, () => Promise<RecordedMesh>])[] = [
  ...meshKinds.map((kind) => [`a worker, ${kind}`, true, () => startRecordedMesh(kind)] as const),
  ...relayKinds.map((kind) => [`the watchdog, ${kind}`, false, () => startRecordedRelay(kind)] as const),
]

for (const [way, speaksHttp2, start] of ways)
  describe(`Http11Probe through ${way}`, () => {
    let mesh: RecordedMesh
    const verdicts = new Map<string, ProbeVerdict>()
    const cases = loadProbeCases()

    before(async function () {
      this.timeout(120_000)
      mesh = await start()
    })

    after(async () => {
      await mesh.close()
    })

    if (speaksHttp2)
      it(`${http2Preface}: is the beginning of HTTP/2 here, and nothing is forwarded`, async () => {
        mesh.backend.reset()
        const caller = await RawCaller.open(mesh.port)
        try {
          caller.send(cases.find(({ id }) => id === http2Preface)!.bytes)
          await caller.until(() => caller.bytes.length >= 9, answerMs)
          expect(caller.bytes[3], caller.bytes.toString('hex')).to.equal(settingsType)
          expect(mesh.backend.connections.flatMap(({ bytes }) => [...bytes])).to.deep.equal([])
          verdicts.set(http2Preface, 'pass')
        } finally {
          caller.close()
        }
      })

    for (const probe of cases.filter(({ id }) => !speaksHttp2 || id !== http2Preface)) {
      it(`${probe.id}: ${probe.expected}, and no dirty forward`, async () => {
        const { backend } = mesh
        backend.reset()
        const caller = await RawCaller.open(mesh.port)
        const methods = [probe.bytes.toString('latin1').startsWith('HEAD ') ? 'HEAD' : 'GET', 'GET', 'GET', 'GET']
        try {
          caller.send(probe.bytes)
          const isAnswered = () => {
            const seen = parseReplies(caller.bytes, methods, caller.isOver)
            return seen.messages.some((message) => message.status >= 200 || message.status === 101)
          }
          const mayBeSilent = probe.expected.includes('timeout')
          await caller.until(() => caller.isOver || isAnswered(), mayBeSilent ? silenceMs : answerMs)
          // Whether it closes is part of some expectations
          if (/close/.test(probe.expected) || /^400$/.test(probe.expected)) await caller.until(() => caller.isOver, 200)
          const seen = parseReplies(caller.bytes, methods, caller.isOver)
          expect(seen.problem, caller.text).to.equal(undefined)
          const finals = seen.messages.filter((message) => message.status >= 200 || message.status === 101)
          const verdict = judgeProbe(probe.expected, { status: finals[0]?.status, isClosed: caller.isOver })
          verdicts.set(probe.id, verdict)
          expect(verdict, `${probe.description}\nanswer: ${JSON.stringify(caller.text.slice(0, 300))}`).to.not.equal(
            'fail',
          )
          if (isCoreCase(probe)) expect(verdict).to.equal('pass')

          caller.close()
          let forwarded = 0
          for (const connection of backend.connections) {
            const stream = parseRequests(connection.bytes)
            const deadline = performance.now() + answerMs
            while (stream.isCut && !connection.isEnded && performance.now() < deadline)
              await new Promise((resolve) => setTimeout(resolve, 5))
            expect(
              dirtyForward(connection),
              JSON.stringify(connection.bytes.toString('latin1').slice(0, 500)),
            ).to.equal(undefined)
            forwarded += stream.messages.length
          }
          const fromBackend = finals.filter((message) => !message.fields.some(([name]) => name === 'x-mesh-error'))
          expect(fromBackend.length, 'replies of the backend').to.be.at.most(forwarded)
        } finally {
          caller.close()
        }
      })
    }

    it('passes all 64 core cases, fails none of the 143', () => {
      expect(cases.filter(isCoreCase).filter((probe) => verdicts.get(probe.id) !== 'pass')).to.deep.equal([])
      expect([...verdicts.values()].filter((verdict) => verdict === 'fail')).to.deep.equal([])
      expect(verdicts.size).to.equal(143)
    })

    it('leaves the process running', () => {
      mesh.expectAlive()
    })
  })
