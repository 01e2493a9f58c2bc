/** The pages of drills and certificates in Chromium, filled by a real drill and a real authority. */
import { expect } from 'chai'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'puppeteer-core'
import { startEmbeddedRegistry, type EmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { hostmesh, joinHost, makeToken } from '../../support/ca/joining.ts'
import {
  chromiumPath,
  hurry,
  openBrowser,
  openPage,
  seriousFindings,
  violations,
} from '../../support/console/browser.ts'
import { answersOf, staysFlat } from '../../support/console/flat.ts'
import { Reader } from '../../support/console/reader.ts'
import { Mesh, relayOf, until, type DemoHost } from '../../support/mesh/mesh.ts'

const chromium = chromiumPath()
const drill = 'certificate-expiry'

describe(`the console of a host with drills and certificates${chromium === undefined ? ': skipped, there is no Chromium here' : ''}`, function () {
  this.timeout(180_000)
  let registry: EmbeddedRegistry
  let mesh: Mesh
  let host: DemoHost
  let browser: Browser
  let page: Page
  let reader: Reader
  let complaints: string[]
  let pictures: string

  before(async function () {
    if (chromium === undefined) return this.skip()
    pictures = process.env['HOSTMESH_PICTURES'] ?? mkdtempSync(join(tmpdir(), 'hostmesh-pictures-'))
    mkdirSync(pictures, { recursive: true })
    registry = await startEmbeddedRegistry()
    mesh = await Mesh.open([{ name: 'main', type: 'nacos', servers: [registry.address] }])
    const center = mesh.host('center', { role: 'center' })
    const authority = `${center.options.address}:15012`
    const grants = [{ hosts: ['web-1'], identities: ['ns/default/sa/orders'] }]
    Object.assign(center.options, { extra: { ca: { address: authority, trustDomain: 'mesh.test', grants } } })
    center.start()
    await center.ready()
    const orders = await mesh.httpApplication('orders', 'v1')
    host = await mesh.startedHost('web-1', {
      applications: [orders],
      centers: [relayOf(center)],
      extra: { identity: { authorities: [authority] } },
    })
    await joinHost(host, await makeToken(center, 'web-1'))
    await until(20_000, 'a certificate', async () => (await identities()).includes('"state":"good"'))
    const ran = await hostmesh('drill', drill, '--for', '1s', '--yes', '-c', host.configPath)
    expect(ran.code, ran.out + ran.err).to.equal(0)
    const ledger = await mesh.httpApplication('ledger', 'v1', host.options.address)
    host.addApplication(ledger, 'ledger')
    await until(20_000, 'what was not granted', async () => (await identities()).includes('not granted'))
    browser = await openBrowser(chromium)
    const origin = `http://${host.options.address}:15000`
    ;({ page, complaints } = await openPage(browser, origin))
    reader = new Reader(page)
    await page.goto(`${origin}/console/#/drills`)
  })
  after(async () => {
    await browser?.close()
    await mesh?.close()
    await registry?.close()
    if (process.env['HOSTMESH_PICTURES'] === undefined && pictures !== undefined)
      rmSync(pictures, { recursive: true, force: true })
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  const identities = async (): Promise<string> => JSON.stringify(await host.json('/identities?format=json'))
  const says = (...wanted: string[]): Promise<void> => reader.says(...wanted)
  const show = (name: string): Promise<void> => reader.show(name)
  /** Nothing forbidden, nothing serious, and nothing beyond the right edge. */
  const isGood = async (name: string): Promise<void> => {
    await page.screenshot({ path: join(pictures, `${name}.png`) as `${string}.png` })
    expect(await violations(page)).to.deep.equal([])
    expect(complaints).to.deep.equal([])
    expect(await seriousFindings(page)).to.deep.equal([])
    await reader.fitsItsWidth()
  }
  const dark = (): Promise<void> => page.click('button[aria-label="Light or dark"]')

  it('shows what a drill has found', async () => {
    await says(drill, 'kept', 'nothing lost', 'agent')
    const [, lost] = /Lost\s+(\d+) \(≤ \d+\)/i.exec(String(await page.evaluate('document.body.innerText'))) ?? []
    expect(lost).to.equal('0')
    await isGood('drills')
    await dark()
    await isGood('drills-dark')
    await dark()
  })

  it('shows certificates with their ages, and why one is not there', async () => {
    await show('certificates')
    await says('spiffe://mesh.test/host/web-1', 'spiffe://mesh.test/ns/default/sa/orders', 'good')
    await says('ledger: not granted to host web-1; granted are ns/default/sa/orders')
    const meters = (await page.evaluate('[...document.querySelectorAll("meter")].map((one) => one.value)')) as number[]
    expect(meters).to.have.length(2)
    for (const lived of meters) expect(lived).to.be.within(0, 0.1)
    await isGood('certificates')
    await dark()
    await isGood('certificates-dark')
  })

  it('holds in a tab that is open for hours what it held after minutes', async function () {
    this.timeout(420_000)
    const { origin } = new URL(page.url())
    const opened = await openPage(browser, origin)
    const tab = opened.page
    await hurry(tab, 1000)
    const answers = answersOf(tab)
    await tab.goto(`${origin}/console/#/overview`)
    await staysFlat(tab, answers, { first: 800, window: 1200, bytes: 100 })
    await tab.screenshot({ path: join(pictures, 'overview-after-hours.png') })
    expect(opened.complaints).to.deep.equal([])
  })
})
