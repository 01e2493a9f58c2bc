/**
 * A control without registries, for tests of the watchdog. `--behave refuse-config` ends as a control with a bad
 * configuration does, `late` is ready when the file `control-may-be-ready` is in the run directory; with `--snapshot
 * FILE` it gives that snapshot to real workers, and asks them for their numbers whenever somebody dials `statsSocket`.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { encodeFrame, FrameReader } from '../../../contracts/frame.ts'
import type { StatsDump, WorkerToControl } from '../../../contracts/control-link.ts'
import { runFiles } from '../../../contracts/run-directory.ts'
import { connectWatchdog } from '../../../agent/control/handoff/watchdog-link.ts'
import { statsSocket } from './worker-requests.ts'

const { values } = parseArgs({
  options: {
    'run-dir': { type: 'string' },
    generation: { type: 'string' },
    behave: { type: 'string', default: 'well' },
    snapshot: { type: 'string' },
  },
})
if (values.behave === 'refuse-config') {
  process.stderr.write('E_CONFIG_INVALID  agent.yaml:3: outbound.htp: unknown key\n')
  process.exit(2)
}
if (values.snapshot !== undefined) {
  const snapshot = JSON.parse(readFileSync(values.snapshot, 'utf8')) as object
  /** By index of the worker. */
  const links = new Map<number, Socket>()
  const awaited = new Map<number, (stats: StatsDump) => void>()
  let questions = 0
  const server = createServer((socket) => {
    const reader = new FrameReader()
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      for (const message of reader.push(chunk) as WorkerToControl[]) {
        if (message.type === 'reply') awaited.get(message.id)?.(message.body as StatsDump)
        if (message.type !== 'hello') continue
        links.set(message.index, socket)
        socket.write(encodeFrame({ type: 'snapshot', snapshot }))
      }
    })
  })
  const path = join(values['run-dir']!, runFiles.control(Number(values.generation)))
  rmSync(path, { force: true })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  const statsOf = async ([index, link]: readonly [number, Socket]): Promise<[number, StatsDump]> => {
    const id = ++questions
    const { promise, resolve } = Promise.withResolvers<StatsDump>()
    awaited.set(id, resolve)
    link.write(encodeFrame({ type: 'ask', id, question: { kind: 'stats' } }))
    const stats = await promise
    awaited.delete(id)
    return [index, stats]
  }
  const tell = async (socket: Socket): Promise<void> => {
    socket.end(JSON.stringify(await Promise.all([...links].map(statsOf))))
  }
  const asking = statsSocket(values['run-dir']!, Number(values.generation))
  rmSync(asking, { force: true })
  await new Promise<void>((resolve) => createServer((socket) => void tell(socket)).listen(asking, resolve))
}
const say = (message: string): void =>
  void process.stdout.write(`${JSON.stringify({ process: 'control', generation: values.generation, msg: message })}\n`)
const link = await connectWatchdog({
  runDir: values['run-dir']!,
  generation: Number(values.generation),
  isAlone: false,
  log: (_level, message) => say(message),
  onLead: () => say('leads'),
  onRetire: () => say('retires'),
  onState: () => undefined,
  onStop: () => process.exit(0),
})
if (values.behave === 'late')
  while (!existsSync(join(values['run-dir']!, 'control-may-be-ready')))
    await new Promise((resolve) => setTimeout(resolve, 20))
link.ready()
