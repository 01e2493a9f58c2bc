/**
 * Builds what users run: compiled JavaScript without the type stripper, which alone would add 30 MiB to each process.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../.cache/bench-release', import.meta.url))

/** The release's own project and the programs of the benchmark that load parts of it. */
const projectFile = {
  extends: '../tsconfig.build.json',
  compilerOptions: { rootDir: '..' },
  include: ['contracts', 'native', 'agent', 'watchdog', 'registry-adapters', 'cli', 'bench/load'].map(
    (name) => `../${name}`,
  ),
}

/** Answers the folder of the build. Type errors do not stop it, a missing entry point does. */
export function buildRelease(log: (line: string) => void): string {
  rmSync(folder, { recursive: true, force: true })
  log('building')
  const project = fileURLToPath(new URL('../.cache/bench-tsconfig.json', import.meta.url))
  mkdirSync(dirname(project), { recursive: true })
  writeFileSync(project, JSON.stringify(projectFile))
  const compiler = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url))
  const run = spawnSync(process.execPath, [compiler, '-p', project, '--outDir', folder], {
    encoding: 'utf8',
    cwd: fileURLToPath(new URL('..', import.meta.url)),
  })
  if (run.status !== 0) log(`the build has problems: ${run.stdout.slice(0, 500)}`)
  if (!existsSync(`${folder}/agent/worker/main.js`)) throw new Error(`nothing was built: ${run.stdout}${run.stderr}`)
  copyFileSync(fileURLToPath(new URL('../package.json', import.meta.url)), `${folder}/package.json`)
  return folder
}
