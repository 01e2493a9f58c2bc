import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { MeshError } from '../../../../contracts/errors.ts'
import { readDiscovery, readKept, writeKept } from '../../../../sdk/sources/kept-file.ts'
import type { Kept } from '../../../../sdk/sources/kept-file.ts'

const kept: Kept = {
  agent: {
    host: 'alpha',
    http: '127.0.0.1:15001',
    rpc: { bolt: '127.0.0.1:12200' },
    nacosFace: null,
    centers: ['10.0.0.8:15443', 'center-1.example.com:15443', '[fd00::2]:15443'],
    centersWantProof: false,
    centersTakeUnnamed: true,
    services: {
      orders: { service: 'public/DEFAULT_GROUP@@orders', center: true, direct: true, endpoints: ['10.0.0.1:80'] },
    },
  },
  nacos: { orders: ['10.0.0.1:80', '[fd00::1]:80'] },
  modeKey: '{"mode":"mesh"}',
}

describe('the file that an SDK keeps', () => {
  let folder: string
  let file: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hm-kept-'))
    file = join(folder, 'deep', 'shop.json')
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('is read as it was written, for its owner alone, without anything left beside it', async () => {
    expect(readKept(file)).to.equal(undefined)
    await writeKept(file, kept)
    expect(readKept(file)).to.deep.equal(kept)
    expect(statSync(file).mode & 0o777).to.equal(0o600)
    expect(readdirSync(join(folder, 'deep'))).to.deep.equal(['shop.json'])
  })

  it('is refused when a byte changed, when it was cut, when others may write it, and behind a link', async () => {
    await writeKept(file, kept)
    const text = readFileSync(file, 'utf8')
    const refused = (): void => void expect(() => readKept(file)).to.throw(MeshError, 'starting without it')
    writeFileSync(file, text.replace('10.0.0.8', '10.0.0.9'))
    refused()
    writeFileSync(file, text.slice(0, -20))
    refused()
    writeFileSync(file, text)
    expect(readKept(file)).to.deep.equal(kept)
    chmodSync(file, 0o622)
    refused()
    chmodSync(file, 0o600)
    const link = join(folder, 'link.json')
    symlinkSync(file, link)
    expect(() => readKept(link)).to.throw(MeshError, 'starting without it')
  })

  it('is refused when a list holds what is no address, though its checksum holds', async () => {
    for (const bad of [
      { ...kept, nacos: { orders: ['evil.example:80'] } },
      { ...kept, agent: { ...kept.agent!, centers: ['10.0.0.8:0'] } },
      { ...kept, agent: { ...kept.agent!, services: { orders: { endpoints: [] } } } },
    ]) {
      await writeKept(file, bad as unknown as Kept)
      expect(() => readKept(file)).to.throw(MeshError, 'starting without it')
    }
  })

  it('leaves the old file when it cannot be written', async () => {
    await writeKept(file, kept)
    const isRoot = process.getuid!() === 0
    const target = isRoot ? join('/proc/1', 'shop.json') : file
    if (!isRoot) chmodSync(join(folder, 'deep'), 0o500)
    const error = await writeKept(target, kept).then(
      () => undefined,
      (refused: unknown) => refused,
    )
    if (!isRoot) chmodSync(join(folder, 'deep'), 0o700)
    expect(error).to.be.instanceOf(MeshError).and.to.have.property('code', 'E_SNAPSHOT_WRITE')
    expect(readKept(file)).to.deep.equal(kept)
  })

  it('is not waited for when somebody has put a pipe there', () => {
    const pipe = join(folder, 'pipe')
    expect(spawnSync('mkfifo', ['-m', '600', pipe]).status).to.equal(0)
    expect(() => readKept(pipe)).to.throw(MeshError, /no regular file/)
  })

  it('believes no center whose address is none', () => {
    for (const center of ['evil', 'evil.example:0', 'evil.example:70000', 'a b:80', '-x:80', '999.1.1.1:80', 'x\n:80'])
      expect(readDiscovery({ ...kept.agent, centers: [center] }), center).to.equal(null)
  })
})
