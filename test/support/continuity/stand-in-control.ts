/**
 * A control without registries, for tests of the watchdog. `--behave refuse-config` ends as a control with a bad
 * configuration does, `late` is ready when the file `control-may-be-ready` is in the run directory; with `--snapshot
 * FILE` it gives that snapshot to real workers.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { encodeFrame, FrameReader } from '../../../contracts/frame.ts'
import type { WorkerToControl } from '../../../contracts/control-link.ts'
import { runFiles } from '../../../contracts/run-directory.ts'
import { connectWatchdog } from '../../../agent/control/handoff/watchdog-link.ts'

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
  const server = createServer((socket) => {
    const reader = new FrameReader()
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      for (const message of reader.push(chunk) as WorkerToControl[]) {
        if (message.type === 'hello') socket.write(encodeFrame({ type: 'snapshot', snapshot }))
      }
    })
  })
  const path = join(values['run-dir']!, runFiles.control(Number(values.generation)))
  rmSync(path, { force: true })
  await new Promise<void>((resolve) => server.listen(path, resolve))
}
const say = (message: string): void =>
  void process.stdout.write(`${JSON.stringify({ process: 'control', generation: values.generation, msg: message })}\n`)
const link = await connectWatchdog({
  runDir: values['run-dir']!,
  generation: Number(values.generation),
  log: (_level, message) => say(message),
  onLead: () => say('leads'),
  onRetire: () => say('retires'),
  onStop: () => process.exit(0),
})
if (values.behave === 'late')
  while (!existsSync(join(values['run-dir']!, 'control-may-be-ready')))
    await new Promise((resolve) => setTimeout(resolve, 20))
link.ready()
