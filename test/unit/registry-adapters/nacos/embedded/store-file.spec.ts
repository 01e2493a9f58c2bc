import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { MeshError } from '../../../../../contracts/errors.ts'
import { startEmbeddedRegistry } from '../../../../../registry-adapters/nacos/embedded/embedded.ts'
import { readStoreFile } from '../../../../../registry-adapters/nacos/embedded/store-file.ts'

describe('file of the embedded registry', () => {
  let folder: string
  let file: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-store-'))
    file = join(folder, 'registry.json')
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  it('brings persistent instances, services and documents back, and no ephemeral ones', async () => {
    const first = await startEmbeddedRegistry({ file })
    const url = `http://${first.address}/nacos`
    const post = async (path: string): Promise<void> => {
      expect((await fetch(url + path, { method: 'POST' })).status).to.equal(200)
    }
    await post('/v1/ns/instance?serviceName=db&ip=10.0.0.1&port=5432&ephemeral=false')
    await post('/v1/ns/instance?serviceName=web&ip=10.0.0.2&port=80')
    await post('/v1/ns/service?serviceName=made&protectThreshold=0.5')
    await post('/v1/cs/configs?dataId=d&group=g&content=x&type=yaml')
    await first.close()
    expect(statSync(file).mode & 0o777).to.equal(0o600)

    const second = await startEmbeddedRegistry({ file })
    const again = `http://${second.address}/nacos`
    const list = (await (await fetch(`${again}/v1/ns/service/list?pageNo=1&pageSize=10`)).json()) as { doms: string[] }
    expect(list.doms).to.deep.equal(['db', 'made'])
    const config = await fetch(`${again}/v1/cs/configs?dataId=d&group=g`)
    expect([await config.text(), config.headers.get('config-type')]).to.deep.equal(['x', 'yaml'])
    await second.close()
  })

  for (const [what, content] of [
    ['is no JSON', '{'],
    ['has another version', '{"version":2,"services":[],"configs":[]}'],
    [
      'holds an impossible port',
      '{"version":1,"services":[{"service":{"namespace":"public","group":"g","name":"n"},"settings":{},"isKept":true,"instances":[{"ip":"1.1.1.1","port":99999}]}],"configs":[]}',
    ],
  ] as const)
    it(`is refused by name when it ${what}`, async () => {
      writeFileSync(file, content)
      let failure: unknown
      await readStoreFile(file).catch((error: unknown) => (failure = error))
      expect(failure).to.be.instanceOf(MeshError).with.property('code', 'E_CONFIG_UNREADABLE')
      expect(String(failure)).to.include(file)
      expect(readFileSync(file, 'utf8')).to.equal(content)
    })
})
