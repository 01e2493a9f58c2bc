import { expect } from 'chai'
import { readFileSync, readdirSync, existsSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

const root = join(import.meta.dirname, '../../..')
const notOurs = new Set(['node_modules', '.git', 'dist', 'coverage', '.cache'])
const files = readdirSync(root)
  .filter((name) => !notOurs.has(name))
  .flatMap((name) => [name, ...below(name)])
const folders = readdirSync(root, { withFileTypes: true }).filter(
  (entry) => entry.isDirectory() && !notOurs.has(entry.name),
)

function below(name: string): string[] {
  try {
    return readdirSync(join(root, name), { recursive: true, encoding: 'utf8' }).map((path) => `${name}/${path}`)
  } catch {
    return []
  }
}

const documents = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]

/** `a/{b,c}.ts` means two files, `a/*.ts` any of them. */
function isThere(name: string): boolean {
  const list = /^(.*)\{([^}]+)\}(.*)$/.exec(name)
  if (list !== null) return list[2]!.split(',').every((part) => isThere(`${list[1]}${part.trim()}${list[3]}`))
  if (name.includes('*')) {
    const pattern = new RegExp(`(^|/)${name.replaceAll('.', '\\.').replaceAll('*', '[^/]*')}$`)
    return files.some((path) => pattern.test(path))
  }
  const bare = name.replace(/\/$/, '')
  return files.some((path) => path === bare || path.endsWith(`/${bare}`))
}

/**
 * Names in backticks that can only be files or folders of this repository: a source file, or a path that begins with
 * one of its folders.
 */
function namesIn(text: string): string[] {
  const prefixes = folders.map((entry) => `${entry.name}/`)
  return (
    [...text.matchAll(/`([^`\s]+)`/g)]
      .map(([, name]) => name!.replace(/[.,:;]$/, '').replace(/:\d+$/, ''))
      .filter((name) => /^[\w./{},*-]+$/.test(name))
      .filter((name) => /\.(?:ts|md)$/.test(name) || prefixes.some((prefix) => name.startsWith(prefix)))
      // what a benchmark writes is there after it ran
      .filter((name) => !name.startsWith('bench/results/'))
  )
}

describe('every file that a document names', () => {
  for (const document of documents) {
    it(`is there: ${document}`, () => {
      const text = readFileSync(join(root, document), 'utf8')
      expect(namesIn(text).filter((name) => !isThere(name))).to.deep.equal([])
      const links = [...text.replaceAll(/`[^`]*`/g, '').matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map(
        ([, target]) => target!,
      )
      const broken = links
        .filter((target) => !/^[a-z]+:/.test(target))
        .filter((target) => !existsSync(join(root, normalize(join(dirname(document), target)))))
      expect(broken).to.deep.equal([])
    })
  }

  it('is found in the forms in which documents write it', () => {
    expect(namesIn('`agent/worker/x.ts`, `http1-rules.md`: `native/{a,b}.ts` and `ports.json`, `a.b()`')).to.deep.equal(
      ['agent/worker/x.ts', 'http1-rules.md', 'native/{a,b}.ts'],
    )
    expect(isThere('cli/main.ts')).to.equal(true)
    expect(isThere('cli/{main,output}.ts')).to.equal(true)
    expect(isThere('cli/{main,nothing}.ts')).to.equal(false)
    expect(isThere('systemd/*.service')).to.equal(true)
    expect(isThere('systemd/*.path')).to.equal(false)
  })
})
