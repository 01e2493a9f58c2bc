import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'

const script = readFileSync(join(import.meta.dirname, '../../../../packaging/deb/postinst'), 'utf8')

/** The agent runs, the center does not; a watchdog that is killed is another one the next time. */
const systemctl = `#!/bin/sh
count=$(cat "$0.count" 2>/dev/null || echo 1)
case "$*" in
  *is-active*hostmesh-center) exit 3 ;;
  kill*) echo $((count + 1)) >"$0.count" ;;
  show*) echo "$count" ;;
esac
`

describe('what stays of earlier releases when a package is installed', function () {
  this.timeout(120_000)
  let folder: string
  let home: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hm-postinst-'))
    home = join(folder, 'hostmesh')
    for (const name of ['hostmesh/package', 'programs', 'systemd']) mkdirSync(join(folder, name), { recursive: true })
    writeFileSync(join(home, 'package/program'), '')
    writeFileSync(join(folder, 'programs/systemctl'), systemctl, { mode: 0o755 })
    writeFileSync(join(folder, 'programs/systemd-sysusers'), '#!/bin/sh\n', { mode: 0o755 })
  })

  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const install = (release: string): string[] => {
    const places = [
      ['home=/usr/lib/hostmesh', `home=${home}`],
      ['/run/systemd/system', join(folder, 'systemd')],
      ['@RELEASE@', release],
    ] as const
    let text = script
    for (const [from, to] of places) {
      expect(text).to.include(from)
      text = text.replaceAll(from, to)
    }
    const env = { ...process.env, PATH: `${join(folder, 'programs')}:${process.env['PATH']}` }
    const done = spawnSync('sh', ['-s', 'configure', 'before'], { input: text, env, encoding: 'utf8' })
    expect(done.status, done.stderr).to.equal(0)
    return readdirSync(join(home, 'releases')).toSorted()
  }

  it('is the one that a rollback goes back to, also after the same package again', () => {
    expect(install('v1')).to.deep.equal(['v1'])
    expect(install('v2')).to.deep.equal(['v1', 'v2'])
    expect(install('v2')).to.deep.equal(['v1', 'v2'])
    expect(install('v3')).to.deep.equal(['v2', 'v3'])
  })
})
