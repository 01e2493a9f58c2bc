/** Tabs of a center that are open for a day, hurried: graph, hosts and the editor of a rule: `npm run soak:console`. */
import { expect } from 'chai'
import type { Browser } from 'puppeteer-core'
import { chromiumPath, hurry, openBrowser, openPage } from '../support/console/browser.ts'
import { openFleet, reportAll, rulesPath, simulatedHosts, tokens, type Fleet } from '../support/console/fleet.ts'
import { answersOf, staysFlat } from '../support/console/flat.ts'
import { Reader } from '../support/console/reader.ts'

const chromium = chromiumPath()
const timesAsFast = 1000
/** An answer of 200 hosts' callers is drawn at length; of a rule that is open only its state is asked for. */
const pages = [
  { name: 'graph', is: '.box', run: { first: 100, window: 200, bytes: 1000 } },
  { name: 'hosts', is: 'tbody tr', run: { first: 300, window: 600, bytes: 200 } },
  { name: 'rules/edit/VirtualService/shop/orders', is: '.code textarea', run: { first: 300, window: 600, bytes: 200 } },
]

describe(`tabs of a center for hours${chromium === undefined ? ': skipped, there is no Chromium here' : ''}`, function () {
  this.timeout(420_000)
  let fleet: Fleet
  let browser: Browser
  let reporting: NodeJS.Timeout
  let round = 1

  before(async function () {
    if (chromium === undefined) return this.skip()
    fleet = await openFleet(0)
    const report = (): Promise<void> => reportAll(fleet, simulatedHosts(200, round++))
    await report()
    reporting = setInterval(() => void report().catch(() => undefined), 1000)
    const spec = { hosts: ['orders'], http: [{ timeout: '2s', route: [{ destination: { host: 'orders' } }] }] }
    const metadata = { name: 'orders', namespace: 'shop' }
    const rule = { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata, spec }
    expect(await fleet.call('POST', rulesPath, rule)).to.equal(201)
    browser = await openBrowser(chromium)
  })
  after(async () => {
    clearInterval(reporting)
    await browser?.close()
    await fleet?.close()
  })

  for (const { is, name, run } of pages)
    it(`hold on ${name} what they held after minutes`, async () => {
      const { complaints, page } = await openPage(browser, fleet.origin)
      const reader = new Reader(page)
      await hurry(page, timesAsFast)
      await page.evaluateOnNewDocument(`sessionStorage.setItem('hostmesh.token', '${tokens.admin}')`)
      const answers = answersOf(page)
      await page.goto(`${fleet.origin}/console/#/${name}`)
      await reader.holds(`document.querySelector('${is}') !== null`)
      await staysFlat(page, answers, run)
      console.log(`      ${answers()} answers`)
      expect(complaints).to.deep.equal([])
      await page.close()
    })
})
