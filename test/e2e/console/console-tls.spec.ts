/** The console of a center whose port is TLS, in Chromium: signed in, and in ten tabs at once. */
import { expect } from 'chai'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'puppeteer-core'
import { stringify } from 'yaml'
import { chromiumPath, openBrowser, openPage, violations } from '../../support/console/browser.ts'
import { Reader } from '../../support/console/reader.ts'
import { counted } from '../../support/mesh/host-facts.ts'
import { Mesh, type DemoHost } from '../../support/mesh/mesh.ts'
import { Authority } from '../../support/tls/authority.ts'

const token = 'a'.repeat(40)
const tabs = 10
const chromium = chromiumPath()

describe(`the console in TLS${chromium === undefined ? ': skipped, there is no Chromium here' : ''}`, function () {
  this.timeout(90_000)
  let mesh: Mesh
  let center: DemoHost
  let browser: Browser
  let origin: string

  before(async function () {
    if (chromium === undefined) return this.skip()
    mesh = await Mesh.open([{ name: 'files', type: 'file', directory: '' }])
    const at = mesh.address()
    const file = (name: string, text: string): string => {
      const path = join(mesh.directory, name)
      writeFileSync(path, text, { mode: 0o600 })
      return path
    }
    mkdirSync(join(mesh.directory, 'registry'))
    const { certificate, key } = new Authority().leaf()
    const tokensFile = file('tokens', stringify([{ user: 'alice', token, role: 'admin' }]))
    center = await mesh.startedHost('center', {
      role: 'center',
      extra: {
        registries: [{ name: 'files', type: 'file', directory: join(mesh.directory, 'registry') }],
        rulesApi: {
          address: `${at}:15016`,
          tls: { cert: file('api.crt', certificate), key: file('api.key', key) },
          tokensFile,
        },
      },
    })
    origin = `https://${at}:15016`
    browser = await openBrowser(chromium, true)
  })
  after(async () => {
    await browser?.close()
    await mesh?.close()
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  async function signedIn(page: Page): Promise<void> {
    await page.goto(`${origin}/console/`)
    await page.waitForSelector('#token')
    await page.type('#token', token)
    await page.click('button[type=submit]')
    await new Reader(page).says('Requests per second')
  }

  it('is what it is in plain: signed in, live, nothing that its policy forbids', async () => {
    const { page, complaints } = await openPage(browser, origin)
    await signedIn(page)
    await new Reader(page).says('LIVE')
    expect(await violations(page)).to.deep.equal([])
    expect(complaints).to.deep.equal([])
  })

  it('in ten tabs of one person holds no more connections than one caller may, and refuses none', async () => {
    const opened = []
    for (let tab = 0; tab < tabs; tab++) {
      const one = await openPage(browser, origin)
      await signedIn(one.page)
      opened.push(one)
    }
    for (const { page, complaints } of opened) {
      await page.bringToFront()
      const reader = new Reader(page)
      await reader.show('events')
      await reader.show('overview')
      await reader.says('LIVE')
      expect(complaints).to.deep.equal([])
    }
    expect(await counted(center, 'hostmesh_rules_api_connections_refused_total')).to.equal(0)
  })
})
