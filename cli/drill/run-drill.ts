/** Runs one drill: a probe service on this host is called all the time through the mesh while something is broken; then it is judged. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { MeshError, describeError } from '../../contracts/errors.ts'
import { startHttpApplication } from '../traffic/applications.ts'
import { startHttpCaller } from '../traffic/callers.ts'
import { askWatchdog } from '../watchdog-client.ts'
import { type Drill, type DrillContext, drillDirectory, isWhole } from './drills.ts'
import { type DrillReport, drillMarkdown } from './report.ts'

const probeService = 'hostmesh-drill'
const probeRate = 50
const warmUpCalls = 50
const warmUpMs = 20_000
/** Calls go on for this long after the host is whole again. */
const afterMs = 1000
const pollMs = 50

/** Throws E_INTERNAL when the probe cannot be set up: nothing has been broken then. */
export async function runDrill(drill: Drill, context: DrillContext, now: () => number): Promise<DrillReport> {
  const { config } = context
  const shared = config.outbound.http
  const startedAt = new Date().toISOString()
  const probe = shared === 'off' ? undefined : await startProbe(context, shared, now)
  const problems: string[] = []
  try {
    const from = now()
    try {
      await drill.act(context)
    } catch (error) {
      problems.push(describeError(error))
    } finally {
      await drill.restore(context).catch((error: unknown) => problems.push(`not restored: ${describeError(error)}`))
    }
    const recoveryMs = await untilWhole(context, drill.maxRecoveryMs, now)
    if (recoveryMs === undefined) problems.push(`the host was not whole again after ${drill.maxRecoveryMs} ms`)
    await context.pause(afterMs)
    const seen = probe?.caller.tally.since(from) ?? emptyView
    if (seen.errors > drill.maxLost) problems.push(`${seen.errors} probe calls lost, allowed ${drill.maxLost}`)
    const report: DrillReport = {
      drill: drill.name,
      host: config.host.name,
      startedAt,
      promise: drill.promise,
      verdict: problems.length === 0 ? 'kept' : 'broken',
      problems,
      recoveryMs,
      maxLost: drill.maxLost,
      probe: seen,
    }
    save(report, drillDirectory(config))
    return report
  } finally {
    await probe?.close()
  }
}

const emptyView = { calls: 0, errors: 0, perSecond: 0, p50Ms: 0, p99Ms: 0, tiers: {}, versions: {}, reasons: {} }

async function startProbe(context: DrillContext, shared: { host: string; port: number }, now: () => number) {
  const { config } = context
  const application = await startHttpApplication(probeService, 'drill', '127.0.0.1')
  const file = join(config.servicesDir, `${probeService}.yaml`)
  mkdirSync(config.servicesDir, { recursive: true })
  writeFileSync(
    file,
    stringify({
      service: probeService,
      port: application.port,
      protocol: 'http',
      check: { http: '/health', interval: '1s' },
    }),
  )
  const caller = startHttpCaller(
    { from: 'drill', to: probeService, address: shared.host, port: shared.port, rate: probeRate, now },
    probeService,
  )
  const close = async (): Promise<void> => {
    caller.stop()
    rmSync(file, { force: true })
    await application.close()
  }
  const deadline = now() + warmUpMs
  for (;;) {
    const recent = caller.tally.since(now() - (1000 * warmUpCalls) / probeRate)
    if (recent.calls >= warmUpCalls * 0.8 && recent.errors === 0) return { caller, close }
    if (now() > deadline) {
      await close()
      throw new MeshError(
        'E_INTERNAL',
        `the probe service does not answer through the mesh (${Object.keys(recent.reasons).join(', ') || 'no call'}); nothing was broken`,
      )
    }
    await context.pause(pollMs)
  }
}

async function untilWhole(context: DrillContext, boundMs: number, now: () => number): Promise<number | undefined> {
  const from = now()
  while (now() - from < boundMs) {
    try {
      const reply = await askWatchdog(context.config.runDir, { type: 'status' }, 2000)
      if (reply.type === 'state' && isWhole(reply.state)) return now() - from
    } catch {
      // not there yet: that is what is waited for
    }
    await context.pause(pollMs)
  }
  return undefined
}

function save(report: DrillReport, directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const name = `${report.startedAt.replace(/[:.]/g, '-')}-${report.drill}`
  writeFileSync(join(directory, `${name}.json`), JSON.stringify(report, undefined, 2))
  writeFileSync(join(directory, `${name}.md`), drillMarkdown(report))
}
