/** Debian packages of this checkout for a booted machine. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const packages = ['first', 'second', 'third', 'broken', 'half'].map((name) => `${name}.deb`)
const root = join(import.meta.dirname, '../../..')

/**
 * Puts `first`, `second` (0.1.1), `third` (0.1.3, with another example as its configuration) and `broken` (0.1.2: its
 * workers end at once) into `target`, each a .deb, and `half`, the first half of `third`. HOSTMESH_BUILT is a folder
 * that keeps them for the next run, for whoever tries one step after another.
 */
export function buildPackages(scratch: string, target: string): void {
  const kept = process.env['HOSTMESH_BUILT']
  if (kept !== undefined && existsSync(join(kept, 'half.deb'))) {
    for (const name of readdirSync(kept)) copyFileSync(join(kept, name), join(target, name))
    return
  }
  run(process.execPath, 'scripts/release/main.ts', '--fast', scratch)
  const made = join(
    scratch,
    readdirSync(scratch).find((name) => name.endsWith('.deb'))!,
  )
  copyFileSync(made, join(target, 'first.deb'))
  const tree = join(scratch, 'tree')
  run('dpkg-deb', '--raw-extract', made, tree)
  repack(tree, '0.1.1', join(target, 'second.deb'))
  const conffile = join(tree, 'etc/hostmesh/agent.yaml')
  const example = readFileSync(conffile)
  writeFileSync(conffile, `# of 0.1.3\n${example.toString()}`)
  repack(tree, '0.1.3', join(target, 'third.deb'))
  writeFileSync(conffile, example)
  const whole = readFileSync(join(target, 'third.deb'))
  writeFileSync(join(target, 'half.deb'), whole.subarray(0, whole.length / 2))
  writeFileSync(join(tree, 'usr/lib/hostmesh/package/agent/worker/start.js'), 'process.exit(13)\n')
  repack(tree, '0.1.2', join(target, 'broken.deb'))
  if (kept !== undefined) for (const name of packages) copyFileSync(join(target, name), join(kept, name))
}

/** Puts what `npm run release` makes into `target` under its own names, and a newer package, 0.1.1. */
export function buildReleases(scratch: string, target: string): void {
  run(process.execPath, 'scripts/release/main.ts', '--fast', scratch)
  const made = readdirSync(scratch).filter((name) => /\.(deb|tar\.gz)$/.test(name))
  for (const name of made) copyFileSync(join(scratch, name), join(target, name))
  const tree = join(scratch, 'tree')
  run(
    'dpkg-deb',
    '--raw-extract',
    join(
      scratch,
      made.find((name) => name.endsWith('.deb'))!,
    ),
    tree,
  )
  repack(tree, '0.1.1', join(target, 'hostmesh_0.1.1_amd64.deb'))
}

/** The same package under another version, as if it had been built from another checkout. */
function repack(tree: string, version: string, target: string): void {
  for (const [file, pattern, word] of [
    ['DEBIAN/control', /^Version: .*$/m, `Version: ${version}`],
    ['DEBIAN/postinst', /^new=.*$/m, `new=$home/releases/${version}-of-a-test`],
  ] as const) {
    const text = readFileSync(join(tree, file), 'utf8')
    if (!pattern.test(text)) throw new Error(`${file}: no ${String(pattern)}`)
    writeFileSync(join(tree, file), text.replace(pattern, word))
  }
  run('dpkg-deb', '--root-owner-group', '-Zgzip', '-z1', '--build', tree, target)
}

function run(program: string, ...words: string[]): void {
  const done = spawnSync(program, words, { encoding: 'utf8', cwd: root })
  if (done.status !== 0) throw new Error(`${program}: ${done.stdout}${done.stderr}`)
}
