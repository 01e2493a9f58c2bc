/** What can be said of the collection without a host; `npm run ansible` brings one from nothing to nothing. */
import { expect } from 'chai'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

describe('the ansible collection', function () {
  this.timeout(120_000)
  let folder: string
  let collection: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hm-collection-'))
    mkdirSync(join(folder, 'ansible_collections/hostmesh'), { recursive: true })
    collection = join(folder, 'ansible_collections/hostmesh/mesh')
    symlinkSync(join(import.meta.dirname, '../../ansible'), collection)
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const run = (program: string, ...words: string[]) => runIn(collection, program, ...words)
  const runIn = (cwd: string, program: string, ...words: string[]) =>
    spawnSync(program, words, {
      encoding: 'utf8',
      cwd,
      env: {
        ...process.env,
        PWD: cwd,
        PATH: `${folder}/bin:${process.env['PATH']}`,
        ANSIBLE_COLLECTIONS_PATH: folder,
        ANSIBLE_NOCOLOR: '1',
        HOME: folder,
      },
    })

  it('can be installed from a checkout, as docs/ansible.md says', function () {
    const home = join(folder, 'home')
    const done = spawnSync('ansible-galaxy', ['collection', 'install', '--offline', './ansible'], {
      encoding: 'utf8',
      cwd: join(import.meta.dirname, '../..'),
      env: { ...process.env, ANSIBLE_COLLECTIONS_PATH: join(home, 'collections'), ANSIBLE_NOCOLOR: '1', HOME: home },
    })
    if (done.error !== undefined) {
      this.test!.title += ' (needs ansible-galaxy: pip install ansible-core)'
      this.skip()
    }
    expect(done.status, done.stdout + done.stderr).to.equal(0)
    expect(existsSync(join(home, 'collections/ansible_collections/hostmesh/mesh/playbooks/deploy.yml'))).to.equal(true)
  })

  for (const book of ['deploy', 'uninstall', 'drills']) {
    it(`${book}.yml can be read with all its roles`, function () {
      writeFileSync(join(folder, 'inventory.json'), JSON.stringify({ hostmesh_agents: { hosts: { a: {} } } }))
      const words = [`hostmesh.mesh.${book}`, '-i', join(folder, 'inventory.json'), '--syntax-check']
      const done = run('ansible-playbook', ...words)
      if (done.error !== undefined) {
        this.test!.title += ' (needs ansible-playbook: pip install ansible-core)'
        this.skip()
      }
      expect(done.status, done.stdout + done.stderr).to.equal(0)
    })
  }

  /** Two hosts, of which `b` breaks a promise, and one that is away. */
  function writeHosts(): void {
    const report = (drill: string, verdict: string, errors: number) => ({
      drill,
      verdict,
      probe: { calls: 100, errors },
      recoveryMs: 4.2,
      problems: verdict === 'kept' ? [] : ['lost 3 of 100'],
    })
    const said = (verdict: string, errors: number) =>
      JSON.stringify({
        reports: [report('kill-worker', verdict, errors), report('kill-control', 'kept', 0)],
        skipped: [{ drill: 'certificate-expiry', reason: 'no certificate' }],
      })
    // in the place of the command of two hosts
    const program = `#!/bin/sh\ncase "$*" in *--broken*) echo '${said('broken', 3)}'; exit 1;; *) echo '${said('kept', 0)}';; esac\n`
    mkdirSync(join(folder, 'bin'))
    writeFileSync(join(folder, 'bin/hostmesh'), program, { mode: 0o755 })
    const here = { ansible_connection: 'local', ansible_become: false, ansible_python_interpreter: '/usr/bin/python3' }
    const away = { ansible_host: '127.0.0.1', ansible_port: 9, ansible_become: false }
    const hosts = { a: here, b: { ...here, drill_options: '--broken' }, c: away }
    writeFileSync(join(folder, 'inventory.json'), JSON.stringify({ hostmesh_agents: { hosts } }))
  }

  it('merges the drills of all hosts into one report, in which one that is away and one that broke a promise have their rows', function () {
    writeHosts()
    const path = join(folder, 'merged')
    const words = ['-i', join(folder, 'inventory.json'), '-e', `drill_report=${path}`]
    const done = run('ansible-playbook', 'hostmesh.mesh.drills', ...words)
    if (done.error !== undefined) {
      this.test!.title += ' (needs ansible-playbook: pip install ansible-core)'
      this.skip()
    }
    expect(done.status, done.stdout + done.stderr).to.be.greaterThan(0)
    expect(done.stdout).to.include(`b: see ${path}.md`)
    const text = readFileSync(`${path}.md`, 'utf8')
    expect(text.split('\n').filter((line) => line.startsWith('| '))).to.include.members([
      '| a | 2 | 0 | 1 | 200 | 0 |',
      '| b | 1 | 1 | 1 | 200 | 3 |',
      '| c | 0 | 0 | 0 | 0 | 0 |',
      '| kill-worker | broken | 100 | 3 | 4 ms | lost 3 of 100 |',
    ])
    expect(text).to.match(/## c\n\nAway: nothing was tried\./)
    const rows = JSON.parse(readFileSync(`${path}.json`, 'utf8')) as { host: string; away: boolean }[]
    expect(rows.map(({ away: isAway, host }) => `${host} ${isAway}`)).to.deep.equal(['a false', 'b false', 'c true'])
  })

  it('reports the hosts that were drilled, by whatever they were chosen, in the folder where it was called', function () {
    writeHosts()
    for (const [report, ...chosen] of [
      ['by-name', '-e', 'drill_hosts=b'],
      ['by-limit', '--limit', 'b'],
    ] as const) {
      const words = ['-i', join(folder, 'inventory.json'), '-e', `drill_report=${report}`, ...chosen]
      const done = runIn(folder, 'ansible-playbook', 'hostmesh.mesh.drills', ...words)
      if (done.error !== undefined) {
        this.test!.title += ' (needs ansible-playbook: pip install ansible-core)'
        this.skip()
      }
      expect(done.status, done.stdout + done.stderr).to.be.greaterThan(0)
      const rows = JSON.parse(readFileSync(join(folder, `${report}.json`), 'utf8')) as { host: string }[]
      expect(rows.map(({ host }) => host)).to.deep.equal(['b'])
    }
  })

  it('is clean for ansible-lint in its production profile', function () {
    const done = run('ansible-lint', '--offline', '--nocolor', '--profile', 'production')
    if (done.error !== undefined) {
      this.test!.title += ' (needs ansible-lint: pip install ansible-lint)'
      this.skip()
    }
    expect(done.status, done.stdout + done.stderr).to.equal(0)
  })
})
