/** A worker's end of the link, for benchmarks: asks control for names and counts the services that it is given. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { controlLinkVersion } from '../contracts/control-link.ts'
import type { EndpointSet } from '../contracts/endpoint.ts'
import type { ControlToWorker, WorkerToControl } from '../contracts/control-link.ts'
import { encodeFrame, FrameReader } from '../contracts/frame.ts'

/** Control answers a bounded number of names that it does not know yet, so they are asked for in portions. */
const namesPerNeed = 500

export interface WorkerStandIn {
  /** Asks for all names and waits until control answered with as many services that have endpoints. */
  need(names: readonly string[], timeoutMs: number): Promise<void>
  close(): void
}

/** `onEndpoints`: told of every list of a service, in the moment in which it has come. */
export async function dialControl(
  path: string,
  index: number,
  onEndpoints: (set: EndpointSet) => void = () => undefined,
): Promise<WorkerStandIn> {
  const socket = connect(path)
  await once(socket, 'connect')
  const reader = new FrameReader()
  const filled = new Set<string>()
  const send = (message: WorkerToControl): void => {
    socket.write(encodeFrame(message))
  }
  const take = (message: ControlToWorker): void => {
    if (message.type === 'ask' || message.type === 'certificates') return
    const part =
      message.type === 'snapshot' ? message.snapshot : message.type === 'slice' ? message.slice : message.delta
    for (const [key, service] of Object.entries(part.services ?? {})) {
      if (service === null || service === undefined) continue
      onEndpoints(service.endpoints)
      if (service.endpoints.endpoints.length > 0) filled.add(key)
    }
    if (message.type === 'delta') {
      for (const [key, set] of Object.entries(message.delta.endpoints ?? {})) {
        onEndpoints(set)
        if (set.endpoints.length > 0) filled.add(key)
      }
    }
    if ('version' in part) send({ type: 'applied', version: part.version, problems: [] })
  }
  socket.on('data', (chunk: Buffer) => {
    for (const message of reader.push(chunk)) take(message as ControlToWorker)
  })
  send({ type: 'hello', link: controlLinkVersion, generation: 1, index, pid: process.pid, snapshotVersion: 0 })
  return {
    need: async (names, timeoutMs) => {
      const deadline = performance.now() + timeoutMs
      for (let at = 0; at < names.length; at += namesPerNeed) {
        send({ type: 'need', names: names.slice(at, at + namesPerNeed) })
        while (filled.size < Math.min(at + namesPerNeed, names.length)) {
          if (performance.now() > deadline) throw new Error(`control gave ${filled.size} of ${names.length} services`)
          await sleep(2)
        }
      }
    },
    close: () => socket.destroy(),
  }
}
