/**
 * Makes `hostmesh-VERSION-linux-ARCH.tar.gz`: build, documentation, units, production packages, and the Node binary. A
 * host needs nothing else.
 *
 * Usage: node scripts/release.ts [FOLDER]   (no argument = dist). Packages are taken as `npm ci` put them there;
 * nothing is downloaded.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { build } from './build.ts'

const root = join(import.meta.dirname, '..')

function readJson<T>(file: string): T {
  return JSON.parse(readFileSync(join(root, file), 'utf8')) as T
}

/**
 * Folders of all packages that a release needs. Those for other platforms are in the lock file, but not on this disk.
 */
function productionPackages(): string[] {
  const { packages } = readJson<{ packages: Record<string, { dev?: boolean }> }>('package-lock.json')
  return Object.entries(packages)
    .filter(([folder, { dev }]) => folder !== '' && dev !== true && existsSync(join(root, folder)))
    .map(([folder]) => folder)
}

/** Copies the binary and its licence: headers, manuals and the change log are half of the package. */
function copyNode(name: string, target: string): void {
  for (const file of ['bin/node', 'LICENSE', 'package.json'])
    cpSync(join(root, 'node_modules', name, file), join(target, 'node_modules', name, file))
  mkdirSync(join(target, 'node_modules/.bin'))
  symlinkSync(`../${name}/bin/node`, join(target, 'node_modules/.bin/node'))
}

const { version } = readJson<{ version: string }>('package.json')
const name = `hostmesh-${version}-${process.platform}-${process.arch}`
const nodePackage = `node-${process.platform}-${process.arch}`
const folder = resolve(process.argv[2] ?? join(root, 'dist'))
const staging = mkdtempSync(join(tmpdir(), 'hostmesh-release-'))
try {
  const target = join(staging, name)
  build(target)
  for (const part of ['bin', 'docs', 'examples', 'systemd'])
    cpSync(join(root, part), join(target, part), { recursive: true })
  for (const path of productionPackages()) {
    if (path !== `node_modules/${nodePackage}`) cpSync(join(root, path), join(target, path), { recursive: true })
  }
  copyNode(nodePackage, target)
  mkdirSync(folder, { recursive: true })
  const archive = join(folder, `${name}.tar.gz`)
  const tar = spawnSync('tar', ['-czf', archive, '--owner=0', '--group=0', '--numeric-owner', '-C', staging, name], {
    stdio: 'inherit',
  })
  if (tar.status !== 0) throw new Error(`${archive}: tar ended with ${tar.status ?? tar.error?.message}`)
  console.log(archive)
} finally {
  rmSync(staging, { recursive: true, force: true })
}
