/** Does a tab that is open for long hold more and more? Its timers are hurried; answers are counted, not hours. */
import { expect } from 'chai'
import type { Page } from 'puppeteer-core'
import { until } from '../mesh/mesh.ts'

export interface LongRun {
  /** Answers until the chart is full, and what is compiled is compiled. */
  readonly first: number
  /** Answers of one window. */
  readonly window: number
  /** Bytes for an answer that are not a leak: what a page holds of its last answer comes and goes. */
  readonly bytes: number
}

interface Held {
  readonly bytes: number
  readonly nodes: number
  readonly listeners: number
}

const mostWindows = 5
const patienceMs = 60_000

/** Counts the answers of the console to this tab, from now on. */
export function answersOf(tab: Page): () => number {
  let answers = 0
  tab.on('requestfinished', (request) => {
    if (request.url().includes('/console/data/')) answers++
  })
  return () => answers
}

/** A leak grows in each window; the browser's own code and marks do so in one or two. */
export async function staysFlat(tab: Page, answers: () => number, run: LongRun): Promise<void> {
  const session = await tab.createCDPSession()
  const held = async (): Promise<Held> => {
    await session.send('HeapProfiler.collectGarbage')
    const { usedSize: bytes } = await session.send('Runtime.getHeapUsage')
    const { Nodes: nodes = 0, JSEventListeners: listeners = 0 } = await tab.metrics()
    return { bytes, nodes, listeners }
  }
  const before = answers()
  await until(patienceMs, 'the first of them', async () => answers() >= before + run.first)
  const windows: { each: number; nodes: number; listeners: number }[] = []
  const isFlat = (): boolean => {
    const last = windows.at(-1)
    return last !== undefined && last.each < run.bytes && last.nodes < 300 && last.listeners < 30
  }
  while (!isFlat() && windows.length < mostWindows) {
    const [from, first] = [await held(), answers()]
    await until(patienceMs, 'many more', async () => answers() >= first + run.window)
    const now = await held()
    windows.push({
      each: (now.bytes - from.bytes) / (answers() - first),
      nodes: now.nodes - from.nodes,
      listeners: now.listeners - from.listeners,
    })
  }
  expect(isFlat(), `bytes for an answer, nodes and listeners: ${JSON.stringify(windows)}`).to.equal(true)
}
