import { join } from 'node:path'
import { ControlMetrics } from '../../../agent/control/observe.ts'
import { Telemetry } from '../../../agent/control/telemetry/telemetry.ts'
import { systemClock } from '../../../contracts/clock.ts'
import type { Clock } from '../../../contracts/clock.ts'

/** Its pauses are a tenth as long. */
const quickClock: Clock = { ...systemClock, after: (ms, call) => systemClock.after(ms / 10, call) }

/** Telemetry of control that listens at `telemetry.sock` of the folder and says what it says into `lines`. */
export async function listeningTelemetry(
  folder: string,
  lines: string[],
  metrics: ControlMetrics = new ControlMetrics(),
): Promise<Telemetry> {
  const say = (_facts: object, text: string): void => void lines.push(text)
  const telemetry = new Telemetry({
    path: join(folder, 'telemetry.sock'),
    version: '1',
    clock: quickClock,
    random: () => 1,
    log: { debug: say, info: say, warn: say, error: say },
    metrics,
  })
  await telemetry.listen()
  return telemetry
}
