import { globSync, readFileSync } from 'node:fs'
import { expect } from 'chai'

const sources = globSync('**/*.ts', { exclude: ['node_modules', '.cache', 'dist', 'coverage'] })

/** Lines of all sources for which `isOdd` holds, as `file:line`. */
function linesWhere(isOdd: (line: string, file: string) => boolean, files: readonly string[] = sources): string[] {
  return files.flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .flatMap((line, at) => (isOdd(line, file) ? [`${file}:${at + 1}`] : [])),
  )
}

/** Up to 20 ms is the pace of a look or a call; beyond it only where the pace is the test. */
const paced = ['test/unit/agent/worker/transport/epoll/stress.spec.ts']

describe('the sources', () => {
  it('write private members in one form: the word', () => {
    expect(linesWhere((line) => /^ +(?:(?:static|readonly|async|get|set) |\*)*#[a-z]\w*/.test(line))).to.deep.equal([])
  })

  it('have comments of at most 120 columns', () => {
    const code = sources.filter((file) => !file.endsWith('.d.ts'))
    expect(linesWhere((line) => line.length > 120 && /^ *(?:\*|\/\/|\/\*)/.test(line), code)).to.deep.equal([])
  })

  it('of specs wait for conditions, not for time', () => {
    const specs = sources.filter((file) => file.startsWith('test/') && file.endsWith('.spec.ts'))
    const sleeps = linesWhere((line) => {
      const [, ms = '0'] =
        /^ *await new Promise(?:<void>)?\(\((\w+)\) => setTimeout\(\1, ([\d_]+)\)\)$/.exec(line)?.slice(1) ?? []
      return Number(ms.replaceAll('_', '')) > 20
    }, specs)
    expect(sleeps.filter((place) => !paced.some((file) => place.startsWith(`${file}:`)))).to.deep.equal([])
  })
})
