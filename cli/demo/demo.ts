/** `hostmesh demo`: starts the world, then either draws it and obeys keys, or runs the scenario once and judges. */
import { relative } from 'node:path'
import { entryPoint } from '../entry-point.ts'
import type { Output } from '../output.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { FullScreen } from '../terminal/full-screen.ts'
import type { DemoHost } from '../launch/host.ts'
import { runScenario } from './scenario.ts'
import { type HostLine, drawPicture } from './view.ts'
import { DemoWorld } from './world.ts'

export interface DemoOptions {
  readonly once: boolean
  /** `host:port` of a real Nacos; undefined = the embedded registry. */
  readonly nacos: string | undefined
}

const redrawMs = 250
const keptEvents = 50
const adoptionMs = 15_000
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export async function demo(output: Output, options: DemoOptions): Promise<ExitCode> {
  const now = (): number => performance.now()
  const startedAt = now()
  const interruption = new AbortController()
  const interrupted = interruption.signal
  const interrupt = (): void => interruption.abort()
  for (const signal of signals) process.on(signal, interrupt)
  try {
    if (!output.isJson) output.line('starting a registry, a center and two hosts …')
    const world = await DemoWorld.start(options.nacos, { now, random: Math.random, interrupted })
    try {
      if (!output.isJson) output.line(`ready after ${((now() - startedAt) / 1000).toFixed(1)} s`)
      return options.once ? await once(output, world, now, interrupted) : await live(output, world, now, interrupted)
    } finally {
      if (!output.isJson) output.line('stopping …')
      await world.close()
    }
  } finally {
    for (const signal of signals) process.off(signal, interrupt)
  }
}

async function once(output: Output, world: DemoWorld, now: () => number, interrupted: AbortSignal): Promise<ExitCode> {
  const results = await runScenario(world, now, interrupted, (result) => {
    if (!output.isJson) output.line(`${result.isKept ? 'kept   ' : 'BROKEN '}  ${result.step}: ${result.found}`)
  })
  const isKept = !interrupted.aborted && results.every((result) => result.isKept)
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
    if (interrupted.aborted) output.line('interrupted: the steps after these were left out')
  }
  return isKept ? exitCodes.ok : exitCodes.failed
}

async function live(output: Output, world: DemoWorld, now: () => number, interrupted: AbortSignal): Promise<ExitCode> {
  const events: { at: string; text: string }[] = []
  const note = (text: string): { at: string; text: string } => {
    const event = { at: new Date().toTimeString().slice(0, 8), text }
    events.push(event)
    events.splice(0, Math.max(0, events.length - keptEvents))
    return event
  }
  const busy = new Set<string>()
  /** One at a time of what has the same name. */
  const act = (name: string, text: string, work: () => Promise<unknown>): void => {
    if (busy.has(name)) return
    busy.add(name)
    const event = note(`${text} …`)
    const from = now()
    work()
      .then(
        (result) => (typeof result === 'string' ? result : 'done'),
        (error: unknown) => (error instanceof Error ? error.message.split('\n')[0]! : String(error)),
      )
      .then((outcome) => {
        event.text = `${text}: ${outcome} after ${((now() - from) / 1000).toFixed(1)} s`
        busy.delete(name)
        return undefined
      })
      .catch(() => {})
  }
  const actions: Readonly<Record<string, readonly [meaning: string, run: () => void]>> = {
    a: [
      'kill agent',
      () => act('alpha', 'kill -9 of the agent on alpha', () => world.alpha.signal('generation', 'SIGKILL')),
    ],
    h: ['hot restart', () => act('alpha', 'hot restart on alpha', () => world.alpha.reload())],
    w: [
      'kill watchdog',
      () =>
        act('alpha', 'kill -9 of the watchdog on alpha, a new one starts', async () => {
          world.alpha.killWatchdog()
          await world.alpha.whenExited()
          world.alpha.start()
          await world.alpha.until(
            adoptionMs,
            () => 'no watchdog answers',
            async () => (await world.alpha.watchdogState()).isAdopted,
          )
        }),
    ],
    c: [
      'center on/off',
      () =>
        world.center.isRunning
          ? act('center', 'stop the center', () => world.stopCenter())
          : act('center', 'start the center', () => world.startCenter()),
    ],
    r: [
      'registry on/off',
      () => {
        if (!world.canStopRegistry) note('the registry is not ours: key r does nothing')
        else if (world.hasRegistry) act('registry', 'stop the registry', () => world.stopRegistry())
        else act('registry', 'start the registry', () => world.startRegistry())
      },
    ],
    d: ['deploy v3', () => act('deploy', 'deploy orders v3 on beta', () => world.deployOnBeta('orders', 'v3'))],
  }
  const commands = ['top', 'tap'].map((name) => `${commandHere()} ${name} -c ${world.alpha.configPath}`)
  if (!output.isTerminal || !process.stdin.isTTY) {
    for (const command of commands) output.line(command)
    output.line('no terminal: traffic runs until SIGINT; `hostmesh demo --once` runs the scenario and judges')
    await aborted(interrupted)
    return exitCodes.ok
  }
  const keys = [...Object.entries(actions).map(([key, [meaning]]) => [key, meaning] as const), ['q', 'quit'] as const]
  const hosts = new Map<string, HostLine>(world.hosts.map((host) => [host.options.name, unknownHost(host)]))
  const leave = new AbortController()
  const screen = new FullScreen(process.stdin, process.stdout, (key) => {
    if (key === 'q' || key === '\u0003') leave.abort()
    else actions[key]?.[1]()
  })
  const draw = (): void => {
    for (const host of world.hosts) void hostLine(host).then((line) => hosts.set(host.options.name, line))
    const title = 'Hostmesh demo: callers dial localhost ports, one has the SDK; none retries'
    const shown = events.map((event) => `${event.at}  ${event.text}`)
    const picture = { title, hosts: [...hosts.values()], callers: world.callers, commands, events: shown, keys }
    screen.show(drawPicture(output, picture, now(), screen.size))
  }
  const timer = setInterval(draw, redrawMs)
  process.stdout.on('resize', draw)
  try {
    draw()
    await aborted(AbortSignal.any([interrupted, leave.signal]))
  } finally {
    clearInterval(timer)
    process.stdout.off('resize', draw)
    screen.close()
  }
  for (const event of events) output.line(`${event.at}  ${event.text}`)
  return exitCodes.ok
}

/** How a person beside the demo calls the command, from the same folder. */
function commandHere(): string {
  return relative(process.cwd(), entryPoint('cli/main')).replace(/cli\/main\.[jt]s$/, 'bin/hostmesh')
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

function unknownHost(host: DemoHost): HostLine {
  const { name, address } = host.options
  return { name, address, text: '', isGood: true }
}

async function hostLine(host: DemoHost): Promise<HostLine> {
  const { name, address } = host.options
  try {
    const { generations, relay } = await host.watchdogState()
    const phases = generations.map((one) => `generation ${one.generation} ${one.phase}`).join(', ')
    const text = relay.isRelaying ? `nobody serves: the watchdog relays, tier ${relay.tier}` : phases
    return { name, address, text, isGood: !relay.isRelaying }
  } catch {
    return { name, address, text: 'nobody answers', isGood: false }
  }
}
