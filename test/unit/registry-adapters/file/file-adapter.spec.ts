import { spawnSync } from 'node:child_process'
import { expect } from 'chai'
import { link, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RegistryAdapter } from '../../../../contracts/registry-adapter.ts'
import { readEndpoints } from '../../../../registry-adapters/file/endpoint-file-reader.ts'
import { createFileAdapter } from '../../../../registry-adapters/file/index.ts'
import { eventually, recordedDeps, recordingListener } from '../../../support/registry-listener.ts'
import type { RecordedDeps } from '../../../support/registry-listener.ts'

const orders = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }
const good = 'service: orders\nendpoints:\n  - { address: 10.0.0.1, port: 80 }\n'

describe('file adapter', () => {
  let directory: string
  let deps: RecordedDeps
  let adapter: RegistryAdapter

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'hostmesh-files-'))
    deps = recordedDeps()
    adapter = createFileAdapter({ name: 'files', directory, allowLoopback: false, pollMs: 50 }, deps)
  })

  afterEach(async () => {
    await adapter.close()
    await rm(directory, { recursive: true, force: true })
  })

  /** In one step: nobody finds it empty. */
  async function put(text: string, name = 'orders'): Promise<void> {
    const made = join(directory, `${name}.new`)
    await writeFile(made, text)
    await rename(made, join(directory, `${name}.yaml`))
  }

  it('keeps the last good content of a file that breaks, says where, once, and takes it when it is good again', async () => {
    await put(good)
    adapter.start()
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    await listener.untilIds(['10.0.0.1:80'])
    await put('service: orders\nendpoints:\n  - { address: nowhere, port: 80 }\n')
    await eventually(() => adapter.status().problem !== undefined, 'a problem in the status')
    expect(adapter.status().problem?.message).to.include('orders.yaml:3: endpoints[0].address')
    await put(good.replace('10.0.0.1', '10.0.0.22'))
    await listener.untilIds(['10.0.0.22:80'])
    expect(adapter.status().problem).to.equal(undefined)
    expect(listener.sets.map((set) => set.endpoints.length)).to.deep.equal([1, 1])
    expect(deps.lines.filter((line) => line.startsWith('warn'))).to.have.length(1)
    expect(deps.counted('registry_files_refused')).to.equal(1)
  })

  describe('with a directory that is seldom read as a whole', () => {
    const users = { ...orders, name: 'users' }
    const goodUsers = good.replace('orders', 'users')
    const seldom = 600_000
    let outside: string

    beforeEach(async () => {
      outside = await mkdtemp(join(tmpdir(), 'hostmesh-linked-'))
    })
    afterEach(async () => {
      await rm(outside, { recursive: true, force: true })
    })
    const restart = async (read = readEndpoints): Promise<void> => {
      await adapter.close()
      adapter = createFileAdapter({ name: 'files', directory, allowLoopback: false, pollMs: seldom }, deps, read)
      adapter.start()
    }

    it('looks at the file that changed, not at the others or at what they say', async () => {
      const twin = join(outside, 'users.yaml')
      await writeFile(twin, goodUsers)
      await link(twin, join(directory, 'a-users.yaml'))
      await put(good)
      let looks = 0
      await restart(async (...source) => {
        const result = await readEndpoints(...source)
        if (!result.ok) return result
        const { endpoints, ...file } = result.file
        const counted = {
          ...file,
          get endpoints() {
            looks++
            return endpoints
          },
        }
        return { ok: true, file: counted }
      })
      const [changing, resting] = [recordingListener(), recordingListener()]
      adapter.subscribe(orders, changing)
      adapter.subscribe(users, resting)
      await changing.untilIds(['10.0.0.1:80'])
      await resting.untilIds(['10.0.0.1:80'])
      // by its other name, so that nobody is told
      await writeFile(twin, goodUsers.replace('10.0.0.1', '10.0.0.9'))
      const before = looks
      await put(good.replace('10.0.0.1', '10.0.0.2'))
      await changing.untilIds(['10.0.0.2:80'])
      const ofOne = looks - before
      for (let index = 0; index < 20; index++) {
        const name = `other-${index}`
        await put(good.replace('orders', name), name)
        const other = recordingListener()
        adapter.subscribe({ ...orders, name }, other)
        await other.untilIds(['10.0.0.1:80'])
      }
      const between = looks
      await put(good.replace('10.0.0.1', '10.0.0.3'))
      await changing.untilIds(['10.0.0.3:80'])
      expect(looks - between).to.equal(ofOne)
      expect(resting.ids).to.deep.equal(['10.0.0.1:80'])
    })

    it('looks at links when what they lead to is another folder, as of a mounted ConfigMap', async () => {
      for (const [version, text] of Object.entries({ '..1': good, '..2': good.replace('10.0.0.1', '10.0.0.2') })) {
        await mkdir(join(outside, version))
        await writeFile(join(outside, version, 'orders.yaml'), text)
      }
      const point = async (version: string): Promise<void> => {
        await symlink(join(outside, version), join(directory, '..data_tmp'))
        await rename(join(directory, '..data_tmp'), join(directory, '..data'))
      }
      await point('..1')
      await symlink(join('..data', 'orders.yaml'), join(directory, 'orders.yaml'))
      await restart()
      const listener = recordingListener()
      adapter.subscribe(orders, listener)
      await listener.untilIds(['10.0.0.1:80'])
      await point('..2')
      await listener.untilIds(['10.0.0.2:80'])
    })
  })

  it('takes a service away with its file', async () => {
    await writeFile(join(directory, 'orders.yaml'), good)
    adapter.start()
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    await listener.untilIds(['10.0.0.1:80'])
    await rm(join(directory, 'orders.yaml'))
    await listener.untilIds([])
  })

  it('uses the first of two files for one service and names the other', async () => {
    await writeFile(join(directory, 'a.yaml'), good)
    await writeFile(join(directory, 'b.yml'), good.replace('10.0.0.1', '10.0.0.2'))
    adapter.start()
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    await listener.untilIds(['10.0.0.1:80'])
    expect(adapter.status().problem?.message).to.include('b.yml: service public/DEFAULT_GROUP@@orders is in a.yaml')
  })

  it('says a second time that endpoints are gone, after another look, and only then', async () => {
    const two = `${good}  - { address: 10.0.0.2, port: 80 }\n`
    await writeFile(join(directory, 'orders.yaml'), two)
    const hasty = { name: 'files', directory, allowLoopback: false, pollMs: 20, confirmAfterMs: 200 }
    await adapter.close()
    adapter = createFileAdapter(hasty, deps)
    adapter.start()
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    await listener.untilIds(['10.0.0.1:80', '10.0.0.2:80'])
    await writeFile(join(directory, 'orders.yaml'), good)
    await listener.untilIds(['10.0.0.1:80'])
    const lostAt = performance.now()
    expect(listener.confirmed).to.deep.equal([])
    await eventually(() => listener.confirmed.length > 0, 'the second word')
    expect(performance.now() - lostAt).to.be.within(150, 5000)
    expect(listener.confirmed.map((set) => set.endpoints.length)).to.deep.equal([1])
    expect(listener.confirmed[0]!.version).to.equal(listener.sets.at(-2)!.version)
  })

  it('confirms nothing while a file is broken', async () => {
    await writeFile(join(directory, 'orders.yaml'), `${good}  - { address: 10.0.0.2, port: 80 }\n`)
    await adapter.close()
    adapter = createFileAdapter(
      { name: 'files', directory, allowLoopback: false, pollMs: 20, confirmAfterMs: 50 },
      deps,
    )
    adapter.start()
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    await listener.untilIds(['10.0.0.1:80', '10.0.0.2:80'])
    await writeFile(join(directory, 'other.yaml'), '}')
    await eventually(() => adapter.status().problem !== undefined, 'the broken file')
    await writeFile(join(directory, 'orders.yaml'), good)
    await listener.untilIds(['10.0.0.1:80'])
    const looks = listener.sets.length
    const heardAt = adapter.status().lastHeardAt
    await eventually(() => adapter.status().lastHeardAt > heardAt + 100, 'some more looks')
    expect(listener.confirmed).to.deep.equal([])
    expect(listener.sets).to.have.length(looks)
    await rm(join(directory, 'other.yaml'))
    await eventually(() => listener.confirmed.length === 1, 'the second word')
  })

  it('ignores hidden files, drafts and what is neither YAML nor JSON', async () => {
    await writeFile(join(directory, '.orders.yaml.swp'), 'junk')
    await writeFile(join(directory, '.hidden.yaml'), 'junk: [')
    await writeFile(join(directory, 'notes.txt'), 'junk')
    await mkdir(join(directory, 'folder'))
    adapter.start()
    await eventually(() => adapter.status().connected, 'a first reading')
    expect(adapter.status().problem).to.equal(undefined)
  })

  it('does not wait for a pipe that nobody writes into, and names it', async () => {
    expect(spawnSync('mkfifo', [join(directory, 'a.yaml')]).status).to.equal(0)
    await put(good)
    adapter.start()
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    await listener.untilIds(['10.0.0.1:80'])
    expect(adapter.status().problem?.message).to.equal('a.yaml: a pipe, a socket or a device; it is not read')
  })

  it('begins to serve when the directory appears', async () => {
    await rm(directory, { recursive: true })
    adapter.start()
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    await eventually(() => listener.problems.length === 1, 'word that it is away')
    await mkdir(directory)
    await writeFile(
      join(directory, 'orders.json'),
      JSON.stringify({ service: 'orders', endpoints: [{ address: '10.0.0.1', port: 80 }] }),
    )
    await listener.untilIds(['10.0.0.1:80'])
    expect(adapter.status().connected).to.equal(true)
  })
})
