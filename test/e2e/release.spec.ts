import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { existsSync, globSync, lstatSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { Mesh } from '../support/mesh/mesh.ts'

const root = join(import.meta.dirname, '../..')
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }

/** Without what a developer's shell has: only the release itself may supply Node and packages. */
const bareEnvironment = { PATH: '/usr/bin:/bin' }

describe('a release', function () {
  this.timeout(180_000)
  let folder: string
  let release: string

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'hm-release-'))
    const made = spawnSync(process.execPath, [join(root, 'scripts/release/main.ts'), '--fast', folder], {
      encoding: 'utf8',
    })
    expect(made.status, made.stderr).to.equal(0)
    const archive = readdirSync(folder).find((name) => name.endsWith('.tar.gz'))
    expect(archive).to.equal(`hostmesh-${version}-linux-${process.arch}.tar.gz`)
    const unpacked = spawnSync('tar', ['-xzf', join(folder, archive!), '-C', folder], { encoding: 'utf8' })
    expect(unpacked.status, unpacked.stderr).to.equal(0)
    release = join(folder, archive!.replace('.tar.gz', ''))
  })

  after(() => {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })

  function hostmesh(...argv: string[]): SpawnSyncReturns<string> {
    return spawnSync(join(release, 'node_modules/.bin/node'), [join(release, 'cli/hostmesh.js'), ...argv], {
      encoding: 'utf8',
      cwd: folder,
      env: bareEnvironment,
    })
  }

  it('answers its version under the Node that it brings', () => {
    const done = hostmesh('--version')
    expect(done.stdout, done.stderr).to.equal(`${version}\n`)
  })

  it('checks a configuration, with every package that this takes', () => {
    const config = join(folder, 'agent.yaml')
    writeFileSync(
      config,
      `host: { address: 127.0.0.1 }
registries: [{ name: files, type: file, directory: ${folder} }]
servicesDir: ${folder}/services.d
rulesDir: ${folder}/rules.d
runDir: ${folder}/run
stateDir: ${folder}/state
`,
    )
    const done = hostmesh('check', '-c', config)
    expect(done.status, `${done.stdout}${done.stderr}`).to.equal(0)
  })

  it('has each file that a unit names, the documentation and the licence, and no test and no compiler', () => {
    const there = readdirSync(release, { recursive: true }) as string[]
    for (const file of [
      'LICENSE',
      'README.md',
      'docs/systemd.md',
      'systemd/hostmesh.service',
      'bin/hostmesh',
      'watchdog/main.js',
    ])
      expect(there).to.include(file)
    for (const unit of ['hostmesh.service', 'hostmesh-center.service', 'hostmesh-drill.service']) {
      const text = readFileSync(join(release, 'systemd', unit), 'utf8')
      for (const [, file] of text.matchAll(/\/opt\/hostmesh\/current\/(\S+)/g)) expect(there, unit).to.include(file)
    }
    expect(there.filter((file) => /^(test|node_modules\/(typescript|mocha))(\/|$)/.test(file))).to.deep.equal([])
  })

  it('has the rules, the dashboards, and the page that each alert names', () => {
    const made = (pattern: string, folder: string): string[] => globSync(pattern, { cwd: folder }).toSorted()
    const shipped = made('observability/**/*.{yaml,json}', release)
    expect(shipped).to.deep.equal(made('observability/**/*.{yaml,json}', root))
    expect(shipped.length).to.be.above(7)
    const rules = readFileSync(join(release, 'observability/prometheus/hostmesh.rules.yaml'), 'utf8')
    const named = [...rules.matchAll(/^ *runbook_url: (.+)$/gm)].map(([, page]) => page!)
    expect(named.length).to.equal(rules.match(/^ *- alert: /gm)!.length)
    expect(named.filter((page) => !existsSync(join(release, page)))).to.deep.equal([])
  })

  it('has no file that a list of names hides, and nothing executable but its programs', () => {
    const files = (readdirSync(release, { recursive: true }) as string[]).map((file) => ({
      file,
      state: lstatSync(join(release, file)),
    }))
    const hidden = files.filter(({ file }) => /(^|\/)\./.test(file.replace('node_modules/.bin', '')))
    expect(hidden.map(({ file }) => file)).to.deep.equal([])
    const programs = files.filter(({ state }) => state.isFile() && (state.mode & 0o111) !== 0).map(({ file }) => file)
    expect(programs.toSorted()).to.deep.equal([
      'bin/hostmesh',
      'cli/hostmesh.js',
      `node_modules/node-linux-${process.arch}/bin/node`,
    ])
  })

  it('leads from its documentation to nothing that it does not hold', () => {
    const dead = (readdirSync(release, { recursive: true }) as string[])
      .filter((file) => file.endsWith('.md') && !file.startsWith('node_modules'))
      .flatMap((file) => {
        const text = readFileSync(join(release, file), 'utf8').replaceAll(/```[\s\S]*?```|`[^`\n]*`/g, '')
        return [...text.matchAll(/\]\((?!https?:|#)([^)\s#]+)/g)]
          .map(([, to]) => join(file, '..', to!))
          .filter((to) => !existsSync(join(release, to)))
          .map((to) => `${file}: ${to}`)
      })
    expect(dead).to.deep.equal([])
    for (const file of [
      'docs/decisions/README.md',
      'ansible/galaxy.yml',
      'observability/prometheus/hostmesh.rules.yaml',
    ])
      expect(existsSync(join(release, file)), file).to.equal(true)
  })

  it('holds every package that it names, so that each can be loaded', () => {
    const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, object>
    // what only the console's page loads is there by the names of its files
    const pageOnly = ['uplot']
    const names = [...Object.keys(dependencies!).filter((name) => !pageOnly.includes(name)), 'preact/hooks']
    expect(names).to.include.members(['zod', 'nacos', 'jose'])
    for (const name of ['uPlot.esm.js', 'uPlot.min.css'])
      expect(existsSync(join(release, 'node_modules/uplot/dist', name)), name).to.equal(true)
    const program = `for (const name of ${JSON.stringify(names)}) await import(name)`
    const file = join(release, 'load-all.mjs')
    writeFileSync(file, program)
    const done = spawnSync(join(release, 'node_modules/.bin/node'), [file], { encoding: 'utf8', env: bareEnvironment })
    rmSync(file)
    expect(done.status, done.stderr).to.equal(0)
  })

  it('takes at most 130 MB on a disk', () => {
    const sizes = (readdirSync(release, { recursive: true }) as string[]).map((file) => lstatSync(join(release, file)))
    expect(sizes.reduce((sum, one) => sum + (one.isFile() ? one.size : 0), 0)).to.be.below(130e6)
  })

  it('brings examples for /etc/hostmesh that pass its own check, for either role', () => {
    // a center announces nothing: it leaves the applications of an agent beside it alone
    for (const [name, applications] of [
      ['agent', 1],
      ['center', 0],
    ] as const) {
      const done = spawnSync(join(release, 'bin/hostmesh'), ['check', '-c', join(release, `examples/${name}.yaml`)], {
        encoding: 'utf8',
        env: bareEnvironment,
      })
      expect(done.stdout, done.stderr).to.include(`good, ${applications} local applications`)
    }
  })

  it('replaces what runs when its own upgrade command is called', async () => {
    const mesh = await Mesh.open([{ name: 'files', type: 'file', directory: folder }])
    try {
      const host = mesh.host('alpha')
      host.start()
      await host.ready()
      const done = hostmesh('upgrade', '-c', host.configPath, '--json')
      expect(done.status, `${done.stdout}${done.stderr}`).to.equal(0)
      const [serving] = (await host.watchdogState()).generations
      expect(serving).to.include({ generation: 2, phase: 'serving' })
      for (const { pid } of serving!.children)
        expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).to.include(`${release}/agent/`)
    } finally {
      await mesh.close()
    }
  })
})
