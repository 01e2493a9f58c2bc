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

/**
 * Specs in which time itself is the test: the pace of a load, the length of an outage. Elsewhere up to 20 ms, the pace
 * of a look.
 */
const paced: Readonly<Record<string, string>> = {
  'test/unit/agent/worker/listen/bound-listeners.spec.ts': 'the pace of a look that dials',
  'test/e2e/cli/one-agent.spec.ts': 'the pace of a look that starts a process',
  'test/e2e/http1/executed-once.spec.ts': 'callers that are idle for as long as the application waits',
  'test/e2e/continuity/executed-once.spec.ts': 'the pace of the callers',
  'test/e2e/traffic/behind-an-agent.spec.ts': 'for so long a port is shut',
}
/**
 * Files of the product that make an expression of Node's own kind out of a text, and whose text it is. What comes from
 * outside gets a linear matcher (`agent/worker/route/linear-regex.ts`, `contracts/name-pattern.ts`): with one of these
 * a few words could hold a process up for ever.
 */
const madeExpressions: Readonly<Record<string, string>> = {
  'agent/control/rules-api/selectors.ts': 'its own word for a label, three times',
  'global-mesh-center/namespaced-kind.ts': 'names of kinds, as the source has them',
  'console/rule-objects.ts': 'two names of fields, in a page of the one who wrote the text',
  'cli/support/redact.ts': 'its own names of fields; secrets of the configuration, escaped',
}
const product =
  'agent cli console contracts global-mesh-center guard http1 native observability registry-adapters rpc sdk watchdog'
const sleep =
  /^.*\bawait (?:new Promise(?:<\w+>)?\(\((\w+)\) => setTimeout\(\1, (?<ms>.*)\)\)|(?:delay|sleep)\((?<time>.*)\))$/

describe('the sources', () => {
  it('write private members in one form: the word', () => {
    expect(linesWhere((line) => /^ +(?:(?:static|readonly|async|get|set) |\*)*#[a-z]\w*/.test(line))).to.deep.equal([])
  })

  it('have comments of at most 120 columns', () => {
    const code = sources.filter((file) => !file.endsWith('.d.ts'))
    expect(linesWhere((line) => line.length > 120 && /^ *(?:\*|\/\/|\/\*)/.test(line), code)).to.deep.equal([])
  })

  it('make expressions of no text from outside', () => {
    const files = sources.filter((file) => product.split(' ').some((folder) => file.startsWith(`${folder}/`)))
    const made = linesWhere((line) => /\bRegExp\(/.test(line), files)
    expect([...new Set(made.map((place) => place.slice(0, place.lastIndexOf(':'))))].toSorted()).to.deep.equal(
      Object.keys(madeExpressions).toSorted(),
    )
  })

  it('of specs wait for conditions, not for time', () => {
    const specs = sources.filter((file) => file.startsWith('test/') && file.endsWith('.spec.ts'))
    const sleeps = linesWhere((line) => {
      const { ms, time } = sleep.exec(line)?.groups ?? {}
      const asked = ms ?? time
      // what is computed may be of any length
      return asked !== undefined && !(Number(asked.replaceAll('_', '')) <= 20)
    }, specs)
    const files = new Set(sleeps.map((place) => place.slice(0, place.lastIndexOf(':'))))
    expect([...files].filter((file) => !(file in paced))).to.deep.equal([])
    expect(
      Object.keys(paced).filter((file) => !files.has(file)),
      'no longer needed',
    ).to.deep.equal([])
  })
})
