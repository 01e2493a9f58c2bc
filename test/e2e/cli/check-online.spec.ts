import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { stringify } from 'yaml'
import { entryPoint } from '../../../cli/entry-point.ts'
import { startEmbeddedRegistry, type EmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { freePort } from '../../support/free-port.ts'

interface Report {
  readonly valid: boolean
  readonly registries: readonly { registry: string; server: string; question: string; problem?: string }[]
}

describe('hostmesh check --online', function () {
  this.timeout(60_000)
  let directory: string
  let registry: EmbeddedRegistry

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'hostmesh-check-'))
    registry = await startEmbeddedRegistry({ users: [{ username: 'mesh', password: 'right' }] })
    writeFileSync(join(directory, 'username'), 'mesh\n')
  })
  afterEach(async () => {
    await registry.close()
    rmSync(directory, { recursive: true, force: true })
  })

  const check = (servers: readonly string[], password: string): Promise<{ code: number; report: Report }> => {
    writeFileSync(join(directory, 'password'), `${password}\n`)
    const file = join(directory, 'agent.yaml')
    const section = {
      name: 'main',
      type: 'nacos',
      servers,
      rulesGroup: 'rules',
      usernameFile: './username',
      passwordFile: './password',
    }
    writeFileSync(
      file,
      stringify({
        host: { address: '127.0.0.1' },
        registries: [section],
        runDir: './run',
        stateDir: './state',
        servicesDir: './s',
        rulesDir: './r',
      }),
    )
    return new Promise((resolve) => {
      const args = [entryPoint('cli/main'), 'check', '-c', file, '--online', '--json']
      const child = execFile(process.execPath, args, (_error, stdout, stderr) => {
        if (stdout === '') throw new Error(stderr)
        resolve({ code: child.exitCode ?? -1, report: JSON.parse(stdout) as Report })
      })
    })
  }

  it('says of a registry that lets us in that it answers, and writes nothing there', async () => {
    const { code, report } = await check([registry.address], 'right')
    expect(report.registries.filter(({ problem }) => problem !== undefined)).to.deep.equal([])
    expect(report.registries.map(({ question }) => question)).to.deep.equal([
      'is configured',
      'lists services',
      'reads rules of group rules',
    ])
    expect(code).to.equal(0)
    expect(registry.status()).to.include({ services: 0, instances: 0, configs: 0 })
  })

  it('names the credentials that are refused', async () => {
    const { code, report } = await check([registry.address], 'wrong')
    expect(report.registries.at(-1)).to.include({ server: registry.address, question: 'lists services' })
    expect(report.registries.at(-1)!.problem).to.match(/^E_REGISTRY_DENIED {2}nacos at .*login of user "mesh"/)
    expect(report.valid).to.equal(true)
    expect(code).to.equal(4)
  })

  it('names the one server of a cluster that is down', async () => {
    const down = `127.0.0.1:${await freePort()}`
    const { code, report } = await check([registry.address, down], 'right')
    const bad = report.registries.filter(({ problem }) => problem !== undefined)
    expect(bad.map(({ server, question }) => [server, question])).to.deep.equal([[down, 'lists services']])
    expect(bad[0]!.problem).to.match(/^E_REGISTRY_/)
    expect(code).to.equal(4)
  })
})
