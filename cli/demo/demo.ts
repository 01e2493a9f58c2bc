/** `hostmesh demo`: starts the world, then either draws it and obeys keys, or runs the scenario once and judges. */
import type { Output } from '../output.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { DemoHost } from './host.ts'
import { runScenario } from './scenario.ts'
import { type HostLine, drawPicture } from './view.ts'
import { DemoWorld } from './world.ts'

export interface DemoOptions {
  readonly once: boolean
  /** `host:port` of a real Nacos; undefined = the embedded registry. */
  readonly nacos: string | undefined
}

const redrawMs = 500

export async function demo(output: Output, options: DemoOptions): Promise<ExitCode> {
  const now = (): number => performance.now()
  const startedAt = now()
  if (!output.isJson) output.line('starting a registry, a center and two hosts …')
  const world = await DemoWorld.start(options.nacos, { now, random: Math.random })
  try {
    if (!output.isJson) output.line(`ready after ${((now() - startedAt) / 1000).toFixed(1)} s`)
    return options.once ? await once(output, world, now) : await live(output, world, now)
  } finally {
    await world.close()
  }
}

async function once(output: Output, world: DemoWorld, now: () => number): Promise<ExitCode> {
  const results = await runScenario(world, now, (result) => {
    if (!output.isJson) output.line(`${result.isKept ? 'kept   ' : 'BROKEN '}  ${result.step}: ${result.found}`)
  })
  const isKept = results.every((result) => result.isKept)
  if (output.isJson) output.json({ kept: isKept, results })
  else {
    output.line()
    output.table(
      ['step', 'promise', 'verdict'],
      results.map((result) => [
        result.step,
        result.promise,
        result.isKept ? output.style('green', 'kept') : output.style('red', 'broken'),
      ]),
    )
  }
  return isKept ? exitCodes.ok : exitCodes.failed
}

async function live(output: Output, world: DemoWorld, now: () => number): Promise<ExitCode> {
  const events: string[] = []
  const note = (text: string): void => {
    events.push(`${new Date().toTimeString().slice(0, 8)}  ${text}`)
    events.splice(0, Math.max(0, events.length - 50))
  }
  const act = (text: string, work: () => Promise<unknown>): void => {
    note(text)
    work().then(
      (result) => note(`${text}: ${typeof result === 'string' ? result : 'done'}`),
      (error: unknown) => note(`${text}: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`),
    )
  }
  const actions: Readonly<Record<string, readonly [meaning: string, run: () => void]>> = {
    a: ['kill agent', () => act('kill -9 of the agent on alpha', () => world.alpha.signal('generation', 'SIGKILL'))],
    h: ['hot restart', () => act('hot restart on alpha', () => world.alpha.reload())],
    w: [
      'kill watchdog',
      () =>
        act('kill -9 of the watchdog on alpha, a new one starts', async () => {
          world.alpha.killWatchdog()
          await world.alpha.whenExited()
          world.alpha.start()
        }),
    ],
    c: [
      'center on/off',
      () =>
        world.center.isRunning
          ? act('stop the center', () => world.center.stop())
          : act('start the center', async () => world.center.start()),
    ],
    r: [
      'registry on/off',
      () =>
        world.hasRegistry
          ? act('stop the registry', () => world.stopRegistry())
          : act('start the registry', () => world.startRegistry()),
    ],
    d: ['deploy v3', () => act('deploy orders v3 on beta', () => world.deployOnBeta('orders', 'v3'))],
  }
  const keys = [...Object.entries(actions).map(([key, [meaning]]) => [key, meaning] as const), ['q', 'quit'] as const]
  if (!world.canStopRegistry) note('the registry is not ours: key r does nothing')
  return new Promise((resolve) => {
    const hosts = new Map<string, HostLine>()
    const draw = (): void => {
      for (const host of world.hosts) void hostLine(host).then((line) => hosts.set(host.options.name, line))
      const title =
        'Hostmesh demo: callers dial localhost ports and never retry; the keys act on alpha, the center and the registry'
      const picture = { title, hosts: [...hosts.values()], callers: world.callers, events, keys }
      process.stdout.write(output.isTerminal ? drawPicture(output, picture, now()) : '')
    }
    const timer = setInterval(draw, redrawMs)
    const finish = (): void => {
      clearInterval(timer)
      process.stdin.removeAllListeners('data')
      if (process.stdin.isTTY) process.stdin.setRawMode(false)
      process.stdin.pause()
      output.line('\nstopping …')
      resolve(exitCodes.ok)
    }
    process.once('SIGINT', finish)
    process.once('SIGTERM', finish)
    if (!process.stdin.isTTY) {
      output.line('no terminal: traffic runs until SIGINT; `hostmesh demo --once` runs the scenario and judges')
      return
    }
    process.stdin.setRawMode(true)
    process.stdin.resume()
    process.stdin.on('data', (data: Buffer) => {
      const key = data.toString('latin1')
      if (key === 'q' || key === '\u0003') finish()
      else actions[key]?.[1]()
    })
  })
}

async function hostLine(host: DemoHost): Promise<HostLine> {
  const { name, address } = host.options
  try {
    const state = await host.watchdogState()
    const generations = state.generations.map((one) => `generation ${one.generation} ${one.phase}`).join(', ')
    const relay = state.relay.isRelaying ? `watchdog relays (${state.relay.tier}); ` : ''
    return { name, address, text: relay + generations, isGood: !state.relay.isRelaying }
  } catch {
    return { name, address, text: 'nobody answers', isGood: false }
  }
}
