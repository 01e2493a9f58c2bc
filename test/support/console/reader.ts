/** One tab as somebody who reads, clicks and types in it; what does not come in time is told with what stands there. */
import { expect } from 'chai'
import type { Page } from 'puppeteer-core'

/** Characters of a page in an error. */
const mostText = 4000

export interface Camera {
  readonly x: number
  readonly y: number
  readonly zoom: number
}

export class Reader {
  readonly page: Page

  constructor(page: Page) {
    this.page = page
  }

  async text(): Promise<string> {
    return (await this.page.evaluate('document.body.innerText')) as string
  }

  /** Until the expression is true in the page; otherwise throws with the page's text. */
  async holds(expression: string, timeout = 15_000): Promise<void> {
    await this.page.waitForFunction(expression, { timeout }).catch(async (error: unknown) => {
      throw new Error(`${String(error)}: not true: ${expression} in: ${(await this.text()).slice(0, mostText)}`)
    })
  }

  async says(...wanted: (string | RegExp)[]): Promise<void> {
    for (const words of wanted) {
      const pattern = typeof words === 'string' ? words.replace(/[.*+?^${}()|[\]\\]/g, '\\$&') : words.source
      await this.holds(`new RegExp(${JSON.stringify(pattern)}).test(document.body.innerText)`)
    }
  }

  async show(name: string): Promise<void> {
    await this.page.evaluate(`location.hash = '#/${name}'`)
    await this.holds(`document.querySelector('nav a[aria-current][href="#/${name.split('/')[0]!}"]') !== null`)
  }

  /** The button that begins with these words, once it is there and can be pressed. */
  async press(name: string, within = 'body'): Promise<void> {
    await this.holds(`(() => {
      const button = [...(document.querySelector(${JSON.stringify(within)})?.querySelectorAll('button') ?? [])]
        .find((one) => one.innerText.startsWith(${JSON.stringify(name)}))
      if (button === undefined || button.disabled) return false
      button.click()
      return true
    })()`)
  }

  /** In the text of the rule that is open. `first` is run in the same moment. */
  async write(from: string, to: string, first = ''): Promise<void> {
    await this.page.evaluate(`{
      ${first}
      const area = document.querySelector('.code textarea')
      area.value = area.value.replace(${JSON.stringify(from)}, ${JSON.stringify(to)})
      area.dispatchEvent(new Event('input', { bubbles: true }))
    }`)
  }

  async hasWritten(wanted: string): Promise<void> {
    await this.holds(`document.querySelector('.code textarea')?.value.includes(${JSON.stringify(wanted)})`)
  }

  async versions(count: number): Promise<void> {
    await this.holds(`document.querySelectorAll('.history li').length === ${count}`)
  }

  async camera(): Promise<Camera> {
    const style = (await this.page.evaluate(`document.querySelector('.graph-stage').style.transform`)) as string
    const [x, y, zoom] = (style.match(/-?[\d.]+(?:e-?\d+)?/g) ?? []).map(Number)
    return { x: x!, y: y!, zoom: zoom! }
  }

  async fitsItsWidth(): Promise<void> {
    const [wide, window] = (await this.page.evaluate('[document.documentElement.scrollWidth, innerWidth]')) as number[]
    expect(wide, `width of ${this.page.url()}`).to.be.at.most(window!)
  }

  /** From the top of the page by Tab: the skip link, what the header has, what the navigation has, then the content. */
  async tabsInOrder(): Promise<void> {
    await this.holds(`document.querySelector('main :is(a[href], input, button, select, [tabindex="0"])') !== null`)
    const wanted = (await this.page.evaluate(`{
      window.named = (one) => (one.closest('header, nav, main')?.localName ?? '') + ' ' + (one.ariaLabel ?? one.innerText)
      document.body.tabIndex = -1
      document.body.focus()
      document.body.removeAttribute('tabindex')
      ;['.skip', 'header button', 'nav a'].flatMap((one) => [...document.querySelectorAll(one)].map(named))
    }`)) as string[]
    const found: string[] = []
    for (const _stop of wanted) {
      await this.page.keyboard.press('Tab')
      found.push((await this.page.evaluate('named(document.activeElement)')) as string)
      const seen = `(() => { const { left, top } = document.activeElement.getBoundingClientRect(); return left >= 0 && top >= 0 })()`
      expect(await this.page.evaluate(seen), `${found.at(-1)} is seen`).to.equal(true)
    }
    expect(found, this.page.url()).to.deep.equal(wanted)
    await this.page.keyboard.press('Tab')
    expect(await this.page.evaluate(`document.activeElement.closest('main') !== null`), this.page.url()).to.equal(true)
  }
}
