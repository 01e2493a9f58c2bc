/**
 * On a host: an application, and callers of it through the mesh, who do not forgive. Told what to do by its parent:
 * `load`, answered with `loading` when each caller has had an answer, and `stop`, answered with what came of it.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { KeepAliveCaller } from '../continuity/callers.ts'
import { startFarSide } from '../continuity/far-side.ts'

const [, , applicationPort, outboundPort] = process.argv.map(Number)
const callers = 4
/** Between the answer and the next request of a caller. */
const restMs = 20

await startFarSide('provider', false, applicationPort)
let answered = 0
let failures: string[] = []
let isStopping = false
let loops: Promise<void>[] = []

async function call(caller: KeepAliveCaller): Promise<void> {
  while (!isStopping) {
    try {
      const { status, body } = await caller.get()
      if (status === 200) answered++
      else failures.push(`status ${status}: ${body}`)
    } catch (error) {
      failures.push((error as Error).message)
      return
    }
    await delay(restMs)
  }
  caller.close()
}

process.on('message', (order) => {
  if (order === 'load')
    void load().catch((error: unknown) => process.send?.({ failures: [String(error)], answered: 0 }))
  else void stop()
})
process.once('disconnect', () => process.exit(0))
process.send?.('here')

async function load(): Promise<void> {
  isStopping = false
  answered = 0
  failures = []
  const all = await Promise.all(Array.from({ length: callers }, () => KeepAliveCaller.connect(outboundPort!)))
  await Promise.all(all.map((caller) => caller.get()))
  loops = all.map(call)
  process.send?.('loading')
}

async function stop(): Promise<void> {
  isStopping = true
  await Promise.all(loops)
  process.send?.({ answered, failures })
}
