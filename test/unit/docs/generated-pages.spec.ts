import { expect } from 'chai'
import { globSync, readFileSync } from 'node:fs'
import { adminPages } from '../../../agent/control/admin/pages.ts'
import { caPages } from '../../../global-mesh-center/ca/admin-pages.ts'
import type { AdminContext } from '../../../agent/control/admin/context.ts'
import { errorCodes } from '../../../contracts/errors.ts'
import { generatedPages } from '../../../scripts/generated-pages.ts'

describe('the reference pages', () => {
  for (const [file, write] of Object.entries(generatedPages)) {
    it(`${file} is what the code says`, async () => {
      expect(readFileSync(file, 'utf8')).to.equal(await write())
    })
  }

  it('docs/errors.md names every code and none that does not exist', () => {
    const named = readFileSync('docs/errors.md', 'utf8').match(/`E_[A-Z0-9_]+`/g)!
    expect(named.map((code) => code.slice(1, -1))).to.deep.equal(Object.keys(errorCodes))
  })

  it('docs/metrics.md names every metric that the code of workers exports', () => {
    const page = readFileSync('docs/metrics.md', 'utf8')
    const names = globSync('agent/worker/**/*.ts').flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/'((?:hostmesh|istio)_[a-z0-9_]+)'/g)].map((match) => match[1]!),
    )
    expect(names.length).to.be.greaterThan(50)
    expect(names.filter((name) => !page.includes(`\`${name}\``))).to.deep.equal([])
  })

  it('docs/metrics.md names every metric of registry adapters, whole', () => {
    const page = readFileSync('docs/metrics.md', 'utf8')
    const names = globSync('registry-adapters/**/*.ts').flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/metrics\.(count|gauge)\(\s*'([a-z0-9_]+)'/g)].map(
        ([, kind, name]) => `hostmesh_${name}${kind === 'count' ? '_total' : ''}`,
      ),
    )
    expect(new Set(names).size).to.be.greaterThan(20)
    expect(names.filter((name) => !page.includes(`\`${name}\``))).to.deep.equal([])
  })

  it('docs/admin.md lists every page with its verb', () => {
    const rows = readFileSync('docs/admin.md', 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('| `/'))
    const context = {
      control: {},
      fault: { take: () => ({ fault: 'none' }) },
      stats: {},
      drainSwitch: {},
      morePages: caPages(() => undefined),
      socketApis: [],
    } as unknown as AdminContext
    for (const { path, method } of adminPages(context)) {
      const row = rows.find(
        (line) => line.split('|')[1]!.includes(`\`${path}\``) && line.split('|')[2]!.trim() === method,
      )
      expect(row, `${method} ${path}`).to.not.equal(undefined)
    }
  })
})
