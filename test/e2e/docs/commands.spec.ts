/**
 * Every `hostmesh …` line of the documentation is run: here, on a live host, as it stands there; or by the spec that is
 * named, which has what it needs (a center, a registry that fails, an application that breaks). The quick start has a
 * spec of its own.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { entryPoint } from '../../../cli/entry-point.ts'
import { commandsOfDocs, wordsOf } from '../../support/docs/commands.ts'
import { until } from '../../support/mesh/mesh.ts'
import { tracedPair } from '../../support/mesh/traced-pair.ts'
import type { TracedPair } from '../../support/mesh/traced-pair.ts'

interface Run {
  /** Of the command; absent = it goes on until it is stopped. */
  readonly code?: number
  /** What it says. */
  readonly says: RegExp
}

/** By the beginning of the line, the first one that fits. */
const runs: readonly (readonly [line: string, run: Run | string])[] = [
  ['hostmesh check --online', 'test/e2e/cli/check-online.spec.ts'],
  ['hostmesh check', { code: 0, says: /agent\.yaml/ }],
  ['hostmesh console', { code: 0, says: /127\.\d+\.\d+\.\d+/ }],
  ['hostmesh certs', { code: 0, says: /certificate|identity/i }],
  ['hostmesh ca show', 'test/e2e/identities/authority.spec.ts'],
  ['hostmesh ca token', 'test/support/ca/joining.ts'],
  ['hostmesh center', 'test/e2e/center/rollout.spec.ts'],
  ['hostmesh doctor', 'test/e2e/cli/doctor.spec.ts'],
  ['hostmesh drill', 'test/e2e/cli/drill.spec.ts'],
  ['hostmesh events --follow', 'test/unit/cli/commands/live-lines.spec.ts'],
  // of a center, which has the same pages
  ['hostmesh events --json', { code: 0, says: /^[[{]/ }],
  ['hostmesh events', { code: 0, says: /start|generation|worker/ }],
  ['hostmesh explain rpc', 'test/e2e/rpc/whole-host.spec.ts'],
  ['hostmesh explain', { code: 0, says: /orders/ }],
  ['hostmesh generations', { code: 0, says: /serving/ }],
  ['hostmesh hosts', 'test/e2e/center/hosts.spec.ts'],
  ['hostmesh join', 'test/e2e/identities/authority.spec.ts'],
  ['hostmesh mtls plan', { code: 0, says: /.*/ }],
  ['hostmesh ports', { code: 0, says: /direction/ }],
  ['hostmesh registrations', { code: 0, says: /.*/ }],
  ['hostmesh rollout', 'test/e2e/center/rollout.spec.ts'],
  ['hostmesh rules dry-run', 'test/e2e/center/dry-run.spec.ts'],
  ['hostmesh rules list', { code: 0, says: /.*/ }],
  ['hostmesh rules apply', 'test/e2e/control/local-rules.spec.ts'],
  ['hostmesh rules delete', 'test/e2e/control/local-rules.spec.ts'],
  ['hostmesh rules history', 'test/e2e/control/local-rules.spec.ts'],
  ['hostmesh rules revert', 'test/e2e/center/kubectl.spec.ts'],
  ['hostmesh status', { code: 0, says: /all right/ }],
  ['hostmesh tap --failed --count', { code: 0, says: /E_ROUTE_UNKNOWN_SERVICE/ }],
  ['hostmesh tap --min 1s', 'test/unit/cli/commands/live-lines.spec.ts'],
  ['hostmesh tap orders --failed', 'test/unit/cli/commands/live-lines.spec.ts'],
  ['hostmesh tap', { says: /\/seen/ }],
  ['hostmesh top', { says: /orders/ }],
  ['hostmesh reload', { code: 0, says: /.*/ }],
  ['hostmesh upgrade', { code: 0, says: /done|serving|took over/i }],
  // the host of this test is one
  ['hostmesh watchdog', 'test/e2e/docs/commands.spec.ts'],
  ['hostmesh support-bundle', 'test/e2e/cli/doctor.spec.ts'],
]

const foundIn = (line: string): Run | string | undefined => runs.find(([begin]) => line.startsWith(begin))?.[1]

describe('commands of the documentation', function () {
  this.timeout(180_000)
  const lines = [...commandsOfDocs().keys()].toSorted()
  let pair: TracedPair
  let isOver = false
  let traffic: Promise<void>

  before(async () => {
    pair = await tracedPair({})
    const pass = async (): Promise<void> => {
      while (!isOver) {
        // a hot restart is among the commands; what it costs callers is another spec's
        await pair.ask({}, '/seen').catch(() => {})
        await pair.ask({ 'x-mesh-service': 'nobody' }, '/lost').catch(() => {})
      }
    }
    traffic = pass()
  })
  after(async () => {
    isOver = true
    await traffic
    await pair?.close()
  })

  it('are all known here: run, or with the spec that runs them', () => {
    expect(lines.filter((line) => foundIn(line) === undefined)).to.deep.equal([])
    for (const [line, run] of runs)
      if (typeof run === 'string') {
        const text = readFileSync(run, 'utf8')
        for (const word of line.split(' ').slice(1))
          expect(text, `${run}: ${line}`).to.match(new RegExp(`\\b${word.replace(/^-+/, '')}\\b`))
      }
  })

  for (const line of lines) {
    const run = foundIn(line)
    if (run === undefined || typeof run === 'string') continue
    it(`${line}`, async () => {
      const words = wordsOf(line)
        .slice(1)
        .map((word) => (word === 'URL' ? 'orders/v1/items' : word))
      const child = spawn(process.execPath, [entryPoint('cli/main'), ...words, '-c', pair.alpha.configPath])
      let text = ''
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
      let code: number | null | undefined
      child.once('exit', (status) => (code = status))
      if (run.code === undefined) {
        await until(20_000, `${line} says ${run.says}`, async () => code !== undefined || run.says.test(text))
        if (code === undefined) {
          const ended = once(child, 'exit')
          child.kill('SIGINT')
          await ended
        }
        expect(text, text).to.match(run.says)
        expect(code, text).to.equal(0)
      } else {
        await once(child, 'close')
        expect(text).to.match(run.says)
        expect(code, text).to.equal(run.code)
      }
    })
  }
})
