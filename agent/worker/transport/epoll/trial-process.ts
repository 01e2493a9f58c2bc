/**
 * The process in which `trial.ts` tries the calls: exit code 0 when everything was as expected, else the reason on
 * standard error.
 */
import { loadNative } from '../../../../native/descriptors.ts'
import { openFastCalls } from '../../../../native/fast-calls.ts'
import { Output } from '../output.ts'
import { proveEpoll } from './self-test.ts'
import { epollTransports } from './transports.ts'

const waiting: ((error: unknown) => void)[] = []
process.on('uncaughtException', (error) => {
  const next = waiting.shift()
  if (next === undefined) end(error)
  else next(error)
})

function end(error: unknown): never {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
}

try {
  const { calls, problem } = openFastCalls()
  if (calls === undefined) throw new Error(problem)
  const { native, problem: without } = loadNative()
  if (native === undefined) throw new Error(without)
  const output = new Output()
  await proveEpoll({
    calls,
    output,
    transports: epollTransports(output, calls),
    duplicate: (descriptor) => native.duplicate(descriptor),
    expectThrown: () => new Promise((resolve) => waiting.push(resolve)),
  })
  process.exit(0)
} catch (error) {
  end(error)
}
