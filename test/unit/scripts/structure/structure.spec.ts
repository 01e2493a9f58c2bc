import { expect } from 'chai'
import { join } from 'node:path'
import { cyclesOf } from '../../../../scripts/structure/cycles.ts'
import { drawn, graphText } from '../../../../scripts/structure/drawing.ts'
import { arrowsOf, foldersOf, percentile } from '../../../../scripts/structure/folders.ts'
import { importsOf, readSources, type SourceFile } from '../../../../scripts/structure/imports.ts'
import { productFolders } from '../../../../scripts/structure/parts.ts'

const file = (path: string, ...imports: string[]): SourceFile => ({
  path,
  lines: 10,
  imports: imports.map((one) => ({ path: one, isType: false })),
})

describe('the structure of the code', () => {
  it('is read from every form of import', () => {
    const text = `import { a } from './a.ts'
import type { B } from '../b.ts'
import { type C, type D } from './c.ts'
import {
  type E,
  f,
} from './f.ts'
import './side.ts'
export { g } from './g.ts'
export type { H } from './h.ts'
import { join } from 'node:path'
const lazy = async () => (await import('./lazy.ts')).lazy
`
    expect(importsOf('x/y/z.ts', text)).to.deep.equal([
      { path: 'x/y/a.ts', isType: false },
      { path: 'x/b.ts', isType: true },
      { path: 'x/y/c.ts', isType: true },
      { path: 'x/y/f.ts', isType: false },
      { path: 'x/y/side.ts', isType: false },
      { path: 'x/y/g.ts', isType: false },
      { path: 'x/y/h.ts', isType: true },
      { path: 'x/y/lazy.ts', isType: false },
    ])
  })

  it('knows each knot of files, and the shortest way round it', () => {
    const files = [file('a', 'b'), file('b', 'c'), file('c', 'a', 'd'), file('d', 'e'), file('e'), file('f', 'f', 'a')]
    expect(cyclesOf(files)).to.deep.equal([
      { files: ['a', 'b', 'c'], way: ['a', 'b', 'c'] },
      { files: ['f'], way: ['f'] },
    ])
    expect(cyclesOf([file('a', 'b', 'c'), file('b', 'c'), file('c', 'b', 'a')])[0]!.way).to.have.length(2)
  })

  it('counts arrows between folders, and draws them', async () => {
    const files: SourceFile[] = [
      { path: 'agent/worker/a.ts', lines: 4, imports: [{ path: 'contracts/c.ts', isType: true }] },
      { path: 'agent/worker/b.ts', lines: 8, imports: [{ path: 'agent/worker/a.ts', isType: false }] },
      { path: 'contracts/c.ts', lines: 6, imports: [] },
    ]
    expect(arrowsOf(files)).to.deep.equal([{ from: 'agent/worker', to: 'contracts', imports: 1, types: 1 }])
    expect(foldersOf(files)[0]).to.deep.include({ path: 'agent/worker', files: 2, lines: 12 })
    expect(
      percentile(
        files.toSorted((a, b) => a.lines - b.lines),
        0.5,
      ),
    ).to.equal(6)
    const picture = await drawn(graphText(foldersOf(files), arrowsOf(files))).catch((error: NodeJS.ErrnoException) => {
      // a checkout whose packages are older than this tool
      if (error.code === 'MODULE_NOT_FOUND') return undefined
      throw error
    })
    if (picture !== undefined) expect(picture).to.match(/<svg[\s\S]*2 files, 12 lines/)
  })

  describe('of what a release is made of', () => {
    const files = readSources(join(import.meta.dirname, '../../../..'), productFolders)

    it('has no file over 500 lines', () => {
      const long = files.filter(({ lines }) => lines > 500)
      expect(long.map(({ path }) => path)).to.deep.equal([])
    })

    it('has no cycle of imports, types included', () => {
      const cycles = cyclesOf(files)
      expect(cycles.map(({ way }) => way.join(' -> '))).to.deep.equal([])
    })

    it('lets only kinds and composition roots know adapters, however they are imported', () => {
      const allowed = [
        'registry-adapters/',
        'agent/control/kinds/',
        'agent/control/host/nacos-face/',
        'agent/control/main.ts',
        'cli/demo/world.ts',
      ]
      const knowing = files.filter(
        ({ path, imports }) =>
          !allowed.some((one) => path.startsWith(one)) &&
          imports.some((one) => one.path.startsWith('registry-adapters/')),
      )
      expect(knowing.map(({ path }) => path)).to.deep.equal([])
    })
  })
})
