import { expect } from 'chai'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { showConsole } from '../../../../cli/commands/console.ts'
import { createOutput } from '../../../../cli/output.ts'
import { MeshError } from '../../../../contracts/errors.ts'

describe('hostmesh console', () => {
  let folder: string
  before(() => (folder = mkdtempSync(join(tmpdir(), 'hostmesh-console-'))))
  after(() => rmSync(folder, { recursive: true, force: true }))

  function shown(config: string, isJson = false): string {
    const file = join(folder, 'node.yaml')
    writeFileSync(file, config)
    let out = ''
    const write = (text: string): void => void (out += text)
    showConsole(createOutput(isJson, { out: { write }, err: { write } }), file)
    return out
  }
  const registry = 'registries: [{ name: files, type: file, directory: registry }]'
  const agent = `host: { name: web-1, address: 10.0.0.5 }\n${registry}\n`
  const center = `role: center\nhost: { name: center, address: 10.0.0.8 }\n${registry}\nrelay: { address: "10.0.0.8:15443", allowedNetworks: [10.0.0.0/8] }\n`

  it('names the page of an agent and the tunnel that leads there', () => {
    const out = shown(agent)
    expect(out).to.include('http://127.0.0.1:15000/console/')
    expect(out).to.include('ssh -N -L 15000:127.0.0.1:15000 USER@web-1')
    expect(out).not.to.include('token')
  })

  it('names that of a center, which asks for a token', () => {
    const rulesApi = 'rulesApi: { address: "127.0.0.1:15016", tokensFile: tokens }\n'
    writeFileSync(join(folder, 'tokens'), `- { user: a, token: ${'t'.repeat(40)}, role: read }\n`, { mode: 0o600 })
    expect(shown(center + rulesApi))
      .to.include('http://127.0.0.1:15016/console/')
      .and.to.include('rulesApi.tokensFile')
    expect(JSON.parse(shown(center + rulesApi, true))).to.deep.equal({
      url: 'http://127.0.0.1:15016/console/',
      isTls: false,
      isLocal: true,
      needsToken: true,
      port: 15_016,
    })
  })

  it('says why there is none', () => {
    expect(() => shown(center)).to.throw(MeshError, /rulesApi: missing/)
    expect(() => shown(`${agent}admin: { address: off }\n`)).to.throw(MeshError, /admin.address: off/)
    expect(() => shown('host: 7\n')).to.throw(MeshError, /hostmesh check/)
  })
})
