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

describe('the sources', () => {
  it('write private members in one form: the word', () => {
    expect(linesWhere((line) => /^ +(?:(?:static|readonly|async|get|set) |\*)*#[a-z]\w*/.test(line))).to.deep.equal([])
  })
})
