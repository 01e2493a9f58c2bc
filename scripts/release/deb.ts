/**
 * The Debian package: the tree of a release under /usr/lib/hostmesh, units, an account, manual pages, completions and
 * /etc/hostmesh. What happens on a host at an installation, an upgrade and a removal is written in `packaging/deb/`.
 */
import { createHash } from 'node:crypto'
import {
  cpSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, parse } from 'node:path'
import { gzipSync } from 'node:zlib'
import { commandTree } from '../../cli/command-tree.ts'
import { completionScript } from '../../cli/commands/completion.ts'
import { program } from '../../cli/main.ts'
import { manPages } from './man-pages.ts'
import { type Release, evenModes, root, run } from './staging.ts'

const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }
const templates = join(root, 'packaging/deb')
const maintainer = 'Hostmesh maintainers <maintainers@hostmesh.invalid>'
const home = 'usr/lib/hostmesh'

/** Answers the path of the package. */
export async function makeDeb(release: Release, tree: string, staging: string, folder: string): Promise<string> {
  const architecture = architectures[release.arch]
  if (architecture === undefined) throw new Error(`${release.arch}: no Debian architecture, known are x64 and arm64`)
  const target = join(staging, 'deb')
  const put = (path: string, content: string | Uint8Array, mode = 0o644): void => {
    mkdirSync(dirname(join(target, path)), { recursive: true })
    writeFileSync(join(target, path), content, { mode })
  }
  // two builds of one version may lie side by side on a host: an upgrade leaves what runs where it is
  const name = `${release.version}-${digestOf(tree).slice(0, 12)}`
  cpSync(tree, join(target, home, 'package'), { recursive: true, verbatimSymlinks: true })
  for (const unit of readdirSync(join(tree, 'systemd'))) {
    const text = readFileSync(join(tree, 'systemd', unit), 'utf8')
    // each takes a release up, or refuses it, for itself: `postinst`
    // drills belong to the release of the agent
    const owner = parse(unit).name.replace(/-drill$/, '')
    const own = text.replaceAll('/opt/hostmesh/current/bin', `/usr/lib/hostmesh/units/${owner}/bin`)
    put(`usr/lib/systemd/system/${unit}`, own.replaceAll('/opt/hostmesh/current', '/usr/lib/hostmesh/current'))
  }
  mkdirSync(join(target, 'usr/bin'), { recursive: true })
  symlinkSync('../lib/hostmesh/current/bin/hostmesh', join(target, 'usr/bin/hostmesh'))
  put('usr/lib/sysusers.d/hostmesh.conf', template('sysusers.conf'))
  put('usr/lib/tmpfiles.d/hostmesh.conf', template('tmpfiles.conf'))
  for (const role of ['agent', 'center'])
    put(`etc/hostmesh/${role}.yaml`, readFileSync(join(root, `examples/${role}.yaml`)))
  for (const directory of ['services.d', 'rules.d'])
    mkdirSync(join(target, 'etc/hostmesh', directory), { recursive: true })
  putDocuments(release, put)
  putControl(release, architecture, name, put, sizeOf(target))
  evenModes(target)
  const file = join(folder, `hostmesh_${release.version}_${architecture}.deb`)
  const compression = release.isFast ? ['-Zgzip', '-z1'] : ['-Zxz', '-z6', '--threads-max=1']
  const env = { ...process.env, SOURCE_DATE_EPOCH: String(release.time) }
  run('dpkg-deb', ['--root-owner-group', ...compression, '--build', target, file], env)
  return file
}

type Put = (path: string, content: string | Uint8Array, mode?: number) => void

function template(name: string): string {
  return readFileSync(join(templates, name), 'utf8')
}

function compressed(text: string): Uint8Array {
  return gzipSync(text, { level: 9 })
}

function putDocuments(release: Release, put: Put): void {
  const day = new Date(release.time * 1000)
  const tree = commandTree(program)
  for (const [file, text] of manPages(tree, release.version, day.toISOString().slice(0, 10)))
    put(`usr/share/man/man1/${file}.gz`, compressed(text))
  put('usr/share/bash-completion/completions/hostmesh', completionScript('bash', program))
  put('usr/share/zsh/vendor-completions/_hostmesh', completionScript('zsh', program))
  put('usr/share/fish/vendor_completions.d/hostmesh.fish', completionScript('fish', program))
  put('usr/share/doc/hostmesh/copyright', template('copyright'))
  put('usr/share/doc/hostmesh/changelog.gz', compressed(debianChangelog(release.version, day)))
  put('usr/share/lintian/overrides/hostmesh', template('lintian-overrides'))
}

/** The form that Debian's tools read; what changed is told by CHANGELOG.md. */
function debianChangelog(version: string, day: Date): string {
  const date = day.toUTCString().replace('GMT', '+0000')
  return `hostmesh (${version}) stable; urgency=medium\n\n  * See /usr/lib/hostmesh/current/CHANGELOG.md.\n\n -- ${maintainer}  ${date}\n`
}

function putControl(release: Release, architecture: string, name: string, put: Put, kibibytes: number): void {
  const fields = {
    VERSION: release.version,
    ARCHITECTURE: architecture,
    MAINTAINER: maintainer,
    SIZE: String(kibibytes),
  }
  put('DEBIAN/control', filled(template('control'), fields))
  put('DEBIAN/conffiles', '/etc/hostmesh/agent.yaml\n/etc/hostmesh/center.yaml\n')
  for (const script of ['postinst', 'prerm', 'postrm'])
    put(`DEBIAN/${script}`, filled(template(script), { RELEASE: name }), 0o755)
}

/** Throws when a word stands in the template that nobody gives. */
function filled(text: string, fields: Readonly<Record<string, string>>): string {
  return text.replaceAll(/@([A-Z]+)@/g, (word, field: string) => {
    const value = fields[field]
    if (value === undefined) throw new Error(`${word} stands in a template and has no value`)
    return value
  })
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()
}

function digestOf(tree: string): string {
  const hash = createHash('sha256')
  for (const path of filesBelow(tree)) {
    const state = lstatSync(join(tree, path))
    hash.update(`${path}\0${state.mode & 0o777}\0`)
    if (state.isSymbolicLink()) hash.update(readlinkSync(join(tree, path)))
    else if (state.isFile()) hash.update(readFileSync(join(tree, path)))
  }
  return hash.digest('hex')
}

/** As Debian's policy counts: each file rounded up to 1 KiB, 1 KiB for everything else. */
function sizeOf(folder: string): number {
  return filesBelow(folder).reduce((sum, path) => {
    const state = lstatSync(join(folder, path))
    return sum + (state.isFile() ? Math.ceil(state.size / 1024) : 1)
  }, 0)
}
