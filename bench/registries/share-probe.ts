/**
 * The two ends of a change, in a thread of their own: the relay in front of the registry, and a worker of the host.
 * What else the benchmark does (the registry's stand-in, the client that writes the change) keeps neither from looking
 * at the clock.
 */
import { parentPort } from 'node:worker_threads'
import { dialControl, type WorkerStandIn } from '../worker-stand-in.ts'
import { startTimedRelay, type TimedRelay } from './timed-relay.ts'

export type ToProbe =
  | { readonly type: 'relay'; readonly target: number }
  | { readonly type: 'worker'; readonly path: string; readonly service: string; readonly patienceMs: number }
  /** The next change of the instance at 10.0.0.1 is to this weight. */
  | { readonly type: 'begin'; readonly weight: number }
  | { readonly type: 'end' }

export type FromProbe =
  | { readonly type: 'relay'; readonly port: number }
  | { readonly type: 'ready' }
  /** `at`: epoch ms of its end. */
  | { readonly type: 'arrived'; readonly weight: number; readonly ms: number; readonly at: number }

const port = parentPort!
let relay: TimedRelay | undefined
let worker: WorkerStandIn | undefined
let awaited = 0

const say = (message: FromProbe): void => port.postMessage(message)

port.on('message', (message: ToProbe) => {
  void take(message)
})

async function take(message: ToProbe): Promise<void> {
  switch (message.type) {
    case 'relay':
      relay = await startTimedRelay(message.target)
      say({ type: 'relay', port: relay.port })
      return
    case 'worker':
      worker = await dialControl(message.path, 1, ({ service, endpoints }) => {
        if (!service.endsWith(`@@${message.service}`)) return
        const weight = endpoints.find(({ address }) => address === '10.0.0.1')?.weight
        if (weight === awaited) arrived(weight)
      })
      await worker.need([message.service], message.patienceMs)
      say({ type: 'ready' })
      return
    case 'begin':
      relay!.begin()
      awaited = message.weight
      say({ type: 'ready' })
      return
    case 'end':
      worker?.close()
      await relay?.close()
      port.close()
  }
}

function arrived(weight: number): void {
  const now = performance.now()
  awaited = 0
  say({ type: 'arrived', weight, ms: relay!.clientShare(now), at: performance.timeOrigin + now })
}
