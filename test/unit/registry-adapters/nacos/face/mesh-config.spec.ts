import { expect } from 'chai'
import { systemClock } from '../../../../../contracts/clock.ts'
import { MeshError } from '../../../../../contracts/errors.ts'
import { NacosFault } from '../../../../../registry-adapters/nacos/server/fault.ts'
import { MeshConfig } from '../../../../../registry-adapters/nacos/face/mesh-config.ts'
import { contentMd5 } from '../../../../../registry-adapters/nacos/server/config-key.ts'
import { FakeMesh } from '../../../../support/nacos-clients/fake-mesh.ts'
import { eventually } from '../../../../support/registry-listener.ts'

const key = { namespace: 'public', group: 'g', dataId: 'app.yml' }

function setUp(): { mesh: FakeMesh; config: MeshConfig; pass: (ms: number) => void } {
  let now = 0
  const mesh = new FakeMesh()
  mesh.clock = { ...systemClock, wall: () => now, monotonic: () => now }
  const config = new MeshConfig(mesh, { maxWatched: 2, maxWatchedPerUser: 2, timeoutMs: 1_000, idleMs: 60_000 })
  return {
    mesh,
    config,
    pass: (ms) => {
      now += ms
      config.sweep()
    },
  }
}

async function kindOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work
  } catch (error) {
    return error instanceof NacosFault ? error.kind : 'another error'
  }
  return undefined
}

describe('configuration with the real server behind it', () => {
  it('is read, written and removed there', async () => {
    const { mesh, config } = setUp()
    expect(await config.read(key)).to.equal(undefined)
    expect(await config.publish(key, 'a: 1', 'yaml', undefined)).to.equal(true)
    expect(mesh.config.documents.get('g app.yml')?.content).to.equal('a: 1')
    expect(await config.read(key)).to.include({ content: 'a: 1', md5: contentMd5('a: 1'), type: 'yaml' })
    await config.remove(key)
    expect(mesh.config.documents.size).to.equal(0)
  })

  it('is compared and set there', async () => {
    const { config } = setUp()
    expect(await config.publish(key, 'a', 'yaml', contentMd5('what was never there'))).to.equal(true)
    expect(await config.publish(key, 'b', 'yaml', contentMd5('x'))).to.equal(false)
    expect(await config.publish(key, 'b', 'yaml', contentMd5('a'))).to.equal(true)
  })

  it('tells its watchers what changed against what they know', async () => {
    const { mesh, config } = setUp()
    await mesh.config.publish('g', 'app.yml', 'a', undefined)
    const heard: string[] = []
    const [same, old] = [contentMd5('a'), contentMd5('old')]
    config.watch(key, same, (md5) => heard.push(`same ${md5}`), 'user 1')
    config.watch(key, old, (md5) => heard.push(`old ${md5}`), 'user 1')
    await eventually(() => heard.length === 1, 'the first difference')
    await mesh.config.remove('g', 'app.yml')
    expect(heard).to.deep.equal([`old ${same}`, 'same ', 'old '])
  })

  it('is watched once for all, and a while longer than anybody listens', () => {
    const { mesh, config, pass } = setUp()
    const watches = [config.watch(key, '', () => {}, 'user 1'), config.watch(key, '', () => {}, 'user 2')]
    expect(mesh.config.watched).to.deep.equal(['g app.yml'])
    for (const watch of watches) watch.unsubscribe()
    pass(59_999)
    expect(config.size).to.equal(1)
    pass(1)
    expect([config.size, mesh.config.watched]).to.deep.equal([0, []])
  })

  it('is refused above the bound of watched documents', () => {
    const { config } = setUp()
    for (const dataId of ['a', 'b']) config.watch({ ...key, dataId }, '', () => {}, 'user 1')
    expect(() => config.watch({ ...key, dataId: 'c' }, '', () => {}, 'user 1'))
      .to.throw(NacosFault)
      .with.property('kind', 'over-limit')
  })

  it('of a namespace that no registry serves is refused by name', async () => {
    const { config } = setUp()
    expect(await kindOf(config.read({ ...key, namespace: 'other' }))).to.equal('unsupported')
  })

  it('passes refusals and failures of the real server on', async () => {
    const { mesh, config } = setUp()
    mesh.config.failure = new MeshError('E_REGISTRY_DENIED', 'main: the password is wrong')
    expect(await kindOf(config.publish(key, 'x', 'text', undefined))).to.equal('denied')
    mesh.config.failure = new MeshError('E_REGISTRY_UNREACHABLE', 'main: no server answers')
    expect(await kindOf(config.read(key))).to.equal('server')
    expect(await kindOf(config.remove(key))).to.equal('server')
  })
})
