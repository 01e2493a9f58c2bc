/**
 * grpc-go's interop caller and application (grpc/grpc doc/interop-test-descriptions.md): a case passes through the mesh
 * when it passes without it, also when agents are restarted in the middle of it. The four cases about compression,
 * which grpc-go's caller does not know, are in `grpc-compression.spec.ts`.
 */
import { expect } from 'chai'

import { Gate } from '../../support/http2/gate.ts'
import { HostChain, workersBefore } from '../../support/http2/interop-chain.ts'
import { InteropPeers, interopCases } from '../../support/http2/interop.ts'
import { eventually } from '../../support/worker/eventually.ts'

/** Those in which both sides talk for a while, and a unary one whose reply waits. */
const lastingCases = [
  'client_streaming',
  'server_streaming',
  'ping_pong',
  'empty_stream',
  'cancel_after_first_response',
  'large_unary',
] as const

describe('the interop cases of gRPC, by grpc-go on both sides', function () {
  this.timeout(120_000)
  let peers: InteropPeers

  before(async function () {
    const started = await InteropPeers.start()
    if ('missing' in started) {
      console.warn(started.missing)
      this.skip()
    }
    peers = started
  })

  after(() => peers?.close())

  it('pass without the mesh', async () => {
    expect(await peers.playAll(interopCases, peers.port)).to.deep.equal([])
  })

  for (const agents of [1, 2]) {
    const through = agents === 1 ? 'one agent' : 'two agents in a row'

    it(`pass through ${through}`, async () => {
      const workers = await workersBefore(peers.port, agents)
      try {
        const [first] = workers
        expect(await peers.playAll(interopCases, first!.port('calls'))).to.deep.equal([])
        for (const worker of workers) expect(worker.metric('istio_requests_total', 'grpc')).to.be.least(14)
      } finally {
        for (const worker of workers) worker.stop()
      }
    })

    it(`pass through ${through} when they are restarted in the middle of the streaming ones`, async () => {
      const gates = lastingCases.map(() => new Gate(peers.port))
      const chain = await HostChain.start(await Promise.all(gates.map((gate) => gate.listen())), agents)
      try {
        // the connections are there, and both sides of each know the other's settings
        expect(await Promise.all(chain.ports.map((port) => peers.play('empty_unary', port)))).to.deep.equal(
          lastingCases.map(() => ''),
        )
        for (const gate of gates) gate.shut()
        let isOver = false
        const ends = Promise.all(lastingCases.map((name, at) => peers.play(name, chain.ports[at]!)))
        void ends.finally(() => (isOver = true))
        await eventually(() => gates.every(({ heldBytes }) => heldBytes > 0))
        const { lost, moved } = await chain.restart()
        expect(isOver).to.equal(false)
        expect([moved, lost]).to.deep.equal([lastingCases.length * agents, 0])
        for (const gate of gates) gate.open()
        expect(await ends).to.deep.equal(lastingCases.map(() => ''))
        expect(gates.map(({ connections }) => connections)).to.deep.equal(lastingCases.map(() => 1))
      } finally {
        for (const gate of gates) gate.close()
        expect(await chain.end(), 'processes left').to.deep.equal([])
      }
    })
  }
})
