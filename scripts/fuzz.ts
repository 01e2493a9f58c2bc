/**
 * Fuzzes the HTTP/1.1 codec and a running worker, or the watchdog's relay, with damaged messages; every byte that is
 * passed on is judged by a strict parser. Or HTTP/2: header blocks against an encoder of the test's own, and sessions
 * in both roles against a peer that says anything. Or TLS: records of a peer that has the keys and says anything, cut
 * and moved to another process at any place.
 *
 * Usage: node scripts/fuzz.ts [relay|http2|tls] [--seed N] [--messages N] (default: a new seed, 100,000 messages: half
 * through the codec, a quarter each as requests and as replies through a worker; `relay`: a quarter each as requests
 * and as replies through the relay's tiers, center and direct; `http2`: half as blocks, half as frames; `tls`: all as
 * records) Prints the seed first; the same seed sends the same messages. Exit code 1 at the first finding, with the
 * bytes that caused it.
 */
import { parseArgs } from 'node:util'

import { fuzzCodec } from '../test/support/http1/fuzz/codec-fuzz.ts'
import { fuzzWorker, fuzzWorkerReplies } from '../test/support/http1/fuzz/worker-fuzz.ts'
import type { WorkerFuzzTotals } from '../test/support/http1/fuzz/worker-fuzz.ts'
import { startRecordedMesh } from '../test/support/http1/recorded-mesh.ts'
import type { RecordedMesh } from '../test/support/http1/recorded-mesh.ts'
import { fuzzHpack } from '../test/support/http2/fuzz/hpack-fuzz.ts'
import { fuzzSessions } from '../test/support/http2/fuzz/session-fuzz.ts'
import { fuzzRecords } from '../test/support/tls/fuzz/record-fuzz.ts'
import { relayKinds, startRecordedRelay } from '../test/support/http1/recorded-relay.ts'

const { values, positionals } = parseArgs({
  options: { seed: { type: 'string' }, messages: { type: 'string' } },
  allowPositionals: true,
})
const [target = 'worker'] = positionals
if (!['worker', 'relay', 'http2', 'tls'].includes(target) || positionals.length > 1) {
  console.error(`"${positionals.join(' ')}" is nothing that can be fuzzed; allowed: relay, http2, tls, or nothing`)
  process.exit(2)
}
const seed = wholeNumber('--seed', values.seed ?? String(Math.floor(Math.random() * 4_294_967_296)), 4_294_967_295)
const messages = wholeNumber('--messages', values.messages ?? '100000', 1e9)
const half = Math.ceil(messages / 2)

console.log(
  `seed ${seed} (run again with: npm run fuzz -- ${target === 'worker' ? '' : `${target} `}--seed ${seed} --messages ${messages})`,
)

const startedAt = performance.now()
const seconds = () => ((performance.now() - startedAt) / 1000).toFixed(1)
try {
  if (target === 'relay') await fuzzRelay()
  else if (target === 'http2') await fuzzHttp2()
  else if (target === 'tls') await fuzzTls()
  else await fuzzWorkers()
  console.log(`no crash, no hang, no dirty forward in ${messages} messages, ${seconds()} s`)
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = 1
}

async function fuzzWorkers(): Promise<void> {
  const codec = fuzzCodec(seed, half)
  console.log(
    `codec: ${codec.messages} messages in ${codec.streams} streams, ${codec.passed} passed on, ${codec.refused} streams refused, ${seconds()} s`,
  )
  const quarter = Math.ceil(half / 2)
  const eighth = Math.ceil(quarter / 2)
  await through(20, async (mesh) => {
    const worker = await fuzzWorker(seed, quarter, mesh)
    console.log(
      `worker: ${worker.messages} messages in ${worker.streams} streams, ${worker.forwarded} reached the backend, ${worker.replies} replies, ${seconds()} s`,
    )
    report('replies', await fuzzWorkerReplies(seed, eighth, mesh))
  })
  await through(1, async (mesh) => {
    report('replies in pieces', await fuzzWorkerReplies(seed, messages - half - quarter - eighth, mesh))
  })
}

async function fuzzHttp2(): Promise<void> {
  const blocks = fuzzHpack(seed, half)
  console.log(
    `HPACK: ${blocks.blocks} blocks with ${blocks.fields} fields read as written, ${blocks.refused} of as many damaged ones refused, ${seconds()} s`,
  )
  const sessions = await fuzzSessions(seed, messages - half)
  console.log(
    `sessions: ${sessions.frames} frames in ${sessions.connections} connections, ${sessions.heads} heads, ${sessions.ended} ended with an error, ${seconds()} s`,
  )
}

async function fuzzTls(): Promise<void> {
  const totals = await fuzzRecords(seed, messages)
  console.log(
    `TLS: ${totals.records} records in ${totals.connections} connections, ${totals.ended} ended with an error, ${totals.moves} moves, ${totals.bytes} bytes as they were, ${seconds()} s`,
  )
}

async function fuzzRelay(): Promise<void> {
  const quarter = Math.ceil(half / 2)
  for (const kind of relayKinds) {
    const mesh = await startRecordedRelay(kind)
    try {
      const requests = await fuzzWorker(seed, quarter, mesh)
      console.log(
        `${kind}: ${requests.messages} messages in ${requests.streams} streams, ${requests.forwarded} reached the other side, ${requests.replies} replies, ${seconds()} s`,
      )
      report(`${kind}, replies`, await fuzzWorkerReplies(seed, quarter, mesh))
      mesh.expectAlive()
    } finally {
      await mesh.close()
    }
  }
}

async function through(requestsPerConnection: number, run: (mesh: RecordedMesh) => Promise<void>): Promise<void> {
  const mesh = await startRecordedMesh('process', {}, requestsPerConnection, 'answered')
  try {
    await run(mesh)
    mesh.expectAlive()
  } finally {
    await mesh.close()
  }
}

function report(what: string, totals: WorkerFuzzTotals): void {
  console.log(
    `${what}: ${totals.messages} messages in ${totals.streams} streams, ${totals.replies} whole replies reached their callers, ${seconds()} s`,
  )
}

function wholeNumber(name: string, text: string, max: number): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 0 && value <= max) return value
  console.error(`${name}: "${text}" is not a whole number from 0 to ${max}`)
  process.exit(2)
}
