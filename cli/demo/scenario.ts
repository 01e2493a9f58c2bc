/**
 * The demo without a person: each step does something to the hosts and says what the callers, who never retry, may
 * notice of it.
 */
import { keptBy } from './own-filter.ts'
import type { MtlsPort } from '../../contracts/mtls-view.ts'
import type { DemoHost } from '../launch/host.ts'
import type { TallyView } from '../traffic/tally.ts'
import { isWhole } from '../drill/wholeness.ts'
import { askVault, refusalOfVault } from './trust.ts'
import { type DemoWorld, sharedPort } from './world.ts'

export interface StepResult {
  readonly step: string
  readonly promise: string
  readonly found: string
  readonly isKept: boolean
}

interface Step {
  readonly name: string
  readonly promise: string
  /** Does it and watches; answers what was found and whether the promise held. */
  run(world: DemoWorld, watch: StepWatch): Promise<{ found: string; isKept: boolean }>
}

export interface StepWatch {
  /** Outcomes of every caller since the start of the step. */
  outcomes(): TallyView
  /** Waits until the condition holds, at most `timeoutMs`; answers how long it took, or undefined. */
  until(condition: (outcomes: TallyView) => boolean | Promise<boolean>, timeoutMs: number): Promise<number | undefined>
}

/** Calls that make a step meaningful. */
const enoughCalls = 300

const steps: readonly Step[] = [
  {
    name: 'calls across hosts',
    promise: 'every call is answered; old and new versions, with and without agent',
    run: async (_world, watch) => {
      await watch.until((seen) => seen.calls >= enoughCalls && Object.keys(seen.versions).length >= 2, 60_000)
      return judge(watch.outcomes(), (seen) => seen.errors === 0 && Object.keys(seen.versions).length >= 2)
    },
  },
  {
    name: 'who calls, in mutual TLS',
    promise: 'alpha calls beta as the application that calls, and nobody comes in plain',
    run: async (world) => {
      const came = (await mutualTls(world.beta)).filter(({ service }) => /ledger|orders|prices/.test(service))
      const [mutual, plain] = [sum(came.map((port) => port.mutual)), sum(came.flatMap(plainOf))]
      const found = `${mutual} connections to beta in mutual TLS, ${plain} in plain`
      return { found, isKept: mutual > 0 && plain === 0 }
    },
  },
  {
    name: 'a call that a policy denies',
    promise: 'vault answers web alone; who else asks hears no, and the log of the called host says why',
    run: async (world, watch) => {
      const allowed = await askVault(world.alpha, sharedPort)
      const denied = await askVault(world.beta, sharedPort)
      await watch.until(() => refusalOfVault(world.beta) !== '', 20_000)
      const why = refusalOfVault(world.beta)
      const found = `web on alpha: ${allowed}; anybody on beta: ${denied}, ${why || 'nobody says why'}`
      return { found, isKept: allowed === '200' && denied === '403 E_AUTHORIZATION_DENIED' && why !== '' }
    },
  },
  {
    name: 'a filter of one’s own',
    promise: 'replies of vault say who called, as a module on beta writes it',
    run: async (world) => {
      const found = await keptBy(world.alpha, sharedPort)
      return { found, isKept: found.startsWith('beta for spiffe://') }
    },
  },
  {
    name: 'a new instance is deployed',
    promise: 'called within 1.5 s of its registration, nothing lost',
    run: async (world, watch) => {
      await world.deployOnBeta('orders', 'v3')
      const tookMs = await watch.until((seen) => (seen.versions['v3'] ?? 0) > 0, 30_000)
      return judge(
        watch.outcomes(),
        (seen) => seen.errors === 0 && tookMs !== undefined,
        `v3 called after ${text(tookMs)}`,
      )
    },
  },
  {
    name: 'hot restart of the agent on alpha',
    promise: 'no call lost, no connection closed; a call of gRPC that runs goes on',
    run: async (world, watch) => {
      const call = await world.longCall()
      await watch.until(() => call.heard > 0, 30_000)
      const before = call.heard
      const outcome = await world.alpha.reload()
      await watch.until((seen) => seen.calls >= enoughCalls && call.heard > before, 30_000)
      const problem = await call.end()
      return judge(
        watch.outcomes(),
        (seen) => seen.errors === 0 && outcome === 'done' && before > 0 && problem === '',
        `restart ${outcome}; a running call: ${before} messages before, ${call.heard - before} after, ${problem || 'none lost'}`,
      )
    },
  },
  {
    name: 'an application with the SDK leaves the mesh and comes back',
    promise: 'its calls go to the instances themselves meanwhile, and by the agent again; nothing lost',
    run: async ({ shop }, watch) => {
      shop.setMode('direct')
      const left = await watch.until((seen) => shop.activeMode === 'direct' && (seen.tiers['direct'] ?? 0) > 0, 30_000)
      const { calls } = watch.outcomes()
      await watch.until((seen) => seen.calls >= calls + enoughCalls, 30_000)
      shop.setMode('mesh')
      const back = await watch.until(() => shop.activeMode === 'mesh', 30_000)
      return judge(
        watch.outcomes(),
        (seen) => seen.errors === 0 && left !== undefined && back !== undefined,
        `out after ${text(left)}, in after ${text(back)}`,
      )
    },
  },
  {
    name: 'the watchdog on alpha dies (SIGKILL) and comes back',
    promise: 'nothing lost; the new watchdog adopts the running agent',
    run: async (world, watch) => {
      world.alpha.killWatchdog()
      await watch.until((seen) => seen.calls >= enoughCalls, 30_000)
      world.alpha.start()
      const adopted = await watch.until(async () => {
        const state = await world.alpha.watchdogState()
        return state.isAdopted && state.heldShards > 0 && isWhole(state)
      }, 60_000)
      return judge(
        watch.outcomes(),
        (seen) => seen.errors === 0 && adopted !== undefined,
        `adopted after ${text(adopted)}`,
      )
    },
  },
  {
    name: 'the agent on alpha dies (SIGKILL)',
    promise: 'the center serves meanwhile; only calls in flight may be lost; back on the agent by itself',
    run: async (world, watch) => {
      await world.alpha.signal('generation', 'SIGKILL')
      const center = await watch.until((seen) => (seen.tiers['center'] ?? 0) > 0, 30_000)
      const back = await watch.until(async () => !(await world.alpha.watchdogState()).relay.isRelaying, 60_000)
      return judge(
        watch.outcomes(),
        (seen) => center !== undefined && back !== undefined && isOnlyInFlight(seen, world),
        `center after ${text(center)}, agent again after ${text(back)}`,
      )
    },
  },
  {
    name: 'center and agent on alpha die',
    promise: 'calls go straight to the last known instances; only calls in flight may be lost',
    run: async (world, watch) => {
      await world.stopCenter()
      await world.alpha.signal('generation', 'SIGKILL')
      const direct = await watch.until((seen) => (seen.tiers['direct'] ?? seen.tiers['none'] ?? 0) > 0, 30_000)
      const back = await watch.until(async () => !(await world.alpha.watchdogState()).relay.isRelaying, 60_000)
      const result = judge(
        watch.outcomes(),
        (seen) => direct !== undefined && back !== undefined && isOnlyInFlight(seen, world),
        `direct after ${text(direct)}, agent again after ${text(back)}`,
      )
      await world.startCenter()
      return result
    },
  },
  {
    name: 'the registry goes away, an agent restarts meanwhile',
    promise: 'everything runs on from the last snapshot; nothing lost',
    run: async (world, watch) => {
      if (!world.canStopRegistry) return { found: 'left out: the registry is not ours', isKept: true }
      await world.stopRegistry()
      const outcome = await world.alpha.reload()
      await watch.until((seen) => seen.calls >= enoughCalls, 30_000)
      const result = judge(watch.outcomes(), (seen) => seen.errors === 0 && outcome === 'done', `restart ${outcome}`)
      await world.startRegistry()
      return result
    },
  },
]

/** Step by step; `interrupted` ends it after the step that runs. */
export async function runScenario(
  world: DemoWorld,
  now: () => number,
  interrupted: AbortSignal,
  onResult: (result: StepResult) => void,
): Promise<readonly StepResult[]> {
  const results: StepResult[] = []
  for (const step of steps) {
    if (interrupted.aborted) break
    const watch = watchFrom(world, now)
    let found: string
    let isKept = false
    try {
      ;({ found, isKept } = await step.run(world, watch))
    } catch (error) {
      found = error instanceof Error ? error.message : String(error)
    }
    const result = { step: step.name, promise: step.promise, found, isKept }
    results.push(result)
    onResult(result)
  }
  return results
}

function watchFrom(world: DemoWorld, now: () => number): StepWatch {
  const startedAt = now()
  for (const caller of world.callers) caller.takePeak()
  const outcomes = (): TallyView => merge(world.callers.map((caller) => caller.tally.since(startedAt)))
  return {
    outcomes,
    until: async (condition, timeoutMs) => {
      const from = now()
      while (now() - from < timeoutMs) {
        if (await Promise.resolve(condition(outcomes())).catch(() => false)) return now() - from
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      return undefined
    },
  }
}

/**
 * How a call ends that a killed process had in hand. Everything else, a refused connection above all, breaks the
 * promise.
 */
const inHand = new Set(['ECONNRESET', 'connection closed', 'socket hang up'])

/**
 * A killed process loses at most what it had in hand: no more calls than were in flight together, and none that was
 * refused.
 */
function isOnlyInFlight(seen: TallyView, world: DemoWorld): boolean {
  const bound = world.callers.reduce((sum, caller) => sum + caller.takePeak(), 0)
  return seen.errors <= bound && Object.keys(seen.reasons).every((reason) => inHand.has(reason))
}

function judge(seen: TallyView, isKept: (seen: TallyView) => boolean, more = ''): { found: string; isKept: boolean } {
  const counts = (record: Readonly<Record<string, number>>): string =>
    Object.entries(record)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')
  const parts = [`${seen.calls} calls, ${seen.errors} lost`, counts(seen.tiers), counts(seen.reasons), more]
  return { found: parts.filter((part) => part !== '').join('; '), isKept: isKept(seen) }
}

function merge(views: readonly TallyView[]): TallyView {
  const add = (pick: (view: TallyView) => Readonly<Record<string, number>>): Record<string, number> => {
    const sum = new Map<string, number>()
    for (const view of views) {
      for (const [name, count] of Object.entries(pick(view))) sum.set(name, (sum.get(name) ?? 0) + count)
    }
    return Object.fromEntries(sum)
  }
  return {
    calls: views.reduce((sum, view) => sum + view.calls, 0),
    errors: views.reduce((sum, view) => sum + view.errors, 0),
    perSecond: views.reduce((sum, view) => sum + view.perSecond, 0),
    p50Ms: Math.max(0, ...views.map((view) => view.p50Ms)),
    p99Ms: Math.max(0, ...views.map((view) => view.p99Ms)),
    tiers: add((view) => view.tiers),
    versions: add((view) => view.versions),
    reasons: add((view) => view.reasons),
  }
}

async function mutualTls(host: DemoHost): Promise<readonly MtlsPort[]> {
  return ((await host.json('/mtls?format=json')) as { ports: readonly MtlsPort[] }).ports
}

function plainOf({ plain }: MtlsPort): number[] {
  return plain.map(({ connections }) => connections)
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0)
}

function text(ms: number | undefined): string {
  return ms === undefined ? 'never' : `${Math.round(ms)} ms`
}
