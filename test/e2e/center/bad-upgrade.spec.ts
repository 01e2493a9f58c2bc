/** A bad release of a center is taken back by its watchdog: what was written is there, and no caller notices. */
import { expect } from 'chai'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { releaseOf } from '../../../cli/commands/processes.ts'
import { entryPoint } from '../../../cli/entry-point.ts'
import { checkNode, nodeKinds } from '../../../cli/node-kinds.ts'
import { askWatchdog } from '../../../cli/watchdog-client.ts'
import type { RestartReport, WatchdogState } from '../../../contracts/handoff.ts'
import { CenterWithAgent } from '../../support/center/center-with-agent.ts'
import { RuleWriter } from '../../support/center/rule-writer.ts'
import { sharedPort, until } from '../../support/mesh/mesh.ts'
import { SteadyCalls } from '../../support/mesh/steady-calls.ts'

const badCenter = join(import.meta.dirname, '../../support/center/bad-center.mjs')

describe('a bad release of a center', function () {
  this.timeout(300_000)
  let bench: CenterWithAgent
  let calls: SteadyCalls
  let writer: RuleWriter
  beforeEach(async () => {
    bench = await CenterWithAgent.open()
    const { address } = bench.agent.options
    calls = new SteadyCalls({ address, port: sharedPort, service: 'orders' }, 4, 5)
    writer = new RuleWriter(bench)
    await takes(5)
  })
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.log(bench?.mesh.report())
    await Promise.all([writer?.stop(), calls?.stop()])
    await bench?.close()
  })

  async function upgrade(kind: 'crash-at-start' | 'crash-after-serving'): Promise<RestartReport> {
    const { configPath, runDir } = bench.center
    const good = releaseOf(checkNode(configPath).config!)
    const entry = entryPoint(nodeKinds.center.entry)
    expect(good.control).to.include(entry)
    const url = (file: string): string => pathToFileURL(file).href
    const more = ['--as', kind, '--main', url(entry), '--watchdog', url(entryPoint('cli/watchdog-client'))]
    const control = [...good.control.map((word) => (word === entry ? badCenter : word)), ...more]
    const release = { ...good, name: 'bad', control }
    const reply = await askWatchdog(runDir, { type: 'upgrade', release, wait: 'serving' }, 120_000)
    if (reply.type !== 'outcome') throw new Error(`answered ${reply.type}`)
    return reply.report
  }
  const serving = ({ generations }: WatchdogState) => generations.find(({ phase }) => phase === 'serving')
  const takes = async (count: number): Promise<void> => {
    const before = writer.acknowledged
    await until(90_000, `${count} writes are acknowledged`, async () => writer.acknowledged >= before + count)
  }
  async function nothingIsLost(): Promise<void> {
    await writer.stop()
    await calls.stop()
    await writer.verify()
    const { calls: made, failed, answers } = calls.counts
    expect(failed, `of ${made} calls: ${JSON.stringify([...answers])}`).to.equal(0)
  }

  it('that dies at its start is not taken up: the old one answers on', async () => {
    const before = await bench.center.watchdogState()
    const report = await upgrade('crash-at-start')
    expect(report).to.include({ kind: 'upgrade', outcome: 'failed' })
    expect(report.cause).to.match(/control .*exit code 7/)
    expect(report.evidence.join('\n')).to.include('this version is broken')
    await takes(5)
    const { generations } = await bench.center.watchdogState()
    const pidsOf = ({ children }: WatchdogState['generations'][number]): number[] => children.map(({ pid }) => pid)
    expect(generations.map(pidsOf)).to.deep.equal(before.generations.map(pidsOf))
    await nothingIsLost()
  })

  it('that dies in a loop once it serves is taken back: the old one takes changes again', async () => {
    const { release } = serving(await bench.center.watchdogState())!
    const report = await upgrade('crash-after-serving')
    expect(report.outcome, report.cause).to.equal('done')
    await until(90_000, 'the old release serves again', async () => {
      const now = serving(await bench.center.watchdogState())
      return now?.release === release
    })
    const { reports } = await bench.center.watchdogState()
    expect(reports.find(({ kind }) => kind === 'recovery')?.cause).to.match(/crash loop: control .*exit code 7/)
    await takes(5)
    await nothingIsLost()
  })
})
