/** Chromium on this machine, driven by its DevTools protocol; what a page complained of is remembered. */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { launch, type Browser, type Page } from 'puppeteer-core'

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** undefined: there is none here. */
export function chromiumPath(): string | undefined {
  const named = process.env['CHROMIUM']
  return named ?? places.find((path) => existsSync(path))
}

/** `trustsAll`: certificates of authorities that the browser does not know are good. */
export async function openBrowser(path: string, trustsAll = false): Promise<Browser> {
  const args = ['--no-first-run', '--disable-extensions', '--force-color-profile=srgb', '--lang=en-GB']
  // the sandbox of the browser cannot be had as root
  if (process.getuid?.() === 0) args.push('--no-sandbox')
  return launch({
    executablePath: path,
    headless: true,
    args,
    acceptInsecureCerts: trustsAll,
    defaultViewport: { width: 1280, height: 720 },
  })
}

export interface Watched {
  readonly page: Page
  /** Errors, violations of the content security policy, and requests that went to another origin. */
  readonly complaints: string[]
}

/** A tab that sees everything it should not. */
export async function openPage(browser: Browser, origin: string): Promise<Watched> {
  const context = await browser.createBrowserContext()
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(`error: ${String(error)}`))
  page.on('console', (line) => {
    // the browser logs each answer that is no success; which ones are right is the test's to say
    if (line.type() === 'error' && !line.text().startsWith('Failed to load resource')) complaints.push(line.text())
  })
  // a page that asks before it is left: the test leaves
  page.on('dialog', (dialog) => void dialog.accept().catch(() => undefined))
  page.on('request', (request) => {
    if (!request.url().startsWith(origin)) complaints.push(`foreign: ${request.url()}`)
  })
  await page.evaluateOnNewDocument(`
    window.violations = []
    document.addEventListener('securitypolicyviolation', (event) =>
      window.violations.push(event.violatedDirective + ' ' + event.blockedURI))
  `)
  return { page, complaints }
}

/** Timers of the tab, from its next page on, are so many times as fast; `unhurried` is the browser's own. */
export async function hurry(page: Page, factor: number): Promise<void> {
  await page.evaluateOnNewDocument(`
    window.unhurried = window.setTimeout.bind(window)
    window.setTimeout = (call, ms, ...more) => window.unhurried(call, ms / ${factor}, ...more)`)
}

export async function violations(page: Page): Promise<string[]> {
  return (await page.evaluate('window.violations')) as string[]
}

export interface AxeFinding {
  readonly id: string
  readonly impact: string
  readonly help: string
  readonly nodes: readonly string[]
}

/** What axe-core finds that is serious or worse. It is brought in by the debugger, past the policy of the page. */
export async function seriousFindings(page: Page): Promise<AxeFinding[]> {
  const source = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
  await page.evaluate(source)
  const { violations: found } = (await page.evaluate('axe.run(document, { resultTypes: ["violations"] })')) as {
    violations: { id: string; impact: string; help: string; nodes: { html: string; failureSummary: string }[] }[]
  }
  return found
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ help, id, impact, nodes }) => ({
      id,
      impact,
      help,
      nodes: nodes.slice(0, 5).map((node) => `${node.html.slice(0, 200)} ${node.failureSummary.slice(0, 300)}`),
    }))
}
