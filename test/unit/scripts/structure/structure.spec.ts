import { expect } from 'chai'
import { join } from 'node:path'
import { crossings, readBorders } from '../../../../scripts/structure/borders.ts'
import { complaints } from '../../../../scripts/structure/bounds.ts'
import { cyclesOf } from '../../../../scripts/structure/cycles.ts'
import { graphText } from '../../../../scripts/structure/drawing.ts'
import { unusedExports } from '../../../../scripts/structure/exports.ts'
import { drawn } from '../../../../scripts/graphviz.ts'
import { arrowsOf, foldersOf, percentile } from '../../../../scripts/structure/folders.ts'
import { importsOf, readSources, type SourceFile } from '../../../../scripts/structure/imports.ts'
import { productFolders, userFolders } from '../../../../scripts/structure/parts.ts'
import { repeatsOf } from '../../../../scripts/structure/repeats.ts'

const file = (path: string, ...imports: string[]): SourceFile => ({
  path,
  lines: 10,
  text: '',
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
      { path: 'agent/worker/a.ts', lines: 4, text: '', imports: [{ path: 'contracts/c.ts', isType: true }] },
      { path: 'agent/worker/b.ts', lines: 8, text: '', imports: [{ path: 'agent/worker/a.ts', isType: false }] },
      { path: 'contracts/c.ts', lines: 6, text: '', imports: [] },
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

  it('finds runs of lines that stand in two files, whatever imports, comments and types are between', () => {
    const run = ['a(1)', 'if (b) {', '  c()', '}', 'd()', 'e()', 'return f']
    const texts = [
      { path: 'x.ts', text: `import {\n  g,\n} from './g.ts'\n// one\n${run.join('\n')}\nonly.here()` },
      { path: 'y.ts', text: `${run.map((line) => `  ${line}\n\n  // two`).join('\n')}` },
      { path: 'z.ts', text: run.slice(0, 4).join('\n') },
      { path: 'w.ts', text: `${run.join('\n')}\n${run.join('\n')}` },
    ]
    expect(repeatsOf(texts.slice(0, 3), 6)).to.deep.equal([
      { places: ['x.ts:5', 'y.ts:1'], files: ['x.ts', 'y.ts'], lines: 6 },
    ])
    expect(repeatsOf([texts[3]!], 6)).to.deep.equal([])
    const types = ['readonly a: string', 'b: number,', 'readonly c?: Map<string, X>', 'd: X | Y', 'e: z', 'f: g'].join(
      '\n',
    )
    expect(
      repeatsOf(
        [
          { path: 'x.ts', text: types },
          { path: 'y.ts', text: types },
        ],
        6,
      ),
    ).to.deep.equal([])
  })

  it('finds what is exported for nobody: named by no file that imports it', () => {
    const product = (path: string, text: string): SourceFile => ({
      ...file(path),
      text,
      imports: importsOf(path, text),
    })
    const a = `export const used = 1
export function lazy(): void {}
export const forTests = 2
export async function forNobody(): Promise<void> {}
export interface Types {}
`
    const files = [
      product('x/a.ts', a),
      product('x/b.ts', "import { used } from './a.ts'\nconst { lazy } = await import('./a.ts')\n"),
      product('x/c.ts', "import * as all from './e.ts'\nObject.values(all)\n"),
      product('x/d.ts', 'forNobody()'),
      product('x/e.ts', 'export class Whole {}'),
      product('contracts/f.ts', 'export const said = 1'),
      product('sdk/index.ts', 'export const forUsers = 1'),
    ]
    const test = product('test/a.spec.ts', "import { forTests } from '../x/a.ts'")
    expect(unusedExports(files, [test])).to.deep.equal(['x/a.ts forNobody'])
    expect(unusedExports(files, [])).to.deep.equal(['x/a.ts forTests', 'x/a.ts forNobody'])
  })

  it('finds what is loaded lazily over a border that the linter holds for other imports', () => {
    const borders = readBorders(join(import.meta.dirname, '../../../..'))
    const crossed = (path: string, ...wanted: string[]): string[] => {
      const text = wanted.map((one) => `await import('${one}')`).join('\n')
      return crossings([{ ...file(path), text }], borders).map((one) => one.split(' loads ')[1]!.split(': ')[0]!)
    }
    expect(
      crossed('agent/worker/forward/a.ts', '../protocols/rpc/parts.ts', './b.ts', '../filters/cors.ts'),
    ).to.deep.equal(['../protocols/rpc/parts.ts', '../filters/cors.ts'])
    expect(
      crossed('agent/worker/forward/grpc/a.ts', '../../protocols/caller.ts', '../../filters/filter.ts'),
    ).to.deep.equal(['../../protocols/caller.ts'])
    expect(crossed('watchdog/relay/a.ts', 'pino', 'node:net', '../../http1/head.ts')).to.deep.equal(['pino'])
    expect(crossed('agent/control/core/a.ts', '../../../registry-adapters/dns/index.ts')).to.have.length(1)
    expect(crossed('agent/control/run.ts', '../../registry-adapters/dns/index.ts')).to.deep.equal([])
    expect(crossings([file('agent/worker/forward/a.ts')], borders)).to.deep.equal([])
  })

  it('complains of each bound by name', () => {
    const long = { ...file('long.ts'), lines: 501 }
    expect(complaints([long], [])).to.deep.equal([
      'too long: long.ts has 501 lines, allowed 500',
      'the median file has 501 lines, allowed 90',
      'a tenth of all files has 501 lines and more, allowed 260',
    ])
    expect(complaints([file('a.ts', 'a.ts')], [])).to.deep.equal(['cycle of 1 files, for example a.ts -> a.ts'])
    expect(complaints([file('a.ts')], [])).to.deep.equal([])
    const text = (count: number): string => Array.from({ length: count }, (_, at) => `f(${at})`).join('\n')
    const pair = (one: string, other: string, count: number): string[] =>
      complaints(
        [one, other].map((path) => ({ ...file(path), text: text(count) })),
        [],
      )
    expect(pair('agent/worker/a.ts', 'watchdog/b.ts', 5)).to.deep.equal([])
    expect(pair('agent/worker/a.ts', 'watchdog/b.ts', 6)).to.deep.equal([
      '6 lines stand twice: agent/worker/a.ts:1 and watchdog/b.ts:1',
    ])
    expect(pair('agent/worker/a.ts', 'agent/worker/b.ts', 11)).to.deep.equal([])
    expect(pair('agent/worker/a.ts', 'agent/worker/b.ts', 12)).to.have.length(1)
  })

  describe('of what a release is made of', () => {
    const root = join(import.meta.dirname, '../../../..')
    const files = readSources(root, productFolders)

    it('keeps its bounds: sizes, no cycle of imports, types included, nothing that stands twice or for nobody', () => {
      expect(complaints(files, readSources(root, userFolders), readBorders(root))).to.deep.equal([])
    })

    it('lets only kinds and composition roots know adapters, however they are imported', () => {
      const allowed = [
        'registry-adapters/',
        'agent/control/kinds/',
        'agent/control/host/nacos-face/',
        'agent/control/run.ts',
        'cli/demo/world.ts',
        'global-mesh-center/host-faces/',
        'global-mesh-center/store/',
        'global-mesh-center/xds/',
        'sdk/sources/nacos-source.ts',
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
