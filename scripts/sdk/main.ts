/**
 * Makes the package that applications install: `dist-sdk/hostmesh-sdk-VERSION.tgz`, JavaScript and types for Node 20
 * and later, of `sdk/` and of what it imports, and nothing else.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'

const root = join(import.meta.dirname, '../..')
/** What an import names, in JavaScript and in declarations, as the compiler writes both. */
const importPattern = /(?:from|import)\s*\(?'(\.{1,2}\/[^']+)'/g

/** Answers the path of the tarball in `folder`. Throws with the words of the tool that failed. */
export function packSdk(folder: string): string {
  const work = mkdtempSync(join(tmpdir(), 'hostmesh-sdk-'))
  try {
    const compiled = join(work, 'compiled')
    const tree = join(work, 'package')
    run(process.execPath, [
      join(root, 'node_modules/typescript/bin/tsc'),
      '-p',
      join(root, 'tsconfig.sdk.json'),
      '--outDir',
      compiled,
    ])
    for (const file of reached(compiled, ['sdk/index.js', 'sdk/index.d.ts'])) {
      mkdirSync(dirname(join(tree, file)), { recursive: true })
      cpSync(join(compiled, file), join(tree, file))
    }
    const { version, license } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      version: string
      license: string
    }
    const about = {
      name: '@hostmesh/sdk',
      version,
      description: 'Calls services by the agent of the host, by a center, or directly, and changes between them',
      license,
      type: 'module',
      engines: { node: '>=20.16' },
      exports: { '.': { types: './sdk/index.d.ts', default: './sdk/index.js' } },
      types: './sdk/index.d.ts',
      files: ['**/*.js', '**/*.d.ts', 'README.md', 'LICENSE'],
      sideEffects: false,
    }
    writeFileSync(join(tree, 'package.json'), `${JSON.stringify(about, null, 2)}\n`)
    copyFileSync(join(root, 'docs/sdk.md'), join(tree, 'README.md'))
    copyFileSync(join(root, 'LICENSE'), join(tree, 'LICENSE'))
    mkdirSync(folder, { recursive: true })
    run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', resolve(folder)], tree)
    const tarball = join(resolve(folder), `hostmesh-sdk-${version}.tgz`)
    if (!existsSync(tarball)) throw new Error(`npm pack made no ${tarball}`)
    return tarball
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** Files that are imported from these, themselves included, relative to `folder`. */
function reached(folder: string, entries: readonly string[]): Set<string> {
  const found = new Set<string>()
  const waiting = [...entries]
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (found.has(file)) continue
    found.add(file)
    const isTypes = file.endsWith('.d.ts')
    for (const [, name] of readFileSync(join(folder, file), 'utf8').matchAll(importPattern)) {
      const path = relative(folder, join(folder, dirname(file), name!))
      // a declaration is imported by the name of its JavaScript, or of its source
      waiting.push(isTypes ? path.replace(/\.[jt]s$/, '.d.ts') : path)
    }
  }
  return found
}

function run(command: string, argv: readonly string[], cwd: string = root): void {
  const ran = spawnSync(command, argv, { cwd, encoding: 'utf8' })
  if (ran.status !== 0) throw new Error(`${command} ended with ${ran.status ?? ran.signal}\n${ran.stdout}${ran.stderr}`)
}

if (import.meta.main) console.log(packSdk(join(root, 'dist-sdk')))
