/**
 * Control's end of the link, for benchmarks: gives workers a snapshot and deltas over the real socket and protocol, and
 * waits until they run with it.
 */
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import type { ControlToWorker, WorkerQuestion, WorkerToControl } from '../contracts/control-link.ts'
import { encodeFrame, FrameReader } from '../contracts/frame.ts'
import { runFiles } from '../contracts/run-directory.ts'
import type { Snapshot, SnapshotDelta } from '../contracts/snapshot.ts'
import type { WorkloadCertificates } from '../contracts/workload-certificate.ts'

export interface ControlStandIn {
  /** Resolves when `workers` workers have applied this version. */
  untilApplied(version: number, workers: number): Promise<void>
  sendDelta(delta: SnapshotDelta): void
  /** Asks the worker that came first. */
  ask(question: WorkerQuestion): Promise<unknown>
  close(): Promise<void>
}

export async function startControlStandIn(
  runDirectory: string,
  generation: number,
  snapshot: Snapshot,
  certificates: WorkloadCertificates = [],
): Promise<ControlStandIn> {
  const workers = new Map<Socket, number>()
  const waiting: { version: number; workers: number; resolve: () => void; reject: (error: Error) => void }[] = []
  const questions = new Map<number, (answer: unknown) => void>()
  let problem: Error | undefined
  let asked = 0

  const settle = (): void => {
    for (const waiter of waiting.slice()) {
      const count = [...workers.values()].filter((version) => version >= waiter.version).length
      if (count < waiter.workers && problem === undefined) continue
      waiting.splice(waiting.indexOf(waiter), 1)
      if (problem === undefined) waiter.resolve()
      else waiter.reject(problem)
    }
  }
  const take = (socket: Socket, message: WorkerToControl): void => {
    if (message.type === 'hello') {
      socket.write(encodeFrame({ type: 'certificates', certificates } satisfies ControlToWorker))
      socket.write(encodeFrame({ type: 'snapshot', snapshot } satisfies ControlToWorker))
    }
    if (message.type === 'applied') {
      workers.set(socket, message.version)
      if (message.problems.length > 0) problem = new Error(message.problems.map((one) => one.message).join('; '))
    }
    if (message.type === 'refused') problem = new Error(`the worker refused the snapshot: ${message.message}`)
    if (message.type === 'reply') questions.get(message.id)?.(message.body)
    settle()
  }
  const server = createServer((socket) => {
    const reader = new FrameReader()
    workers.set(socket, -1)
    socket.on('data', (chunk: Buffer) => {
      for (const message of reader.push(chunk)) take(socket, message as WorkerToControl)
    })
    socket.on('close', () => workers.delete(socket))
    socket.on('error', () => undefined)
  })
  server.listen(join(runDirectory, runFiles.control(generation)))
  await once(server, 'listening')

  const send = (socket: Socket, message: ControlToWorker): void => {
    socket.write(encodeFrame(message))
  }
  return {
    untilApplied: (version, count) =>
      new Promise((resolve, reject) => {
        waiting.push({ version, workers: count, resolve, reject })
        settle()
      }),
    sendDelta: (delta) => {
      for (const socket of workers.keys()) send(socket, { type: 'delta', delta })
    },
    ask: (question) =>
      new Promise((resolve) => {
        const id = ++asked
        questions.set(id, resolve)
        const [first] = workers.keys()
        if (first !== undefined) send(first, { type: 'ask', id, question })
      }),
    close: async () => {
      for (const socket of workers.keys()) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
