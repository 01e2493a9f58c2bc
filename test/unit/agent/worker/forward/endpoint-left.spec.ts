import { expect } from 'chai'

import type { Output } from '../../../../../agent/worker/transport/output.ts'
import { publicTransports } from '../../../../../agent/worker/transport/public-socket.ts'
import { rawTransports } from '../../../../../agent/worker/transport/raw-handle.ts'
import type { Dial, Transports } from '../../../../../agent/worker/transport/transport.ts'
import type { RetrySpec } from '../../../../../contracts/route-spec.ts'
import { RawCaller } from '../../../../support/http1/raw-caller.ts'
import { RecordingBackend } from '../../../../support/http1/recording-backend.ts'
import { eventually } from '../../../../support/worker/eventually.ts'
import { endpointOf, keyOf } from '../../../../support/worker/snapshots.ts'
import { startWorker } from '../../../../support/worker/start-worker.ts'
import type { StartedWorker } from '../../../../support/worker/start-worker.ts'

const orders = keyOf('orders')

/** Transports whose dials begin only when the test lets them. */
class HeldDials {
  private readonly held: (() => void)[] = []
  isHolding = true
  count = 0
  cancelled = 0

  around(inner: Transports): Transports {
    return {
      ...inner,
      listen: (options, onAccept) => inner.listen(options, onAccept),
      listenOn: (descriptor, backlog, onAccept) => inner.listenOn(descriptor, backlog, onAccept),
      open: (descriptor, state) => inner.open(descriptor, state),
      dial: (address, port, callback) => {
        this.count++
        let dial: Dial | undefined
        let isCancelled = false
        const begin = (): void => {
          if (!isCancelled) dial = inner.dial(address, port, callback)
        }
        if (this.isHolding) this.held.push(begin)
        else begin()
        return {
          cancel: () => {
            isCancelled = true
            this.cancelled++
            dial?.cancel()
          },
        }
      },
    }
  }

  letGo(): void {
    this.isHolding = false
    for (const begin of this.held.splice(0)) begin()
  }
}

describe('a request that waits for a connection to an endpoint', () => {
  let leaving: RecordingBackend
  let staying: RecordingBackend
  let started: StartedWorker
  let caller: RawCaller
  let dials: HeldDials

  for (const kind of ['raw', 'public'] as const) {
    describe(`with ${kind} transports`, () => {
      beforeEach(async () => {
        leaving = await RecordingBackend.start()
        staying = await RecordingBackend.start()
        dials = new HeldDials()
      })

      afterEach(async () => {
        caller.close()
        started.stop()
        await leaving.close()
        await staying.close()
      })

      async function ask(retry?: RetrySpec): Promise<void> {
        const inner = (output: Output) =>
          kind === 'public' ? Promise.resolve(publicTransports()) : Promise.resolve(rawTransports(output))
        started = await startWorker(
          {
            services: [
              {
                name: 'orders',
                endpoints: [{ address: '127.0.0.1', port: leaving.port }],
                ...(retry === undefined ? {} : { route: { retry } }),
              },
            ],
          },
          { transports: async (output) => dials.around(await inner(output)) },
        )
        caller = await RawCaller.open(started.port('orders'))
        caller.send('GET / HTTP/1.1\r\nHost: orders\r\n\r\n')
        await eventually(() => dials.count === 1)
      }

      function become(ports: readonly number[]): Promise<void> {
        const endpoints = ports.map((port) => endpointOf('127.0.0.1', port))
        return started.change({
          endpoints: {
            [orders]: { service: orders, version: 2, protectThreshold: 0, registry: 'main', confirmedAt: 0, endpoints },
          },
        })
      }

      it('goes to another endpoint at once when that one leaves, without a retry', async () => {
        await ask()
        dials.isHolding = false
        await become([staying.port])
        await caller.expect('\r\n\r\nok')
        expect(staying.requests).to.have.length(1)
        expect(leaving.connections).to.have.length(0)
        expect(dials.cancelled).to.equal(1)
        expect(started.metric('hostmesh_retries_total')).to.equal(0)
        expect(started.metric('hostmesh_cluster_pending_requests')).to.equal(0)
        expect(started.metric('hostmesh_cluster_active_attempts')).to.equal(0)
      })

      it('is still served by that one when it leaves and there is no other', async () => {
        await ask()
        await become([])
        dials.letGo()
        await caller.expect('\r\n\r\nok')
        expect(dials.count, 'connections that were made for one request').to.equal(1)
        await eventually(() => leaving.connections[0]!.isEnded)
        await eventually(() => started.metric('hostmesh_cluster_connections') === 0)
      })

      it('is still served by it when the whole service leaves the snapshot', async () => {
        await ask()
        await started.change({ services: { [orders]: null } })
        dials.letGo()
        await caller.expect('\r\n\r\nok')
        expect(dials.count, 'connections that were made for one request').to.equal(1)
        await eventually(() => leaving.connections[0]!.isEnded)
      })

      it('is repeated within its service when that left the snapshot meanwhile', async () => {
        await ask({ attempts: 2, perTryTimeoutMs: 0, on: ['connect-failure', 'reset'], statuses: [], backoffMs: 1 })
        leaving.answer = (_message, connection) => {
          leaving.answer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain'
          connection.socket.destroy()
          return undefined
        }
        await started.change({ services: { [orders]: null } })
        dials.letGo()
        await caller.expect('\r\n\r\nagain')
        expect(dials.count).to.equal(2)
      })
    })
  }
})
