/**
 * Compiles what users run into `dist/`: JavaScript under any Node 26, without the type stripper, which alone would add
 * 30 MiB to each process.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const texts = ['LICENSE', 'README.md', 'README.zh.md', 'CHANGELOG.md']
const copied = ['cli/hostmesh.js', 'cli/bundled-node.js', 'package.json', ...texts]

/** Makes `folder` anew, whatever was in it. Throws with the compiler's words when the code has type errors. */
export function build(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
  const compiler = join(root, 'node_modules/typescript/bin/tsc')
  for (const project of ['tsconfig.build.json', 'console/tsconfig.json']) {
    const run = spawnSync(process.execPath, [compiler, '-p', join(root, project), '--outDir', folder], {
      encoding: 'utf8',
    })
    if (run.status !== 0)
      throw new Error(`the compiler ended with ${run.status ?? run.signal}\n${run.stdout}${run.stderr}`)
  }
  const assets = readdirSync(join(root, 'console')).filter((name) => /\.(?:html|css|svg)$/.test(name))
  for (const file of [...copied, ...assets.map((name) => `console/${name}`)])
    copyFileSync(join(root, file), join(folder, file))
}

if (import.meta.main) build(join(root, 'dist'))
