/**
 * Makes what a host installs, in one folder: `hostmesh-VERSION-linux-ARCH.tar.gz`, `hostmesh_VERSION_ARCH.deb`, a bill
 * of materials (CycloneDX) and `SHA256SUMS`. A host needs nothing else. The same checkout gives the same bytes again:
 * times are those of the commit, or SOURCE_DATE_EPOCH.
 *
 * Usage: node scripts/release/main.ts [--fast] [--arch x64|arm64] [FOLDER]   (no FOLDER = dist). Packages are taken as
 * `npm ci` put them there; nothing is downloaded. `--fast` compresses little, for trials. Without `dpkg-deb` there is
 * no .deb, without `strip` a larger one; both are said.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { makeDeb } from './deb.ts'
import { billOfMaterials } from './sbom.ts'
import { type Release, isInstalled, packagesIn, releaseTime, root, run, stage } from './staging.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { fast: { type: 'boolean', default: false }, arch: { type: 'string', default: process.arch } },
})
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
const release: Release = { version, arch: values.arch, time: releaseTime(), isFast: values.fast }
const name = `hostmesh-${version}-linux-${release.arch}`
const folder = resolve(positionals[0] ?? join(root, 'dist'))
const staging = mkdtempSync(join(tmpdir(), 'hostmesh-release-'))
try {
  const tree = join(staging, name)
  stage(release, tree)
  mkdirSync(folder, { recursive: true })
  const made = [makeArchive(tree)]
  if (isInstalled('dpkg-deb')) made.push(await makeDeb(release, tree, staging, folder))
  else process.stderr.write('no .deb: dpkg-deb is not installed\n')
  const bill = join(folder, `${name}.cdx.json`)
  writeFileSync(bill, billOfMaterials(release, packagesIn(tree)))
  made.push(bill)
  const sums = join(folder, 'SHA256SUMS')
  writeFileSync(sums, made.map((file) => `${sha256(file)}  ${basename(file)}\n`).join(''))
  process.stdout.write(`${[...made, sums].join('\n')}\n`)
} finally {
  rmSync(staging, { recursive: true, force: true })
}

function makeArchive(tree: string): string {
  const archive = join(folder, `${name}.tar.gz`)
  const compress = `--use-compress-program=gzip -n ${release.isFast ? '-1' : '-9'}`
  const owner = ['--owner=0', '--group=0', '--numeric-owner', '--format=gnu']
  run('tar', [
    '-c',
    compress,
    '--sort=name',
    `--mtime=@${release.time}`,
    ...owner,
    '-f',
    archive,
    '-C',
    join(tree, '..'),
    name,
  ])
  return archive
}

function sha256(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex')
}
