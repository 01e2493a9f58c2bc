import { expect } from 'chai'
import { readFileSync } from 'node:fs'

/** What does not depend on the language: how a page is built, section by section. */
interface Section {
  readonly level: number
  readonly points: number
  readonly rows: number
  readonly pictures: readonly string[]
  readonly codeBlocks: number
}

function sectionsOf(file: string): Section[] {
  const text = readFileSync(file, 'utf8')
  const code = /^```[^\n]*\n.*?^```$/gms
  return text.split(/^(?=#{1,6} )/m).flatMap((part) => {
    const level = /^#+(?= )/.exec(part)?.[0].length
    if (level === undefined) return []
    const prose = part.replaceAll(code, '')
    return {
      level,
      points: [...prose.matchAll(/^(?:-|\d+\.) /gm)].length,
      rows: [...prose.matchAll(/^\|/gm)].length,
      pictures: [...prose.matchAll(/!\[[^\]]*\]\([^)]*?([\w-]+\.svg)\)/g)].map(([, name]) => name!),
      codeBlocks: [...part.matchAll(code)].length,
    }
  })
}

const pagesIn = (file: string): string[] =>
  [...readFileSync(file, 'utf8').matchAll(/`(docs\/[^`]*)`/g)].map(([, page]) => page!)

/** Words of the program, outside of blocks: in any order, for sentences differ. */
const spansIn = (file: string): string[] => {
  const prose = readFileSync(file, 'utf8').replaceAll(/^```[^\n]*\n.*?^```$/gms, '')
  return [...prose.matchAll(/`([^`\n]+)`/g)].map(([, span]) => span!).toSorted()
}

/** Commands of a list that says behind each what it does. */
const listedIn = (file: string): string[] =>
  [...readFileSync(file, 'utf8').matchAll(/^(hostmesh .*?) {2,}/gm)].map(([, command]) => command!)

const translated = [
  ['README.md', 'README.zh.md'],
  ['docs/quick-start.md', 'docs/zh/quick-start.md'],
  ['docs/concepts.md', 'docs/zh/concepts.md'],
] as const

describe('pages in Chinese', () => {
  for (const [english, chinese] of translated)
    it(`${chinese} has the sections, points, tables, pictures and examples of ${english}`, () => {
      expect(sectionsOf(chinese)).to.deep.equal(sectionsOf(english))
    })

  it('name the same commands, settings and paths', () => {
    for (const [english, chinese] of translated) expect(spansIn(chinese), chinese).to.deep.equal(spansIn(english))
    expect(listedIn('README.zh.md')).to.deep.equal(listedIn('README.md'))
    expect(listedIn('README.md').length).to.be.above(10)
  })

  it('README.zh.md leads to every page to which README.md leads', () => {
    expect(pagesIn('README.zh.md')).to.deep.equal(pagesIn('README.md'))
  })
})
