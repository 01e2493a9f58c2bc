import { X509Certificate, createPrivateKey } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Server, ServerCredentials, status, type ServerWritableStream } from '@grpc/grpc-js'
import { expect } from 'chai'
import { SpireSource, readSvids } from '../../../../../../agent/control/host/identities/spire-source.ts'
import { keyAndRequest } from '../../../../../../agent/control/host/identities/signing-request.ts'
import { ControlMetrics } from '../../../../../../agent/control/observe.ts'
import { systemClock } from '../../../../../../contracts/clock.ts'
import { protoBytes } from '../../../../../../contracts/proto-fields.ts'
import type { WorkloadCertificates } from '../../../../../../contracts/workload-certificate.ts'
import { openBox } from '../../../../../../global-mesh-center/ca/key-box.ts'
import { MadeAuthority } from '../../../../../../global-mesh-center/ca/made-authority.ts'
import { readSigningRequest } from '../../../../../../global-mesh-center/ca/x509/signing-request.ts'
import { memoryDocuments } from '../../../../../support/ca/memory-documents.ts'
import { eventually } from '../../../../../support/worker/eventually.ts'

const day = 86_400_000
const orders = 'spiffe://mesh.test/ns/default/sa/orders'
const ledger = 'spiffe://mesh.test/ns/default/sa/ledger'

function der(pems: string): Buffer {
  const blocks = pems.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  return Buffer.concat(blocks.map((pem) => new X509Certificate(pem).raw))
}

/** An X509SVID message as SPIRE sends it, from an authority of its own. */
async function svidMaker() {
  const lifetimes = { rootMs: 3650 * day, intermediateMs: 365 * day, spreadMs: 0, overlapMs: 2 * day }
  const deps = { documents: memoryDocuments(), box: openBox, clock: systemClock, trustDomain: 'mesh.test', lifetimes }
  const authority = await MadeAuthority.open(deps)
  return async (id: string, said = id): Promise<Buffer> => {
    const { key, request } = await keyAndRequest(id)
    const { chain } = authority.issue({ publicKey: readSigningRequest(request).publicKey, uri: id, lifetimeMs: day })
    const pkcs8 = createPrivateKey(key).export({ type: 'pkcs8', format: 'der' })
    const fields = [said, der(chain), pkcs8, der(authority.trustBundle)]
    return protoBytes(1, Buffer.concat(fields.map((value, at) => protoBytes(at + 1, value))))
  }
}

describe('certificates from the SPIFFE Workload API', () => {
  let folder: string
  let server: Server
  let streams: ServerWritableStream<Buffer, Buffer>[]
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-spire-'))
    streams = []
    server = new Server()
    const plain = (bytes: Buffer) => bytes
    server.addService(
      {
        FetchX509SVID: {
          path: '/SpiffeWorkloadAPI/FetchX509SVID',
          requestStream: false,
          responseStream: true,
          requestSerialize: plain,
          requestDeserialize: plain,
          responseSerialize: plain,
          responseDeserialize: plain,
        },
      },
      {
        FetchX509SVID: (call: ServerWritableStream<Buffer, Buffer>) => {
          if (call.metadata.get('workload.spiffe.io')[0] !== 'true')
            call.emit('error', { code: status.INVALID_ARGUMENT, details: 'no header' })
          else streams.push(call)
        },
      },
    )
    const credentials = ServerCredentials.createInsecure()
    await new Promise<void>((resolve, reject) => {
      const bound = (error: Error | null) => (error === null ? resolve() : reject(error))
      server.bindAsync(`unix:${join(folder, 'agent.sock')}`, credentials, bound)
    })
  })
  afterEach(() => {
    server.forceShutdown()
    rmSync(folder, { recursive: true })
  })

  function follow() {
    const told: WorkloadCertificates[] = []
    const lines: string[] = []
    const write = (_facts: object, message: string) => void lines.push(message)
    const source = new SpireSource({
      clock: systemClock,
      random: () => 0,
      log: { debug: write, info: write, warn: write, error: write },
      metrics: new ControlMetrics(),
      timeline: { turn: () => undefined },
      socket: join(folder, 'agent.sock'),
      onCertificates: (certificates) => void told.push(certificates),
    })
    return { told, lines, source }
  }

  it('are taken as they come, each time anew, with the first as the host`s own', async () => {
    const svid = await svidMaker()
    const { told, source } = follow()
    await eventually(() => streams.length === 1)
    streams[0]!.write(Buffer.concat([await svid(orders), await svid(ledger)]))
    await eventually(() => told.length === 1)
    expect(told[0]!.map(({ id }) => id)).to.deep.equal([orders, ledger])
    const [first] = told[0]!
    expect(new X509Certificate(first!.chain).checkPrivateKey(createPrivateKey(first!.key))).to.equal(true)
    expect(source.view().map(({ state, source: from }) => [state, from])).to.deep.equal([
      ['good', 'spire'],
      ['good', 'spire'],
    ])
    expect(source.trustDomain).to.equal('mesh.test')
    streams[0]!.write(await svid(orders))
    await eventually(() => told.length === 2)
    expect(told[1]!.map(({ id }) => id)).to.deep.equal([orders])
    source.close()
  })

  it('stay while SPIRE is gone or says nonsense, and the stream is made anew', async () => {
    const svid = await svidMaker()
    const { told, source, lines } = follow()
    await eventually(() => streams.length === 1)
    streams[0]!.write(await svid(orders))
    await eventually(() => told.length === 1)
    streams[0]!.write(Buffer.from('nonsense'))
    await eventually(() => lines.some((line) => line.includes('cannot be used')))
    streams[0]!.end()
    await eventually(() => streams.length === 2)
    streams[1]!.write(await svid(ledger))
    await eventually(() => told.length === 2)
    expect(told[1]!.map(({ id }) => id)).to.deep.equal([ledger])
    source.close()
  })

  it('stay when SPIRE sends a message without any', async () => {
    const svid = await svidMaker()
    const { told, source, lines } = follow()
    await eventually(() => streams.length === 1)
    streams[0]!.write(await svid(orders))
    await eventually(() => told.length === 1)
    streams[0]!.write(Buffer.alloc(0))
    await eventually(() => lines.some((line) => line.includes('it holds no certificate; certificates in use stay')))
    expect(told).to.have.length(1)
    expect(source.trustDomain).to.equal('mesh.test')
    expect(source.view().map(({ id, problem }) => [id, problem])).to.deep.equal([
      [orders, 'an answer that cannot be used: it holds no certificate'],
    ])
    source.close()
  })

  it('are refused when name, key and certificate do not belong together', async () => {
    const svid = await svidMaker()
    const good = await svid(orders)
    expect(readSvids(good)).to.have.length(1)
    const other = await svid(orders, ledger)
    expect(() => readSvids(other)).to.throw('names something else')
    for (let length = 1; length < good.length; length += 97)
      expect(() => readSvids(good.subarray(0, length)), String(length)).to.throw()
  })
})
