/**
 * Control's part of sending spans and log records, as a process of its own, for benchmarks: the same receiver, queue
 * and sender. `telemetry-main.ts SOCKET URL`; with `sink PORT` it is the collector that takes everything and reads
 * nothing.
 */
import { createServer } from 'node:http'
import { systemClock } from '../contracts/clock.ts'
import { Exporter, lingerMs } from '../agent/control/telemetry/exporter.ts'
import { httpSender } from '../agent/control/telemetry/http-sender.ts'
import { TelemetryReceiver } from '../agent/control/telemetry/receiver.ts'
import { ControlMetrics } from '../agent/control/observe.ts'
import type { Signal } from '../contracts/telemetry.ts'

const [first = '', second = ''] = process.argv.slice(2)

if (first === 'sink') {
  createServer((request, response) => {
    request.resume()
    request.on('end', () => response.end())
  }).listen(Number(second), '127.0.0.1')
} else {
  const quiet = (): void => {}
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet }
  const facts = { host: 'bench', zone: '', version: '0' }
  const exporterOf = (signal: Signal): Exporter =>
    new Exporter({
      signal,
      collector: second,
      sender: httpSender({
        protocol: 'otlp-http',
        url: new URL(second),
        fields: {},
        tls: {},
        timeoutMs: 5000,
        facts,
      }),
      clock: systemClock,
      random: Math.random,
      log,
      metrics: new ControlMetrics(),
      lingerMs,
      onRoom: () => receiver.resume(signal),
    })
  const exporters: Record<Signal, Exporter> = { traces: exporterOf('traces'), logs: exporterOf('logs') }
  const receiver = new TelemetryReceiver(first, (signal, groups) => exporters[signal].take(groups), quiet)
  await receiver.listen()
}
