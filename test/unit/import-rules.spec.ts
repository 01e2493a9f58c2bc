/** The lint rules that hold which part may know which: each is broken once here, and must say so. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { expect } from 'chai'

const root = join(import.meta.dirname, '../..')

/** A folder, and what no file of it may import. */
const forbidden: readonly (readonly [string, readonly string[]])[] = [
  ['contracts', ['agent/worker/main.ts', 'native/libc.ts']],
  ['native', ['agent/control/main.ts', 'watchdog/relay/relay.ts', 'guard/byte-budget.ts']],
  ['guard', ['agent/control/main.ts', 'watchdog/main.ts', 'http1/head.ts', 'console/main.ts']],
  ['http1', ['native/libc.ts', 'agent/worker/main.ts', 'console/main.ts']],
  ['rpc', ['http1/head.ts', 'agent/worker/main.ts', 'global-mesh-center/main.ts', 'sdk/index.ts']],
  ['sdk', ['agent/control/main.ts', 'registry-adapters/nacos/adapter.ts']],
  ['console', ['agent/control/admin/http.ts', 'contracts/events.ts']],
  ['watchdog', ['agent/worker/main.ts', 'registry-adapters/nacos/adapter.ts']],
  ['watchdog/relay', ['guard/byte-budget.ts', 'rpc/codec.ts', 'console/main.ts']],
  ['cli', ['registry-adapters/nacos/adapter.ts']],
  ['registry-adapters/nacos', ['registry-adapters/consul/adapter.ts', 'agent/control/main.ts']],
  ['registry-adapters/nacos/naming', ['registry-adapters/etcd/adapter.ts']],
  ['global-mesh-center', ['agent/worker/main.ts', 'registry-adapters/nacos/adapter.ts']],
  ['global-mesh-center/xds', ['registry-adapters/center/adapter.ts', 'watchdog/main.ts']],
  ['agent/control/core', ['agent/control/host/host.ts', 'agent/control/kinds/registries.ts']],
  ['agent/control/core', ['registry-adapters/nacos/adapter.ts', 'agent/control/admin/http.ts']],
  ['agent/control/host', ['agent/control/admin/http.ts', 'registry-adapters/nacos/adapter.ts']],
  ['agent/control/kinds', ['agent/control/core/core.ts', 'agent/control/host/host.ts']],
  ['agent/control/admin', ['agent/worker/main.ts', 'registry-adapters/nacos/adapter.ts']],
  ['agent/worker/forward', ['agent/worker/protocols/caller.ts', 'http1/head.ts', 'agent/worker/filters/cors.ts']],
  ['agent/worker/forward', ['agent/control/main.ts', 'agent/worker/dry-run/dry-runs.ts']],
  ['agent/worker/route', ['agent/worker/protocols/caller.ts', 'http1/head.ts', 'agent/worker/forward/exchange.ts']],
  ['agent/worker/balance', ['agent/worker/protocols/caller.ts', 'agent/worker/forward/exchange.ts']],
  ['agent/worker/balance', ['agent/worker/route/virtual-host.ts', 'agent/worker/transport/clock.ts']],
  ['agent/worker/balance', ['http1/head.ts', 'native/libc.ts', 'agent/control/clock.ts', 'console/main.ts']],
  ['agent/worker/filters', ['agent/worker/forward/exchange.ts', 'agent/worker/protocols/caller.ts']],
  ['agent/worker/protocols', ['agent/worker/forward/exchange.ts', 'agent/worker/route/virtual-host.ts']],
  ['agent/worker/protocols/http1', ['agent/worker/balance/cluster.ts', 'agent/worker/connect/endpoint-pool.ts']],
  ['agent/worker/dry-run', ['agent/worker/protocols/caller.ts', 'agent/control/main.ts']],
  ...['listen', 'observe', 'link', 'mesh', 'callers', 'connect', 'handoff', 'transport'].map(
    (part) =>
      [`agent/worker/${part}`, ['agent/worker/forward/exchange.ts', 'agent/worker/protocols/caller.ts']] as const,
  ),
]

/** Every adapter, each of which the next one imports; `http` is a client that several share. */
const adapters = readdirSync(join(root, 'registry-adapters'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== 'http')
  .map(({ name }) => name)
const amongAdapters = adapters.map((name, at) => {
  const next = adapters[(at + 1) % adapters.length]!
  return [`registry-adapters/${next}`, [`registry-adapters/${name}/adapter.ts`]] as const
})

/** Folders without a dependency, and packages that some other one has. */
const withoutPackages = ['contracts', 'native', 'guard', 'http1', 'rpc', 'sdk', 'watchdog', 'agent/worker/balance']
const packages = ['pino', 'nacos', 'net-keepalive', 'node-forge', '@grpc/grpc-js']

interface Finding {
  readonly filename: string
  readonly code: string
}

describe('lint rules between the parts', function () {
  this.timeout(20_000)
  let folder: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hm-lint-'))
    cpSync(join(root, '.oxlintrc.json'), join(folder, '.oxlintrc.json'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }

  /** Names of the files of which a rule with such a name says something. */
  const found = (rule: RegExp): string[] => {
    const linter = join(root, 'node_modules/oxlint/bin/oxlint')
    const { stdout } = spawnSync(process.execPath, [linter, '-f', 'json', '.'], { cwd: folder, encoding: 'utf8' })
    const { diagnostics } = JSON.parse(stdout) as { diagnostics: readonly Finding[] }
    return [...new Set(diagnostics.filter(({ code }) => rule.test(code)).map(({ filename }) => filename))].toSorted()
  }

  it('refuse each import that a part must not have', () => {
    const written: string[] = []
    for (const [at, targets] of [...forbidden, ...amongAdapters]) {
      for (const target of targets) {
        const path = `${at}/x${written.length}.ts`
        const way = relative(at, target)
        write(path, `import { one } from '${way.startsWith('.') ? way : `./${way}`}'\nexport const two = one\n`)
        written.push(path)
      }
    }
    expect(found(/no-restricted-imports/)).to.deep.equal(written.toSorted())
  })

  it('refuse packages where none may be, and take what Node brings', () => {
    const written: string[] = []
    const plant = (folder: string, from: string): void => {
      const path = `${folder}/x${written.length}.ts`
      write(path, `import { one } from '${from}'\nexport const two = one\n`)
      written.push(path)
    }
    for (const folder of withoutPackages) for (const name of packages) plant(folder, name)
    expect(found(/no-restricted-imports/)).to.deep.equal(written.toSorted())
    const refused = [...written]
    for (const folder of ['contracts', 'native', 'guard', 'sdk', 'watchdog']) plant(folder, 'node:net')
    expect(found(/no-restricted-imports/)).to.deep.equal(refused.toSorted())
  })

  it('refuse an import that leads back to its file (of types `npm run structure` does)', () => {
    write('agent/worker/route/one.ts', `import { two } from './two.ts'\nexport const one = (): number => two()\n`)
    write('agent/worker/route/two.ts', `import { one } from './one.ts'\nexport const two = (): number => one()\n`)
    expect(found(/no-cycle/)).to.deep.equal(['agent/worker/route/one.ts', 'agent/worker/route/two.ts'])
  })

  it('refuse adapters a clock or a random number of their own', () => {
    const texts = ['Date.now()', 'performance.now()', 'Math.random()', 'setTimeout(() => {}, 1)', 'process.hrtime()']
    texts.forEach((text, index) => write(`registry-adapters/nacos/x${index}.ts`, `export const one = ${text}\n`))
    expect(found(/no-restricted/)).to.have.length(texts.length)
  })
})
