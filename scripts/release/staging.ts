/**
 * The tree of a release, as a tarball unpacks it and as a package carries it: build, documentation, units, production
 * packages, and the Node binary.
 */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, relative, sep } from 'node:path'
import { build } from '../build.ts'
import { reachable } from './reachable.ts'

export const root = join(import.meta.dirname, '../..')

export interface Release {
  readonly version: string
  /** Node's word: x64 or arm64. */
  readonly arch: string
  /** Seconds since 1970 that every file carries. */
  readonly time: number
  /** Compressed little: for trials. */
  readonly isFast: boolean
}

/** What npm packages carry for their developers: never loaded, and half of their size. */
const notLoaded = /\.(?:[cm]?ts|map|flow|md|markdown|html)$/
const licence = /^(?:licen[cs]e|notice|copying)/i
const notLoadedFolders = new Set(['test', 'tests', '__tests__', 'docs', 'example', 'examples', 'bench', 'benchmark'])

/** Makes `tree` anew. Throws with the words of the tool that failed. */
export function stage(release: Release, tree: string): void {
  build(tree)
  // what an operator reads and uses besides: decisions that the documentation leads to, roles, alerts, dashboards
  for (const part of ['bin', 'docs', 'examples', 'systemd', 'ansible', 'observability'])
    cpSync(join(root, part), join(tree, part), { recursive: true, filter: (path) => !basename(path).startsWith('.') })
  for (const path of packageFiles(tree)) {
    const target = join(tree, relative(root, path))
    mkdirSync(dirname(target), { recursive: true })
    if (basename(path) === 'package.json') writeFileSync(target, asRead(path))
    else copyFileSync(path, target)
    // whatever its author's disk said: nothing of these is started
    chmodSync(target, 0o644)
  }
  copyNode(`node-linux-${release.arch}`, tree)
  evenModes(tree)
}

/** What is read of the package.json of a package: by Node, by packages that name themselves, and by whoever asks. */
const readFields = ['name', 'version', 'license', 'type', 'main', 'exports', 'imports', 'dependencies']

/** A package.json without what only npm and developers of the package read: half of them take two blocks and more. */
function asRead(path: string): string {
  const given = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
  return `${JSON.stringify(Object.fromEntries(Object.entries(given).filter(([field]) => readFields.includes(field))))}\n`
}

/** What the build in `tree` can load of npm packages, with their licences: paths in this checkout. */
export function packageFiles(tree: string): string[] {
  const sources = readdirSync(tree, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.js') && !path.startsWith('node_modules'))
    .map((path) => join(tree, path))
  const { files, packages } = reachable(sources, root, isLoaded)
  const licences = [...packages].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => licence.test(name))
      .map((name) => join(folder, name)),
  )
  return [...files, ...licences].sort()
}

/** `NAME@VERSION` of each package in a staged tree. */
export function packagesIn(tree: string): Set<string> {
  const folder = join(tree, 'node_modules')
  const found = new Set<string>()
  for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!/(?:^|\/node_modules\/)(?:@[^/]+\/)?[^@/]+\/package\.json$/.test(path)) continue
    const { name, version } = JSON.parse(readFileSync(join(folder, path), 'utf8')) as Record<string, string>
    if (name !== undefined && version !== undefined) found.add(`${name}@${version}`)
  }
  return found
}

function isLoaded(path: string): boolean {
  const names = path.slice(path.lastIndexOf('node_modules')).split(sep)
  return !notLoaded.test(path) && !names.some((name) => name.startsWith('.') || notLoadedFolders.has(name))
}

/**
 * Copies the binary and its licence: headers, manuals and the change log are half of the package. Symbols that nobody
 * reads go, too.
 */
function copyNode(name: string, target: string): void {
  const from = join(root, 'node_modules', name)
  if (!existsSync(from))
    throw new Error(
      `node_modules/${name} is not there: npm pack it in the version of package.json, unpack it to that place`,
    )
  for (const file of ['bin/node', 'LICENSE', 'package.json'])
    cpSync(join(from, file), join(target, 'node_modules', name, file))
  if (name !== `node-linux-${process.arch}`)
    process.stderr.write('Node keeps its symbols: it is for another processor\n')
  else if (isInstalled('strip')) run('strip', [join(target, 'node_modules', name, 'bin/node')])
  else process.stderr.write('Node keeps its symbols, 30 MB: strip (binutils) is not installed\n')
  mkdirSync(join(target, 'node_modules/.bin'), { recursive: true })
  symlinkSync(`../${name}/bin/node`, join(target, 'node_modules/.bin/node'))
}

/** Modes of a checkout depend on the umask of whoever made it; those of a release do not. */
export function evenModes(folder: string): void {
  chmodSync(folder, 0o755)
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    const state = lstatSync(path)
    if (state.isDirectory()) evenModes(path)
    else if (state.isFile()) chmodSync(path, (state.mode & 0o100) === 0 ? 0o644 : 0o755)
  }
}

/** SOURCE_DATE_EPOCH, else the time of the commit, else, outside of a repository, that of the change log. */
export function releaseTime(): number {
  const given = process.env['SOURCE_DATE_EPOCH']
  if (given !== undefined && /^\d+$/.test(given)) return Number(given)
  const { status, stdout } = spawnSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' })
  if (status === 0) return Number(stdout)
  return Math.floor(statSync(join(root, 'CHANGELOG.md')).mtimeMs / 1000)
}

export function isInstalled(tool: string): boolean {
  return spawnSync(tool, ['--version'], { stdio: 'ignore' }).error === undefined
}

export function run(tool: string, words: readonly string[], env: NodeJS.ProcessEnv = process.env): string {
  const done = spawnSync(tool, words, { cwd: root, encoding: 'utf8', env, maxBuffer: 64 << 20 })
  if (done.status !== 0) throw new Error(`${tool} ended with ${done.status ?? done.error?.message}\n${done.stderr}`)
  return done.stdout
}
