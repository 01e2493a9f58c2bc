/** Control with many services: memory, and how soon a change that it hears is used by the next request. */
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { startAnswering } from '../answering.ts'
import { startIsOverMs } from '../../agent/control/resting-memory.ts'
import { makeControlHost, startControl, startWorker } from '../control-host.ts'
import { residentBytes } from '../cpu.ts'
import { Caller } from '../load/keep-alive.ts'
import { changedService, endpointsPerService, isSecondAfter, nameOf } from '../many-services.ts'
import { freePort, untilExists } from '../processes.ts'
import type { Program } from '../processes.ts'
import { atMost, format, percentile } from '../scenario.ts'
import type { BenchOptions, Scenario } from '../scenario.ts'
import { dialControl } from '../worker-stand-in.ts'

const manyServices = 10_000
const fewServices = 100
const changes = 300
const pauseMs = 100
/** After its start: control has collected what that left behind. */
const atRestMs = startIsOverMs + 5000
const mebi = 1024 * 1024

export const control: Scenario = {
  name: 'control',
  title: 'Control with 10,000 services: memory, and a change until a request uses it',
  isInTurn: true,
  run: async (options) => {
    options.log(`  ${fewServices} services`)
    const few = await measure(fewServices, options)
    options.log(`  ${manyServices} services`)
    const many = await measure(manyServices, options)
    const growth = percentile(many.delays, 0.5) / percentile(few.delays, 0.5)
    return {
      name: 'control',
      title: control.title,
      method: [
        `control with a registry in memory, ${endpointsPerService} endpoints per service, all services needed by a worker; resident memory ${atRestMs / 1000} s after its start, without what a client of`,
        `a real registry holds itself; then a real worker and ${changes} changes, at most one in ${pauseMs} ms, each followed by requests until the new endpoint answers;`,
        'time from the moment in which the registry tells control to the end of that answer',
      ],
      columns: ['services', 'control MiB', 'change p50 ms', 'p99 ms', 'max ms'],
      rows: [
        [String(fewServices), format(few.residentBytes / mebi), ...timesOf(few.delays)],
        [String(manyServices), format(many.residentBytes / mebi), ...timesOf(many.delays)],
      ],
      goals: [
        atMost('control with 10,000 services and 100,000 endpoints', many.residentBytes / mebi, 250, 'MiB'),
        atMost('one of 10,000 services changes, p99', percentile(many.delays, 0.99), 20, 'ms'),
        atMost('cost of a change, 10,000 services against 100, p50', growth, 1.5, 'x'),
      ],
      remarks: [],
      raw: { few, many },
    }
  },
}

const timesOf = (delays: readonly number[]): string[] =>
  [0.5, 0.99, 1].map((share) => format(percentile(delays, share)))

interface Measured {
  readonly residentBytes: number
  readonly delays: readonly number[]
}

const allNames = (services: number): string[] => Array.from({ length: services }, (_value, index) => nameOf(index))

async function measure(services: number, options: BenchOptions): Promise<Measured> {
  const one = await startAnswering('one')
  const two = await startAnswering('two')
  const sharedPort = await freePort()
  const host = makeControlHost('control', {
    http: `127.0.0.1:${sharedPort}`,
    idleRelease: '24h',
    maxOnDemand: 20_000,
  })
  const numbers = [services, one.port, two.port].map(String)
  const program = startControl(options, 'bench/load/control-main.js', host, numbers)
  const atRest = sleep(atRestMs)
  let worker: Program | undefined
  try {
    await untilExists(host.socket, program)
    const asking = await dialControl(host.socket, 1)
    await asking.need(allNames(services), 60_000)
    await atRest
    const bytes = residentBytes([program.pid])
    asking.close()
    worker = startWorker(options, host)
    const caller = await dialWhenOpen(sharedPort)
    for (let index = 0; index < Math.min(services, changes); index++) {
      await caller.get(`Host: bench\r\nx-mesh-service: ${nameOf(changedService(index, services))}`)
    }
    const delays = await follow(program, caller, services)
    caller.close()
    return { residentBytes: bytes, delays }
  } finally {
    await worker?.stop()
    await program.stop()
    one.close()
    two.close()
    host.close()
  }
}

async function follow(program: Program, caller: Caller, services: number): Promise<number[]> {
  const delays: number[] = []
  const lines = createInterface(program.child.stdout!)
  const answers = lines[Symbol.asyncIterator]()
  for (let nth = 0; nth < changes; nth++) {
    const pause = sleep(pauseMs)
    const index = changedService(nth, services)
    const wanted = isSecondAfter(nth, services) ? 'two' : 'one'
    program.child.stdin!.write(`${nth}\n`)
    const heardAt = Number((await answers.next()).value) / 1e6
    for (;;) {
      const body = await caller.get(`Host: bench\r\nx-mesh-service: ${nameOf(index)}`)
      const delay = Number(process.hrtime.bigint()) / 1e6 - heardAt
      if (body === wanted) {
        delays.push(delay)
        break
      }
      if (delay > 5000) throw new Error(`change ${nth} was not used within 5 s: ${body}`)
    }
    await pause
  }
  lines.close()
  return delays
}

async function dialWhenOpen(port: number): Promise<Caller> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await Caller.dial(port)
    } catch (error) {
      if (attempt === 200) throw error
      await sleep(50)
    }
  }
}
