import { expect } from 'chai'

import type { TransportKind } from '../../../../../agent/worker/transport/transport.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import { UdpSocket } from '../../../../support/udp/udp-socket.ts'

for (const transport of ['epoll', 'raw', 'public'] satisfies TransportKind[]) {
  describe(`UDP through a worker with ${transport} transports`, () => {
    it('carries datagrams both ways, each whole, to a socket of its own for each caller', async () => {
      const server = await UdpSocket.echo('a')
      const worker = await startWorker(
        { services: [{ name: 'clock', protocol: 'udp', endpoints: [{ address: '127.0.0.1', port: server.port }] }] },
        { wantedTransport: transport },
      )
      const [one, two] = [await UdpSocket.open(), await UdpSocket.open()]
      try {
        const port = worker.port('clock')
        expect(await one.ask(port, 'x')).to.equal('a|x')
        expect(await one.ask(port, '')).to.equal('a|')
        expect(await two.ask(port, 'y')).to.equal('a|y')
        const long = 'l'.repeat(60_000)
        expect(await one.ask(port, long)).to.equal(`a|${long}`)
        expect(new Set(server.got.map((got) => got.port)).size, 'ports towards the endpoint').to.equal(2)
        expect(one.got.every((got) => got.port === port)).to.equal(true)
        expect(worker.metric('hostmesh_udp_sessions')).to.equal(2)
        expect(worker.metric('hostmesh_udp_datagrams_total', 'received')).to.equal(4)
        expect(worker.metric('hostmesh_udp_bytes_total', 'sent')).to.equal(60_000 + 2 * 4 + 2)
      } finally {
        worker.stop()
        for (const socket of [server, one, two]) socket.close()
      }
    })
  })
}
