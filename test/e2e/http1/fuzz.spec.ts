/** A short run of `npm run fuzz` with a fixed seed. */
import { expect } from 'chai'

import { fuzzWorker, fuzzWorkerReplies } from '../../support/http1/fuzz/worker-fuzz.ts'
import { meshKinds, startRecordedMesh } from '../../support/http1/recorded-mesh.ts'
import type { RecordedMesh } from '../../support/http1/recorded-mesh.ts'

const seed = 20_261_120

for (const kind of meshKinds)
  describe(`fuzzing a worker, ${kind}`, function () {
    this.timeout(120_000)
    let mesh: RecordedMesh

    before(async () => {
      mesh = await startRecordedMesh(kind, {}, 20, 'answered')
    })

    after(() => mesh.close())

    it('passes on nothing that a strict parser refuses and answers every good request (3,000 messages)', async () => {
      const totals = await fuzzWorker(seed, 3000, mesh)
      expect(totals.forwarded).to.be.greaterThan(500)
      mesh.expectAlive()
    })

    it('gives callers no reply that a strict parser refuses, whatever the endpoint says (2,000 messages)', async () => {
      const totals = await fuzzWorkerReplies(seed, 2000, mesh)
      expect(totals.replies).to.be.greaterThan(500)
      mesh.expectAlive()
    })

    it('does so when replies come in pieces (1,000 messages)', async () => {
      const careful = await startRecordedMesh(kind, {}, 1, 'answered')
      try {
        const totals = await fuzzWorkerReplies(seed, 1000, careful)
        expect(totals.replies).to.be.greaterThan(250)
        careful.expectAlive()
      } finally {
        await careful.close()
      }
    })
  })
